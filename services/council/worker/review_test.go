package worker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
	"witan.dev/services/council/counciltest"
)

const material = `diff --git a/load.go b/load.go
@@ -1,3 +1,9 @@
+func Load(path string) ([]byte, error) {
+	f, err := os.Open(path)
+	if err != nil {
+		return nil, err
+	}
+	return io.ReadAll(f)
+}
+var cache = map[string][]byte{}
`

func change(outside ...council.Proposal) council.NewDeliberation {
	return council.NewDeliberation{Owner: counciltest.Owner, Task: council.Task{CodeReview: &council.CodeReview{
		Title: "Load files", Outside: outside,
		Parts: []council.MaterialPart{{ID: "p1", Paths: []string{"load.go"}, Text: material, Anchors: []council.Anchor{
			{Path: "load.go", Side: finding.Right, Symbol: "function Load", StartLine: 1, EndLine: 7},
		}}},
	}}}
}

// report is a rule that has a member report a leak, or a doubtful style remark.
func report(member, code, claim, severity string) string {
	return fmt.Sprintf(`
  - when: {stage: propose, member: %s}
    then: {json: {findings: [{path: load.go, start_line: 2, end_line: 2, side: RIGHT, code: %q, category: RESOURCES, severity: %s,
      claim: %q, reason: "because", suggestion: "", confidence: 0.9}]}}`, member, code, severity, claim)
}

const nothing = `
  - when: {stage: propose}
    then: {json: {findings: []}}`

func votes(member, vote string) string {
	return fmt.Sprintf(`
  - when: {stage: cross_examine, member: %s}
    then: {labels: [{match: ".", set: {vote: %s, severity: HIGH, reason: "as I see it", duplicate_of: ""}}]}`, member, vote)
}

func reviewOf(t *testing.T, script string, n council.NewDeliberation, models ...string) (*counciltest.System, job.Job, *council.Result) {
	t.Helper()
	s := open(t, script, models...)
	d := start(t, s, n)
	j := s.Await(t, d.ID)
	return s, j, result(t, s, d.ID)
}

func TestReviewPublishesAndHoldsBack(t *testing.T) {
	t.Parallel()
	script := "rules:" + report("m1", "f, err := os.Open(path)", "the file is never closed", "HIGH") +
		report("m2", "var cache = map[string][]byte{}", "a global map grows for ever", "MEDIUM") + nothing + `
  - when: {stage: cross_examine}
    then: {labels: [{match: "never closed", set: {vote: CONFIRMED, severity: HIGH, reason: r, duplicate_of: ""}},
                    {match: "global map", set: {vote: REJECTED, severity: LOW, reason: it is bounded, duplicate_of: ""}}]}`
	s, j, r := reviewOf(t, script, change(), "a", "b", "c")
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, council.OriginChairman, r.Origin)
	require.NotEmpty(t, r.Review.Summary)
	require.Len(t, r.Review.Findings, 2)

	leak, cache := r.Review.Findings[0], r.Review.Findings[1]
	require.Equal(t, finding.Published, leak.Outcome)
	require.Equal(t, council.FindingTally{Confirmed: 3, Proposed: 1, Planned: 3, Required: 2, DistinctModels: 3}, leak.Tally)
	require.Equal(t, finding.Rejected, cache.Outcome)
	require.Equal(t, 2, cache.Tally.Rejected)
	for _, f := range r.Review.Findings {
		proposers, examiners := 0, 0
		for _, v := range f.Votes {
			if v.Proposed {
				proposers++
			} else {
				examiners++
			}
		}
		require.Equal(t, 1, proposers)
		require.Equal(t, 2, examiners, "who proposed is not asked")
	}
	types := counciltest.Types(s.Events(t, j.ID))
	require.Equal(t, 3, types["council.member_proposed"])
	require.Equal(t, 3, types["council.votes_cast"])
	require.Equal(t, 2, types["council.finding_concluded"])
	require.Zero(t, types["council.member_delta"], "members of a review write JSON")
	for _, c := range s.Calls.List() {
		if c.Stage == council.StageCrossExamine {
			require.NotContains(t, c.Prompt, "m1")
			require.NotContains(t, c.Prompt, "m2")
			require.Contains(t, c.Prompt, "[witan:")
		}
	}
}

