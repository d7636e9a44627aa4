package e2e_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/review"
	reviewworker "witan.dev/services/review/worker"
	"witan.dev/test/e2e/gittest"
)

// fallenBack is an index whose search has fallen back on something worse.
type fallenBack struct{ review.Index }

func (f fallenBack) Related(ctx context.Context, index string, place review.Place, limit int, r ...review.Relation) (review.Related, error) {
	out, err := f.Index.Related(ctx, index, place, limit, r...)
	out.Degraded = "the search index does not answer"
	return out, err
}

// TestP07_AContextThatIsWorseThanUsualIsSaid in the review as callers read it and in what people read; no file is unread for
// it.
func TestP07_AContextThatIsWorseThanUsualIsSaid(t *testing.T) {
	t.Parallel()
	repo := gittest.New(t)
	base := repo.Commit("base", map[string]string{
		"load.go": "package p\n\nfunc Load(name string) int {\n\tn := len(name)\n\treturn n\n}\n", "use.go": "package p\n\nvar x = Load(\"a\")\n",
	})
	head := repo.Commit("head", map[string]string{
		"load.go": "package p\n\nfunc Load(name string, more ...int) int {\n\tn := len(name) + len(more)\n\treturn n\n}\n",
	})
	council := &scriptedCouncil{info: review.CouncilInfo{Members: 1, ContextTokens: 16000}, verdict: func(task review.CouncilTask) review.Verdict {
		v := review.Verdict{Quorum: true, Models: 1}
		for _, p := range task.Parts {
			v.Parts = append(v.Parts, review.PartOutcome{Part: p.ID, Status: review.PartCovered})
		}
		return v
	}}
	s := startReviews(t, council, func(p *reviewworker.Params) { p.Index = fallenBack{p.Index} })
	r, j := s.review(t, gitRange(repo.Dir, base, head))
	require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
	require.True(t, r.GetCoverage().GetComplete())
	const want = "the code around the change that members are shown may lack something: the search index does not answer"
	require.Equal(t, []string{want}, r.GetCoverage().GetNotes())
	text := string(s.export(t, r.GetName(), "text"))
	require.Contains(t, strings.Join(strings.Fields(text), " "), want)
}
