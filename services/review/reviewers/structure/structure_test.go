package structure_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/structure"
)

// inspection compares two states. renames maps new paths to old ones.
func inspection(base, head goTree, renames map[string]string) review.Inspection {
	in := review.Inspection{
		Change: &review.Change{}, Base: base, Head: head, BaseIndex: "base", HeadIndex: "head",
		Old: map[string]*review.Code{}, New: map[string]*review.Code{},
	}
	add := func(f review.File) {
		if content, ok := base[f.OldPath]; ok && f.Change != review.Added {
			f.Old, f.HasOld = []byte(content), true
			code := goCode(f.OldPath, f.Old)
			in.Old[f.OldPath] = &code
		}
		if content, ok := head[f.Path]; ok && f.Change != review.Deleted {
			f.New, f.HasNew = []byte(content), true
			code := goCode(f.Path, f.New)
			in.New[f.Path] = &code
		}
		f.Nature = review.NatureText
		f.Hunks = []review.Hunk{{
			OldStart: 1, OldLines: strings.Count(string(f.Old), "\n"), NewStart: 1, NewLines: strings.Count(string(f.New), "\n"),
		}}
		in.Change.Files = append(in.Change.Files, f)
	}
	gone := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(renames)) {
		gone[renames[path]] = true
		add(review.File{Path: path, OldPath: renames[path], Change: review.Renamed})
	}
	for _, path := range slices.Sorted(maps.Keys(head)) {
		if renames[path] != "" || base[path] == head[path] {
			continue
		}
		change := review.Modified
		if _, ok := base[path]; !ok {
			change = review.Added
		}
		add(review.File{Path: path, OldPath: path, Change: change})
	}
	for _, path := range slices.Sorted(maps.Keys(base)) {
		if _, ok := head[path]; !ok && !gone[path] {
			add(review.File{Path: path, OldPath: path, Change: review.Deleted})
		}
	}
	return in
}

func inspect(t *testing.T, base, head goTree, renames map[string]string) []review.Proposal {
	t.Helper()
	in := inspection(base, head, renames)
	report, err := structure.New(goParser{}, goIndex{"base": base, "head": head}).Review(t.Context(), in)
	require.NoError(t, err)
	return report.Proposals
}

const (
	shapes = `package shapes

// Area is the size of a square.
func Area(side int) int {
	return side * side
}

func helper() int { return Area(2) }

type Box struct{}

func (b *Box) Unfold(times int) int { return times }
`
	user = `package main

import "example.com/shapes"

func main() {
	println(shapes.Area(3))
}
`
)

func without(lines ...string) string {
	content := shapes
	for _, l := range lines {
		if !strings.Contains(content, l) {
			panic("nothing to remove: " + l)
		}
		content = strings.Replace(content, l, "", 1)
	}
	return content
}

const area = `// Area is the size of a square.
func Area(side int) int {
	return side * side
}
`

func TestRemovedDefinitionIsReportedAtItsOldPlace(t *testing.T) {
	t.Parallel()
	base := goTree{"shapes/shapes.go": shapes, "main.go": user}
	head := goTree{"shapes/shapes.go": without(area, "func helper() int { return Area(2) }\n"), "main.go": user}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	p := found[0]
	require.Equal(t, structure.RuleRemoved, p.Rule)
	require.Equal(t, finding.SeverityHigh, p.Severity)
	require.Equal(t, finding.Left, p.Location.Side)
	require.Equal(t, "shapes/shapes.go", p.Location.Path)
	require.Equal(t, 4, p.Location.StartLine)
	require.Equal(t, "func Area(side int) int {", p.Location.Code)
	require.Len(t, p.Related, 1)
	require.Equal(t, "main.go", p.Related[0].Path)
	require.Equal(t, 6, p.Related[0].StartLine)
	require.Contains(t, p.Claim, "function Area was removed")
	require.Contains(t, p.Reason, "main.go:6: println(shapes.Area(3))")
}

func TestRemovedDefinitionIsReportedAtAUseInsideTheDiff(t *testing.T) {
	t.Parallel()
	base := goTree{"shapes/shapes.go": shapes}
	head := goTree{"shapes/shapes.go": without(area)}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	require.Equal(t, finding.Right, found[0].Location.Side)
	require.Contains(t, found[0].Location.Code, "return Area(2)")
	require.True(t, found[0].Location.InDiff)
	require.Equal(t, finding.Left, found[0].Related[0].Side)
}

