package finding_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
)

const oldText = `package x

// Load reads.
func Load(name string) error {
	if name == "" {
		return nil
	}
	return open(name)
}

func Other() {
	return
}

func Gone(a int) int {
	return a * 2
}
`

const newText = `package x

// Load reads.
func Load(name string, deep bool) error {
	if name == "" {
		return errEmpty
	}
	return open(name)
}

func Other() {
	return
}

func Last() {
	// the end
	return
}
`

const change = `diff --git a/x.go b/x.go
--- a/x.go
+++ b/x.go
@@ -1,9 +1,9 @@
 package x
 
 // Load reads.
-func Load(name string) error {
+func Load(name string, deep bool) error {
 	if name == "" {
-		return nil
+		return errEmpty
 	}
 	return open(name)
 }
@@ -13,5 +13,6 @@
 }
 
-func Gone(a int) int {
-	return a * 2
+func Last() {
+	// the end
+	return
 }
`

func anchors() []finding.Anchor {
	return []finding.Anchor{
		{Symbol: "function x.Load", Side: finding.Right, StartLine: 4, EndLine: 9},
		{Symbol: "function x.Other", Side: finding.Right, StartLine: 11, EndLine: 13},
		{Symbol: "function x.Last", Side: finding.Right, StartLine: 15, EndLine: 18},
		{Symbol: "function x.Load", Side: finding.Left, StartLine: 4, EndLine: 9},
		{Symbol: "function x.Gone", Side: finding.Left, StartLine: 15, EndLine: 17},
	}
}

func material(t testing.TB) *finding.Material {
	t.Helper()
	d, err := diff.Parse([]byte(change))
	require.NoError(t, err)
	return finding.NewMaterial(finding.MaterialParams{File: d.Files[0], Old: []byte(oldText), New: []byte(newText), Anchors: anchors()})
}

func TestLocateFindsQuotedCode(t *testing.T) {
	t.Parallel()
	m := material(t)
	for name, c := range map[string]struct {
		quote      finding.Quote
		side       finding.Side
		start, end int
		placement  finding.Placement
		symbol     string
		inDiff     bool
	}{
		"added line":                {finding.Quote{Code: "\t\treturn errEmpty"}, finding.Right, 6, 6, finding.PlacedExact, "function x.Load", true},
		"trailing blanks, CR":       {finding.Quote{Code: "\t\treturn errEmpty  \r\n\t}\n"}, finding.Right, 6, 7, finding.PlacedExact, "function x.Load", true},
		"in a code fence":           {finding.Quote{Code: "```go\n\t\treturn errEmpty\n```"}, finding.Right, 6, 6, finding.PlacedExact, "function x.Load", true},
		"deleted code":              {finding.Quote{Code: "func Gone(a int) int {\n\treturn a * 2"}, finding.Left, 15, 16, finding.PlacedExact, "function x.Gone", true},
		"old and new are alike":     {finding.Quote{Code: "\tif name == \"\" {"}, finding.Right, 5, 5, finding.PlacedExact, "function x.Load", true},
		"the old one is asked for":  {finding.Quote{Code: "\tif name == \"\" {", Side: finding.Left}, finding.Left, 5, 5, finding.PlacedExact, "function x.Load", true},
		"other blanks":              {finding.Quote{Code: "return   errEmpty"}, finding.Right, 6, 6, finding.PlacedNormalised, "function x.Load", true},
		"comment dropped":           {finding.Quote{Code: "func Last() {\n\treturn\n}"}, finding.Right, 15, 18, finding.PlacedNormalised, "function x.Last", true},
		"comment added":             {finding.Quote{Code: "return errEmpty // why?"}, finding.Right, 6, 6, finding.PlacedNormalised, "function x.Load", true},
		"ellipsis":                  {finding.Quote{Code: "func Load(…) error {\n\tif name ... {"}, finding.Right, 4, 5, finding.PlacedNormalised, "function x.Load", true},
		"with the diff's markers":   {finding.Quote{Code: " \tif name == \"\" {\n-\t\treturn nil\n+\t\treturn errEmpty"}, finding.Right, 5, 6, finding.PlacedNormalised, "function x.Load", true},
		"outside the hunks":         {finding.Quote{Code: "func Other() {"}, finding.Right, 11, 11, finding.PlacedExact, "function x.Other", false},
		"nearest to the hint":       {finding.Quote{Code: "}", Line: 18}, finding.Right, 18, 18, finding.PlacedExact, "function x.Last", true},
		"inside the symbol":         {finding.Quote{Code: "}", Symbol: "Last()", Line: 1}, finding.Right, 18, 18, finding.PlacedExact, "function x.Last", true},
		"most of it, in the symbol": {finding.Quote{Code: "if name == \"\" {\nreturn errEmpty\n}\nreturn wrong", Symbol: "x.Load"}, finding.Right, 5, 7, finding.PlacedNormalised, "function x.Load", true},
		"too little of it":          {finding.Quote{Code: "return errEmpty\nsomething = entirely.Different(from, it)", Symbol: "Load"}, finding.Right, 4, 4, finding.PlacedSymbol, "function x.Load", true},
		"symbol only":               {finding.Quote{Code: "nonsense()", Symbol: "func Other"}, finding.Right, 11, 11, finding.PlacedSymbol, "function x.Other", false},
		"symbol of the old file":    {finding.Quote{Symbol: "Gone"}, finding.Left, 15, 15, finding.PlacedSymbol, "function x.Gone", true},
		"nothing fits":              {finding.Quote{Code: "nonsense()", Symbol: "Absent"}, finding.Right, 0, 0, finding.PlacedFile, "", false},
		"nothing said":              {finding.Quote{}, finding.Right, 0, 0, finding.PlacedFile, "", false},
		"only an ellipsis":          {finding.Quote{Code: "…\n..."}, finding.Right, 0, 0, finding.PlacedFile, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := m.Locate(c.quote)
			require.Equal(t, c.placement, got.Placement, "%+v", got)
			require.Equal(t, []any{c.side, c.start, c.end}, []any{got.Side, got.StartLine, got.EndLine})
			require.Equal(t, c.symbol, got.Symbol)
			require.Equal(t, c.inDiff, got.InDiff)
			require.Equal(t, "x.go", got.Path)
		})
	}
}

