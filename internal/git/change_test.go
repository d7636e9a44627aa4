package git_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/git"
)

// everything is a repository whose second commit changes files in every way there is.
func everything(t *testing.T) (r *repo, first, second string) {
	t.Helper()
	r = newRepo(t)
	r.git("config", "core.autocrlf", "false")
	sub := newRepo(t)
	sub.write("s", "1\n")
	sub.commit("sub")
	r.git("submodule", "--quiet", "add", sub.dir, "module")
	same := strings.Repeat("a line of a file that moves\n", 30)
	r.write("gone.txt", "bye\n")
	r.write("moved.txt", same)
	r.write("moved.bin", "\x00\x01"+same)
	r.write("pic.bin", "\x00\x01\x02")
	r.write("run.sh", "#!/bin/sh\n")
	r.write("becomes-link", "content\n")
	r.write("crlf.txt", "one\r\ntwo\r\n")
	r.write("latin1.txt", "caf\xe9\n")
	r.write("big.txt", strings.Repeat("line\n", 1_000_000))
	r.write("no-eol.txt", "end")
	r.write("folder/keep", "1\n")
	first = r.commit("first")

	r.remove("gone.txt")
	require.NoError(t, os.Rename(filepath.Join(r.dir, "moved.txt"), filepath.Join(r.dir, "folder", "new name.txt")))
	require.NoError(t, os.Rename(filepath.Join(r.dir, "moved.bin"), filepath.Join(r.dir, "folder", "moved.bin")))
	r.write("pic.bin", "\x00\x01\x03")
	require.NoError(t, os.Chmod(filepath.Join(r.dir, "run.sh"), 0o755)) //nolint:gosec // the mode is what is tested
	r.remove("becomes-link")
	require.NoError(t, os.Symlink("crlf.txt", filepath.Join(r.dir, "becomes-link")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(r.dir, "new-link")))
	r.write("crlf.txt", "one\r\nzwei\r\n")
	r.write("latin1.txt", "caf\xe9 au lait\n")
	r.write("big.txt", strings.Repeat("line\n", 999_999)+"last\n")
	r.write("no-eol.txt", "end\n")
	r.write("empty", "")
	r.write("quoted \"tab\t.txt", "1\n")
	r.write("back\\slash\\", "1\n")
	r.write("line\nbreak", "1\n")
	r.write("b", "1\n")
	r.write("not-utf8-\xff", "1\n")
	r.write("héllo.txt", "1\n")
	sub.write("s", "2\n")
	next := sub.commit("sub 2")
	r.git("-C", "module", "fetch", "-q", "origin")
	r.git("-C", "module", "checkout", "-q", next)
	second = r.commit("second")
	return r, first, second
}

// requireOracle compares a change with the program's own list, path by path.
func requireOracle(t *testing.T, r *repo, c *git.Change, args ...string) {
	t.Helper()
	out := r.gitBytes(append([]string{"diff", "--raw", "-z", "--no-abbrev", "-M50%"}, args...)...)
	parts := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	want := 0
	for i := 0; i < len(parts); want++ {
		words := strings.Fields(parts[i])
		last := parts[i+1]
		i += 2
		if status := words[4][0]; status == 'R' || status == 'C' {
			last = parts[i]
			i++
		}
		f := c.Diff.File(last)
		require.NotNil(t, f, "%q", last)
		require.Equal(t, words[4][:1], f.Change.String(), "%q", last)
		require.Equal(t, words[0][1:], fmt.Sprintf("%06o", uint32(f.OldMode)), "%q", last)
		require.Equal(t, words[1], fmt.Sprintf("%06o", uint32(f.NewMode)), "%q", last)
	}
	require.Len(t, c.Diff.Files, want)
}

func TestChangeListsEverything(t *testing.T) {
	t.Parallel()
	r, first, second := everything(t)
	before := checksum(t, r.dir)
	opened := r.open()
	c, err := opened.Change(t.Context(), first, second)
	require.NoError(t, err)
	requireOracle(t, r, c, first, second)
	require.Equal(t, before, checksum(t, r.dir))

	file := func(path string) *diff.File {
		f := c.Diff.File(path)
		require.NotNil(t, f, path)
		return f
	}
	require.True(t, file("pic.bin").Binary && file("folder/moved.bin").Binary)
	require.False(t, file("latin1.txt").Binary)
	require.Equal(t, diff.Renamed, file("folder/new name.txt").Change)
	require.Equal(t, diff.TypeChanged, file("becomes-link").Change)
	require.Equal(t, diff.ModeSubmodule, file("module").NewMode)
	require.Equal(t, diff.ModeExecutable, file("run.sh").NewMode)
	require.Equal(t, "zwei\r", file("crlf.txt").Hunks[0].Lines[2].Text)
	require.Equal(t, "caf\xe9 au lait", file("latin1.txt").Hunks[0].Lines[1].Text)
	for _, path := range []string{"line\nbreak", "back\\slash\\", "not-utf8-\xff", "quoted \"tab\t.txt", "héllo.txt", "empty"} {
		require.Equal(t, diff.Added, file(path).Change)
	}

	root, err := opened.Change(t.Context(), opened.EmptyTree(), second)
	require.NoError(t, err)
	for _, f := range root.Diff.Files {
		require.Equal(t, diff.Added, f.Change)
	}
	none, err := opened.Change(t.Context(), second, second)
	require.NoError(t, err)
	require.Empty(t, none.Diff.Files)
}

