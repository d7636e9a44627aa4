package gittree_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/gittree"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // fixed arguments
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// setup makes a repository with a file, a path that is not UTF-8, a symlink and a submodule.
func setup(t *testing.T) (dir string, source retrieval.Source) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	for name, content := range map[string]string{"a.txt": "hello\n", "d/b\xff.txt": "", "d/tab\tand \"quote\".txt": "x"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Symlink("a.txt", filepath.Join(dir, "link")))
	git(t, dir, "add", "-A")
	git(t, dir, "update-index", "--add", "--cacheinfo", "160000,1234567890123456789012345678901234567890,sub")
	git(t, dir, "commit", "-q", "-m", "x")
	return dir, retrieval.Source{Dir: dir, ObjectID: git(t, dir, "rev-parse", "HEAD")}
}

func list(t *testing.T, source retrieval.Source) map[string]retrieval.Entry {
	t.Helper()
	g := gittree.New("")
	resolved, err := g.Resolve(t.Context(), source)
	require.NoError(t, err)
	all := map[string]retrieval.Entry{}
	require.NoError(t, g.List(t.Context(), source, resolved.Tree, func(e retrieval.Entry) error {
		all[e.Path] = e
		return nil
	}))
	return all
}

func TestTreesAreListedWithSizesModesAndQuotedPaths(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	all := list(t, source)
	require.Len(t, all, 5)
	require.Equal(t, retrieval.Entry{Path: "a.txt", Mode: 0o100644, Blob: git(t, dir, "rev-parse", "HEAD:a.txt"), Size: 6}, all["a.txt"])
	require.Contains(t, all, `"d/b\377.txt"`)
	require.Contains(t, all, "d/tab\tand \"quote\".txt")
	require.EqualValues(t, retrieval.ModeSymlink, all["link"].Mode)
	require.EqualValues(t, retrieval.ModeSubmodule, all["sub"].Mode)
}

func TestACommitATreeAndAGitDirectoryNameTheSame(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	g := gittree.New("")
	byCommit, err := g.Resolve(t.Context(), source)
	require.NoError(t, err)
	require.Equal(t, git(t, dir, "rev-parse", "HEAD^{tree}"), byCommit.Tree)
	require.Equal(t, "git:"+git(t, dir, "rev-parse", "HEAD"), byCommit.Repository)
	byTree, err := g.Resolve(t.Context(), retrieval.Source{Dir: filepath.Join(dir, ".git"), ObjectID: byCommit.Tree})
	require.NoError(t, err)
	require.Equal(t, byCommit, byTree)
}

func TestBlobsAreReadUpToTheirLimit(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	blobs, err := gittree.New("").OpenBlobs(t.Context(), source)
	require.NoError(t, err)
	id := git(t, dir, "rev-parse", "HEAD:a.txt")
	content, err := blobs.Read(id, 6)
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(content))
	_, err = blobs.Read(id, 5)
	require.ErrorIs(t, err, retrieval.ErrBlobTooLarge)
	for _, none := range []string{strings.Repeat("1", 40), source.ObjectID, "HEAD:a.txt", id + "\n" + id, ""} {
		_, err = blobs.Read(none, 100)
		require.ErrorIs(t, err, retrieval.ErrBlobMissing, none)
	}
	content, err = blobs.Read(git(t, dir, "rev-parse", "HEAD:d/b\xff.txt"), 6)
	require.NoError(t, err)
	require.Empty(t, content, "an empty file after all that")
	require.NoError(t, blobs.Close())
	_, err = blobs.Read(id, 6)
	require.Error(t, err)
	require.NoError(t, blobs.Close())
}

