package history_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/git"
	"witan.dev/services/review"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/reviewers/history"
)

// warmUp is how many commits are only learnt from.
const warmUp = 50

// named is how many files a review names at most.
const named = 3

// replay asks of each commit what the ones before it would have said.
type replay struct {
	commits, warned, warnings int // of commits as they were
	hidden, found, said       int // of commits without one of their files
}

func (r *replay) run(past [][]string) {
	there := map[string]bool{}
	for at, commit := range slices.Backward(past) { // the oldest first
		if len(past)-1-at >= warmUp {
			r.ask(past[at+1:min(len(past), at+1+review.MaxPast)], commit, there)
		}
		for _, path := range commit {
			there[path] = true
		}
	}
}

func (r *replay) ask(before [][]string, commit []string, there map[string]bool) {
	misses := func(changed []string) (out []string) {
		for _, m := range history.Misses(before, changed) {
			if there[m.Path] && len(out) < named {
				out = append(out, m.Path)
			}
		}
		return out
	}
	r.commits++
	if got := misses(commit); len(got) > 0 {
		r.warned, r.warnings = r.warned+1, r.warnings+len(got)
	}
	if len(commit) == 1 {
		return
	}
	for i, left := range commit {
		got := misses(slices.Delete(slices.Clone(commit), i, i+1))
		r.hidden, r.said = r.hidden+1, r.said+len(got)
		if slices.Contains(got, left) {
			r.found++
		}
	}
}

// TestPrecisionOnRealHistories replays this project's own history, where there is one, and those that WITAN_TEST_HISTORIES
// names: folders of git repositories, joined as paths are. docs/review-quality.md has what it prints.
func TestPrecisionOnRealHistories(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../../../..")
	require.NoError(t, err)
	for _, dir := range append([]string{root}, filepath.SplitList(os.Getenv("WITAN_TEST_HISTORIES"))...) {
		t.Run(strings.ReplaceAll(filepath.Base(dir), "/", "_"), func(t *testing.T) {
			t.Parallel()
			past := pastOf(t, dir)
			if len(past) <= warmUp {
				t.Skipf("%d commits are no history", len(past))
			}
			var r replay
			r.run(past)
			t.Logf("%d commits: %d warned of (%.1f %%), %d warnings; %d hidden files: %d found, %d named (precision %.2f)",
				r.commits, r.warned, 100*float64(r.warned)/float64(r.commits), r.warnings, r.hidden, r.found, r.said, float64(r.found)/float64(max(r.said, 1)))
			require.LessOrEqual(t, r.warned*100, 3*r.commits, "more than 3 %% of the commits that people made are warned of")
		})
	}
}

func pastOf(t *testing.T, dir string) [][]string {
	t.Helper()
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	repo, err := g.Open(t.Context(), dir)
	if err != nil {
		t.Skipf("no git repository: %v", err)
	}
	head, err := repo.Resolve(t.Context(), "HEAD")
	require.NoError(t, err)
	past, err := reviewgit.NewRepository(g, nil, t.TempDir()).Past(t.Context(), review.Pinned{
		Source: review.Source{Kind: review.SourceRange}, GitDir: repo.Dir, MergeBase: head,
	})
	require.NoError(t, err)
	return past
}
