package e2e_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/test/e2e/gittest"
)

func refusal(t *testing.T, err error) (codes.Code, string) {
	t.Helper()
	s, ok := status.FromError(err)
	require.True(t, ok, "%v", err)
	return s.Code(), rpcstatus.Info(s).GetReason()
}

func TestWhatCannotBeReviewedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{})
	repo := gittest.New(t)
	first := repo.Commit("first", map[string]string{"a.txt": "a\n"})
	empty := gittest.New(t)
	plain := t.TempDir()
	const patch = "diff --git a/x b/x\nindex 587be6b..975fbec 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-x\n+y\n"
	for name, c := range map[string]struct {
		source *reviewv1.Source
		code   codes.Code
		reason string
	}{
		"no repository":     {gitRange(plain, "", ""), codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"no folder":         {gitRange(filepath.Join(plain, "gone"), "", ""), codes.FailedPrecondition, "NOT_A_REPOSITORY"},
		"unknown head":      {gitRange(repo.Dir, "", "no-such-branch"), codes.InvalidArgument, "REVISION_UNKNOWN"},
		"unknown base":      {gitRange(repo.Dir, "no-such-branch", ""), codes.InvalidArgument, "REVISION_UNKNOWN"},
		"an option as head": {gitRange(repo.Dir, "", "--output=x"), codes.InvalidArgument, "REVISION_UNKNOWN"},
		"no commit":         {gitRange(empty.Dir, "", ""), codes.InvalidArgument, "REVISION_UNKNOWN"},
		"empty range":       {gitRange(repo.Dir, first, first), codes.InvalidArgument, "NO_CHANGES"},
		"nothing staged":    {localChange(repo.Dir, reviewv1.LocalChange_STAGED), codes.InvalidArgument, "NO_CHANGES"},
		"clean tree":        {localChange(repo.Dir, reviewv1.LocalChange_UNCOMMITTED), codes.InvalidArgument, "NO_CHANGES"},
		"empty diff":        {inline([]byte("\n")), codes.InvalidArgument, "NO_CHANGES"},
		"not a diff":        {inline([]byte("hello\nworld\n")), codes.InvalidArgument, "NOT_A_DIFF"},
		"combined diff":     {inline([]byte("diff --cc a.txt\nindex 1,2..3\n--- a/a.txt\n+++ b/a.txt\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n -b\n++c\n")), codes.InvalidArgument, "COMBINED_DIFF"},
		"two patches":       {inline([]byte(patch + patch)), codes.InvalidArgument, "SEVERAL_PATCHES"},
		"a path outside":    {inline([]byte("diff --git a/../x b/../x\n--- a/../x\n+++ b/../x\n@@ -1 +1 @@\n-x\n+y\n")), codes.InvalidArgument, "NOT_A_DIFF"},
		"unknown blob": {
			&reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Blob{Blob: sha("nothing")}}}},
			codes.NotFound, "BLOB_NOT_FOUND",
		},
		"pull request": {
			&reviewv1.Source{Source: &reviewv1.Source_PullRequest{PullRequest: &reviewv1.PullRequest{Owner: "o", Repo: "r", Number: 1}}},
			codes.FailedPrecondition, "FORGE_NOT_CONFIGURED",
		},
		"relative folder": {gitRange("repo", "", ""), codes.InvalidArgument, "INVALID_REQUEST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.Client.CreateReview(t.Context(), &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: c.source}})
			code, reason := refusal(t, err)
			require.Equal(t, c.code, code, err)
			require.Equal(t, c.reason, reason, err)
		})
	}
	t.Cleanup(func() {
		list, err := s.Client.ListReviews(context.Background(), &reviewv1.ListReviewsRequest{})
		require.NoError(t, err)
		require.Empty(t, list.GetReviews(), "what was refused left nothing")
		left, err := os.ReadDir(filepath.Join(s.Data, "frozen"))
		if !os.IsNotExist(err) {
			require.NoError(t, err)
			require.Empty(t, left)
		}
	})
}

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestTheSameRequestGivesTheSameReview(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{})
	repo := gittest.New(t)
	repo.Commit("first", map[string]string{"a.txt": "a\n"})
	repo.Write(map[string]string{"a.txt": "b\n"})
	req := &reviewv1.CreateReviewRequest{
		RequestId: uuid.NewString(), Review: &reviewv1.Review{Source: localChange(repo.Dir, reviewv1.LocalChange_UNCOMMITTED)},
	}
	first, err := s.Client.CreateReview(t.Context(), req)
	require.NoError(t, err)
	s.wait(t, job.ID(first.GetJob()[len("jobs/"):]))
	repo.Git("checkout", "--", "a.txt") // now there is nothing to review, but the request was answered before
	again, err := s.Client.CreateReview(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, first.GetName(), again.GetName())
	req.Review.Labels = map[string]string{"other": "body"}
	_, err = s.Client.CreateReview(t.Context(), req)
	code, reason := refusal(t, err)
	require.Equal(t, codes.AlreadyExists, code)
	require.Equal(t, "REQUEST_ID_REUSED", reason)
}