func TestLocateTakesARedactionForWhatItStandsFor(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("--- /dev/null\n+++ b/x.env\n@@ -0,0 +1,2 @@\n+A=1\n+KEY=[secret:aws-access-token:012345] # x\n"))
	require.NoError(t, err)
	m := finding.NewMaterial(finding.MaterialParams{File: d.Files[0]})
	require.Equal(t, 2, m.Locate(finding.Quote{Code: "KEY=[secret:aws-access-token:abcdef] # x"}).StartLine)
	require.Equal(t, finding.PlacedNormalised, m.Locate(finding.Quote{Code: " KEY = [secret:aws-access-token:abcdef]"}).Placement)
}

// TestLocateTakesAnEscapeForWhatItStandsFor: members are shown escapes of what cannot be seen, and quote them or what is meant.
func TestLocateTakesAnEscapeForWhatItStandsFor(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("--- /dev/null\n+++ b/x.js\n@@ -0,0 +1,3 @@\n+a()\n+f('x\U000E0101\u202e\xff')\n+g('\\u{1F600}')\n"))
	require.NoError(t, err)
	m := finding.NewMaterial(finding.MaterialParams{File: d.Files[0]})
	for code, line := range map[string]int{
		`f('x\u{E0101}\u{202E}\x{FF}')`: 2, "f('x\U000E0101\u202e\xff')": 2, `f( 'x\u{E0101}\u{202E}\x{FF}' )`: 2, `g('\u{1F600}')`: 3, `g('\u{5C}u{1F600}')`: 3,
	} {
		require.Equal(t, line, m.Locate(finding.Quote{Code: code}).StartLine, code)
	}
	require.Equal(t, finding.PlacedFile, m.Locate(finding.Quote{Code: `\u{E0101}\x{41}`}).Placement)
}

func TestLocateCutsLongRanges(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("+line\n", 100)
	d, err := diff.Parse([]byte("--- /dev/null\n+++ b/x\n@@ -0,0 +1,100 @@\n" + lines))
	require.NoError(t, err)
	m := finding.NewMaterial(finding.MaterialParams{File: d.Files[0]})
	got := m.Locate(finding.Quote{Code: strings.Repeat("line\n", 90)})
	require.Equal(t, []int{1, 30}, []int{got.StartLine, got.EndLine})
	require.Equal(t, 29, strings.Count(got.Code, "\n"))
}