// TestChangeIsTheSameWhateverTheConfiguration sets everything that is known to alter git's output or to run programs.
func TestChangeIsTheSameWhateverTheConfiguration(t *testing.T) {
	t.Parallel()
	r, first, second := everything(t)
	plain, err := r.open().Change(t.Context(), first, second)
	require.NoError(t, err)

	ran := filepath.Join(t.TempDir(), "ran")
	touch := "touch " + ran
	r.write(".git/hooks/post-index-change", "#!/bin/sh\n"+touch+"\n")
	require.NoError(t, os.Chmod(filepath.Join(r.dir, ".git/hooks/post-index-change"), 0o755)) //nolint:gosec // a hook must be executable
	r.write(".git/order", "zzz\n*.txt\n")
	for key, value := range map[string]string{
		"core.quotepath": "false", "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "diff.algorithm": "patience", "color.ui": "always",
		"diff.external": touch, "diff.context": "0", "diff.interHunkContext": "9", "diff.orderFile": ".git/order", "diff.renames": "false",
		"diff.suppressBlankEmpty": "true", "diff.relative": "true", "diff.submodule": "log", "core.fsmonitor": touch, "core.pager": touch,
		"diff.evil.textconv": touch, "diff.evil.command": touch, "filter.evil.clean": touch + "; cat", "filter.evil.process": touch,
		"filter.evil.required": "true", "diff.wsErrorHighlight": "all", "diff.ignoreSubmodules": "all", "diff.wordRegex": ".",
	} {
		r.git("config", key, value)
	}
	r.write(".gitattributes", "*.txt -diff\n* diff=evil filter=evil\n")
	opened := r.open()
	odd, err := opened.Change(t.Context(), first, second)
	require.NoError(t, err)
	require.Equal(t, string(plain.Patch), string(odd.Patch))
	require.Equal(t, plain.Diff, odd.Diff)

	r.write("another.txt", "1\n")
	dirty, err := opened.Dirty(t.Context())
	require.NoError(t, err)
	require.True(t, dirty)
	frozen, err := opened.FreezeWorkTree(t.Context(), t.TempDir())
	require.NoError(t, err)
	_, err = opened.WithObjects(frozen.Objects).Change(t.Context(), second, frozen.Tree)
	require.NoError(t, err)
	require.NoFileExists(t, ran, "a configured program was run")
}

// TestNothingIsFetchedByTheRepositorysWill takes an object away from a partial clone whose remote is a program, which its
// own configuration allows.
func TestNothingIsFetchedByTheRepositorysWill(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("a.txt", "1\n")
	first := r.commit("first")
	r.write("a.txt", "2\n")
	second := r.commit("second")
	blob := r.git("rev-parse", "HEAD:a.txt")
	r.remove(filepath.Join(".git/objects", blob[:2], blob[2:]))
	ran := filepath.Join(t.TempDir(), "ran")
	for _, setting := range [][2]string{
		{"core.repositoryFormatVersion", "1"},
		{"extensions.partialClone", "origin"},
		{"remote.origin.promisor", "true"},
		{"remote.origin.url", "ext::touch " + ran},
		{"protocol.ext.allow", "always"},
		{"core.alternateRefsCommand", "touch " + ran},
	} {
		r.git("config", setting[0], setting[1])
	}
	_, err := r.open().Change(t.Context(), first, second)
	failed, ok := errors.AsType[*git.CommandError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, 128, failed.Exit)
	require.NoFileExists(t, ran, "the remote's program was run")
}

func TestChangeOfAnAttributeCommitShowsItsContent(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x.go", "package x\n")
	first := r.commit("first")
	r.write(".gitattributes", "*.go binary\n")
	r.write("x.go", "package y\n")
	second := r.commit("second")
	c, err := r.open().Change(t.Context(), first, second)
	require.NoError(t, err)
	require.False(t, c.Diff.File("x.go").Binary)
	require.Len(t, c.Diff.File("x.go").Hunks, 1)
}

