package treesitter

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/services/parser"
)

// oracleFile is a row of the shared symbols.
type oracleFile struct {
	Path  string         `json:"path"`
	Text  string         `json:"text"`
	Ctags []oracleSymbol `json:"ctags"`
	Exact []oracleSymbol `json:"exact"`
}

type oracleSymbol struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	Line  int    `json:"line"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	Scope string `json:"scope"`
}

// group joins kinds that count as the same for accuracy.
type group string

const (
	groupNone     group = ""
	groupFunction group = "function"
	groupType     group = "type"
)

func groupOf(kind parser.Kind) group {
	switch kind {
	case parser.KindFunction, parser.KindMethod:
		return groupFunction
	case parser.KindClass, parser.KindStruct, parser.KindInterface, parser.KindTrait, parser.KindEnum, parser.KindType,
		parser.KindModule:
		return groupType
	case parser.KindUnknown, parser.KindConstant, parser.KindVariable, parser.KindField, parser.KindMacro:
		return groupNone
	default:
		return groupNone
	}
}

// symbol is a definition as both sides see it.
type symbol struct {
	group      group
	name       string
	start, end int  // end 0: not known
	beyond     bool // of a sort that the oracle does not list: may match, but is not extra
}

// score counts what both sides agree on. Each wanted symbol is matched at most once.
type score struct {
	found, missed, extra, wrongEnd, excused int
	report                                  []string
}

func (s *score) precision() float64 { return ratio(s.found, s.found+s.extra) }
func (s *score) recall() float64    { return ratio(s.found, s.found+s.missed) }

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// compare matches by group, name and start line within a tolerance. Misses where the grammar reports a syntax error are
// counted apart.
func (s *score) compare(file string, want, got []symbol, tolerance int, errorRanges []parser.Range) {
	used := make([]bool, len(got))
	for _, w := range want {
		at := -1
		for i, g := range got {
			if !used[i] && g.group == w.group && g.name == w.name && abs(g.start-w.start) <= tolerance &&
				(at < 0 || abs(g.start-w.start) < abs(got[at].start-w.start)) {
				at = i
			}
		}
		switch {
		case at >= 0:
			used[at] = true
			s.found++
			if w.end > 0 && got[at].end != w.end {
				s.wrongEnd++
				s.report = append(s.report, fmt.Sprintf("end   %s: %s ends at %d, the oracle says %d", file, w.name, got[at].end, w.end))
			}
		case inErrors(w.start, errorRanges):
			s.excused++
		default:
			s.missed++
			s.report = append(s.report, fmt.Sprintf("miss  %s:%d %s %s", file, w.start, w.group, w.name))
		}
	}
	for i, g := range got {
		if !used[i] && !g.beyond && !inErrors(g.start, errorRanges) {
			s.extra++
			s.report = append(s.report, fmt.Sprintf("extra %s:%d %s %s", file, g.start, g.group, g.name))
		}
	}
}

func inErrors(line int, ranges []parser.Range) bool {
	for _, r := range ranges {
		if r.StartLine <= line && line <= r.EndLine {
			return true
		}
	}
	return false
}

func abs(n int) int { return max(n, -n) }

// require fails with the list of differences when a goal is missed.
func (s *score) require(t *testing.T, goal float64) {
	t.Helper()
	t.Logf("precision %.4f, recall %.4f: %d found, %d missed, %d extra, %d wrong ends, %d in syntax errors",
		s.precision(), s.recall(), s.found, s.missed, s.extra, s.wrongEnd, s.excused)
	if s.precision() < goal || s.recall() < goal || s.wrongEnd > 0 {
		for _, line := range s.report[:min(len(s.report), 100)] {
			t.Log(line)
		}
	}
	require.GreaterOrEqual(t, s.precision(), goal)
	require.GreaterOrEqual(t, s.recall(), goal)
}

// extract returns the symbols of a file; beyond says which ones are of a sort that the oracle does not list.
func extract(
	t *testing.T, e *Extractor, language, path, text string, beyond func(defs []parser.Definition, i int) bool,
) ([]symbol, parser.Extraction) {
	t.Helper()
	content := []byte(text)
	got, err := e.Extract(t.Context(), parser.Source{Language: language, Path: path, Content: content, Lines: parser.NewLines(content)})
	require.NoError(t, err)
	require.False(t, got.Truncated)
	var symbols []symbol
	for i, d := range got.Definitions {
		if g := groupOf(d.Kind); g != groupNone {
			symbols = append(symbols, symbol{
				group: g, name: d.Name, start: d.Range.StartLine, end: d.Range.EndLine, beyond: beyond(got.Definitions, i),
			})
		}
	}
	return symbols, got
}

func exact(symbols []oracleSymbol) []symbol {
	var result []symbol
	for _, s := range symbols {
		g := groupType
		if s.Kind == "function" || s.Kind == "method" || s.Kind == "arrow" {
			g = groupFunction
		}
		result = append(result, symbol{group: g, name: s.Name, start: s.Start, end: s.End})
	}
	return result
}

// Go's oracle is go/parser. It lists no methods of interfaces.
func TestGoMatchesGoParser(t *testing.T) {
	t.Parallel()
	e := newExtractor(t)
	var s score
	testdata.JSONL(t, "symbols/gofr-dev+gofr.jsonl.gz", func(f oracleFile) {
		got, extraction := extract(t, e, "go", f.Path, f.Text, func(defs []parser.Definition, i int) bool {
			return parentKind(defs, i) == parser.KindInterface
		})
		s.compare(f.Path, exact(f.Exact), got, 0, extraction.Errors)
	})
	s.require(t, 1)
	require.Zero(t, s.wrongEnd)
	require.Equal(t, 2011, s.found)
}

func parentKind(defs []parser.Definition, i int) parser.Kind {
	if defs[i].Parent == parser.NoDefinition {
		return parser.KindUnknown
	}
	return defs[defs[i].Parent].Kind
}

// TypeScript's oracle is its own compiler. It lists no methods of interfaces, types and object literals, and no
// accessors.
func TestTypeScriptMatchesItsCompiler(t *testing.T) {
	t.Parallel()
	e := newExtractor(t)
	accessor := regexp.MustCompile(`^((public|private|protected|static|override) )*(get|set) `)
	var s score
	testdata.JSONL(t, "symbols/cline+cline.jsonl.gz", func(f oracleFile) {
		language := "typescript"
		if strings.HasSuffix(f.Path, ".tsx") {
			language = "tsx"
		}
		got, extraction := extract(t, e, language, f.Path, f.Text, func(defs []parser.Definition, i int) bool {
			if defs[i].Kind != parser.KindMethod {
				return false
			}
			return parentKind(defs, i) != parser.KindClass || accessor.MatchString(defs[i].Signature)
		})
		s.compare(f.Path, exact(f.Exact), got, 0, extraction.Errors)
	})
	s.require(t, .98)
	require.Zero(t, s.wrongEnd)
}