func TestLocateEndsOnExpensiveInput(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a\n", 300_000)
	m := finding.NewMaterial(finding.MaterialParams{
		File: &diff.File{NewPath: "x", Change: diff.Modified}, New: []byte(text), Old: []byte(text),
		Anchors: []finding.Anchor{{Symbol: "f", Side: finding.Right, StartLine: 1, EndLine: 300_000}},
	})
	got := m.Locate(finding.Quote{Code: strings.Repeat("a\n", 199) + "b", Symbol: "f"})
	require.NotEqual(t, finding.PlacedExact, got.Placement)
	m = finding.NewMaterial(finding.MaterialParams{File: &diff.File{NewPath: "x", Change: diff.Modified}, New: []byte(strings.Repeat(strings.Repeat("a ", 50_000)+"\n", 20))})
	got = m.Locate(finding.Quote{Code: strings.Repeat(strings.Repeat("a … ", 5_000)+"b\n", 3)})
	require.Equal(t, finding.PlacedFile, got.Placement)
}

func TestSetKnowsFilesByBothPaths(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("diff --git a/old b/new\nsimilarity index 90%\nrename from old\nrename to new\n--- a/old\n+++ b/new\n@@ -1 +1 @@\n-a\n+b\n" +
		"diff --git a/dead b/dead\ndeleted file mode 100644\n--- a/dead\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"))
	require.NoError(t, err)
	var set finding.Set
	for _, f := range d.Files {
		set.Add(finding.NewMaterial(finding.MaterialParams{File: f}))
	}
	for _, path := range []string{"new", "old", "./new", "a/old", "b/new", "/new"} {
		require.Equal(t, "new", set.Locate(finding.Quote{Path: path}).Path)
	}
	require.Equal(t, finding.Left, set.Locate(finding.Quote{Path: "dead"}).Side)
	require.Equal(t, finding.Location{Path: "absent", Placement: finding.PlacedNone}, set.Locate(finding.Quote{Path: "absent"}))
}

func FuzzLocate(f *testing.F) {
	f.Add("return errEmpty", "Load", 3, false)
	f.Add("+a\n-b\n c", "", -1, true)
	f.Add("…\n[secret:x:012345]…`'\"\\\n/*\n*/", "func (s *T) Load(x", 1<<40, false)
	f.Add("```\n```", "\xff\x00", 0, true)
	f.Fuzz(func(t *testing.T, code, symbol string, line int, left bool) {
		m := material(t)
		q := finding.Quote{Code: code, Symbol: symbol, Line: line}
		if left {
			q.Side = finding.Left
		}
		got := m.Locate(q)
		require.Equal(t, got, material(t).Locate(q), "the same twice")
		requirePlace(t, got)
		// A quote of every kind in a hostile file as well.
		hostile := finding.NewMaterial(finding.MaterialParams{File: &diff.File{NewPath: "x.go", Change: diff.Modified}, New: []byte(code + "\n" + code)})
		hostile.Locate(q)
	})
}

func requirePlace(t *testing.T, got finding.Location) {
	t.Helper()
	switch got.Placement {
	case finding.PlacedFile:
		require.Zero(t, got.StartLine+got.EndLine)
	case finding.PlacedExact, finding.PlacedNormalised, finding.PlacedSymbol:
		lines := strings.Split(newText, "\n")
		if got.Side == finding.Left {
			lines = strings.Split(oldText, "\n")
		}
		require.GreaterOrEqual(t, got.StartLine, 1)
		require.LessOrEqual(t, got.StartLine, got.EndLine)
		require.Less(t, got.EndLine, len(lines))
		require.Equal(t, strings.Join(lines[got.StartLine-1:got.EndLine], "\n"), got.Code)
	case finding.PlacedNone, finding.PlacementUnspecified:
		require.Fail(t, "a known file was not found")
	}
}

func TestFingerprintIgnoresBlanksCommentsAndLines(t *testing.T) {
	t.Parallel()
	key := finding.Key{Path: "a.go", Symbol: "function a.F", Category: finding.Correctness, Code: "if x==nil { // why\n\treturn \"a  b\"\n}"}
	print := finding.Fingerprint(key)
	require.Regexp(t, `^v1:[0-9a-f]{32}$`, print)
	same := key
	same.Code = "if x == nil {\n  /* other */ return \"a  b\" }"
	require.Equal(t, print, finding.Fingerprint(same))
	for _, other := range []finding.Key{
		{Path: "b.go", Symbol: key.Symbol, Category: key.Category, Code: key.Code},
		{Path: key.Path, Symbol: "function a.G", Category: key.Category, Code: key.Code},
		{Path: key.Path, Symbol: key.Symbol, Category: finding.Security, Code: key.Code},
		{Path: key.Path, Symbol: key.Symbol, Category: key.Category, Code: strings.Replace(key.Code, "a  b", "a b", 1)},
		{Path: key.Path + key.Symbol, Category: key.Category, Code: key.Code},
	} {
		require.NotEqual(t, print, finding.Fingerprint(other))
	}
	one, two := finding.Key{Path: "a.go", Code: "// TODO one"}, finding.Key{Path: "a.go", Code: "// TODO two"}
	require.NotEqual(t, finding.Fingerprint(one), finding.Fingerprint(two), "code of comments only counts with them")
}

