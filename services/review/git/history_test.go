package git_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/historytest"
)

func commit(t *testing.T, dir string, c historytest.Commit) {
	t.Helper()
	for path, text := range c.Write {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	for _, path := range c.Delete {
		require.NoError(t, os.Remove(filepath.Join(dir, path)))
	}
	run(t, dir, "add", "-A")
	run(t, dir, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "change")
}

func TestHistory(t *testing.T) {
	t.Parallel()
	historytest.Run(t, func(t *testing.T, commits, later []historytest.Commit) (review.History, review.Pinned) {
		t.Helper()
		dir := t.TempDir()
		run(t, dir, "init", "-q", "-b", "main")
		commit(t, dir, historytest.Commit{Write: map[string]string{"first": "1"}})
		for _, c := range commits {
			commit(t, dir, c)
		}
		run(t, dir, "checkout", "-q", "-b", "topic")
		commit(t, dir, historytest.Commit{Write: map[string]string{"first": "changed"}})
		run(t, dir, "checkout", "-q", "main")
		for _, c := range later {
			commit(t, dir, c)
		}
		return pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main", Head: "topic"})
	})
}

func pinned(t *testing.T, s review.Source) (*reviewgit.Repository, review.Pinned) {
	t.Helper()
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	r := reviewgit.NewRepository(g, nil, t.TempDir())
	p, err := r.Pin(t.Context(), job.NewID(), s)
	require.NoError(t, err)
	return r, p
}

func TestUncommittedWorkHasTheHistoryOfItsHead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	s := review.Source{Kind: review.SourceUncommitted, Dir: dir}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("1"), 0o600))
	r, p := pinned(t, s)
	got, err := r.Past(t.Context(), p)
	require.NoError(t, err)
	require.Empty(t, got, "no commit yet")
	commit(t, dir, historytest.Commit{})
	commit(t, dir, historytest.Commit{Write: map[string]string{"a": "2", "b": "1"}})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("3"), 0o600))
	r, p = pinned(t, s)
	got, err = r.Past(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"a", "b"}}, got)
}
