package git_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/git"
)

func paths(c *git.Change) map[string]string {
	m := map[string]string{}
	for _, f := range c.Diff.Files {
		m[f.Path()] = f.Change.String()
	}
	return m
}

// freeze freezes, and returns what differs from HEAD. The repository must be the same before and after.
func freeze(t *testing.T, r *repo, staged bool) map[string]string {
	t.Helper()
	before := checksum(t, r.dir)
	opened := r.open()
	objects := filepath.Join(t.TempDir(), "frozen", "objects")
	var frozen git.Frozen
	var err error
	if staged {
		frozen, err = opened.FreezeIndex(t.Context(), objects)
	} else {
		frozen, err = opened.FreezeWorkTree(t.Context(), objects)
	}
	require.NoError(t, err)
	head, err := opened.HeadOrEmpty(t.Context())
	require.NoError(t, err)
	view := opened.WithObjects(frozen.Objects)
	c, err := view.Change(t.Context(), head, frozen.Tree)
	require.NoError(t, err)
	var ids []string
	for _, f := range c.Diff.Files {
		if f.Change != diff.Deleted && f.NewMode != diff.ModeSubmodule {
			ids = append(ids, f.NewBlob)
		}
	}
	require.NoError(t, view.Blobs(t.Context(), ids, 10_000_000, func(b git.Blob) error {
		require.False(t, b.Missing, b.ID)
		return nil
	}))
	require.Equal(t, before, checksum(t, r.dir), "the user's repository was written")
	return paths(c)
}

func TestFreezeTakesIndexAndWorkingTreeApart(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("tracked", "1\n")
	r.write("staged", "1\n")
	r.write("deleted", "a line of its own\n")
	r.write(".gitignore", "*.log\n")
	r.commit("first")
	dirty, err := r.open().Dirty(t.Context())
	require.NoError(t, err)
	require.False(t, dirty)

	r.write("staged", "2\n")
	r.git("add", "staged")
	r.write("staged", "3\n")
	r.write("tracked", "2\n") // same size, same second: only the index's own time gives it away
	r.write("untracked", "1\n")
	r.write("odd \xff\n\"name", "1\n")
	r.write("ignored.log", "1\n")
	r.remove("deleted")
	require.NoError(t, os.Symlink("tracked", filepath.Join(r.dir, "link")))

	require.Equal(t, map[string]string{"staged": "M"}, freeze(t, r, true))
	require.Equal(t, map[string]string{"staged": "M", "tracked": "M", "untracked": "A", "odd \xff\n\"name": "A", "deleted": "D", "link": "A"}, freeze(t, r, false))
	dirty, err = r.open().Dirty(t.Context())
	require.NoError(t, err)
	require.True(t, dirty)
}

func TestFreezeWorksBeforeTheFirstCommit(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	require.Empty(t, freeze(t, r, true))
	r.write("x", "1\n")
	require.Equal(t, map[string]string{"x": "A"}, freeze(t, r, false))
	r.git("add", "x")
	require.Equal(t, map[string]string{"x": "A"}, freeze(t, r, true))
}

func TestFreezeHandlesEveryKindOfFile(t *testing.T) {
	t.Parallel()
	r, first, _ := everything(t)
	r.git("reset", "-q", "--soft", first)
	staged := freeze(t, r, true)
	require.Equal(t, "A", staged["line\nbreak"])
	require.Equal(t, "T", staged["becomes-link"])
	require.Equal(t, "M", staged["module"])
	require.Equal(t, staged, freeze(t, r, false))
}

func TestFreezeSurvivesEditsAfterwards(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	head := r.commit("first")
	r.write("x", "2\n")
	opened := r.open()
	frozen, err := opened.FreezeWorkTree(t.Context(), filepath.Join(t.TempDir(), "o"))
	require.NoError(t, err)
	r.write("x", "3\n")
	c, err := opened.WithObjects(frozen.Objects).Change(t.Context(), head, frozen.Tree)
	require.NoError(t, err)
	require.Equal(t, "2", c.Diff.File("x").Hunks[0].Lines[1].Text)
}

func TestFreezeRefusesAnUnmergedIndex(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	r.commit("first")
	r.git("checkout", "-q", "-b", "topic")
	r.write("x", "2\n")
	r.commit("theirs")
	r.git("checkout", "-q", "main")
	r.write("x", "3\n")
	r.commit("ours")
	r.git("-c", "alias.conflict=!git merge -q topic >&2 || true", "conflict")
	_, err := r.open().FreezeIndex(t.Context(), filepath.Join(t.TempDir(), "o"))
	require.ErrorIs(t, err, git.ErrUnmerged)
	_, err = r.open().FreezeWorkTree(t.Context(), filepath.Join(t.TempDir(), "o"))
	require.NoError(t, err, "the working tree has one version of every file")
}

// TestFreezeReadsAHooksIndex is a pre-commit hook of `git commit FILE`, which works on an index of its own.
func TestFreezeReadsAHooksIndex(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	r.write("y", "1\n")
	head := r.commit("first")
	other := filepath.Join(t.TempDir(), "index")
	r.write("x", "2\n")
	r.git("add", "x")
	require.NoError(t, os.Rename(filepath.Join(r.dir, ".git/index"), other))
	r.git("read-tree", "HEAD")
	g, err := git.New(git.Params{IndexFile: other, Env: []string{"PATH=" + os.Getenv("PATH")}})
	require.NoError(t, err)
	opened, err := g.Open(t.Context(), r.dir)
	require.NoError(t, err)
	frozen, err := opened.FreezeIndex(t.Context(), filepath.Join(t.TempDir(), "o"))
	require.NoError(t, err)
	c, err := opened.WithObjects(frozen.Objects).Change(t.Context(), head, frozen.Tree)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"x": "M"}, paths(c))
}

func TestFreezeFollowsTheUsersIgnoreFile(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.commit("first")
	r.write(".DS_Store", "x")
	r.write("kept", "x")
	home := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[core]\n\texcludesFile = ~/ignored\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(home, "ignored"), []byte(".DS_Store\n"), 0o600))
	g, err := git.New(git.Params{Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}})
	require.NoError(t, err)
	opened, err := g.Open(t.Context(), r.dir)
	require.NoError(t, err)
	frozen, err := opened.FreezeWorkTree(t.Context(), filepath.Join(t.TempDir(), "o"))
	require.NoError(t, err)
	head, err := opened.HeadOrEmpty(t.Context())
	require.NoError(t, err)
	c, err := opened.WithObjects(frozen.Objects).Change(t.Context(), head, frozen.Tree)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"kept": "A"}, paths(c))
}

// TestFreezeSeesAChangeOfTheIndexsOwnMoment is what git calls racy: a file changed within the same tick of the clock in
// which the index was written, so that only the index's own time says that it must be read again.
func TestFreezeSeesAChangeOfTheIndexsOwnMoment(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("config", "core.trustctime", "false")
	moment := time.Now().Add(-time.Hour)
	set := func(path string) {
		require.NoError(t, os.Chtimes(filepath.Join(r.dir, path), moment, moment))
	}
	r.write("x", "1\n")
	set("x")
	r.commit("first")
	r.write("x", "2\n")
	set("x")
	set(".git/index")
	require.Equal(t, map[string]string{"x": "M"}, freeze(t, r, false))
}
