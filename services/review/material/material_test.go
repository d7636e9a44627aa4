package material_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/material"
)

func file(path string, lines int) review.File {
	h := review.Hunk{NewStart: 1, NewLines: lines}
	for i := range lines {
		h.Lines = append(h.Lines, review.Line{Op: '+', Text: fmt.Sprintf("line %d of %s", i, path)})
	}
	return review.File{
		Path: path, OldPath: path, Change: review.Added, Nature: review.NatureText, Hunks: []review.Hunk{h}, Added: lines,
	}
}

func TestPartsHoldEveryChangedLineOnceAndFit(t *testing.T) {
	t.Parallel()
	c := &review.Change{}
	for i := range 40 {
		c.Files = append(c.Files, file(fmt.Sprintf("dir%d/file%d.go", i%7, i), 1+i*7))
	}
	const room = 1500
	p := material.Build(c, nil, nil, room)
	var all strings.Builder
	for _, part := range p.Parts {
		require.LessOrEqual(t, part.Tokens, room+50, part.ID)
		all.WriteString(part.Text)
	}
	for _, f := range c.Files {
		for _, l := range f.Hunks[0].Lines {
			require.Equal(t, 1, strings.Count(all.String(), "+"+l.Text+"\n"), l.Text)
		}
	}
	require.Empty(t, p.Limits)
	require.Equal(t, p, material.Build(c, nil, nil, room), "the same change gives the same parts")
}

func TestSplitHunksKeepTheirLineNumbers(t *testing.T) {
	t.Parallel()
	c := &review.Change{Files: []review.File{file("a.go", 400)}}
	p := material.Build(c, nil, nil, 600)
	require.Greater(t, len(p.Parts), 1)
	shown := map[int]string{}
	for _, part := range p.Parts {
		at := 0
		for line := range strings.SplitSeq(part.Text, "\n") {
			var oldStart, oldLines, newStart, newLines int
			if n, _ := fmt.Sscanf(line, "@@ -%d,%d +%d,%d", &oldStart, &oldLines, &newStart, &newLines); n == 4 {
				at = newStart
			} else if text, ok := strings.CutPrefix(line, "+"); ok {
				shown[at] = text
				at++
			}
		}
	}
	require.Len(t, shown, 400)
	for n, text := range shown {
		require.Equal(t, fmt.Sprintf("line %d of a.go", n-1), text)
	}
}

func TestWhatDoesNotFitIsNamed(t *testing.T) {
	t.Parallel()
	c := &review.Change{}
	for i := range 100 {
		c.Files = append(c.Files, file(fmt.Sprintf("d%d/f.go", i), 40))
	}
	long := file("long.go", 1)
	long.Hunks[0].Lines[0].Text = strings.Repeat("x", 10_000)
	generated := file("gen.go", 10)
	generated.Policy = finding.ReasonGenerated
	c.Files = append(c.Files, long, generated)
	p := material.Build(c, nil, nil, 500)
	shown := map[review.Path]bool{}
	for _, part := range p.Parts {
		for _, path := range part.Paths {
			shown[path] = true
		}
	}
	for _, f := range c.Files {
		if f.Policy != "" {
			require.False(t, shown[review.Path(f.Path)])
			continue
		}
		limits := p.Limits[review.Path(f.Path)]
		require.NotEqual(t, slices.Contains(limits, finding.ReasonBudget), shown[review.Path(f.Path)], f.Path)
	}
	require.Contains(t, p.Limits["long.go"], finding.ReasonPartTooBig)
}

func TestPartsHoldWhatTheCouncilTakes(t *testing.T) {
	t.Parallel()
	contracts, anchors := &review.Change{}, &review.Change{}
	code := map[string]*review.Code{}
	for i := range 2500 {
		f := file(fmt.Sprintf("d/f%d.go", i), 1)
		contracts.Files = append(contracts.Files, f)
		code[f.Path] = &review.Code{Status: review.ParseOK, Definitions: []review.Definition{{Name: "F", Signature: "F()", Exported: true, Parent: -1}}}
	}
	for i := range 60 {
		f := file(fmt.Sprintf("many/f%d.go", i), 1)
		anchors.Files = append(anchors.Files, f)
		definitions := make([]review.Definition, 200)
		for d := range definitions {
			definitions[d] = review.Definition{Name: fmt.Sprint(i, d), Parent: -1, Span: review.Span{StartLine: 1, EndLine: 1}}
		}
		code[f.Path] = &review.Code{Status: review.ParseOK, Definitions: definitions}
	}
	for _, c := range []*review.Change{contracts, anchors} {
		p := material.Build(c, nil, code, 1_000_000)
		shown := 0
		for _, part := range p.Parts {
			require.LessOrEqual(t, len(part.Paths), 1000)
			require.LessOrEqual(t, len(part.Anchors), 5000)
			shown += len(part.Paths)
		}
		require.Equal(t, len(c.Files), shown)
		require.Len(t, p.Parts, 3)
	}
}