func TestReadingStopsWithItsContext(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	blobs, err := gittree.New("").OpenBlobs(ctx, source)
	require.NoError(t, err)
	gone := errors.New("gone")
	cancel(gone)
	require.Eventually(t, func() bool {
		_, err = blobs.Read(git(t, dir, "rev-parse", "HEAD:a.txt"), 6)
		return errors.Is(err, gone)
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, blobs.Close())

	stop := errors.New("enough")
	resolved, err := gittree.New("").Resolve(t.Context(), source)
	require.NoError(t, err)
	err = gittree.New("").List(t.Context(), source, resolved.Tree, func(retrieval.Entry) error { return stop })
	require.ErrorIs(t, err, stop)
}

func TestNothingOfTheRepositoryRunsOrReplacesObjects(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	marker := filepath.Join(t.TempDir(), "ran")
	git(t, dir, "config", "core.fsmonitor", "touch "+marker)
	git(t, dir, "config", "core.pager", "touch "+marker)
	git(t, dir, "config", "filter.x.smudge", "touch "+marker)
	git(t, dir, "config", "filter.x.clean", "touch "+marker)
	git(t, dir, "config", "alias.ls-tree", "!touch "+marker)
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "info", "attributes"), []byte("* filter=x\n"), 0o600))
	replaced := git(t, dir, "rev-parse", "HEAD:a.txt")
	git(t, dir, "replace", replaced, git(t, dir, "rev-parse", "HEAD:d/tab\tand \"quote\".txt"))
	list(t, source)
	blobs, err := gittree.New("").OpenBlobs(t.Context(), source)
	require.NoError(t, err)
	content, err := blobs.Read(replaced, 100)
	require.NoError(t, err)
	require.Equal(t, "hello\n", string(content))
	require.NoError(t, blobs.Close())
	require.NoFileExists(t, marker)
}

// TestMissingObjectsAreNotFetched takes an object away from a partial clone whose remote is a program, which its own
// configuration allows.
func TestMissingObjectsAreNotFetched(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	marker := filepath.Join(t.TempDir(), "ran")
	blob := git(t, dir, "rev-parse", "HEAD:a.txt")
	require.NoError(t, os.Remove(filepath.Join(dir, ".git", "objects", blob[:2], blob[2:])))
	for _, setting := range [][2]string{
		{"core.repositoryFormatVersion", "1"},
		{"extensions.partialClone", "origin"},
		{"remote.origin.promisor", "true"},
		{"remote.origin.url", "ext::touch " + marker},
		{"protocol.ext.allow", "always"},
	} {
		git(t, dir, "config", setting[0], setting[1])
	}
	blobs, err := gittree.New("").OpenBlobs(t.Context(), source)
	require.NoError(t, err)
	_, err = blobs.Read(blob, 100)
	require.ErrorIs(t, err, retrieval.ErrBlobMissing)
	require.NoError(t, blobs.Close())
	require.NoFileExists(t, marker)
}

func TestWhatIsNoRepositoryOrObjectIsRefused(t *testing.T) {
	t.Parallel()
	dir, source := setup(t)
	g := gittree.New("")
	for _, bad := range []retrieval.Source{
		{Dir: t.TempDir(), ObjectID: source.ObjectID},
		{Dir: "relative", ObjectID: source.ObjectID},
		{Dir: dir + "\x00", ObjectID: source.ObjectID},
		{Dir: filepath.Join(dir, "a.txt"), ObjectID: source.ObjectID},
		{Dir: dir, ObjectDirs: []string{"relative"}, ObjectID: source.ObjectID},
	} {
		_, err := g.Resolve(t.Context(), bad)
		require.ErrorIs(t, err, retrieval.ErrNotARepository, "%q", bad)
		blobs, err := g.OpenBlobs(t.Context(), bad)
		if err == nil { // known only when git reads
			_, err = blobs.Read(source.ObjectID, 10)
			require.Error(t, err)
			require.NoError(t, blobs.Close())
			continue
		}
		require.ErrorIs(t, err, retrieval.ErrNotARepository, "%q", bad)
	}
	for _, id := range []string{"HEAD", "--all", "", strings.Repeat("1", 40), source.ObjectID[:39], strings.ToUpper(source.ObjectID)} {
		_, err := g.Resolve(t.Context(), retrieval.Source{Dir: dir, ObjectID: id})
		require.ErrorIs(t, err, retrieval.ErrRevisionUnknown, id)
	}
	require.ErrorIs(t, g.List(t.Context(), source, "HEAD", nil), retrieval.ErrRevisionUnknown)
	_, err := gittree.New("/no/such/binary").Resolve(t.Context(), source)
	require.ErrorIs(t, err, retrieval.ErrNotARepository)
}