func TestReviewsAreReadInPages(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &scriptedCouncil{})
	repo := gittest.New(t)
	base := repo.Commit("first", map[string]string{"a.txt": "a\n"})
	head := repo.Commit("second", map[string]string{"a.txt": "b\n", "b.env": "X='" + leakedKey() + "'\n", "c.env": "Y='" + leakedKey() + "'\n"})
	for range 3 {
		s.review(t, gitRange(repo.Dir, base, head))
	}
	var names []string
	req := &reviewv1.ListReviewsRequest{PageSize: 2}
	for {
		page, err := s.Client.ListReviews(t.Context(), req)
		require.NoError(t, err)
		for _, r := range page.GetReviews() {
			names = append(names, r.GetName())
			require.Empty(t, r.GetFindings())
			require.EqualValues(t, 2, r.GetCounts().GetHigh())
		}
		if page.GetNextPageToken() == "" {
			break
		}
		req.PageToken = page.GetNextPageToken()
	}
	require.Len(t, names, 3)
	_, err := s.Client.ListReviews(t.Context(), &reviewv1.ListReviewsRequest{PageToken: "nonsense"})
	_, reason := refusal(t, err)
	require.Equal(t, "PAGE_TOKEN_INVALID", reason)
	page, err := s.Client.ListFindings(t.Context(), &reviewv1.ListFindingsRequest{Parent: names[0], PageSize: 1})
	require.NoError(t, err)
	require.Len(t, page.GetFindings(), 1)
	rest, err := s.Client.ListFindings(t.Context(), &reviewv1.ListFindingsRequest{Parent: names[0], PageSize: 1, PageToken: page.GetNextPageToken()})
	require.NoError(t, err)
	require.NotEqual(t, page.GetFindings()[0].GetName(), rest.GetFindings()[0].GetName())
	_, err = s.Client.ListFindings(t.Context(), &reviewv1.ListFindingsRequest{Parent: names[1], PageToken: page.GetNextPageToken()})
	_, reason = refusal(t, err)
	require.Equal(t, "PAGE_TOKEN_INVALID", reason, "a token belongs to its list")
	_, err = s.Client.GetReview(t.Context(), &reviewv1.GetReviewRequest{Name: "reviews/" + string(job.NewID())})
	_, reason = refusal(t, err)
	require.Equal(t, "REVIEW_NOT_FOUND", reason)
}

// awayCouncil cannot be reached.
type awayCouncil struct{ scriptedCouncil }

func (*awayCouncil) Describe(context.Context, string) (review.CouncilInfo, error) {
	return review.CouncilInfo{Members: 2, ContextTokens: 8000}, nil
}

func (*awayCouncil) Deliberate(context.Context, review.CouncilTask) (review.Deliberation, error) {
	return review.Deliberation{}, review.ErrUnavailable
}

func TestWithoutTheCouncilStaticFindingsArePublishedAndTheReviewIsPartial(t *testing.T) {
	t.Parallel()
	s := startReviews(t, &awayCouncil{})
	repo := gittest.New(t)
	base := repo.Commit("first", map[string]string{"a.txt": "a\n"})
	head := repo.Commit("second", map[string]string{"a.txt": "b\n", "b.env": "X='" + leakedKey() + "'\n"})
	r, j := s.review(t, gitRange(repo.Dir, base, head))
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	require.Equal(t, string(finding.ReasonCouncilUnavailable), j.StateReason)
	require.Len(t, r.GetFindings(), 1)
	require.NotEmpty(t, r.GetFindings()[0].GetVotes())
	require.Equal(t, "COUNCIL_UNAVAILABLE", r.GetCoverage().GetCouncilReason())
	for _, f := range r.GetCoverage().GetFiles() {
		require.Equal(t, reviewv1.FileCoverage_PARTIAL, f.GetStatus(), f.GetPath())
	}
}

// lateCouncil cannot be reached for some calls.
type lateCouncil struct {
	*scriptedCouncil

	away atomic.Int64
}

func (c *lateCouncil) Deliberate(ctx context.Context, t review.CouncilTask) (review.Deliberation, error) {
	if c.away.Add(-1) >= 0 {
		return review.Deliberation{}, review.ErrUnavailable
	}
	return c.scriptedCouncil.Deliberate(ctx, t)
}

