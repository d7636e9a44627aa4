package diff_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
)

const simple = `diff --git a/x.go b/x.go
index 1111111..2222222 100644
--- a/x.go
+++ b/x.go
@@ -1,3 +1,4 @@ package x
 one
-two
+zwei
+drei
 three
`

func TestParseReadsLinesWithTheirNumbers(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte(simple))
	require.NoError(t, err)
	require.Len(t, d.Files, 1)
	f := d.Files[0]
	require.Equal(t, diff.Modified, f.Change)
	require.Equal(t, diff.ModeFile, f.NewMode)
	require.Equal(t, "package x", f.Hunks[0].Section)
	require.Equal(t, []diff.Line{
		{Text: "one", Old: 1, New: 1, Op: diff.Context},
		{Text: "two", Old: 2, Op: diff.Delete},
		{Text: "zwei", New: 2, Op: diff.Add},
		{Text: "drei", New: 3, Op: diff.Add},
		{Text: "three", Old: 3, New: 4, Op: diff.Context},
	}, f.Hunks[0].Lines)
	require.Same(t, f, d.File("x.go"))
	require.Nil(t, d.File("y.go"))
}

func TestParseRefusesWhatIsNoSinglePatch(t *testing.T) {
	t.Parallel()
	hunk := "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
	for name, c := range map[string]struct {
		text   string
		reason diff.Reason
		line   int
	}{
		"nothing":              {"", diff.EmptyDiff, 0},
		"blanks":               {" \r\n\t\n", diff.EmptyDiff, 0},
		"prose":                {"Dear maintainer,\nplease merge.\n", diff.NotADiff, 0},
		"coloured":             {"\x1b[1mdiff --git a/x b/x\x1b[m\n" + hunk[:0] + "\x1b[36m@@ -1 +1 @@\x1b[m\n", diff.NotADiff, 0},
		"combined":             {"diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n -b\n++c\n", diff.CombinedDiff, 1},
		"combined after good":  {simple + "diff --cc y\nindex 1,2..3\n--- a/y\n+++ b/y\n@@@ -1 -1 +1 @@@\n++c\n", diff.CombinedDiff, 11},
		"names without a hunk": {"--- a/x\n+++ b/x\n", diff.NotADiff, 1},
		"the same after good":  {simple + "--- a/y\n+++ b/y\n", diff.NotADiff, 1},
		"two patches":          {simple + simple, diff.SeveralPatches, 11},
		"hunk without header":  {"@@ -1 +1 @@\n-a\n+b\n", diff.Malformed, 1},
		"cut hunk":             {simple[:len(simple)-len(" three\n")], diff.Malformed, 6},
		"lying count":          {strings.Replace(simple, "-1,3", "-1,9", 1), diff.Malformed, 6},
		"understated count":    {strings.Replace(simple, "-1,3 +1,4", "-1,2 +1,3", 1), diff.Malformed, 10},
		"escaping path":        {strings.ReplaceAll(simple, "x.go", "../../x.go"), diff.UnsafePath, 1},
		"absolute path":        {"--- /etc/passwd\n+++ /etc/passwd\n@@ -1 +1 @@\n-a\n+b\n", diff.UnsafePath, 1},
		"huge numbers":         {strings.Replace(simple, "-1,3 +1,4", "-9223372036854775800,3 +1,4", 1), diff.Malformed, 1},
		"beyond a billion":     {strings.Replace(simple, "-1,3 +1,4", "-1000000001,3 +1,4", 1), diff.Malformed, 1},
		"overlapping hunks":    {simple + "@@ -2,1 +3,1 @@\n-a\n+b\n", diff.Malformed, 1},
		"hunks out of order":   {strings.Replace(simple, "-1,3 +1,4", "-10,3 +10,4", 1) + "@@ -2,1 +3,1 @@\n-a\n+b\n", diff.Malformed, 1},
		"GNU binary":           {"diff -r a/x b/x\n" + hunk + "Binary files a/y and b/y differ\n", diff.NotADiff, 7},
		"GNU one-sided":        {"Only in b: y\n", diff.NotADiff, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := diff.Parse([]byte(c.text))
			require.ErrorIs(t, err, &diff.Error{Reason: c.reason})
			require.Equal(t, c.reason, diff.ReasonOf(err))
			var refusal *diff.Error
			require.ErrorAs(t, err, &refusal)
			require.Equal(t, c.line, refusal.Line, refusal.Detail)
		})
	}
}

func TestParseRefusesTooMuch(t *testing.T) {
	t.Parallel()
	_, err := diff.Parse(make([]byte, diff.MaxBytes+1))
	require.ErrorIs(t, err, &diff.Error{Reason: diff.TooLarge})
	_, err = diff.Parse([]byte(strings.Repeat("\n", diff.MaxLines+1)))
	require.ErrorIs(t, err, &diff.Error{Reason: diff.TooLarge})
	_, err = diff.Parse([]byte(strings.Repeat("diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", diff.MaxFiles+1)))
	require.ErrorIs(t, err, &diff.Error{Reason: diff.TooLarge})
}