func TestRemovedFileIsReported(t *testing.T) {
	t.Parallel()
	found := inspect(t, goTree{"shapes/shapes.go": shapes, "main.go": user}, goTree{"main.go": user}, nil)
	require.Len(t, found, 1)
	require.Equal(t, finding.Left, found[0].Location.Side)
}

func TestRenamedDefinitionIsReportedAtItsNewName(t *testing.T) {
	t.Parallel()
	base := goTree{"shapes/shapes.go": shapes, "main.go": user}
	head := goTree{"shapes/shapes.go": strings.ReplaceAll(shapes, "Area", "Surface"), "main.go": user}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	require.Equal(t, structure.RuleRenamed, found[0].Rule)
	require.Equal(t, finding.Right, found[0].Location.Side)
	require.Equal(t, "func Surface(side int) int {", found[0].Location.Code)
	require.Contains(t, found[0].Claim, "renamed to Surface")
}

func TestMovedDefinitionIsReportedWhenItsUsersStayed(t *testing.T) {
	t.Parallel()
	base := goTree{"shapes/shapes.go": shapes, "main.go": user}
	head := goTree{
		"shapes/shapes.go": without(area, "func helper() int { return Area(2) }\n"), "main.go": user,
		"flat/area.go": "package flat\n\n" + area,
	}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	require.Equal(t, structure.RuleMoved, found[0].Rule)
	require.Contains(t, found[0].Claim, "moved to flat/area.go")
}

func TestChangedSignatureIsReportedAtCallsThatNoLongerFit(t *testing.T) {
	t.Parallel()
	base := goTree{"shapes/shapes.go": shapes, "main.go": user}
	head := goTree{
		"shapes/shapes.go": strings.NewReplacer("Area(side int)", "Area(side, depth int)", "Area(2)", "Area(2, 1)").Replace(shapes),
		"main.go":          user,
	}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	require.Equal(t, structure.RuleSignature, found[0].Rule)
	require.Equal(t, "shapes/shapes.go", found[0].Location.Path)
	require.Equal(t, 4, found[0].Location.StartLine)
	require.Equal(t, "main.go", found[0].Related[0].Path)
	require.Contains(t, found[0].Reason, "Before: func Area(side int) int")
}

func TestMethodByUniqueNameIsReportedWithLessCertainty(t *testing.T) {
	t.Parallel()
	caller := "package shapes\n\nfunc open(b *Box) { b.Unfold(1) }\n"
	base := goTree{"shapes/shapes.go": shapes, "shapes/open.go": caller}
	head := goTree{"shapes/shapes.go": without("func (b *Box) Unfold(times int) int { return times }\n"), "shapes/open.go": caller}
	found := inspect(t, base, head, nil)
	require.Len(t, found, 1)
	require.Less(t, found[0].Certainty, 0.9)
}

