package git_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/diff"
	"witan.dev/internal/git"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// repo is a repository that a test builds with the real program.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T, initArgs ...string) *repo {
	t.Helper()
	r := &repo{t: t, dir: t.TempDir()}
	r.git(append([]string{"init", "-q", "-b", "main"}, initArgs...)...)
	return r
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	return strings.TrimSpace(string(r.gitBytes(args...)))
}

func (r *repo) gitBytes(args ...string) []byte {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...) //nolint:gosec // the arguments are the tests'
	cmd.Dir = r.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always",
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(r.t, err, "git %v: %s", args, stderr.String())
	return out
}

func (r *repo) write(path, content string) {
	r.t.Helper()
	full := filepath.Join(r.dir, path)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(full), 0o750))
	require.NoError(r.t, os.WriteFile(full, []byte(content), 0o600))
}

func (r *repo) remove(path string) {
	r.t.Helper()
	require.NoError(r.t, os.Remove(filepath.Join(r.dir, path)))
}

func (r *repo) commit(message string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

func newGit(t *testing.T) *git.Git {
	t.Helper()
	g, err := git.New(git.Params{Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}})
	require.NoError(t, err)
	return g
}

func (r *repo) open() *git.Repository {
	r.t.Helper()
	opened, err := newGit(r.t).Open(r.t.Context(), r.dir)
	require.NoError(r.t, err)
	return opened
}

// checksum is over every path, mode and byte below the folder, and the times of the files but for stored objects: git
// touches those that it would have written again, so that they are not collected meanwhile.
func checksum(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		h.Write([]byte(path + info.Mode().String()))
		if !strings.Contains(path, "/.git/objects/") {
			h.Write([]byte(info.ModTime().String()))
		}
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path) //nolint:gosec // a file of the test's own repository
			if err != nil {
				return err
			}
			h.Write(data)
		}
		return nil
	}))
	return hex.EncodeToString(h.Sum(nil))
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		_, err := g.Open(t.Context(), dir)
		require.ErrorIs(t, err, git.ErrNotRepository)
	}
	_, err := git.New(git.Params{Path: filepath.Join(t.TempDir(), "git")})
	require.ErrorIs(t, err, git.ErrMissing)
	version, err := g.Version(t.Context())
	require.NoError(t, err)
	require.Regexp(t, `^\d+\.\d+`, version)
}

func TestResolveTellsUnknownFromUnborn(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	opened := r.open()
	_, err := opened.Resolve(t.Context(), "HEAD")
	require.ErrorIs(t, err, git.ErrUnborn)
	head, err := opened.HeadOrEmpty(t.Context())
	require.NoError(t, err)
	require.Equal(t, opened.EmptyTree(), head)

	r.write("x", "1\n")
	first := r.commit("first")
	r.git("tag", "-a", "v1", "-m", "one")
	for _, revision := range []string{"HEAD", "main", "v1", first, first[:10]} {
		id, err := opened.Resolve(t.Context(), revision)
		require.NoError(t, err, revision)
		require.Equal(t, first, id)
	}
	for _, revision := range []string{"", "absent", "--all", "-h", "HEAD..HEAD", "HEAD:x", "a\nb", "a\x00b", strings.Repeat("a", 2000), strings.Repeat("0", 40)} {
		_, err := opened.Resolve(t.Context(), revision)
		require.ErrorIs(t, err, git.ErrUnknownRevision, revision)
	}
}

func TestOnlyObjectIDsReachTheCommands(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	head := r.commit("first")
	opened := r.open()
	_, err := opened.Change(t.Context(), "HEAD", head)
	require.ErrorIs(t, err, git.ErrNotObjectID)
	_, err = opened.MergeBase(t.Context(), "--all", head)
	require.ErrorIs(t, err, git.ErrNotObjectID)
	_, err = opened.RootCommit(t.Context(), "HEAD")
	require.ErrorIs(t, err, git.ErrNotObjectID)
	_, err = opened.DefaultBase(t.Context(), "HEAD")
	require.ErrorIs(t, err, git.ErrNotObjectID)
	require.ErrorIs(t, opened.Tree(t.Context(), "main", nil), git.ErrNotObjectID)
	require.ErrorIs(t, opened.Blobs(t.Context(), []string{"x"}, 1, nil), git.ErrNotObjectID)
}

