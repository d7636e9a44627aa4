package git_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest/git"
)

func newRepository(t *testing.T) *git.Repository {
	t.Helper()
	r, err := git.Init(t.Context(), filepath.Join(t.TempDir(), "r.git"), "main")
	require.NoError(t, err)
	return r
}

func commit(t *testing.T, r *git.Repository, parent string, files ...git.File) string {
	t.Helper()
	c := git.Commit{Files: files, Message: "m", Author: "a <b>\n", Email: "a@b", When: time.Unix(1_700_000_000, 0)}
	if parent != "" {
		c.Parents = []string{parent}
	}
	id, err := r.Commit(t.Context(), c)
	require.NoError(t, err)
	require.True(t, git.IsID(id))
	return id
}

func file(path, text string) git.File { return git.File{Path: path, Data: []byte(text)} }

// Every kind of change that git knows is listed, and each line of each hunk is found where it stands in its file.
func TestDiffOfEveryKindOfChange(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	long := strings.Repeat("same\n", 40)
	odd := "od\"d\\ \tñ\n.txt"
	base := commit(t, r, "",
		file("edited", "1\n2\n3\n4\n5\n6\n7\n8\n9\n"), file("gone", "x\ny\n"), file("moved", long+"end\n"), file("mode", "m\n"), file("type", "t\n"),
		file("binary", "\x00\x01"), file("no-newline", "a\nb"), file(odd, "o\n"), file("empty", ""), file("looks-like", "diff --git a/x b/x\n@@ -1 +1 @@\n"),
		git.File{Path: "module", Mode: "160000", Data: []byte(strings.Repeat("1", 40))},
	)
	head := commit(t, r, base,
		file("edited", "1\n2\nthree\n4\n5\n6\n7\n8\n9\n10\n"), git.File{Path: "gone", Delete: true}, git.File{Path: "moved", Delete: true},
		file("renamed", long+"END\n"), git.File{Path: "mode", Mode: "100755", Data: []byte("m\n")}, git.File{Path: "type", Mode: "120000", Data: []byte("t")},
		file("binary", "\x00\x02"), file("no-newline", "a\nc"), file(odd, "O\n"), file("added", "new\n"), git.File{Path: "empty", Delete: true},
		file("looks-like", "diff --git a/x b/x\n@@ -1 +1 @@\n+diff --git a/y b/y\n"), file("nothing", ""),
		git.File{Path: "module", Mode: "160000", Data: []byte(strings.Repeat("2", 40))},
	)
	d, err := r.Diff(t.Context(), base, head)
	require.NoError(t, err)
	statuses := map[string]byte{}
	for _, f := range d.Files {
		statuses[f.Path] = f.Status
	}
	require.Equal(t, map[string]byte{
		"edited": 'M', "gone": 'D', "renamed": 'R', "mode": 'M', "type": 'T', "binary": 'M', "no-newline": 'M', odd: 'M', "added": 'A', "looks-like": 'M',
		"nothing": 'R', "module": 'M', // git takes one empty file for the other
	}, statuses)
	binary, _ := d.File("binary")
	require.True(t, binary.Binary)
	require.Empty(t, binary.Hunks)
	renamed, _ := d.File("renamed")
	require.Equal(t, "moved", renamed.OldPath)
	require.Len(t, d.Files[0].NewID, 40)
	for i := range d.Files {
		requireLinesInPlace(t, r, &d.Files[i], base, head)
	}
}

// requireLinesInPlace compares what Find says of every line of both sides with the files' own lines.
func requireLinesInPlace(t *testing.T, r *git.Repository, f *git.Changed, base, head string) {
	t.Helper()
	if f.Binary || f.NewMode == "160000" || f.Status == 'T' {
		return
	}
	for side, at := range map[git.Side][2]string{git.Left: {base, f.OldPath}, git.Right: {head, f.Path}} {
		e, err := r.Entry(t.Context(), at[0], at[1])
		if err != nil { // it is not there on this side
			_, found := f.Find(side, 1)
			require.False(t, found)
			continue
		}
		data, err := r.Blob(t.Context(), e.ID)
		require.NoError(t, err)
		lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
		for n := -1; n <= len(lines)+2; n++ {
			place, found := f.Find(side, n)
			if found {
				require.Equal(t, lines[n-1], place.Text, "%s %s:%d", side, f.Path, n)
				require.True(t, strings.HasSuffix(place.Excerpt, place.Text))
				require.Equal(t, place.Text, strings.Split(f.Patch, "\n")[place.Position][1:])
			}
		}
	}
}

