package e2e_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
	reviewworker "witan.dev/services/review/worker"
	"witan.dev/test/e2e/gittest"
)

// lostCouncil is a council job that cannot be watched, and notes who is asked to stop.
type lostCouncil struct {
	review.Jobs

	cancelled chan string
}

func (lostCouncil) Wait(context.Context, string) (review.JobState, error) {
	return review.JobState{}, apierr.Precondition("COUNCIL_LOST", "the council is lost")
}

func (l lostCouncil) CancelStarted(_ context.Context, parent string, kind job.Kind) error {
	l.cancelled <- parent + " " + string(kind)
	return nil
}

func smallChange(t *testing.T) *reviewv1.Source {
	t.Helper()
	repo := gittest.New(t)
	repo.Commit("base", map[string]string{"a.txt": "one\n"})
	repo.Commit("head", map[string]string{"a.txt": "two\n"})
	return gitRange(repo.Dir, "HEAD~1", "HEAD")
}

func TestAReviewThatLosesItsCouncilStopsIt(t *testing.T) {
	t.Parallel()
	cancelled := make(chan string, 1)
	s := startReviews(t, &scriptedCouncil{}, func(p *reviewworker.Params) { p.Jobs = lostCouncil{p.Jobs, cancelled} })
	_, j := s.review(t, smallChange(t))
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, "COUNCIL_LOST", j.StateReason)
	require.Len(t, cancelled, 1)
	require.Equal(t, "jobs/"+string(j.ID)+" council", <-cancelled)
}

// finder is a reviewer that always finds one thing.
type finder struct{}

func (finder) Name() string { return "finder" }

func (finder) Review(context.Context, review.Inspection) (review.Report, error) {
	return review.Report{Proposals: []review.Proposal{{
		Source: "finder", Rule: "always", Claim: "There is a change.", Category: finding.Correctness, Severity: finding.SeverityHigh,
		Location: finding.Location{Path: "a.txt", OldPath: "a.txt", Side: finding.Right, StartLine: 1, EndLine: 1, Code: "two"},
	}}}, nil
}

// TestNothingIsSentWhenTheScannerFails: a scanner without rules breaks down over every text.
func TestNothingIsSentWhenTheScannerFails(t *testing.T) {
	t.Parallel()
	council := &scriptedCouncil{info: review.CouncilInfo{Members: 1, ContextTokens: 32_000, OutputTokens: 1000}, tasks: make(chan review.CouncilTask, 1)}
	broken := &secrets.Reviewer{}
	s := startReviews(t, council, func(p *reviewworker.Params) {
		p.Secrets, p.Reviewers = broken, []review.Reviewer{broken, finder{}}
	})
	r, j := s.review(t, smallChange(t))
	require.Equal(t, job.StatePartiallySucceeded, j.State, "%+v", j.Error)
	require.Equal(t, "REVIEWER_FAILED", j.StateReason)
	require.Empty(t, council.tasks, "the council was asked")
	require.Len(t, r.GetFindings(), 1)
	require.Equal(t, "There is a change.", r.GetFindings()[0].GetTitle())
	require.Empty(t, r.GetFindings()[0].GetLocation().GetCode(), "what was not scanned is not quoted")
	require.Len(t, r.GetCoverage().GetFiles(), 1)
	require.Equal(t, reviewv1.FileCoverage_PARTIAL, r.GetCoverage().GetFiles()[0].GetStatus())
}
