package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/internal/pagetoken"
	"witan.dev/services/jobs"
)

// tokenOf returns the token that a call made.
func tokenOf(t testing.TB) func(token string, err error) string {
	t.Helper()
	return func(token string, err error) string {
		t.Helper()
		require.NoError(t, err)
		return token
	}
}

func position() job.ListPosition {
	return job.ListPosition{CreatedAt: time.UnixMicro(1_700_000_000_123_456).UTC(), ID: "abc234"}
}

func TestPageTokensComeBackForTheSameQuestionOnly(t *testing.T) {
	t.Parallel()
	q := job.ListQuery{Owner: "a", Kinds: []job.Kind{job.KindReview}, States: []job.State{job.StateFailed, job.StateQueued}, Limit: 10}
	token := tokenOf(t)(jobs.ListToken(q, position()))
	same := q
	same.Limit, same.States = 50, []job.State{job.StateQueued, job.StateFailed}
	got, err := jobs.ParseListToken(same, token)
	require.NoError(t, err)
	require.Equal(t, position(), got)
	for name, change := range map[string]func(*job.ListQuery){
		"owner":  func(q *job.ListQuery) { q.Owner = "b" },
		"kind":   func(q *job.ListQuery) { q.Kinds = nil },
		"states": func(q *job.ListQuery) { q.States = q.States[:1] },
		"parent": func(q *job.ListQuery) { q.Parent = "p" },
	} {
		other := q
		change(&other)
		_, err := jobs.ParseListToken(other, token)
		require.ErrorIs(t, err, pagetoken.ErrInvalid, name)
	}
	require.Empty(t, tokenOf(t)(jobs.ListToken(q, job.ListPosition{})))
	got, err = jobs.ParseListToken(q, "")
	require.NoError(t, err)
	require.Zero(t, got)
}

func TestEventTokensBelongToTheirJob(t *testing.T) {
	t.Parallel()
	token := tokenOf(t)(jobs.EventToken("a", 17))
	after, err := jobs.ParseEventToken("a", token)
	require.NoError(t, err)
	require.Equal(t, int64(17), after)
	_, err = jobs.ParseEventToken("b", token)
	require.ErrorIs(t, err, pagetoken.ErrInvalid)
	_, err = jobs.ParseListToken(job.ListQuery{}, token)
	require.ErrorIs(t, err, pagetoken.ErrInvalid)
}

func FuzzPageTokens(f *testing.F) {
	q := job.ListQuery{Owner: "local"}
	f.Add(tokenOf(f)(jobs.ListToken(q, position())))
	f.Add(tokenOf(f)(jobs.EventToken("a", 17)))
	f.Add(tokenOf(f)(jobs.EventToken("a", -1)))
	f.Add("")
	f.Add("%%%")
	f.Add(strings.Repeat("A", 3000))
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := jobs.ParseListToken(q, token); err != nil {
			require.ErrorIs(t, err, pagetoken.ErrInvalid)
		} else if token != "" {
			again, err := jobs.ParseListToken(q, tokenOf(t)(jobs.ListToken(q, got)))
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
		if got, err := jobs.ParseEventToken("a", token); err != nil {
			require.ErrorIs(t, err, pagetoken.ErrInvalid)
		} else {
			require.GreaterOrEqual(t, got, int64(0))
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	id, err := jobs.ParseName(jobs.Name("abc"))
	require.NoError(t, err)
	require.Equal(t, job.ID("abc"), id)
	require.Empty(t, jobs.Name(""))
	for _, name := range []string{"", "jobs/", "abc", "reviews/abc", "jobs/a/b", "/jobs/a"} {
		_, err := jobs.ParseName(name)
		require.ErrorIs(t, err, job.ErrNotFound, name)
	}
}

func TestFiltersDropEventsButNeverTheLast(t *testing.T) {
	t.Parallel()
	delta, answer := job.Event{Type: "council.member_delta"}, job.Event{Type: "council.member_answered"}
	final := job.Event{Type: job.TypeStateChanged, Final: true}
	require.True(t, jobs.Filter{}.Shows(delta))
	require.False(t, jobs.Filter{OmitDeltas: true}.Shows(delta))
	require.True(t, jobs.Filter{OmitDeltas: true}.Shows(answer))
	only := jobs.Filter{Types: []string{"council.member_delta"}}
	require.True(t, only.Shows(delta))
	require.False(t, only.Shows(answer))
	require.True(t, only.Shows(final))
}