// TestALocalReviewWaitsForACouncilThatStarts a while longer than it takes to ask a few times.
func TestALocalReviewWaitsForACouncilThatStarts(t *testing.T) {
	t.Parallel()
	council := &lateCouncil{scriptedCouncil: &scriptedCouncil{
		info: review.CouncilInfo{Members: 1, ContextTokens: 16000},
		verdict: func(task review.CouncilTask) review.Verdict {
			return review.Verdict{Models: 1, Quorum: true, Summary: "read", Parts: []review.PartOutcome{{Part: task.Parts[0].ID, Status: review.PartCovered}}}
		},
	}}
	council.away.Store(7) // five tries are a round
	s := startReviews(t, council)
	repo := gittest.New(t)
	base := repo.Commit("first", map[string]string{"calc.go": "package calc\n"})
	head := repo.Commit("second", map[string]string{"calc.go": "package calc\n\nfunc Mean() int { return 1 }\n"})
	r, j := s.review(t, gitRange(repo.Dir, base, head))
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, "read", r.GetSummary())
}

func TestMembersFindingsAreLocatedWithVotesAndDissent(t *testing.T) {
	t.Parallel()
	council := &scriptedCouncil{info: review.CouncilInfo{Members: 3, ContextTokens: 16000}}
	council.verdict = func(task review.CouncilTask) review.Verdict {
		member := func(id, code string) review.CouncilProposal {
			return review.CouncilProposal{ID: id, Source: "m1", Path: "calc.go", StartLine: 99, Code: code, Category: "correctness", Severity: finding.SeverityHigh, Claim: "divides by zero", Reason: "n may be 0"}
		}
		votes := []finding.Vote{
			{Voter: "m1", Model: "alpha", Choice: finding.Confirmed, Proposed: true, Counted: true, Severity: finding.SeverityHigh},
			{Voter: "m2", Model: "beta", Choice: finding.Confirmed, Counted: true, Severity: finding.SeverityMedium},
			{Voter: "m3", Model: "gamma", Choice: finding.RejectedVote, Counted: true, Reason: "the caller checks"},
		}
		return review.Verdict{
			Models: 3, Quorum: true, Summary: "one problem", Parts: []review.PartOutcome{{Part: task.Parts[0].ID, Status: review.PartCovered}},
			Proposals: []review.CouncilProposal{member("p1", "return total / n"), member("p2", "func Mean(total, n int) int {"), member("p3", "nowhere in any file")},
			Findings: []review.CouncilFinding{
				{ID: "F1", Representative: "p1", Proposals: []string{"p1"}, Severity: finding.SeverityMedium, Outcome: finding.Published, Votes: votes, Tally: finding.Tally{Confirmed: 2, Rejected: 1, Proposed: 1, Planned: 3, Required: 2}},
				{ID: "F2", Representative: "p2", Proposals: []string{"p2"}, Severity: finding.SeverityLow, Outcome: finding.Held, OutcomeReason: "TOO_FEW_VOTES", Votes: votes[:1], Tally: finding.Tally{Confirmed: 1, Required: 2}},
				{ID: "F3", Representative: "p3", Proposals: []string{"p3"}, Severity: finding.SeverityLow, Outcome: finding.Rejected},
			},
		}
	}
	s := startReviews(t, council)
	repo := gittest.New(t)
	base := repo.Commit("first", map[string]string{"calc.go": "package calc\n"})
	head := repo.Commit("second", map[string]string{"calc.go": "package calc\n\nfunc Mean(total, n int) int {\n\treturn total / n\n}\n"})
	r, j := s.review(t, gitRange(repo.Dir, base, head))
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, "one problem", r.GetSummary())
	require.Len(t, r.GetFindings(), 3, "nothing vanishes")
	by := map[string]*reviewv1.Finding{}
	for _, f := range r.GetFindings() {
		by[f.GetOutcome().String()] = f
	}
	published := by["PUBLISHED"]
	require.EqualValues(t, 4, published.GetLocation().GetStartLine(), "the code decides, not the number")
	require.Equal(t, reviewv1.Location_NORMALISED, published.GetLocation().GetPlacement())
	require.Equal(t, "function Mean", published.GetLocation().GetSymbol())
	require.True(t, published.GetLocation().GetInDiff())
	require.Len(t, published.GetVotes(), 3)
	require.Equal(t, "the caller checks", published.GetVotes()[2].GetReason())
	require.Equal(t, reviewv1.Finding_OPEN, published.GetStatus())
	require.EqualValues(t, 3, by["HELD"].GetLocation().GetStartLine())
	require.Equal(t, "TOO_FEW_VOTES", by["HELD"].GetOutcomeReason())
	require.NotNil(t, by["REJECTED"])
	require.Equal(t, []string{"secrets", "structure", "council"}, r.GetCoverage().GetFiles()[0].GetReviewers())
}