func TestFilesThatUseEachOtherStandTogether(t *testing.T) {
	t.Parallel()
	c := &review.Change{Files: []review.File{file("a/def.go", 40), file("b/other.go", 40), file("c/use.go", 40)}}
	code := map[string]*review.Code{
		"a/def.go": {Status: review.ParseOK, Definitions: []review.Definition{{Name: "Load", Parent: -1}}},
		"c/use.go": {Status: review.ParseOK, References: []review.Reference{{Name: "Load"}}},
	}
	p := material.Build(c, nil, code, 700)
	require.Len(t, p.Parts, 2)
	require.Contains(t, [][]review.Path{p.Parts[0].Paths, p.Parts[1].Paths}, []review.Path{"a/def.go", "c/use.go"})
}

func TestContextStaysInItsBudgetAndSaysWhy(t *testing.T) {
	t.Parallel()
	var content strings.Builder
	for i := range 60 {
		fmt.Fprintf(&content, "statement %d\n", i)
	}
	f := review.File{
		Path: "a.go", OldPath: "a.go", Change: review.Modified, Nature: review.NatureText, New: []byte(content.String()),
		Hunks: []review.Hunk{{OldStart: 20, OldLines: 2, NewStart: 20, NewLines: 3, Lines: []review.Line{{Op: ' '}, {Op: '+'}, {Op: ' '}}}},
	}
	c := &review.Change{Files: []review.File{f}}
	span := review.Span{StartByte: 0, EndByte: content.Len(), StartLine: 10, EndLine: 30}
	old := review.Definition{Kind: review.KindFunction, Name: "Load", QualifiedName: "Load", Signature: "func Load()", Exported: true, Parent: -1, Span: span, FullSpan: span}
	changed := old
	changed.Signature = "func Load(ctx context.Context)"
	in := review.Inspection{
		Change: c,
		Old:    map[string]*review.Code{"a.go": {Status: review.ParseOK, Definitions: []review.Definition{old}}},
		New:    map[string]*review.Code{"a.go": {Status: review.ParseOK, Definitions: []review.Definition{changed}}},
	}
	part := review.Part{ID: "part-1", Paths: []review.Path{"a.go"}, Text: "diff"}
	s := material.Surroundings{Inspection: in, Budget: 1000}
	require.NoError(t, s.Add(t.Context(), &part))
	require.Contains(t, part.Text, "statement 9\n")
	require.Contains(t, part.Text, "around the change: function Load")
	require.Contains(t, part.Text, "before: func Load()\nafter: func Load(ctx context.Context)")
	require.LessOrEqual(t, part.Tokens, 1100)

	none := review.Part{ID: "part-1", Paths: []review.Path{"a.go"}, Text: "diff"}
	require.NoError(t, (&material.Surroundings{Inspection: in}).Add(t.Context(), &none))
	require.Equal(t, "diff", none.Text)
}

// TestP08_WhatMattersMostComesFirst gives each class of file a part of its own and looks at their order.
func TestP08_WhatMattersMostComesFirst(t *testing.T) {
	t.Parallel()
	span := review.Span{StartLine: 1, EndLine: 100, EndByte: 1}
	code := func(signature string) *review.Code {
		return &review.Code{Status: review.ParseOK, Definitions: []review.Definition{
			{Name: "F", QualifiedName: "F", Signature: signature, Exported: true, Parent: -1, Span: span, FullSpan: span},
		}}
	}
	changed := func(path string, lines int) review.File {
		f := file(path, lines)
		f.Change = review.Modified
		return f
	}
	c := &review.Change{Files: []review.File{
		changed("a/readme.md", 40), changed("b/x.yaml", 40), changed("c/x_test.go", 40), changed("d/loose.go", 40), changed("e/small.go", 30),
		changed("f/body.go", 40), changed("g/contract.go", 20),
	}}
	old := map[string]*review.Code{"e/small.go": code("F()"), "f/body.go": code("F()"), "g/contract.go": code("F()"), "d/loose.go": {Status: review.ParseOK}}
	now := map[string]*review.Code{"e/small.go": code("F()"), "f/body.go": code("F()"), "g/contract.go": code("F(x)"), "d/loose.go": {Status: review.ParseOK}}
	p := material.Build(c, old, now, 350)
	var order []review.Path
	for i := range p.Parts {
		for _, path := range p.Parts[i].Paths {
			if len(order) == 0 || order[len(order)-1] != path {
				order = append(order, path)
			}
		}
	}
	require.Equal(t, []review.Path{"g/contract.go", "f/body.go", "e/small.go", "d/loose.go", "c/x_test.go", "b/x.yaml", "a/readme.md"}, order)
}