func TestChangeRefusesTooMuch(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for i := range diff.MaxFiles + 1 {
		r.write(fmt.Sprintf("d%d/f%d", i%50, i), "")
	}
	head := r.commit("many")
	opened := r.open()
	_, err := opened.Change(t.Context(), opened.EmptyTree(), head)
	require.ErrorIs(t, err, &diff.Error{Reason: diff.TooLarge})

	r = newRepo(t)
	r.write("big", strings.Repeat(strings.Repeat("x", 99)+"\n", 510_000))
	head = r.commit("big")
	opened = r.open()
	_, err = opened.Change(t.Context(), opened.EmptyTree(), head)
	require.ErrorIs(t, err, &diff.Error{Reason: diff.TooLarge})
}

func TestKindsOfRepository(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	first := r.commit("first")
	r.write("x", "2\n")
	second := r.commit("second")
	g := newGit(t)
	check := func(t *testing.T, dir string) *git.Repository {
		opened, err := g.Open(t.Context(), dir)
		require.NoError(t, err)
		c, err := opened.Change(t.Context(), first, second)
		require.NoError(t, err)
		require.Len(t, c.Diff.Files, 1)
		return opened
	}
	t.Run("folder below the root", func(t *testing.T) {
		t.Parallel()
		r.write("deep/er/y", "1\n")
		require.Equal(t, real(t, r.dir), check(t, filepath.Join(r.dir, "deep", "er")).Root)
	})
	t.Run("bare", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "bare.git")
		r.git("clone", "-q", "--bare", r.dir, dir)
		opened := check(t, dir)
		require.Empty(t, opened.Root)
		_, err := opened.FreezeIndex(t.Context(), t.TempDir())
		require.ErrorIs(t, err, git.ErrNoWorkTree)
		dirty, err := opened.Dirty(t.Context())
		require.NoError(t, err)
		require.False(t, dirty)
	})
	t.Run("linked working tree", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "linked")
		r.git("worktree", "add", "-q", "--detach", dir)
		opened := check(t, dir)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte("1\n"), 0o600))
		frozen, err := opened.FreezeWorkTree(t.Context(), filepath.Join(t.TempDir(), "objects"))
		require.NoError(t, err)
		c, err := opened.WithObjects(frozen.Objects).Change(t.Context(), second, frozen.Tree)
		require.NoError(t, err)
		require.Len(t, c.Diff.Files, 1)
		require.Equal(t, "new", c.Diff.Files[0].Path())
	})
	t.Run("shallow", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "shallow")
		r.git("clone", "-q", "--depth", "1", "file://"+r.dir, dir)
		opened, err := g.Open(t.Context(), dir)
		require.NoError(t, err)
		require.True(t, opened.Shallow)
		base, err := opened.DefaultBase(t.Context(), second)
		require.NoError(t, err)
		require.Equal(t, git.BaseEmpty, base.Rule)
		_, err = opened.Change(t.Context(), base.Start, second)
		require.NoError(t, err)
	})
	t.Run("sha256", func(t *testing.T) {
		t.Parallel()
		s := newRepo(t, "--object-format=sha256")
		s.write("x", "1\n")
		head := s.commit("first")
		opened := s.open()
		c, err := opened.Change(t.Context(), opened.EmptyTree(), head)
		require.NoError(t, err)
		require.Len(t, c.Diff.Files[0].NewBlob, 64)
	})
}

func real(t *testing.T, dir string) string {
	t.Helper()
	resolved, err := filepath.EvalSymlinks(dir)
	require.NoError(t, err)
	return resolved
}

// TestOwnHistory compares the newest commits of this very project with git's own list, where there is a checkout.
func TestOwnHistory(t *testing.T) {
	t.Parallel()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	if exec.CommandContext(t.Context(), "git", "-C", dir, "rev-parse", "HEAD").Run() != nil { //nolint:gosec // the arguments are this test's
		t.Skip("the sources are not in a git repository")
	}
	r := &repo{t: t, dir: dir}
	opened := r.open()
	for commit := range strings.FieldsSeq(r.git("rev-list", "-n", "10", "--first-parent", "HEAD")) {
		base, err := opened.BaseAt(t.Context(), commit+"^", commit)
		if err != nil {
			require.ErrorIs(t, err, git.ErrUnknownRevision)
			base.Start = opened.EmptyTree()
		}
		c, err := opened.Change(t.Context(), base.Start, commit)
		require.NoError(t, err)
		requireOracle(t, r, c, base.Start, commit)
	}
}