// TestFingerprintIsV1 pins the values: findings of earlier reviews are recognised by them.
func TestFingerprintIsV1(t *testing.T) {
	t.Parallel()
	require.Equal(t, "v1:89aa4378e7a5be1c472f1dcc26fe5086", finding.Fingerprint(finding.Key{
		Path: "a.py", Symbol: "method A.f", Category: finding.Security, Code: "x = f('a') # c\n",
	}))
}

func TestTokensKnowComments(t *testing.T) {
	t.Parallel()
	for path, c := range map[string]struct {
		code string
		want []string
	}{
		"a.go":   {"x := \"// no\" // yes\n/* a\nb */ y", []string{"x", ":", "=", "\"// no\"", "y"}},
		"a.py":   {"a = '#' # c", []string{"a", "=", "'#'"}},
		"a.sql":  {"select 1 -- c", []string{"select", "1"}},
		"a.html": {"<b><!-- c --></b>", []string{"<", "b", ">", "<", "/", "b", ">"}},
		"a.txt":  {"# kept // too", []string{"#", "kept", "/", "/", "too"}},
		"b.go":   {"don't /* open", []string{"don", "'", "t"}},
		"a.rs":   {"é\xff_1", []string{"é", "\xff", "_1"}},
	} {
		require.Equal(t, c.want, finding.SyntaxOf(path).Tokens(c.code), path)
	}
}

func TestNumberTellsEqualPrintsApart(t *testing.T) {
	t.Parallel()
	at := func(line int) finding.Location {
		return finding.Location{Path: "a", Side: finding.Right, StartLine: line}
	}
	list := []finding.Finding{
		{Name: "c", Fingerprint: "v1:x", Location: at(30)},
		{Name: "a", Fingerprint: "v1:x", Location: at(10)},
		{Name: "b", Fingerprint: "v1:x", Location: at(10)},
		{Name: "d", Fingerprint: "v1:y", Location: at(30)},
	}
	finding.Number(list)
	require.Equal(t, []string{"v1:x.2", "v1:x", "v1:x", "v1:y"}, []string{list[0].Fingerprint, list[1].Fingerprint, list[2].Fingerprint, list[3].Fingerprint})
}

func TestOrderIsSeverityVotesPlace(t *testing.T) {
	t.Parallel()
	list := []finding.Finding{
		{Name: "5", Severity: finding.SeverityLow},
		{Name: "4", Severity: finding.SeverityHigh, Location: finding.Location{Path: "b"}},
		{Name: "3", Severity: finding.SeverityHigh, Location: finding.Location{Path: "a", StartLine: 9}},
		{Name: "2", Severity: finding.SeverityHigh, Location: finding.Location{Path: "a", StartLine: 2}},
		{Name: "1", Severity: finding.SeverityHigh, Location: finding.Location{Path: "z"}, Tally: finding.Tally{Confirmed: 2, Rejected: 1}},
		{Name: "0", Severity: finding.SeverityCritical},
	}
	finding.Sort(list)
	for i, f := range list {
		require.Equal(t, string(rune('0'+i)), f.Name)
	}
}

func TestNamesAreReadBack(t *testing.T) {
	t.Parallel()
	for s := finding.SeverityLow; s <= finding.SeverityCritical; s++ {
		for _, name := range []string{s.String(), strings.ToLower(s.String()), "SEVERITY_" + s.String()} {
			got, err := finding.ParseSeverity(name)
			require.NoError(t, err)
			require.Equal(t, s, got)
		}
	}
	for _, c := range finding.Categories() {
		got, err := finding.ParseCategory(strings.ToLower(strings.ReplaceAll(string(c), "_", " ")))
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	_, err := finding.ParseSeverity("bad")
	require.Error(t, err)
	_, err = finding.ParseCategory("style")
	require.Error(t, err)
}