func TestCleanChangesYieldNothing(t *testing.T) {
	t.Parallel()
	both := goTree{"shapes/shapes.go": shapes, "main.go": user}
	for name, c := range map[string]struct {
		base, head goTree
		renames    map[string]string
	}{
		"body changed": {both, goTree{"shapes/shapes.go": strings.Replace(shapes, "side * side", "side*side + 0", 1), "main.go": user}, nil},
		"formatting":   {both, goTree{"shapes/shapes.go": strings.Replace(shapes, "side int", "side   int", 1), "main.go": user}, nil},
		"parameter renamed": {
			both, goTree{"shapes/shapes.go": strings.ReplaceAll(shapes, "side", "edge"), "main.go": user}, nil,
		},
		"renamed with all users": {
			both, goTree{"shapes/shapes.go": strings.ReplaceAll(shapes, "Area", "Surface"), "main.go": strings.ReplaceAll(user, "Area", "Surface")}, nil,
		},
		"moved within the package": {
			both, goTree{"shapes/shapes.go": without(area), "shapes/area.go": "package shapes\n\n" + area, "main.go": user}, nil,
		},
		"moved with all users": {
			both,
			goTree{
				"shapes/shapes.go": without(area, "func helper() int { return Area(2) }\n"),
				"flat/area.go":     "package flat\n\n" + area, "main.go": strings.ReplaceAll(user, "shapes", "flat"),
			},
			nil,
		},
		"file renamed in its package": {
			both, goTree{"shapes/square.go": shapes, "main.go": user}, map[string]string{"shapes/square.go": "shapes/shapes.go"},
		},
		"package renamed with all users": {
			both,
			goTree{"forms/shapes.go": strings.Replace(shapes, "package shapes", "package forms", 1), "main.go": strings.ReplaceAll(user, "shapes", "forms")},
			map[string]string{"forms/shapes.go": "shapes/shapes.go"},
		},
		"removed with all users": {
			both, goTree{"shapes/shapes.go": without(area, "func helper() int { return Area(2) }\n"), "main.go": "package main\n\nfunc main() {}\n"}, nil,
		},
		"parameter added with all users": {
			both,
			goTree{
				"shapes/shapes.go": strings.NewReplacer("Area(side int)", "Area(side, depth int)", "Area(2)", "Area(2, 1)").Replace(shapes),
				"main.go":          strings.ReplaceAll(user, "Area(3)", "Area(3, 1)"),
			},
			nil,
		},
		"variadic added": {
			both, goTree{"shapes/shapes.go": strings.Replace(shapes, "Area(side int)", "Area(side int, more ...int)", 1), "main.go": user}, nil,
		},
		"a field that bears the name": {
			goTree{"a/a.go": "package a\n\nfunc limit() int { return 1 }\n", "a/b.go": "package a\n\ntype box struct{ limit int }\n\nvar b = box{limit: 2}\n"},
			goTree{"a/a.go": "package a\n", "a/b.go": "package a\n\ntype box struct{ limit int }\n\nvar b = box{limit: 2}\n"},
			nil,
		},
		"an ambiguous name": {
			goTree{"a/a.go": "package a\n\ntype A struct{}\n\nfunc (A) Process() {}\n", "b/b.go": "package b\n\ntype B struct{}\n\nfunc (B) Process() {}\n\nfunc run(b B) { b.Process() }\n"},
			goTree{"a/a.go": "package a\n\ntype A struct{}\n", "b/b.go": "package b\n\ntype B struct{}\n\nfunc (B) Process() {}\n\nfunc run(b B) { b.Process() }\n"},
			nil,
		},
		"a unique method whose name others bear": {
			goTree{"a/a.go": "package a\n\ntype A struct{}\n\nfunc (A) Shutdown() {}\n", "web/web.go": "package web\n\nimport \"net/http\"\n\nfunc stop(s *http.Server) { s.Shutdown() }\n"},
			goTree{"a/a.go": "package a\n\ntype A struct{}\n", "web/web.go": "package web\n\nimport \"net/http\"\n\nfunc stop(s *http.Server) { s.Shutdown() }\n"},
			nil,
		},
		"a file that does not parse": {
			both, goTree{"shapes/shapes.go": "package shapes\n\nfunc {", "main.go": user}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, inspect(t, c.base, c.head, c.renames))
		})
	}
}

func TestWithoutAnIndexTheReviewerFails(t *testing.T) {
	t.Parallel()
	in := inspection(goTree{"shapes/shapes.go": shapes}, goTree{"shapes/shapes.go": without(area)}, nil)
	in.HeadIndex = ""
	r := structure.New(goParser{}, goIndex{})
	require.True(t, r.NeedsIndex(in))
	_, err := r.Review(t.Context(), in)
	require.ErrorIs(t, err, review.ErrUnavailable)
}

func TestParseErrorsOverChangedLinesAreSaid(t *testing.T) {
	t.Parallel()
	in := inspection(goTree{"shapes/shapes.go": shapes}, goTree{"shapes/shapes.go": "package shapes\n\nfunc {"}, nil)
	in.Change.Files[0].Hunks[0].Lines = []review.Line{{Op: '+', Text: "package shapes"}}
	r := structure.New(goParser{}, goIndex{})
	require.False(t, r.NeedsIndex(in))
	report, err := r.Review(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, []review.Reason{finding.ReasonParseErrors}, report.Limits["shapes/shapes.go"])
	require.Equal(t, []review.Path{"shapes/shapes.go"}, report.Looked)
}
