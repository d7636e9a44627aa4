package publish_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// runs is a forge with nothing but check runs at one commit, the first of which has the ID 1.
type runs struct {
	publish.Forge

	all []publish.Check
}

func (r *runs) Checks(context.Context, review.Repo, string) ([]publish.Check, error) {
	return r.all, nil
}

func (r *runs) CreateCheck(_ context.Context, _ review.Repo, c publish.Check) (publish.Check, error) {
	c.ID = int64(len(r.all) + 1)
	r.all = append(r.all, c)
	return c, nil
}

func (r *runs) UpdateCheck(_ context.Context, _ review.Repo, c publish.Check) (publish.Check, error) {
	c.Name = r.all[c.ID-1].Name
	r.all[c.ID-1] = c
	return c, nil
}

// TestP07_PullRequestsOfOneCommitFailForTheirOwnReviewsOnly has one fail, others fail for it, and the first one mended: they must
// not keep each other down.
func TestP07_PullRequestsOfOneCommitFailForTheirOwnReviewsOnly(t *testing.T) {
	t.Parallel()
	forge, keys := &runs{}, publish.NewKeys([]byte("key"))
	ends := func(pull, name string, as publish.Conclusion, unread bool) publish.Check {
		t.Helper()
		desk := &publish.Desk{
			Forge: forge, Begun: map[string]bool{}, Begin: func(context.Context, []string) error { return nil }, Logger: slog.New(slog.DiscardHandler),
		}
		c := publish.Check{
			ExternalID: publish.CheckKey(keys, "github:h/1#"+pull, name), Name: "witan", Status: publish.CheckCompleted, Conclusion: as, Title: name,
		}
		write := desk.Check
		if unread {
			write = desk.Unread
		}
		placed, err := write(t.Context(), c)
		require.NoError(t, err)
		return forge.all[placed.Comment-1]
	}
	require.Equal(t, publish.Failure, ends("1", "r1", publish.Failure, false).Conclusion)
	for _, is := range []publish.Check{ends("2", "r2", publish.Success, false), ends("3", "r3", publish.Neutral, true)} {
		require.Equal(t, publish.Failure, is.Conclusion)
		require.Contains(t, is.Title, "Failed ")
	}
	require.Equal(t, publish.Cancelled, ends("1", "r4", publish.Cancelled, true).Conclusion)
	require.Equal(t, publish.Failure, ends("2", "r2", publish.Success, false).Conclusion, "what was cancelled said nothing")
	require.Equal(t, publish.Success, ends("1", "r1", publish.Success, false).Conclusion, "its finding was dismissed")
	require.Equal(t, publish.Success, ends("2", "r2", publish.Success, false).Conclusion)
	require.Equal(t, publish.Success, ends("3", "r5", publish.Success, false).Conclusion)
}

// TestACheckRunFromBeforeKeysNamedThePullRequestIsGoneOnWith by a worker that has not seen its ID.
func TestACheckRunFromBeforeKeysNamedThePullRequestIsGoneOnWith(t *testing.T) {
	t.Parallel()
	key := publish.CheckKey(publish.NewKeys([]byte("key")), "github:h/1#2", "r")
	forge := &runs{all: []publish.Check{{ID: 1, ExternalID: key[:len(key)-len("#2")], Status: publish.CheckInProgress}}}
	desk := &publish.Desk{Forge: forge, Begun: map[string]bool{}, Logger: slog.New(slog.DiscardHandler)}
	_, err := desk.Check(t.Context(), publish.Check{ExternalID: key, Status: publish.CheckCompleted, Conclusion: publish.Success})
	require.NoError(t, err)
	require.Len(t, forge.all, 1)
	require.Equal(t, publish.Success, forge.all[0].Conclusion)
}
