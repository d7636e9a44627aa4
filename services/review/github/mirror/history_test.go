package mirror_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/github/mirror"
	"witan.dev/services/review/historytest"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	historytest.Run(t, func(t *testing.T, commits, later []historytest.Commit) (review.History, review.Pinned) {
		t.Helper()
		w := newWorldOf(t, map[string]string{"first": "1"}, commits, later)
		r := w.reader()
		return r, w.pin(r)
	})
}

// newWorldOf is a world whose pull request changes the file "first" of a repository with a history.
func newWorldOf(t *testing.T, files map[string]string, commits, later []historytest.Commit) *world {
	t.Helper()
	w := newWorld(t)
	repo, err := w.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octo", Name: "past", Files: files})
	require.NoError(t, err)
	w.repo = repo
	commit := func(branch string, c historytest.Commit) {
		_, err := repo.Commit(t.Context(), githubtest.Commit{Branch: branch, Files: c.Write, Delete: c.Delete, Message: "Change"})
		require.NoError(t, err)
	}
	for _, c := range commits {
		commit("main", c)
	}
	commit("topic", historytest.Commit{Write: map[string]string{"first": "changed"}})
	for _, c := range later {
		commit("main", c)
	}
	w.pull, err = repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "Change", Head: "topic"})
	require.NoError(t, err)
	return w
}

// TestAHistoryIsFetchedOnceAndWithoutContents: its mirror holds no content, and that of the change no history.
func TestAHistoryIsFetchedOnceAndWithoutContents(t *testing.T) {
	t.Parallel()
	large := random(1 << 20)
	w := newWorldOf(t, map[string]string{"first": "1"}, []historytest.Commit{
		{Write: map[string]string{"large": large, "first": "2"}}, {Write: map[string]string{"large": "small", "first": "3"}},
	}, nil)
	r := w.reader()
	p := w.pin(r)
	before := w.fetches()
	want := [][]string{{"first", "large"}, {"first", "large"}}
	for range 2 {
		got, err := r.Past(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, 1, w.fetches()-before)
	require.Less(t, bytesBelow(t, strings.TrimSuffix(p.GitDir, ".git")+"-history.git"), int64(len(large)/2))
	require.Less(t, bytesBelow(t, p.GitDir), int64(len(large)/2))
	change, err := r.Load(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, "changed", string(change.Files[0].New))
}

func bytesBelow(t *testing.T, dir string) (sum int64) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	}))
	return sum
}

// TestAHistoryThatIsTooLargeIsLeftAlone for a day, and the change is read all the same.
func TestAHistoryThatIsTooLargeIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, map[string]string{"first": "1"}, []historytest.Commit{{Write: map[string]string{"a": "1"}}}, nil)
	now := time.Now()
	r := w.reader(func(p *mirror.Params) { p.Limits.PastBytes = 1; p.Clock = func() time.Time { return now } })
	p := w.pin(r)
	before := w.fetches()
	for range 2 {
		_, err := r.Past(t.Context(), p)
		require.Error(t, err)
	}
	require.Equal(t, 1, w.fetches()-before)
	now = now.Add(25 * time.Hour)
	_, err := r.Past(t.Context(), p)
	require.ErrorIs(t, err, review.ErrMaterialTooLarge)
	require.Equal(t, 2, w.fetches()-before)
	_, err = r.Load(t.Context(), p)
	require.NoError(t, err)
}

func TestAHistoryOfAForgeThatIsAwayIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, map[string]string{"first": "1"}, []historytest.Commit{{Write: map[string]string{"a": "1"}}}, nil)
	r := w.reader()
	p := w.pin(r)
	w.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Path: "/octo/*/info/refs", Status: 502, Times: 1})
	_, err := r.Past(t.Context(), p)
	require.ErrorIs(t, err, review.ErrUnavailable)
	got, err := r.Past(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"a"}}, got)
}