func TestDefaultBaseFollowsTheRule(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	first := r.commit("first")
	opened := r.open()
	base := func(head string) git.Base {
		b, err := opened.DefaultBase(t.Context(), head)
		require.NoError(t, err)
		return b
	}
	require.Equal(t, git.Base{Rule: git.BaseEmpty, Revision: "the empty tree", Commit: opened.EmptyTree(), Start: opened.EmptyTree()}, base(first))

	r.write("x", "2\n")
	second := r.commit("second")
	require.Equal(t, git.BaseParent, base(second).Rule)
	require.Equal(t, first, base(second).Start)

	r.git("checkout", "-q", "-b", "topic")
	r.write("y", "1\n")
	third := r.commit("third")
	require.Equal(t, git.Base{Rule: git.BaseDefaultBranch, Revision: "refs/heads/main", Commit: second, Start: second}, base(third))

	r.git("branch", "stacked", third)
	r.git("branch", "--set-upstream-to=stacked")
	r.write("z", "1\n")
	fourth := r.commit("fourth")
	require.Equal(t, git.Base{Rule: git.BaseUpstream, Revision: "@{upstream}", Commit: third, Start: third}, base(fourth))
	r.git("branch", "-f", "stacked", fourth)
	require.Equal(t, git.BaseDefaultBranch, base(fourth).Rule, "an upstream that has the head already leaves nothing to review")

	root, err := opened.RootCommit(t.Context(), fourth)
	require.NoError(t, err)
	require.Equal(t, first, root)
	branch, err := opened.Branch(t.Context())
	require.NoError(t, err)
	require.Equal(t, "topic", branch)
	r.git("checkout", "-q", "--detach")
	branch, err = opened.Branch(t.Context())
	require.NoError(t, err)
	require.Empty(t, branch)
}

func TestBaseAtNeedsACommonAncestor(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	first := r.commit("first")
	r.git("checkout", "-q", "--orphan", "other")
	second := r.commit("unrelated")
	opened := r.open()
	_, err := opened.BaseAt(t.Context(), "main", second)
	require.ErrorIs(t, err, git.ErrNoMergeBase)
	b, err := opened.BaseAt(t.Context(), first, first)
	require.NoError(t, err)
	require.Equal(t, first, b.Start)
	b, err = opened.BaseAt(t.Context(), opened.EmptyTree(), first)
	require.NoError(t, err)
	require.Equal(t, opened.EmptyTree(), b.Start)
}

func TestTimeoutsAndLimitsEndTheProcess(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("x", "1\n")
	head := r.commit("first")
	opened := r.open()
	ctx, cancel := context.WithCancelCause(t.Context())
	because := errors.New("the test says so")
	cancel(because)
	_, err := opened.Change(ctx, opened.EmptyTree(), head)
	require.ErrorIs(t, err, because)

	stop := errors.New("enough")
	require.ErrorIs(t, opened.Tree(t.Context(), head, func(git.Entry) error { return stop }), stop)

	g, err := git.New(git.Params{Env: []string{"PATH=" + os.Getenv("PATH")}, Timeout: 1})
	require.NoError(t, err)
	_, err = g.Open(t.Context(), r.dir)
	require.ErrorContains(t, err, "took longer than 1ns")
}

func TestBlobsAreBoundedAndOrdered(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.write("small", "content\n")
	r.write("empty", "")
	r.write("big", strings.Repeat("x", 5_000_000))
	head := r.commit("first")
	opened := r.open()
	byPath := map[string]string{}
	require.NoError(t, opened.Tree(t.Context(), head, func(e git.Entry) error {
		byPath[e.Path] = e.Blob
		require.Equal(t, diff.ModeFile, e.Mode)
		return nil
	}))
	require.Len(t, byPath, 3)
	absent := strings.Repeat("1", 40)
	ids := []string{byPath["big"], absent, byPath["small"], head, byPath["empty"], byPath["small"]}
	var got []git.Blob
	require.NoError(t, opened.Blobs(t.Context(), ids, 1000, func(b git.Blob) error {
		got = append(got, b)
		return nil
	}))
	require.Equal(t, []git.Blob{
		{ID: byPath["big"], Size: 5_000_000, TooLarge: true},
		{ID: absent, Missing: true},
		{ID: byPath["small"], Size: 8, Data: []byte("content\n")},
		{ID: head, Missing: true},
		{ID: byPath["empty"], Data: []byte{}},
		{ID: byPath["small"], Size: 8, Data: []byte("content\n")},
	}, got)
	require.NoError(t, opened.Blobs(t.Context(), nil, 1000, nil))
	for path, want := range map[string]string{"big": strings.Repeat("x", 1000), "small": "content\n", "empty": ""} {
		start, err := opened.Head(t.Context(), byPath[path], 1000)
		require.NoError(t, err)
		require.Equal(t, want, string(start))
	}
	_, err := opened.Head(t.Context(), absent, 1000)
	require.Error(t, err)
	stop := errors.New("enough")
	require.ErrorIs(t, opened.Blobs(t.Context(), ids, 1000, func(git.Blob) error { return stop }), stop)
}