// Random edits: the hunks have exactly the changed lines and three of context around them, and a line is carried over
// exactly when git keeps it.
func TestRandomEditsAreFollowed(t *testing.T) {
	t.Parallel()
	seed := uint64(20260501)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's choices
	r := newRepository(t)
	for round := range 12 {
		var before, after []string
		for n := range 20 + random.IntN(40) {
			line := fmt.Sprintf("line %d of round %d", n, round)
			before = append(before, line)
			switch random.IntN(8) {
			case 0:
			case 1:
				after = append(after, line+" changed")
			case 2:
				after = append(after, line, fmt.Sprintf("inserted %d", random.IntN(1e6)))
			default:
				after = append(after, line)
			}
		}
		base := commit(t, r, "", file("f", strings.Join(before, "\n")+"\n"))
		head := commit(t, r, base, file("f", strings.Join(after, "\n")+"\n"))
		d, err := r.Diff(t.Context(), base, head)
		require.NoError(t, err)
		if len(d.Files) == 0 {
			continue
		}
		requireLinesInPlace(t, r, &d.Files[0], base, head)
		for n, line := range before {
			_, to, kept, err := r.MapLine(t.Context(), base, head, "f", n+1)
			require.NoError(t, err)
			at := -1
			for i, l := range after {
				if l == line {
					at = i + 1
				}
			}
			require.Equal(t, at != -1, kept, "seed %d, round %d, line %d", seed, round, n+1)
			if kept {
				require.Equal(t, at, to, "seed %d, round %d, line %d", seed, round, n+1)
			}
		}
	}
}

func TestHunksThatContradictThemselvesAreRefused(t *testing.T) {
	t.Parallel()
	for _, patch := range []string{
		"", "no header", "@@ -1 +1 @", "@@ 1 1 @@", "@@ -x +1 @@", "@@ -1 +1 @@\n-a", "@@ -1 +1 @@\n-a\n+b\n+c", "@@ -1 +1 @@\n-a\n+b\n", "@@ -1 +1 @@\n-a\n*b",
		"@@ -1,2 +1 @@\n-a\n@@ -3 +3 @@",
	} {
		_, err := git.Hunks(patch)
		require.Error(t, err, "%q", patch)
	}
	hunks, err := git.Hunks("@@ -0,0 +1,2 @@ func f() {\n+a\n+b\n\\ No newline at end of file\n@@ -9 +11 @@\n-@@ -1 +1 @@\n+x")
	require.NoError(t, err)
	require.Len(t, hunks, 2)
	require.Equal(t, 4, hunks[1].Position)
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRepository(t)
	ctx := t.Context()
	one := commit(t, r, "", file("a", "a\n"))
	other := commit(t, r, "", file("b", "b\n"))
	require.NoError(t, r.SetRef(ctx, "refs/heads/main", one))
	for name, err := range map[string]error{
		"revision": second(r.Resolve(ctx, "none")), "option": second(r.Resolve(ctx, "--all")), "merge base": second(r.MergeBase(ctx, one, other)),
		"tree": second(r.Tree(ctx, strings.Repeat("0", 40), false)), "blob": second(r.Blob(ctx, one)), "entry": second(r.Entry(ctx, one, "b")),
	} {
		require.ErrorIs(t, err, git.ErrNotFound, name)
	}
	branches, err := r.Branches(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"main": one}, branches)
	require.NoError(t, r.Prune(ctx))
	require.ErrorIs(t, second(r.Resolve(ctx, other)), git.ErrNotFound)
	require.NoError(t, second(r.Resolve(ctx, one)))
	require.NoError(t, r.SetRef(ctx, "refs/heads/main", ""))
}

func second[T any](_ T, err error) error { return err }

func TestImportTakesTheBranchesOfARealRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"init", "-q", "-b", "trunk"}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "Start"}, {"branch", "other"},
	} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...) //nolint:gosec // fixed words
		cmd.Env = git.Environ()
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	r := newRepository(t)
	require.NoError(t, r.Import(t.Context(), dir))
	branches, err := r.Branches(t.Context())
	require.NoError(t, err)
	require.Len(t, branches, 2)
	info, err := r.Info(t.Context(), "trunk")
	require.NoError(t, err)
	require.Equal(t, "Start", info.Message)
}