// crowd is an index in which everything is related to everything.
type crowd struct{ review.Index }

func (crowd) Related(_ context.Context, _ string, _ review.Place, limit int, relations ...review.Relation) (review.Related, error) {
	var out []review.Piece
	for _, r := range relations {
		for n := range limit {
			out = append(out, review.Piece{Relation: r, Grade: review.GradeImported, Place: review.Place{Path: fmt.Sprintf("%s%d.go", r, n), StartLine: 1, EndLine: 3}})
		}
	}
	out = append(out, review.Piece{Relation: relations[0], Grade: review.GradeImported, Place: review.Place{Path: "a.go", StartLine: 20, EndLine: 21}})
	return review.Related{Pieces: out, Degraded: "half of it is away"}, nil
}

type everyFile struct{}

func (everyFile) Read(_ context.Context, path string) ([]byte, error) {
	return []byte(strings.Repeat("a line of "+path+"\n", 40)), nil
}

func (everyFile) HasFolder(context.Context, string) (bool, error) { return true, nil }

// TestP09_ContextStaysInItsBudgetWhateverIsRelated tries budgets and sources, each alone and all together.
func TestP09_ContextStaysInItsBudgetWhateverIsRelated(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("a statement of the function\n", 200)
	span := review.Span{EndByte: len(content), StartLine: 10, EndLine: 190}
	f := review.File{
		Path: "a.go", OldPath: "a.go", Change: review.Modified, Nature: review.NatureText, New: []byte(content),
		Hunks: []review.Hunk{{OldStart: 20, OldLines: 2, NewStart: 20, NewLines: 3, Lines: []review.Line{{Op: ' '}, {Op: '+'}, {Op: ' '}}}},
	}
	define := func(signature string) *review.Code {
		return &review.Code{Status: review.ParseOK, Definitions: []review.Definition{{
			Kind: review.KindFunction, Name: "Load", QualifiedName: "Load", Signature: signature, Exported: true, Parent: -1, Span: span, FullSpan: span,
		}}}
	}
	in := review.Inspection{
		Change: &review.Change{Files: []review.File{f}}, Head: everyFile{}, BaseIndex: "b", HeadIndex: "h",
		Old: map[string]*review.Code{"a.go": define("func Load()")}, New: map[string]*review.Code{"a.go": define("func Load(x int)")},
	}
	words := map[string]string{
		review.ContextEnclosing: "around the change", review.ContextContracts: "changed signature", review.ContextCallers: "callers of Load, imported",
		review.ContextTests: "tests of Load", review.ContextSimilar: "similar of Load",
	}
	for _, budget := range []int{0, 1, 50, 300, 2000, 8000} {
		for _, sources := range append([][]string{nil, {"none"}}, [][]string{{review.ContextEnclosing}, {review.ContextContracts}, {review.ContextCallers}, {review.ContextTests}, {review.ContextSimilar}}...) {
			add := func() review.Part {
				part := review.Part{ID: "part-1", Paths: []review.Path{"a.go"}, Text: "diff"}
				s := material.Surroundings{Inspection: in, Index: crowd{}, Budget: budget, Sources: sources}
				require.NoError(t, s.Add(t.Context(), &part))
				asked := budget > 0 && (len(sources) == 0 || slices.Contains([]string{review.ContextCallers, review.ContextTests, review.ContextSimilar}, sources[0]))
				if asked {
					require.Equal(t, []string{"half of it is away"}, s.Gaps, "said once")
				} else {
					require.Empty(t, s.Gaps)
				}
				return part
			}
			part := add()
			const heading = 40 // "diff" and the line that says what follows
			require.LessOrEqual(t, material.Tokens(part.Text), budget+heading, "%d tokens of %v", budget, sources)
			require.Equal(t, part, add(), "the same each time")
			require.NotContains(t, part.Text, "Context a.go:20-21 (", "the diff shows it")
			for name, why := range words {
				if len(sources) > 0 && sources[0] != name {
					require.NotContains(t, part.Text, why, sources)
				} else if budget >= 2000 {
					require.Contains(t, part.Text, why, sources)
				}
			}
		}
	}
}

