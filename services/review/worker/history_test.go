package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/reviewers/history"
	"witan.dev/services/review/worker"
)

// TestWhatIsLeftOutStandsInTheWalkthroughUntilItIsChanged: it is a finding with its vote, never a comment on somebody's line,
// and fixed when the file that was left out is changed as well.
func TestWhatIsLeftOutStandsInTheWalkthroughUntilItIsChanged(t *testing.T) {
	t.Parallel()
	a := openAt(t, map[string]string{"code.go": "package p\n", "guide.md": "first\n"}, map[string]string{"code.go": "package q\n"})
	for n := range 9 {
		_, err := a.repo.Commit(t.Context(), githubtest.Commit{Branch: "main", Files: map[string]string{
			"code.go": fmt.Sprintf("package p%d\n", n), "guide.md": fmt.Sprintf("%d\n", n),
		}})
		require.NoError(t, err)
	}
	head, err := a.repo.Commit(t.Context(), githubtest.Commit{Parent: "main", Files: map[string]string{"code.go": "package last\n"}})
	require.NoError(t, err)
	require.NoError(t, a.pull.SetHead(t.Context(), head))
	s := a.start(t, func(p *worker.Params) {
		past, ok := p.Repository.(review.History)
		require.True(t, ok)
		p.Reviewers = []review.Reviewer{probe{}, history.New(past)}
	})
	look := func() (review.Review, finding.Finding) {
		t.Helper()
		r, j := s.end(t, s.ask(t))
		require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
		list, err := s.store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 10})
		require.NoError(t, err)
		require.Len(t, list, 1)
		return r, list[0].Finding
	}
	r, f := look()
	require.Equal(t, "history/left-out", f.Rule)
	require.Equal(t, "guide.md", f.Location.Path)
	require.Equal(t, finding.Open, f.Status)
	require.Equal(t, []finding.Vote{{Voter: "history", Choice: finding.Confirmed, Proposed: true, Counted: true}}, f.Votes)
	require.Equal(t, []string{"probe"}, r.Coverage.Files[0].Reviewers, "history read no file")
	require.Contains(t, r.Reviewers, review.ReviewerSummary{Name: "history", Status: review.ReviewerDone, Files: 1, Proposals: 1, Whole: true})
	walkthrough := func() (out string) {
		for _, p := range a.PostedBy(a.app.Bot) {
			require.NotContains(t, []githubtest.Kind{githubtest.KindReviewComment, githubtest.KindFileComment}, p.Kind)
			if p.Kind == githubtest.KindIssueComment {
				out = p.Body
			}
		}
		return out
	}
	require.Contains(t, walkthrough(), `usually changes together with code\.go`)
	require.Contains(t, walkthrough(), "9 of the last 9 commits")

	_, err = a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"guide.md": "last\n"}})
	require.NoError(t, err)
	_, f = look()
	require.Equal(t, finding.Fixed, f.Status)
	require.Contains(t, walkthrough(), "Fixed: 1")
	require.Empty(t, a.Rejected())
}

// distant is a history whose forge does not answer for some calls.
type distant struct {
	review.History

	calls atomic.Int32
	after int32 // how many calls fail
}

func (d *distant) Past(ctx context.Context, p review.Pinned) ([][]string, error) {
	if d.calls.Add(1) <= d.after {
		return nil, fmt.Errorf("fetch: %w", review.ErrUnavailable)
	}
	return d.History.Past(ctx, p)
}

// TestP01_AHistoryIsWaitedForWhileItsForgeIsAway but not for as long as a review has patience: it goes on without and says so.
func TestP01_AHistoryIsWaitedForWhileItsForgeIsAway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after int32
		notes int
	}{
		"it comes back": {after: 1},
		"it stays away": {after: 1000, notes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &distant{after: c.after}
			s := openAt(t, map[string]string{"code.go": "package p\n"}, map[string]string{"code.go": "package q\n"}).start(t, func(p *worker.Params) {
				past, ok := p.Repository.(review.History)
				require.True(t, ok)
				h.History, p.Reviewers = past, []review.Reviewer{probe{}, history.New(h)}
				p.Patience = 3 * time.Second // half of it is less than two pauses
			})
			r, j := s.end(t, s.ask(t))
			require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
			require.Len(t, r.Notes, c.notes)
			require.EqualValues(t, 2, h.calls.Load())
		})
	}
}
