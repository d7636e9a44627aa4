package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/test/e2e/gittest"
)

// disputed has ada and ben report things, and the others judge them: the loop is confirmed by ben against cyd's doubt, the
// name finds no friends but its finder.
const disputed = `
timing: {first_token: 10ms, latency: 80ms, chunk_bytes: 64}
rules:
  - when: {model: ada, stage: propose}
    then:
      json:
        findings:
          - {path: store/store.go, code: "for i := 0; i <= len(items); i++ {", start_line: 6, end_line: 6, side: RIGHT, category: CORRECTNESS, severity: HIGH,
             claim: "The loop reads one element past the end", reason: "i reaches len(items), so items[i] panics.", suggestion: "", confidence: 0.9}
  - when: {model: ben, stage: propose}
    then:
      json:
        findings:
          - {path: store/store.go, code: "total := 0", start_line: 5, end_line: 5, side: RIGHT, category: MAINTAINABILITY, severity: LOW,
             claim: "The name total hides what is summed", reason: "sum would say more.", suggestion: "", confidence: 0.3}
  - {when: {model: cyd, stage: propose}, then: {json: {findings: []}}}
  - when: {model: cyd, stage: cross_examine}
    then:
      labels:
        - {match: "past the end", set: {vote: REJECTED, severity: LOW, reason: "The callers never pass items.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "Hard to say.", duplicate_of: ""}}
  - when: {stage: cross_examine}
    then:
      labels:
        - {match: "past the end", set: {vote: CONFIRMED, severity: HIGH, reason: "Visible in the change.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "A matter of taste.", duplicate_of: ""}}
`

const (
	storeBefore = "package store\n"
	storeAfter  = "package store\n\n// Sum adds.\nfunc Sum(items []int) int {\n\ttotal := 0\n\tfor i := 0; i <= len(items); i++ {\n\t\ttotal += items[i]\n\t}\n\treturn total\n}\n"
	storeDiff   = `diff --git a/store/store.go b/store/store.go
--- a/store/store.go
+++ b/store/store.go
@@ -1 +1,10 @@
 package store
+
+// Sum adds.
+func Sum(items []int) int {
+	total := 0
+	for i := 0; i <= len(items); i++ {
+		total += items[i]
+	}
+	return total
+}
`
)

// vote is what one voter says of a finding.
type vote struct {
	Vote     councilv1.FindingVote_Vote
	Proposed bool
}

func votesOf(f *reviewv1.Finding) map[string]vote {
	out := map[string]vote{}
	for _, v := range f.GetVotes() {
		out[v.GetVoter()] = vote{v.GetVote(), v.GetProposed()}
	}
	return out
}

// requireDisputed holds a review against what the script makes of it.
func requireDisputed(t testing.TB, r *reviewv1.Review) {
	t.Helper()
	require.Len(t, r.GetFindings(), 2)
	byTitle := map[string]*reviewv1.Finding{}
	for _, f := range r.GetFindings() {
		byTitle[f.GetTitle()] = f
	}
	loop := byTitle["The loop reads one element past the end"]
	require.Equal(t, councilv1.Finding_PUBLISHED, loop.GetOutcome())
	require.Equal(t, typev1.Severity_SEVERITY_HIGH, loop.GetSeverity())
	require.Equal(t, "store/store.go", loop.GetLocation().GetPath())
	require.Equal(t, int32(6), loop.GetLocation().GetStartLine())
	require.Equal(t, map[string]vote{
		"ada": {councilv1.FindingVote_CONFIRMED, true},
		"ben": {councilv1.FindingVote_CONFIRMED, false},
		"cyd": {councilv1.FindingVote_REJECTED, false},
	}, votesOf(loop), "published with its dissent")
	require.Equal(t, int32(2), loop.GetTally().GetConfirmed())
	require.Equal(t, int32(1), loop.GetTally().GetRejected())

	held := byTitle["The name total hides what is summed"]
	require.Equal(t, councilv1.Finding_HELD, held.GetOutcome())
	require.Equal(t, map[string]vote{
		"ben": {councilv1.FindingVote_CONFIRMED, true},
		"ada": {councilv1.FindingVote_UNCERTAIN, false},
		"cyd": {councilv1.FindingVote_UNCERTAIN, false},
	}, votesOf(held))
	require.Equal(t, int32(1), r.GetCounts().GetHigh())
	require.Equal(t, int32(1), r.GetCounts().GetHeld())
	require.True(t, r.GetCoverage().GetComplete())
	require.Contains(t, r.GetSummary(), "[simulated]")
}

