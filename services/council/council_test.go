package council_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/council"
)

func TestDefaultSpec(t *testing.T) {
	t.Parallel()
	require.Empty(t, council.DefaultSpec(nil).Members)
	for n := 1; n <= 20; n++ {
		var models []string
		for i := range n {
			models = append(models, fmt.Sprintf("model-%d", i))
		}
		s := council.DefaultSpec(models).WithDefaults(council.TaskQuestion)
		require.NoError(t, s.Validate())
		require.Len(t, s.Members, min(max(n, 4), council.MaxMembers))
		require.Equal(t, "model-0", s.Chairman.Model)
		personas := map[string]bool{}
		for _, m := range s.Members {
			personas[m.Persona] = true
		}
		if n < 4 {
			require.Len(t, personas, 4, "seats that share a model differ by persona")
		}
	}
}

func TestSeatIDs(t *testing.T) {
	t.Parallel()
	s := council.Spec{Members: []council.Member{
		{Model: "gpt-4.1"}, {Model: "org/model name"}, {Model: "same"}, {Model: "same"}, {Model: strings.Repeat("x", 100)}, {Model: "/"}, {ID: "own", Model: "m"},
	}}.WithDefaults(council.TaskQuestion)
	require.NoError(t, s.Validate())
	var ids []string
	for _, m := range s.Members {
		ids = append(ids, m.ID)
	}
	require.Equal(t, []string{"gpt-4.1", "org-model-name", "same-1", "same-2", strings.Repeat("x", 60), "seat", "own"}, ids)
}

func TestStreamDefaultsByTask(t *testing.T) {
	t.Parallel()
	require.Equal(t, council.StreamAll, council.Spec{}.WithDefaults(council.TaskQuestion).Stream)
	require.Equal(t, council.StreamChairman, council.Spec{}.WithDefaults(council.TaskCodeReview).Stream)
}

func TestValidateReportsEverything(t *testing.T) {
	t.Parallel()
	hot := 3.0
	s := council.Spec{
		Members: []council.Member{{ID: "-x", Model: ""}, {ID: "a", Model: "m", Role: "KING", Temperature: &hot}, {ID: "a", Model: "m", MaxAttempts: 99}},
		Mode:    "LOUD", Votes: council.VotePolicy{SimilarityThreshold: math.NaN(), MinVotes: council.MinVotes{High: 99}},
		Timeouts: council.StageTimeouts{Stage: -time.Second}, Chairman: council.Chairman{Model: "m", FallbackModels: make([]string, 9)},
	}.WithDefaults(council.TaskQuestion)
	err := s.Validate()
	for _, field := range []string{
		"members[0].id", "members[0].model", "members[1].role", "members[1].temperature", "members[2].id", "members[2].max_attempts",
		"mode", "votes.similarity_threshold", "votes.min_votes.high", "timeouts.stage", "chairman.fallback_models",
	} {
		require.ErrorContains(t, err, field+":")
	}
	onlyJudges := council.Spec{Members: []council.Member{{Model: "m", Role: council.RoleReviewer}}}.WithDefaults(council.TaskQuestion)
	require.ErrorContains(t, onlyJudges.Validate(), "no seat answers")
}

func TestMergeReplacesWhatIsSet(t *testing.T) {
	t.Parallel()
	seed := uint64(7)
	base := council.Spec{
		Members: []council.Member{{Model: "a"}}, Chairman: council.Chairman{Model: "a"}, Mode: council.ModeFull, Budget: council.BudgetPolicy{MaxCalls: 9},
	}
	require.Equal(t, base, base.Merge(council.Spec{}))
	got := base.Merge(council.Spec{Mode: council.ModeRanked, Seed: &seed, Quorum: council.QuorumPolicy{MinAnswers: 2}})
	require.Equal(t, council.ModeRanked, got.Mode)
	require.Equal(t, 9, got.Budget.MaxCalls)
	require.Equal(t, 2, got.Quorum.MinAnswers)
	got = base.Merge(council.Spec{Members: []council.Member{{Model: "b"}}}).WithDefaults(council.TaskQuestion)
	require.Equal(t, "b", got.Chairman.Model, "another council has a chairman of its own")
}

