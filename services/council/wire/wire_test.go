package wire_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/finding"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

func TestSpecThereAndBack(t *testing.T) {
	t.Parallel()
	seed, temperature := uint64(9), 0.5
	full := council.Spec{
		Members: []council.Member{
			{
				ID: "a", Model: "m", Persona: "p", Role: council.RoleReviewer, Authority: council.AuthorityAdvisory, Temperature: &temperature,
				MaxOutputTokens: 5, MaxAttempts: 2, AttemptTimeout: time.Second, Timeout: time.Minute,
			},
			{Model: "n", Role: council.RoleAnswerer, Authority: council.AuthorityNone},
		},
		Chairman: council.Chairman{Model: "m", FallbackModels: []string{"n"}, Persona: "q", MaxOutputTokens: 3, MaxAttempts: 1},
		Mode:     council.ModeVerdict, Stream: council.StreamNone, Seed: &seed,
		Ranking:  council.RankingPolicy{Method: council.MethodBorda, Order: council.OrderBalanced, Recuse: council.RecuseModel, EarlyConsensus: council.ConsensusOn, MaxCritiqueChars: 7},
		Votes:    council.VotePolicy{MinVotes: council.MinVotes{Critical: 1, High: 2, Medium: 3, Low: 4}, MinIndependent: 1, OutsideMinVotes: 2, SimilarityThreshold: 0.25, FindingsPerBatch: 9},
		Quorum:   council.QuorumPolicy{MinAnswers: 2, MinBallots: 3, OnPartial: council.PartialFail, Grace: time.Second},
		Timeouts: council.StageTimeouts{FirstToken: 1, Attempt: 2, Member: 3, Stage: 4, ChairmanAttempt: 5, ChairmanStage: 6},
		Budget:   council.BudgetPolicy{MaxCalls: 1, MaxTotalTokens: 2, MaxCostMicros: 3, CurrencyCode: "USD", OnExceed: council.ExceedFail},
	}
	for _, s := range []council.Spec{full, {}, full.WithDefaults(council.TaskQuestion), council.DefaultSpec([]string{"a", "b"}).WithDefaults(council.TaskCodeReview)} {
		require.Equal(t, s, wire.SpecOf(wire.Spec(s)))
	}
}

func TestTaskThereAndBack(t *testing.T) {
	t.Parallel()
	for _, task := range []council.Task{
		{Question: &council.Question{
			Text: "?", Choices: []string{"YES"}, Criteria: []council.Criterion{{Name: "c", Description: "d"}},
			Evidence: []council.Evidence{{Title: "t", Text: "x", SHA256: "s"}, {Blob: "b"}},
		}},
		{CodeReview: &council.CodeReview{
			Title: "t", Description: "d", Guidelines: []string{"g"}, Categories: []finding.Category{finding.Security}, BlockAt: finding.SeverityLow,
			Parts: []council.MaterialPart{
				{ID: "p", Paths: []string{"a"}, Text: "x", SHA256: "s", EstimatedTokens: 4, Anchors: []council.Anchor{{Path: "a", Side: finding.Left, Symbol: "f", StartLine: 1, EndLine: 2}}},
				{ID: "q", Blob: "b"},
			},
			Outside: []council.Proposal{{
				ID: "i", Source: "s", Outside: true, Path: "a", StartLine: 1, EndLine: 2, Side: finding.Right, Code: "c", Symbol: "f", Category: finding.Testing,
				Severity: finding.SeverityCritical, Claim: "c", Reason: "r", Suggestion: "s", Fingerprint: "v1:", Confidence: 0.5, NeedsConfirmations: 2, Certain: true,
			}},
		}},
	} {
		d := wire.Deliberation(council.Deliberation{ID: "d", Task: task}, true)
		require.Equal(t, task, wire.TaskOf(d))
	}
}

// TestEveryNameHasAValue holds the domain's names against the contract's: a name without a value would be sent as
// unspecified.
func TestEveryNameHasAValue(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]map[string]int32{
		"PASS": councilv1.ReviewVerdict_Verdict_value, "BLOCK": councilv1.ReviewVerdict_Verdict_value, "INCONCLUSIVE": councilv1.ReviewVerdict_Verdict_value,
	} {
		require.Contains(t, values, name)
	}
	for _, o := range []council.Origin{
		council.OriginChairman, council.OriginFallbackChairman, council.OriginTopRanked, council.OriginSingleSurvivor, council.OriginTemplate, council.OriginNone,
	} {
		require.NotZero(t, wire.Origin(o), o)
	}
	for _, c := range []council.ClosedBy{
		council.ClosedAll, council.ClosedGrace, council.ClosedTimeout, council.ClosedConsensus, council.ClosedBudget, council.ClosedCancelled, council.ClosedDeadline,
	} {
		require.NotZero(t, wire.ClosedBy(c), c)
	}
	for _, c := range []string{
		"TIMEOUT", "RATE_LIMIT", "AUTH", "REFUSAL", "PROVIDER", "EMPTY", "TRUNCATED", "INVALID_REQUEST", "BUDGET", "CANCELLED",
		"CIRCUIT_OPEN", "UNREADABLE", "STAGE_CLOSED",
	} {
		require.NotZero(t, wire.Class(c), c)
	}
	for _, p := range []council.ParseStatus{council.ParseOK, council.ParseRepaired, council.ParseAbstained, council.ParseInvalid} {
		require.NotZero(t, wire.Parse(p), p)
	}
	for _, f := range []string{"STOP", "LENGTH"} {
		require.NotZero(t, wire.Finish(f), f)
	}
	for s := finding.SeverityLow; s <= finding.SeverityCritical; s++ {
		require.Equal(t, "SEVERITY_"+s.String(), wire.Severity(s).String())
	}
	require.Equal(t, "CONFIRMED", wire.Vote(council.Vote{Vote: finding.Confirmed}).GetVote().String())
	require.Equal(t, "REJECTED", wire.Vote(council.Vote{Vote: finding.RejectedVote}).GetVote().String())
	require.Equal(t, "HELD", wire.Finding(council.Finding{Outcome: finding.Held}).GetOutcome().String())
}

func TestPresets(t *testing.T) {
	t.Parallel()
	got, err := wire.Presets([]map[string]any{{
		"name": "mine", "display_name": "Mine", "members": []any{"alpha", map[string]any{"model": "beta", "role": "REVIEWER"}},
		"chairman": map[string]any{"model": "alpha", "fallback_models": []any{"beta"}}, "mode": "RANKED", "quorum": map[string]any{"grace": "5s"},
	}})
	require.NoError(t, err)
	require.Equal(t, []council.Preset{{Name: "mine", DisplayName: "Mine", Spec: council.Spec{
		Members:  []council.Member{{Model: "alpha"}, {Model: "beta", Role: council.RoleReviewer}},
		Chairman: council.Chairman{Model: "alpha", FallbackModels: []string{"beta"}}, Mode: council.ModeRanked,
		Quorum: council.QuorumPolicy{Grace: 5 * time.Second},
	}}}, got)
	_, err = wire.Presets([]map[string]any{{"name": "A"}, {"name": "b", "colour": "red"}, {"name": "c", "display_name": 3}, {"name": "d", "mode": "LOUD"}})
	for _, want := range []string{"councils[0]", "councils[1]", "colour", "councils[2]", "councils[3]"} {
		require.ErrorContains(t, err, want)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	require.Equal(t, "x", wire.ID("councils/x"))
	require.Empty(t, wire.ID(""))
}
