package finding_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/testdata"
)

// golden is where an expert's comment stands in the new file.
type goldenPlace struct {
	Path      string
	Line      int
	StartLine *int `json:"start_line"`
}

// from returns the first line of the range.
func (g goldenPlace) from() int {
	if g.StartLine != nil && *g.StartLine > 0 {
		return min(*g.StartLine, g.Line)
	}
	return g.Line
}

// sharedMaterials are the changed files of the shared pull requests, by pull request and path.
func sharedMaterials(t *testing.T) (sets map[string]map[string]*finding.Material, texts map[string]string, goldens map[string][]goldenPlace) {
	t.Helper()
	sets, texts, goldens = map[string]map[string]*finding.Material{}, map[string]string{}, map[string][]goldenPlace{}
	type side struct{ base, head *string }
	files := map[string]*side{}
	testdata.JSONL(t, "bench/aacr.files.jsonl.gz", func(f struct{ ID, Side, Path, Text string }) {
		key := f.ID + "\x00" + f.Path
		if files[key] == nil {
			files[key] = &side{}
		}
		if f.Side == "base" {
			files[key].base = &f.Text
		} else {
			files[key].head = &f.Text
			texts[key] = f.Text
		}
	})
	testdata.JSONL(t, "bench/aacr.jsonl", func(pull struct {
		ID, Diff string
		Golden   []goldenPlace
	},
	) {
		parsed, err := diff.Parse([]byte(pull.Diff))
		require.NoError(t, err)
		sets[pull.ID] = map[string]*finding.Material{}
		goldens[pull.ID] = pull.Golden
		for _, f := range parsed.Files {
			p := finding.MaterialParams{File: f}
			if s := files[pull.ID+"\x00"+f.Path()]; s != nil && s.head != nil {
				p.New = []byte(*s.head)
			}
			if s := files[pull.ID+"\x00"+f.OldPath]; s != nil && s.base != nil {
				p.Old = []byte(*s.base)
			}
			sets[pull.ID][f.Path()] = finding.NewMaterial(p)
		}
	})
	return sets, texts, goldens
}

// damages are what reporters do to the code that they quote. Each returns the quote and how many lines it lacks at its
// beginning, or false where it cannot be done to these lines.
func damages() map[string]func(r *rand.Rand, path string, lines []string) (quote []string, cut int, ok bool) {
	blank := func(lines []string, i int) bool { return strings.TrimSpace(lines[i]) == "" }
	return map[string]func(*rand.Rand, string, []string) ([]string, int, bool){
		"as it stands": func(_ *rand.Rand, _ string, lines []string) ([]string, int, bool) { return lines, 0, true },
		"other blanks": func(_ *rand.Rand, _ string, lines []string) ([]string, int, bool) {
			out := make([]string, len(lines))
			for i, l := range lines {
				out[i] = strings.Join(strings.Fields(l), "  ")
			}
			return out, 0, true
		},
		"first line cut": func(_ *rand.Rand, _ string, lines []string) ([]string, int, bool) {
			return lines[1:], 1, len(lines) > 2 && !blank(lines, 1)
		},
		"last line cut": func(_ *rand.Rand, _ string, lines []string) ([]string, int, bool) {
			return lines[:len(lines)-1], 0, len(lines) > 2 && !blank(lines, len(lines)-2)
		},
		"ellipsis in a line": func(r *rand.Rand, _ string, lines []string) ([]string, int, bool) {
			out := append([]string{}, lines...)
			at := r.IntN(len(out))
			words := strings.Fields(out[at])
			if len(words) < 4 {
				return nil, 0, false
			}
			out[at] = words[0] + " " + words[1] + " … " + words[len(words)-1]
			return out, 0, true
		},
		"comments dropped": func(_ *rand.Rand, path string, lines []string) ([]string, int, bool) {
			var out []string
			cut, dropped := 0, false
			for _, l := range lines {
				if len(finding.SyntaxOf(path).Tokens(l)) == 0 && (strings.TrimSpace(l) != "" || len(out) == 0) {
					dropped = dropped || strings.TrimSpace(l) != ""
					if len(out) == 0 {
						cut++
					}
					continue
				}
				out = append(out, l)
			}
			return out, cut, dropped && len(out) > 0
		},
	}
}

// TestP05_AnchorsStandWithinOneLineOfWhereExpertsCommented quotes the code under each comment that experts accepted, as
// reviewers quote it, with a line number that is wrong by up to 20, and without any symbol.
func TestP05_AnchorsStandWithinOneLineOfWhereExpertsCommented(t *testing.T) {
	t.Parallel()
	const longest = 30 // a place is cut to as many lines
	sets, texts, goldens := sharedMaterials(t)
	r := rand.New(rand.NewPCG(5, 116)) //nolint:gosec // the same numbers each time
	comments, tried, near, beside := 0, map[string]int{}, map[string]int{}, 0
	names := slices.Sorted(maps.Keys(damages()))
	for _, id := range slices.Sorted(maps.Keys(goldens)) {
		for _, g := range goldens[id] {
			text, ok := texts[id+"\x00"+g.Path]
			m := sets[id][g.Path]
			if !ok || m == nil {
				continue
			}
			all := strings.Split(text, "\n")
			from, to := g.from(), min(g.Line, g.from()+longest-1)
			if from < 1 || to > len(all) || strings.TrimSpace(strings.Join(all[from-1:to], "")) == "" {
				continue
			}
			comments++
			for _, name := range names {
				quote, cut, ok := damages()[name](r, g.Path, all[from-1:to])
				if !ok {
					continue
				}
				tried[name]++
				got := m.Locate(finding.Quote{Path: g.Path, Code: strings.Join(quote, "\n"), Line: max(1, from+r.IntN(41)-20)})
				if got.Side == finding.Right && away(got.StartLine, from+cut) <= 1 && away(got.EndLine, to) <= 1 {
					near[name]++
				} else {
					t.Logf("%s %s:%d-%d, %s: %s %d-%d (%s)", id, g.Path, from, to, name, got.Side, got.StartLine, got.EndLine, got.Placement)
				}
				if got.StartLine > 0 && got.Placement != finding.PlacedSymbol && !quotes(g.Path, quote, got.Code) {
					beside++
					t.Errorf("%s %s:%d, %s: the place does not hold the quoted code", id, g.Path, from, name)
				}
			}
		}
	}
	require.Greater(t, comments, 100)
	all, good := 0, 0
	for _, name := range names {
		require.Positive(t, tried[name], name)
		t.Logf("%-18s %3d of %3d within one line (%.1f %%)", name, near[name], tried[name], 100*float64(near[name])/float64(tried[name]))
		require.GreaterOrEqual(t, float64(near[name])/float64(tried[name]), 0.95, name)
		all, good = all+tried[name], good+near[name]
	}
	t.Logf("%d comments, %d quotes: %d within one line (%.1f %%), %d beside their code", comments, all, good, 100*float64(good)/float64(all), beside)
}

func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

func away(a, b int) int { return max(a-b, b-a) }

// quotes says whether the first line of the place that is not blank, and no comment where the quote has none, is one of the
// quoted lines, blanks aside.
func quotes(path string, quote []string, code string) bool {
	for line := range strings.SplitSeq(code, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		for _, q := range quote {
			begin, end, wild := strings.Cut(squeezed(q), "…")
			if begin == squeezed(line) || wild && strings.HasPrefix(squeezed(line), begin) && strings.HasSuffix(squeezed(line), end) {
				return true
			}
		}
		if len(finding.SyntaxOf(path).Tokens(line)) > 0 {
			return false
		}
	}
	return false
}