func TestParseJoinsATypeChange(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte(`diff --git a/link b/link
deleted file mode 100644
index 1111111..0000000
--- a/link
+++ /dev/null
@@ -1 +0,0 @@
-content
diff --git a/link b/link
new file mode 120000
index 0000000..2222222
--- /dev/null
+++ b/link
@@ -0,0 +1 @@
+target
\ No newline at end of file
`))
	require.NoError(t, err)
	require.Len(t, d.Files, 1)
	f := d.Files[0]
	require.Equal(t, diff.TypeChanged, f.Change)
	require.Equal(t, []diff.Mode{diff.ModeFile, diff.ModeSymlink}, []diff.Mode{f.OldMode, f.NewMode})
	require.Equal(t, []string{"1111111", "2222222"}, []string{f.OldBlob, f.NewBlob})
	require.Len(t, f.Hunks, 2)
	require.True(t, f.Hunks[1].Lines[0].NoEOL)
	require.True(t, f.Contains(diff.Left, 1) && f.Contains(diff.Right, 1))
}

func TestParseFindsPathsWhateverThePrefix(t *testing.T) {
	t.Parallel()
	body := "@@ -1 +1 @@\n-a\n+b\n"
	for name, c := range map[string]struct{ text, oldPath, newPath string }{
		"git":                       {"diff --git a/b/x b/b/x\n--- a/b/x\n+++ b/b/x\n" + body, "b/x", "b/x"},
		"git, mnemonic":             {"diff --git i/x w/x\n--- i/x\n+++ w/x\n" + body, "x", "x"},
		"git, no prefix":            {"diff --git b/x b/x\n--- b/x\n+++ b/x\n" + body, "b/x", "b/x"},
		"git, no prefix, mode only": {"diff --git b/x y b/x y\nold mode 100644\nnew mode 100755\n", "b/x y", "b/x y"},
		"GNU, git letters":          {"--- a/src/x\n+++ b/src/x\n" + body, "src/x", "src/x"},
		"GNU, folders":              {"--- old/src/x\t2020-01-01 10:00:00 +0000\n+++ new/src/x\t2020-01-01 10:00:00 +0000\n" + body, "src/x", "src/x"},
		"GNU, one name":             {"--- src/x\n+++ src/x\n" + body, "src/x", "src/x"},
		"GNU, backup":               {"--- x.orig\n+++ x\n" + body, "x", "x"},
		"GNU, added":                {"--- /dev/null\n+++ b/src/x\n@@ -0,0 +1 @@\n+b\n", "", "src/x"},
		"GNU, deleted":              {"--- a/src/x\n+++ /dev/null\n@@ -1 +0,0 @@\n-b\n", "src/x", ""},
		"quoted":                    {`diff --git "a/\303\251\t\"x" "b/\303\251\t\"x"` + "\nold mode 100644\nnew mode 100755\n", "é\t\"x", "é\t\"x"},
		"invalid UTF-8":             {`diff --git "a/\377" "b/\377"` + "\nold mode 100644\nnew mode 100755\n", "\xff", "\xff"},
		"ends in a backslash":       {`diff --git "a/x\\" "b/x\\"` + "\n" + `--- "a/x\\"` + "\n" + `+++ "b/x\\"` + "\n" + body, `x\`, `x\`},
		"escaped quote":             {`diff --git "a/x\\\"y" "b/x\\\"y"` + "\n" + `--- "a/x\\\"y"` + "\n" + `+++ "b/x\\\"y"` + "\n" + body, `x\"y`, `x\"y`},
		"rename":                    {"diff --git a/x y b/z\nsimilarity index 90%\nrename from x y\nrename to z\n--- a/x y\t\n+++ b/z\n" + body, "x y", "z"},
		"copy":                      {"diff --git a/x b/z\nsimilarity index 100%\ncopy from x\ncopy to z\n", "x", "z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := diff.Parse([]byte(c.text))
			require.NoError(t, err)
			require.Len(t, d.Files, 1)
			require.Equal(t, []string{c.oldPath, c.newPath}, []string{d.Files[0].OldPath, d.Files[0].NewPath})
		})
	}
}

func TestParseNoPrefixRename(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("diff --git x x\n--- x\n+++ x\n@@ -1 +1 @@\n-a\n+b\n" +
		"diff --git b/one b/two\nsimilarity index 80%\nrename from b/one\nrename to b/two\n--- b/one\n+++ b/two\n@@ -1 +1 @@\n-a\n+b\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"x", "b/two"}, []string{d.Files[0].Path(), d.Files[1].Path()})
	require.Equal(t, "b/one", d.Files[1].OldPath)
}

func TestParseNormalisesCRLFOnce(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte(strings.ReplaceAll(simple, "\n", "\r\n")))
	require.NoError(t, err)
	require.True(t, d.Normalised)
	require.Equal(t, "zwei", d.Files[0].Hunks[0].Lines[2].Text)

	// A file with CRLF: git's own lines have LF, and the CR is content.
	kept := "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\r\n+b\r\n"
	d, err = diff.Parse([]byte(kept))
	require.NoError(t, err)
	require.False(t, d.Normalised)
	require.Equal(t, "b\r", d.Files[0].Hunks[0].Lines[1].Text)
}