func TestReviewDissentIsRecorded(t *testing.T) {
	t.Parallel()
	script := "rules:" + report("m1", "f, err := os.Open(path)", "the file is never closed", "HIGH") + nothing +
		votes("m2", "CONFIRMED") + votes("m3", "REJECTED")
	_, _, r := reviewOf(t, script, change(), "a", "b", "c")
	require.Equal(t, finding.Published, r.Review.Findings[0].Outcome)
	require.Equal(t, []council.Dissent{{Member: "m3", Subject: "f1", Position: "REJECTED", Reason: "as I see it"}}, r.Dissent)
}

func TestOutsideProposalsAreJudgedAndNeverShownBefore(t *testing.T) {
	t.Parallel()
	outside := council.Proposal{
		Source: "structure", Path: "load.go", StartLine: 2, Side: finding.Right, Category: finding.APIContract, Severity: finding.SeverityHigh,
		Claim: "OUTSIDE-CLAIM", Reason: "r", Code: "f, err := os.Open(path)",
	}
	s, j, r := reviewOf(t, "rules:"+nothing+votes("m1", "UNCERTAIN")+votes("m2", "UNCERTAIN")+votes("m3", "UNCERTAIN"), change(outside), "a", "b", "c")
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, finding.Published, r.Review.Findings[0].Outcome)
	require.Equal(t, council.FindingTally{Confirmed: 1, Uncertain: 3, Proposed: 1, Planned: 4, Required: 1}, r.Review.Findings[0].Tally)
	for _, c := range s.Calls.List() {
		if c.Stage == council.StagePropose {
			require.NotContains(t, c.Prompt, "OUTSIDE-CLAIM")
		}
	}
	require.Equal(t, 1, counciltest.Types(s.Events(t, j.ID))["council.outside_proposals_joined"])
}

func TestZeroModels(t *testing.T) {
	t.Parallel()
	s := counciltest.Open(t, counciltest.Config{})
	outside := council.Proposal{Source: "secrets", Path: "a.go", Claim: "a key", Severity: finding.SeverityHigh}
	d := start(t, s, change(outside))
	j := s.Await(t, d.ID)
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	r := result(t, s, d.ID)
	require.Equal(t, council.OriginTemplate, r.Origin)
	require.Contains(t, r.Review.Summary, "0 models")
	require.Zero(t, r.Coverage.Models)
	require.Equal(t, finding.Published, r.Review.Findings[0].Outcome)
	_, err := s.CreateDeliberation(t.Context(), question("?"))
	require.ErrorIs(t, err, council.ErrNoModelConfigured)
}

func TestReviewWhoseMembersAllFail(t *testing.T) {
	t.Parallel()
	script := "rules: [{when: {stage: propose}, then: {status: 401}}]"
	_, j, r := reviewOf(t, script, change(), "a", "b", "c")
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, council.EndNoProposals, j.StateReason)
	require.Equal(t, council.PartSkipped, r.Coverage.Parts[0].Status)

	outside := council.Proposal{Source: "lint", Path: "load.go", Claim: "c", Severity: finding.SeverityLow}
	_, j, r = reviewOf(t, script, change(outside), "a", "b", "c")
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	require.Equal(t, finding.Published, r.Review.Findings[0].Outcome)
}

func TestUnreadableVotesAreAbstentionsAndLowerNothing(t *testing.T) {
	t.Parallel()
	script := "rules:" + report("m1", "f, err := os.Open(path)", "the file is never closed", "HIGH") + nothing + `
  - when: {stage: cross_examine}
    then: {text: "I agree with all of it."}
  - when: {stage: cross_examine_repair}
    then: {text: "Still."}`
	_, j, r := reviewOf(t, script, change(), "a", "b", "c")
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	f := r.Review.Findings[0]
	require.Equal(t, finding.Held, f.Outcome)
	require.Equal(t, council.ReasonNotExamined, f.OutcomeReason)
	require.Equal(t, 2, f.Tally.Required)
}