func TestQuorum(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 6: 3, 7: 4, 16: 8} {
		require.Equal(t, want, council.QuorumPolicy{}.Answers(n), n)
	}
	require.Equal(t, 3, council.QuorumPolicy{MinAnswers: 5}.Answers(3))
	require.Equal(t, 1, council.QuorumPolicy{}.Ballots(4))
	require.Equal(t, 0, council.QuorumPolicy{}.Ballots(0))
}

func TestTaskValidation(t *testing.T) {
	t.Parallel()
	part := func(id, text string) council.MaterialPart { return council.MaterialPart{ID: id, Text: text} }
	for name, tc := range map[string]struct {
		task council.Task
		want string
	}{
		"neither":                {council.Task{}, "exactly one"},
		"both":                   {council.Task{Question: &council.Question{Text: "?"}, CodeReview: &council.CodeReview{}}, "exactly one"},
		"blank":                  {council.Task{Question: &council.Question{Text: " \n"}}, "question.text"},
		"too long":               {council.Task{Question: &council.Question{Text: strings.Repeat("x", council.MaxQuestionBytes+1)}}, "at most"},
		"no UTF-8":               {council.Task{Question: &council.Question{Text: "\xff"}}, "UTF-8"},
		"evidence":               {council.Task{Question: &council.Question{Text: "?", Evidence: []council.Evidence{{}}}}, "exactly one of text and blob"},
		"part twice":             {council.Task{CodeReview: &council.CodeReview{Parts: []council.MaterialPart{part("p", "x"), part("p", "y")}}}, "used twice"},
		"wrong digest":           {council.Task{CodeReview: &council.CodeReview{Parts: []council.MaterialPart{{ID: "p", Text: "x", SHA256: strings.Repeat("0", 64)}}}}, "not that of the text"},
		"too much":               {council.Task{CodeReview: &council.CodeReview{Parts: []council.MaterialPart{part("p", strings.Repeat("x", council.MaxMaterialBytes)), part("q", "y")}}}, "bytes inline"},
		"empty proposal":         {council.Task{CodeReview: &council.CodeReview{Outside: []council.Proposal{{}}}}, "source, path and claim"},
		"a good question":        {council.Task{Question: &council.Question{Text: "?"}}, ""},
		"an empty review":        {council.Task{CodeReview: &council.CodeReview{}}, ""},
		"many proposals":         {council.Task{CodeReview: &council.CodeReview{Outside: make([]council.Proposal, council.MaxOutside+1)}}, "at most 500"},
		"a blob that is no hash": {council.Task{CodeReview: &council.CodeReview{Parts: []council.MaterialPart{{ID: "p", Blob: "x"}}}}, "hex SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.task.Validate()
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// TestEndings is the table of docs/council.md: what a result makes of its job.
func TestEndings(t *testing.T) {
	t.Parallel()
	spec := council.Spec{Members: []council.Member{{Model: "a"}, {Model: "b"}, {Model: "c"}}}.WithDefaults(council.TaskQuestion)
	stage := func(missing ...council.Missing) council.Coverage {
		return council.Coverage{Stages: []council.StageCoverage{{Stage: council.StageAnswer, Planned: 3, Missing: missing}}}
	}
	whole := council.Result{Origin: council.OriginChairman, Coverage: stage()}
	with := func(change func(*council.Result)) council.Result {
		r := whole
		change(&r)
		return r
	}
	facts := council.Facts{Kind: council.TaskQuestion, Spec: spec, Delivered: 3}
	fact := func(change func(*council.Facts)) council.Facts {
		f := facts
		change(&f)
		return f
	}
	review := council.Facts{Kind: council.TaskCodeReview, Spec: spec, Parts: 2}
	for name, tc := range map[string]struct {
		result council.Result
		facts  council.Facts
		want   council.Ending
	}{
		"all delivered":         {whole, facts, council.Ending{State: job.StateSucceeded}},
		"a member missing":      {with(func(r *council.Result) { r.Coverage = stage(council.Missing{Subject: "a"}) }), facts, council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndMemberMissing}},
		"a part missing":        {with(func(r *council.Result) { r.Coverage.Parts = []council.PartCoverage{{Status: council.PartPartly}} }), facts, council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndPartMissing}},
		"an invalid ballot":     {with(func(r *council.Result) { r.Ballots = []council.Ballot{{Parse: council.ParseInvalid}} }), facts, council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndBallotInvalid}},
		"an abstention":         {with(func(r *council.Result) { r.Ballots = []council.Ballot{{Parse: council.ParseAbstained}} }), facts, council.Ending{State: job.StateSucceeded}},
		"a fallback":            {with(func(r *council.Result) { r.Origin = council.OriginFallbackChairman }), facts, council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndChairmanFailed}},
		"top ranked as planned": {with(func(r *council.Result) { r.Origin = council.OriginTopRanked }), fact(func(f *council.Facts) { f.Spec.Mode = council.ModeRanked }), council.Ending{State: job.StateSucceeded}},
		"the budget":            {with(func(r *council.Result) { r.Coverage.BudgetStop = true }), facts, council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndBudget}},
		"the deadline":          {whole, fact(func(f *council.Facts) { f.DeadlinePassed = true }), council.Ending{State: job.StatePartiallySucceeded, Reason: council.EndDeadline}},
		"no answer":             {whole, fact(func(f *council.Facts) { f.Delivered = 0 }), council.Ending{State: job.StateFailed, Reason: council.EndNoAnswer}},
		"no answer in time":     {whole, fact(func(f *council.Facts) { f.Delivered, f.DeadlinePassed = 0, true }), council.Ending{State: job.StateFailed, Reason: council.EndDeadline}},
		"the policy to fail":    {whole, fact(func(f *council.Facts) { f.QuorumFailed = true }), council.Ending{State: job.StateFailed, Reason: council.EndQuorumNotReached}},
		"cancelled beats all":   {whole, fact(func(f *council.Facts) { f.Cancelled, f.QuorumFailed, f.Delivered = true, true, 0 }), council.Ending{State: job.StateCancelled, Reason: council.EndCancelled}},
		"a review without any":  {whole, review, council.Ending{State: job.StateFailed, Reason: council.EndNoProposals}},
		"outside ones are some": {whole, func() council.Facts { f := review; f.Outside = 1; return f }(), council.Ending{State: job.StateSucceeded}},
		"zero models are planned": {
			with(func(r *council.Result) { r.Origin = council.OriginTemplate }),
			council.Facts{Kind: council.TaskCodeReview, Parts: 2, Outside: 1, Spec: council.Spec{}.WithDefaults(council.TaskCodeReview)},
			council.Ending{State: job.StateSucceeded},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, council.EndingOf(tc.result, tc.facts))
		})
	}
}

func TestUsageWithAnUnknownPartSaysSo(t *testing.T) {
	t.Parallel()
	cost := func(n int64) *int64 { return &n }
	sum := council.Usage{InputTokens: 1, CostMicros: cost(2), Currency: "USD"}.Add(council.Usage{InputTokens: 3, Unpriced: true})
	require.Equal(t, council.Usage{InputTokens: 4, CostMicros: cost(2), Currency: "USD", Unpriced: true}, sum)
	sum = sum.Add(council.Usage{CostMicros: cost(5), Currency: "EUR"})
	require.Equal(t, int64(2), *sum.CostMicros)
	sum = council.Usage{}.Add(council.Usage{CostMicros: cost(5), Currency: "EUR"}).Add(council.Usage{CostMicros: cost(1), Currency: "EUR"})
	require.Equal(t, int64(6), *sum.CostMicros)
}
