package diff_test

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/testdata"
)

type rawEntry struct {
	OldMode string `json:"old_mode"`
	NewMode string `json:"new_mode"`
	OldBlob string `json:"old_blob"`
	NewBlob string `json:"new_blob"`
	Status  string `json:"status"`
	OldPath string `json:"old_path"`
	NewPath string `json:"new_path"`
}

type commit struct {
	Repo     string      `json:"repo"`
	SHA      string      `json:"sha"`
	Numstat  [][]*string `json:"numstat"`
	Raw      []rawEntry  `json:"raw"`
	Diff     string      `json:"diff"`
	Combined string      `json:"combined"`
}

// TestSharedDiffsEqualGitsReading compares every file of the real diffs with what git itself said about it.
func TestSharedDiffsEqualGitsReading(t *testing.T) {
	t.Parallel()
	diffs, files := 0, 0
	testdata.JSONL(t, "diffs/commits.jsonl.gz", func(c commit) {
		name := c.Repo + "@" + c.SHA[:10]
		d, err := diff.Parse([]byte(c.Diff))
		require.NoError(t, err, name)
		require.Len(t, d.Files, len(c.Raw), name)
		byPath := make(map[string]*diff.File, len(d.Files))
		for _, f := range d.Files {
			byPath[f.Path()] = f
		}
		for _, want := range c.Raw {
			requireEntry(t, name, want, byPath)
		}
		requireNumstat(t, name, c.Numstat, byPath)
		if c.Combined != "" {
			_, err = diff.Parse([]byte(c.Combined))
			require.ErrorIs(t, err, &diff.Error{Reason: diff.CombinedDiff}, name)
		}
		diffs++
		files += len(d.Files)
	})
	require.Equal(t, 88, diffs)
	require.Equal(t, 6689, files)
}

func requireEntry(t *testing.T, name string, want rawEntry, byPath map[string]*diff.File) {
	t.Helper()
	path := want.NewPath
	if path == "" {
		path = want.OldPath
	}
	f := byPath[path]
	require.NotNil(t, f, "%s: %s", name, path)
	what := fmt.Sprintf("%s: %s", name, path)
	require.Equal(t, want.Status[:1], f.Change.String(), what)
	if f.Change == diff.Renamed || f.Change == diff.Copied {
		require.Equal(t, want.OldPath, f.OldPath, what)
		require.Equal(t, want.Status[1:], fmt.Sprintf("%03d", f.Score), what)
	}
	if f.OldMode != 0 || f.NewMode != 0 { // a pure rename names no mode
		require.Equal(t, mode(t, want.OldMode), f.OldMode, what)
		require.Equal(t, mode(t, want.NewMode), f.NewMode, what)
	}
	require.True(t, strings.HasPrefix(want.OldBlob, f.OldBlob), what)
	require.True(t, strings.HasPrefix(want.NewBlob, f.NewBlob), what)
}

func mode(t *testing.T, octal string) diff.Mode {
	t.Helper()
	n, err := strconv.ParseUint(octal, 8, 32)
	require.NoError(t, err)
	return diff.Mode(n)
}

func requireNumstat(t *testing.T, name string, rows [][]*string, byPath map[string]*diff.File) {
	t.Helper()
	require.Len(t, rows, len(byPath), name)
	for _, row := range rows {
		f := byPath[*row[3]]
		require.NotNil(t, f, "%s: %s", name, *row[3])
		added, deleted := f.Counts()
		if *row[0] == "-" {
			require.Zero(t, added+deleted, "%s: %s", name, *row[3])
			continue
		}
		require.False(t, f.Binary)
		require.Equal(t, []string{*row[0], *row[1]}, []string{strconv.Itoa(added), strconv.Itoa(deleted)}, "%s: %s", name, *row[3])
	}
}

// TestSharedDiffsEqualGitApply asks the installed git for its reading of the very text.
func TestSharedDiffsEqualGitApply(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs git 130 times")
	}
	dir := t.TempDir()
	n := 0
	check := func(name, text string) {
		d, err := diff.Parse([]byte(text))
		require.NoError(t, err, name)
		cmd := exec.CommandContext(t.Context(), "git", "-C", dir, "apply", "--numstat", "-z", "-") //nolint:gosec // the arguments are this test's
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		require.NoError(t, err, name)
		require.Equal(t, strings.Count(string(out), "\x00"), len(d.Files)+typeChanges(d), name)
		n++
	}
	testdata.JSONL(t, "diffs/commits.jsonl.gz", func(c commit) { check(c.SHA, c.Diff) })
	type pull struct{ ID, Diff string }
	testdata.JSONL(t, "bench/aacr.jsonl", func(p pull) { check(p.ID, p.Diff) })
	testdata.JSONL(t, "bench/swebench_lite_reverse.dev.jsonl", func(p pull) { check(p.ID, p.Diff) })
	require.Equal(t, 88+19+23, n)
}

func typeChanges(d *diff.Diff) int {
	n := 0
	for _, f := range d.Files {
		if f.Change == diff.TypeChanged {
			n++ // git apply counts the deletion and the addition
		}
	}
	return n
}

// TestSharedPositionsAreWhereTheyAreSaidToBe looks every line of every hunk up again by its numbers.
func TestSharedPositionsAreWhereTheyAreSaidToBe(t *testing.T) {
	t.Parallel()
	testdata.JSONL(t, "bench/aacr.jsonl", func(p struct{ ID, Diff string }) {
		d, err := diff.Parse([]byte(p.Diff))
		require.NoError(t, err)
		for _, f := range d.Files {
			requirePositions(t, f)
		}
	})
}

func requirePositions(t *testing.T, f *diff.File) {
	t.Helper()
	for _, h := range f.Hunks {
		for _, l := range h.Lines {
			if l.New != 0 {
				got, ok := f.At(diff.Right, l.New)
				require.True(t, ok && f.Contains(diff.Right, l.New) && f.Commentable(diff.Right, l.New))
				require.Equal(t, l, got)
			}
			if l.Old != 0 {
				got, ok := f.At(diff.Left, l.Old)
				require.True(t, ok && f.Contains(diff.Left, l.Old))
				require.Equal(t, l, got)
				require.Equal(t, l.Op == diff.Delete, f.Commentable(diff.Left, l.Old))
			}
		}
		require.False(t, f.Covers(diff.Range{Side: diff.Right, Start: h.NewStart - 1, End: h.NewStart}) && h.NewStart == 1)
	}
}

func BenchmarkParse(b *testing.B) {
	var texts [][]byte
	size := 0
	testdata.JSONL(b, "diffs/commits.jsonl.gz", func(c commit) {
		texts = append(texts, []byte(c.Diff))
		size += len(c.Diff)
	})
	b.SetBytes(int64(size))
	for b.Loop() {
		for _, text := range texts {
			if _, err := diff.Parse(text); err != nil {
				b.Fatal(err)
			}
		}
	}
}