func TestPartThatDoesNotFitAMember(t *testing.T) {
	t.Parallel()
	s := counciltest.Open(t, counciltest.Config{
		Script: "rules:" + nothing, Models: []string{"a", "b", "c"}, Presets: []council.Preset{preset("a", "b", "c")},
		Change: func(i *llm.Info) {
			if i.Name == "b" {
				i.ContextTokens = 6_000
			}
		},
	})
	n := change()
	n.Task.CodeReview.Parts = append(n.Task.CodeReview.Parts, council.MaterialPart{ID: "p2", Paths: []string{"big.go"}, Text: strings.Repeat("+x\n", 8_000)})
	d := start(t, s, n)
	j := s.Await(t, d.ID)
	require.Equal(t, job.StatePartiallySucceeded, j.State)
	r := result(t, s, d.ID)
	require.Equal(t, council.PartCovered, r.Coverage.Parts[0].Status)
	require.Equal(t, council.PartCoverage{Part: "p2", Status: council.PartPartly, Members: []string{"m1", "m3"}, Reason: "PART_TOO_BIG"}, r.Coverage.Parts[1])
}

func TestReviewVerdict(t *testing.T) {
	t.Parallel()
	block := "rules:" + report("m1", "f, err := os.Open(path)", "the file is never closed", "HIGH") + nothing + votes("m2", "CONFIRMED") + votes("m3", "CONFIRMED")
	for name, tc := range map[string]struct {
		script string
		want   council.Verdict
	}{
		"BLOCK":        {block, council.VerdictBlock},
		"PASS":         {"rules:" + nothing, council.VerdictPass},
		"INCONCLUSIVE": {"rules: [{when: {stage: propose, member: m1}, then: {fault: refusal}}]", council.VerdictInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := change()
			n.Overrides.Mode = council.ModeVerdict
			_, _, r := reviewOf(t, tc.script, n, "a", "b", "c")
			require.Equal(t, tc.want, r.Review.Verdict)
		})
	}
}

func TestAnswersOnlyReviewAppliesNoPolicy(t *testing.T) {
	t.Parallel()
	n := change()
	n.Overrides.Mode = council.ModeAnswersOnly
	_, j, r := reviewOf(t, "rules:"+report("m1", "f, err := os.Open(path)", "leak", "LOW")+nothing, n, "a", "b", "c")
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.Equal(t, finding.OutcomeUnspecified, r.Review.Findings[0].Outcome)
	require.Equal(t, int64(3), j.Ledger.CallsStarted)
}

func TestManyFindingsAreJudgedInBatches(t *testing.T) {
	t.Parallel()
	var outside []council.Proposal
	for i := range 45 {
		outside = append(outside, council.Proposal{
			Source: "lint", Path: fmt.Sprintf("f%d.go", i), Claim: fmt.Sprint("claim ", i), Severity: finding.SeverityLow, StartLine: 1,
		})
	}
	s, j, r := reviewOf(t, "rules:"+nothing, change(outside...), "a", "b")
	require.Len(t, r.Review.Findings, 45)
	require.Equal(t, 6, counciltest.Types(s.Events(t, j.ID))["council.votes_cast"])
}

func TestCouncilOfOneStillExaminesOutsideProposals(t *testing.T) {
	t.Parallel()
	outside := council.Proposal{
		Source: "secrets", Path: "load.go", StartLine: 2, Claim: "looks like a key", Severity: finding.SeverityMedium, NeedsConfirmations: 1,
	}
	for vote, want := range map[string]finding.Outcome{"CONFIRMED": finding.Published, "UNCERTAIN": finding.Held} {
		_, j, r := reviewOf(t, "rules:"+nothing+votes("m1", vote), change(outside), "a")
		require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
		require.Equal(t, want, r.Review.Findings[0].Outcome)
		require.Equal(t, council.OriginTemplate, r.Origin)
	}
}