func storeRepository(t testing.TB) *gittest.Repo {
	t.Helper()
	repo := gittest.New(t)
	repo.Commit("base", map[string]string{"store/store.go": storeBefore})
	repo.Commit("head", map[string]string{"store/store.go": storeAfter})
	return repo
}

func TestCouncilPublishesWhatItConfirmsAndHoldsTheRestBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, disputed)
	repo := storeRepository(t)
	found := w.run("review", "--repo", repo.Dir, "--base", "HEAD~1", "--format", "json")
	require.Equal(t, 1, found.Code, found.Stderr)
	var r reviewv1.Review
	require.NoError(t, protojson.Unmarshal([]byte(found.Stdout), &r), "standard output holds one JSON and nothing else")
	requireDisputed(t, &r)
	for _, line := range []string{"structure: 0 proposals, done", "the council deliberates: jobs/", "succeeded"} {
		require.Contains(t, found.Stderr, line)
	}

	// The same over a server: the finding is below the threshold, the formats say the same.
	n := w.serve()
	below := w.run("review", "--repo", repo.Dir, "--base", "HEAD~1", "--fail-on", "critical", "--detach")
	require.Zero(t, below.Code, below.Stderr)
	attached := w.run("attach", below.Stdout[:len(below.Stdout)-1])
	require.Zero(t, attached.Code, attached.Stderr)
	require.Contains(t, attached.Stdout, "The loop reads one element past the end")
	above := w.run("review", "--repo", repo.Dir, "--base", "HEAD~1", "--detach")
	for _, format := range []string{"text", "jsonl", "json", "sarif", "rdjson", "markdown"} {
		attached := w.run("attach", strings.TrimSpace(above.Stdout), "--format", format)
		require.Equal(t, 1, attached.Code, "%s: %s", format, attached.Stderr)
	}

	sarif := w.run("review", "--diff", w.write("change.diff", storeDiff), "--format", "sarif", "--server", n.GRPC)
	require.Equal(t, 1, sarif.Code, sarif.Stderr)
	var report struct {
		Runs []struct {
			Results []struct{ Kind, Level string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(sarif.Stdout), &report))
	var kinds []string
	for _, result := range report.Runs[0].Results {
		kinds = append(kinds, result.Kind)
	}
	require.ElementsMatch(t, []string{"fail", "review"}, kinds, "what is held back is there, but breaks nothing")
}

// TestReviewEventsTellOfTheCouncil: the review's log names the deliberation, whose job is its child.
func TestReviewEventsTellOfTheCouncil(t *testing.T) {
	t.Parallel()
	n := newWorld(t, disputed).serve()
	made := n.reviewCommit(storeRepository(t))
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(made.GetJob()).GetState())
	log := n.events(made.GetJob())
	requireDense(t, log)
	var child string
	for _, e := range log {
		if started := e.GetReview().GetDeliberationStarted(); started != nil {
			child = started.GetJob()
		}
	}
	require.Equal(t, made.GetJob(), n.job(child).GetParentJob())
	requireDense(t, n.events(child))
	for _, f := range formats() {
		require.Equal(t, n.pages(made.GetJob()), follow(t, n, f, made.GetJob(), 3, 2), f.name)
	}
	full, err := n.Reviews.GetReview(bounded(t), &reviewv1.GetReviewRequest{Name: made.GetName(), View: reviewv1.Review_FULL})
	require.NoError(t, err)
	requireDisputed(t, full)
}
