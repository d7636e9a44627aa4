package git_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/git"
)

func past(t *testing.T, dir, tip string, p git.PastParams) (out [][]string) {
	t.Helper()
	r, err := newGit(t).Open(t.Context(), dir)
	require.NoError(t, err)
	require.NoError(t, r.Past(t.Context(), tip, p, func(paths []string) error {
		out = append(out, paths)
		return nil
	}))
	return out
}

// TestPastTellsWhatEachCommitChanged covers what a commit can be, and paths that look like something else.
func TestPastTellsWhatEachCommitChanged(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	r.git("config", "log.showRoot", "true")
	r.git("config", "log.follow", "true")
	r.git("config", "diff.noprefix", "true")
	r.git("config", "diff.renames", "copies")
	hash := "0123456789012345678901234567890123456789"
	r.write("a", "1\n")
	r.write("b", "the same content in another place\n")
	r.commit("root")
	r.write("a", "2\n")
	r.write(hash, "1\n")
	r.write("\n:x\n", "1\n")
	r.write("not-utf8-\xff", "1\n")
	r.commit("odd names")
	require.NoError(t, os.Rename(filepath.Join(r.dir, "b"), filepath.Join(r.dir, "c")))
	r.commit("move\n\n:100644 in words")
	r.commit("nothing")
	for i := range 4 {
		r.write(fmt.Sprint("wide", i), "1\n")
	}
	r.commit("wide")
	r.git("checkout", "-q", "-b", "side", "HEAD~1")
	r.write("side", "1\n")
	r.commit("side")
	r.git("merge", "-q", "--no-ff", "-m", "merge", "main")
	tip := r.git("rev-parse", "HEAD")
	odd := []string{"\n:x\n", hash, "a", "not-utf8-\xff"}
	wide := []string{"wide0", "wide1", "wide2", "wide3"}
	require.ElementsMatch(t, [][]string{{"side"}, wide, {"b", "c"}, odd}, past(t, r.dir, tip, git.PastParams{Commits: 100, Paths: 4}))
	require.ElementsMatch(t, [][]string{{"side"}, {"b", "c"}}, past(t, r.dir, tip, git.PastParams{Commits: 100, Paths: 3}))
	require.Len(t, past(t, r.dir, tip, git.PastParams{Commits: 1, Paths: 4}), 1)
}

func TestPastOfAShallowCloneHasNoBorder(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for i := range 4 {
		r.write("a", fmt.Sprint(i))
		r.write("b", fmt.Sprint(i))
		r.commit("change")
	}
	clone := newRepo(t)
	clone.git("fetch", "-q", "--depth=3", "file://"+r.dir, "main")
	tip := clone.git("rev-parse", "FETCH_HEAD")
	require.Equal(t, [][]string{{"a", "b"}, {"a", "b"}}, past(t, clone.dir, tip, git.PastParams{Commits: 100, Paths: 4}))
}

func TestPastStopsWhereItsReaderDoes(t *testing.T) {
	t.Parallel()
	r := newRepo(t)
	for i := range 3 {
		r.write("a", fmt.Sprint(i))
		r.commit("change")
	}
	opened, err := newGit(t).Open(t.Context(), r.dir)
	require.NoError(t, err)
	enough := errors.New("enough")
	seen := 0
	err = opened.Past(t.Context(), r.git("rev-parse", "HEAD"), git.PastParams{Commits: 10, Paths: 1}, func([]string) error {
		seen++
		return enough
	})
	require.ErrorIs(t, err, enough)
	require.Equal(t, 1, seen)
	require.ErrorIs(t, opened.Past(t.Context(), "HEAD", git.PastParams{Commits: 1, Paths: 1}, nil), git.ErrNotObjectID)
}
