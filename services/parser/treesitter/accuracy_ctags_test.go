package treesitter

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/services/parser"
)

// ctagsGoal is a file of symbols that Universal Ctags made, and what of them counts.
type ctagsGoal struct {
	file, language string
	tolerance      int
	groups         map[string]group // by ctags' kind
	beyond         func(defs []parser.Definition, i int) bool
	wrongEnds      int
}

// Ruby, Rust and PHP are measured against Universal Ctags, which is no exact oracle: a goal of .97.
func TestCtagsAgrees(t *testing.T) {
	t.Parallel()
	for _, goal := range []ctagsGoal{
		{
			file: "symbols/sinatra+sinatra.jsonl.gz", language: "ruby",
			// In these ten ctags itself is lost: it takes the "end" of a block for that of the class around it.
			wrongEnds: 10,
			groups: map[string]group{
				"method": groupFunction, "singletonMethod": groupFunction, "class": groupType, "module": groupType,
			},
		},
		{
			file: "symbols/astral-sh+uv.jsonl.gz", language: "rust", tolerance: 1,
			groups: map[string]group{
				"function": groupFunction, "method": groupFunction, "struct": groupType, "enum": groupType,
				"interface": groupType, "typedef": groupType, "module": groupType,
			},
		},
		{
			file: "symbols/laravel+framework.jsonl.gz", language: "php", tolerance: 1,
			groups: map[string]group{
				"function": groupFunction, "class": groupType, "trait": groupType, "interface": groupType,
				"namespace": groupType,
			},
		},
	} {
		t.Run(goal.language, func(t *testing.T) {
			t.Parallel()
			goal.measure(t)
		})
	}
}

func (g ctagsGoal) measure(t *testing.T) {
	t.Helper()
	e := newExtractor(t)
	var s score
	testdata.JSONL(t, g.file, func(f oracleFile) {
		var want []symbol
		for _, c := range f.Ctags {
			if group, counts := g.groups[c.Kind]; counts {
				want = append(want, symbol{group: group, name: c.Name, start: c.Line, end: c.End})
			}
		}
		got, extraction := extract(t, e, g.language, f.Path, f.Text, func(defs []parser.Definition, i int) bool {
			return g.beyond != nil && g.beyond(defs, i)
		})
		s.compare(f.Path, want, got, g.tolerance, extraction.Errors)
	})
	s.require(t, .97)
	require.LessOrEqual(t, s.wrongEnd, g.wrongEnds)
}