// neighbours is an index in which every definition has two neighbours of its own for each relation.
type neighbours struct{ review.Index }

func (neighbours) Related(_ context.Context, _ string, place review.Place, _ int, relations ...review.Relation) (review.Related, error) {
	var out []review.Piece
	for _, r := range relations {
		for n := range 2 {
			path := fmt.Sprintf("%s-%s-%d.go", r, place.Name, n)
			out = append(out, review.Piece{Relation: r, Grade: review.GradeImported, Place: review.Place{Path: path, StartLine: 1, EndLine: 3}})
		}
	}
	return review.Related{Pieces: out}, nil
}

// TestP09_WhatResemblesAChangedBodyIsShown changes no contract: who calls the definition is not asked, what tests and what
// resembles it is; neither of a test, nor of what is too short.
func TestP09_WhatResemblesAChangedBodyIsShown(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("a statement\n", 60)
	define := func(name string, from, to int) review.Definition {
		span := review.Span{StartByte: from, EndByte: to, StartLine: from, EndLine: to}
		return review.Definition{Kind: review.KindFunction, Name: name, QualifiedName: name, Parent: -1, Span: span, FullSpan: span, NameSpan: review.Span{StartLine: from, EndLine: from}}
	}
	field := define("Field", 31, 31)
	field.Kind, field.Parent = review.KindField, 2
	test := define("TestLoad", 50, 55)
	test.Test = true
	code := review.Code{Status: review.ParseOK, Definitions: []review.Definition{
		define("load", 10, 14), define("limit", 20, 20), define("Shelf", 30, 35), field, test,
	}}
	f := review.File{Path: "a.go", OldPath: "a.go", Change: review.Modified, Nature: review.NatureText, New: []byte(content)}
	for _, n := range []int{12, 20, 31, 52} {
		f.Hunks = append(f.Hunks, review.Hunk{OldStart: n, NewStart: n, NewLines: 1, Lines: []review.Line{{Op: '+', Text: "a statement"}}})
	}
	s := material.Surroundings{Index: neighbours{}, Budget: 20_000, Inspection: review.Inspection{
		Change: &review.Change{Files: []review.File{f}}, Head: everyFile{}, BaseIndex: "b", HeadIndex: "h",
		Old: map[string]*review.Code{"a.go": &code}, New: map[string]*review.Code{"a.go": &code},
	}}
	part := review.Part{ID: "part-1", Paths: []review.Path{"a.go"}}
	require.NoError(t, s.Add(t.Context(), &part))
	for _, shown := range []string{"tests of load, imported", "tests of limit", "tests of Shelf", "similar of load", "similar of Shelf"} {
		require.Contains(t, part.Text, shown)
	}
	turns := []int{}
	for _, path := range []string{"SIMILAR-load-0", "SIMILAR-Shelf-0", "SIMILAR-load-1", "SIMILAR-Shelf-1"} {
		turns = append(turns, strings.Index(part.Text, path))
	}
	require.IsIncreasing(t, turns, "the best of each comes first")
	for _, hidden := range []string{"callers of", "similar of limit", "of Field", "of TestLoad"} {
		require.NotContains(t, part.Text, hidden)
	}
}

// TestAHeadingOfAHunkIsNotRepeatedInFull: whoever uploads a diff writes what stands behind a hunk's line numbers, and every piece
// of a hunk bears it.
func TestAHeadingOfAHunkIsNotRepeatedInFull(t *testing.T) {
	t.Parallel()
	c := &review.Change{Files: []review.File{file("a.go", 2000)}}
	c.Files[0].Hunks[0].Section = strings.Repeat("é", 20_000)
	p := material.Build(c, nil, nil, 1500)
	size := 0
	for _, part := range p.Parts {
		require.LessOrEqual(t, part.Tokens, 1550)
		size += len(part.Text)
		require.True(t, utf8.ValidString(part.Text))
	}
	require.Less(t, size, 100_000)
	require.Empty(t, p.Limits)
}