func TestParseTakesHunkContentForContent(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,4 @@\n-diff --cc y\n--- a/z\n+++ b/z\n" +
		"+diff --git a/q b/q\n+@@ -1 +1 @@\n+Only in b: y\n"))
	require.NoError(t, err)
	require.Len(t, d.Files, 1)
	require.Equal(t, "-- a/z", d.Files[0].Hunks[0].Lines[1].Text)
	require.Equal(t, "++ b/z", d.Files[0].Hunks[0].Lines[2].Text)
}

func TestParseLeavesTheSignatureOfAMailedPatch(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"From 1\nSubject: x\n\n---\n x | 1 +\n" + simple + "-- \n2.39.5\n\n", simple + "-- \n2.39.5\n"} {
		d, err := diff.Parse([]byte(text))
		require.NoError(t, err)
		require.Len(t, d.Files, 1)
	}
}

func TestParseReadsBinaries(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("diff --git a/x b/x\nindex 1111111..2222222 100644\nBinary files a/x and b/x differ\n" +
		"diff --git a/y b/y\nnew file mode 100644\nindex 0000000..9daeafb\nGIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n\nliteral 0\nHcmV?d00001\n\n"))
	require.NoError(t, err)
	require.Len(t, d.Files, 2)
	require.True(t, d.Files[0].Binary && d.Files[1].Binary)
	require.Empty(t, d.Files[1].OldPath)
}

func TestPositionsStayWithinTheirHunk(t *testing.T) {
	t.Parallel()
	d, err := diff.Parse([]byte("--- a/x\n+++ b/x\n@@ -2,2 +2,3 @@\n a\n+b\n c\n@@ -10,2 +11,1 @@\n k\n-l\n"))
	require.NoError(t, err)
	f := d.Files[0]
	require.True(t, f.Covers(diff.Range{Side: diff.Right, Start: 2, End: 4}))
	require.False(t, f.Covers(diff.Range{Side: diff.Right, Start: 4, End: 11}))
	require.False(t, f.Covers(diff.Range{Side: diff.Right, Start: 4, End: 2}))
	clipped, ok := f.Clip(diff.Range{Side: diff.Right, Start: 3, End: 11})
	require.True(t, ok)
	require.Equal(t, diff.Range{Side: diff.Right, Start: 11, End: 11}, clipped)
	_, ok = f.Clip(diff.Range{Side: diff.Right, Start: 3, End: 12})
	require.False(t, ok)
	require.True(t, f.Commentable(diff.Left, 11))
	require.False(t, f.Commentable(diff.Left, 10), "a context line is addressed on the right")
	require.False(t, f.Contains(diff.SideUnspecified, 3))
}

func TestQuotePathIsGitsOwn(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a b.txt": "a b.txt", "é": `"\303\251"`, "\xff": `"\377"`, "a\tb": `"a\tb"`, `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "\x01\x7f": `"\001\177"`,
	} {
		require.Equal(t, want, diff.QuotePath(path))
	}
	require.Equal(t, "é", diff.DisplayPath("é"))
	require.Equal(t, `"\377"`, diff.DisplayPath("\xff"))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(simple))
	f.Add([]byte(simple + "diff --git a/y b/y\nsimilarity index 100%\nrename from y\nrename to z\n"))
	f.Add([]byte("diff --git \"a/x\\\\\" \"b/x\\\\\"\nold mode 100644\nnew mode 120000\n"))
	f.Add([]byte("--- a/x\n+++ b/x\n@@ -0,0 +1 @@\n+a\n\\ No newline at end of file\n"))
	f.Add([]byte("diff --git a/x b/x\ndeleted file mode 100644\n--- a/x\n+++ /dev/null\n@@ -1,-3 +0,0 @@\n-a\n"))
	f.Add([]byte("diff --git a/y b/y\nGIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := diff.Parse(text)
		if err != nil {
			require.NotEmpty(t, diff.ReasonOf(err), "an error without a reason: %v", err)
			return
		}
		require.NotEmpty(t, d.Files)
		seen := make(map[string]bool)
		for _, file := range d.Files {
			require.NoError(t, diff.CheckPath(file.Path()))
			require.False(t, seen[file.Path()])
			seen[file.Path()] = true
			requirePositionsExist(t, file)
		}
	})
}

func requirePositionsExist(t *testing.T, f *diff.File) {
	t.Helper()
	lastOld, lastNew := 0, 0
	for _, h := range f.Hunks {
		if f.Change == diff.TypeChanged {
			lastOld, lastNew = 0, 0
		}
		for _, l := range h.Lines {
			require.NotContains(t, l.Text, "\n")
			if l.Old != 0 {
				require.Greater(t, l.Old, lastOld)
				lastOld = l.Old
			}
			if l.New != 0 {
				require.Greater(t, l.New, lastNew)
				lastNew = l.New
			}
		}
	}
	requirePositions(t, f)
}
