package git_test

import (
	"net/http"
	"net/http/cgi" //nolint:gosec // no old Go
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/git"
	"witan.dev/internal/secret"
)

// served is a repository behind git's smart HTTP transport, for callers with the right password.
type served struct {
	*repo

	url  string
	mu   sync.Mutex
	seen []string
}

func serveRepo(t *testing.T, instead http.HandlerFunc) *served {
	t.Helper()
	s := &served{repo: newRepo(t)}
	backend, err := exec.LookPath("git")
	require.NoError(t, err)
	smart := &cgi.Handler{
		Path: backend, Args: []string{"http-backend"}, Root: "/", Dir: s.dir,
		Env: []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		s.mu.Unlock()
		_, password, _ := r.BasicAuth()
		switch {
		case instead != nil:
			instead(w, r)
		case password != "right":
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "no", http.StatusUnauthorized)
		default:
			smart.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL + "/.git"
	return s
}

func mirrorOf(t *testing.T) *git.Repository {
	t.Helper()
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "m.git")
	for range 2 {
		require.NoError(t, g.InitBare(t.Context(), dir))
	}
	m, err := g.Open(t.Context(), dir)
	require.NoError(t, err)
	return m
}

func TestFetchBringsCommitsWithoutTheirHistory(t *testing.T) {
	t.Parallel()
	s := serveRepo(t, nil)
	s.write("a", "one\n")
	s.commit("first")
	first := s.git("rev-parse", "HEAD")
	s.write("a", "two\n")
	s.commit("second")
	second := s.git("rev-parse", "HEAD")
	m := mirrorOf(t)
	p := git.FetchParams{URL: s.url, User: "x", Password: secret.New("right"), Wants: []string{second}, Depth: 1}
	require.NoError(t, m.Fetch(t.Context(), p))
	has, err := m.Has(t.Context(), second)
	require.NoError(t, err)
	require.True(t, has)
	has, err = m.Has(t.Context(), second, first)
	require.NoError(t, err)
	require.False(t, has)
	p.Wants = []string{first}
	require.NoError(t, m.Fetch(t.Context(), p))
	change, err := m.Change(t.Context(), first, second)
	require.NoError(t, err)
	require.Len(t, change.Diff.Files, 1)
	same, err := m.SameTree(t.Context(), first, second)
	require.NoError(t, err)
	require.False(t, same)

	p.Password = secret.New("wrong")
	p.Wants = []string{"refs/heads/main"}
	require.ErrorIs(t, m.Fetch(t.Context(), p), git.ErrRemoteRefused)
	p.Password = secret.New("right")
	require.NoError(t, m.Fetch(t.Context(), p))
	p.Wants = []string{"refs/heads/none"}
	require.ErrorIs(t, m.Fetch(t.Context(), p), git.ErrRemoteObject)
	p.Wants = []string{strings.Repeat("a", 40)}
	require.ErrorIs(t, m.Fetch(t.Context(), p), git.ErrRemoteObject)
	p.MaxBytes, p.Wants = 10, []string{second}
	require.ErrorIs(t, m.Fetch(t.Context(), p), git.ErrTooLarge)
}

func TestFetchFollowsNothingElsewhere(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Store(true) }))
	t.Cleanup(other.Close)
	want := strings.Repeat("a", 40)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		err    error
	}{
		"redirect": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", other.URL+"/.git/info/refs?service=git-upload-pack")
			w.WriteHeader(http.StatusFound)
		}, git.ErrRemoteMissing},
		"dumb transport with foreign objects": {func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "/info/refs"):
				_, _ = w.Write([]byte(want + "\trefs/heads/main\n"))
			case strings.HasSuffix(r.URL.Path, "/HEAD"):
				_, _ = w.Write([]byte("ref: refs/heads/main\n"))
			case strings.HasSuffix(r.URL.Path, "alternates"):
				_, _ = w.Write([]byte(other.URL + "/objects\n"))
			default:
				http.NotFound(w, r)
			}
		}, nil},
		"404": {http.NotFound, git.ErrRemoteMissing},
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, git.ErrRemoteUnreachable},
		"403": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, git.ErrRemoteRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveRepo(t, c.answer)
			err := mirrorOf(t).Fetch(t.Context(), git.FetchParams{URL: s.url, User: "x", Password: secret.New("planted"), Wants: []string{want}})
			require.Error(t, err)
			if c.err != nil {
				require.ErrorIs(t, err, c.err)
			}
			require.NotContains(t, err.Error(), "planted")
			require.False(t, asked.Load())
		})
	}
}

func TestFetchTakesOnlyWhatIsSafe(t *testing.T) {
	t.Parallel()
	m := mirrorOf(t)
	good := strings.Repeat("a", 40)
	for _, p := range []git.FetchParams{
		{URL: "http://example.org/x", Wants: []string{good}},
		{URL: "ext::sh -c id", Wants: []string{good}},
		{URL: "file:///etc", Wants: []string{good}},
		{URL: "ssh://localhost/x", Wants: []string{good}},
		{URL: "https://user@example.org/x", Wants: []string{good}},
		{URL: "--upload-pack=id", Wants: []string{good}},
		{URL: "https://localhost:1/x", Wants: []string{"--upload-pack=id"}},
		{URL: "https://localhost:1/x", Wants: []string{"main"}},
		{URL: "https://localhost:1/x", Wants: []string{"refs/heads/*"}},
		{URL: "https://localhost:1/x", Wants: []string{"refs/heads/a:refs/heads/b"}},
		{URL: "https://localhost:1/x", Wants: []string{"refs/../../x"}},
	} {
		err := m.Fetch(t.Context(), p)
		require.Error(t, err, p.URL)
		require.NotErrorIs(t, err, git.ErrRemoteUnreachable, p.URL+" "+p.Wants[0])
	}
}

func TestFetchClearsAwayWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	s := serveRepo(t, nil)
	s.write("a", "one\n")
	s.commit("first")
	head := s.git("rev-parse", "HEAD")
	m := mirrorOf(t)
	left := []string{filepath.Join(m.Dir, "shallow.lock"), filepath.Join(m.Objects, "pack", "tmp_pack_x"), filepath.Join(m.Dir, "refs", "witan", head+".lock")}
	for _, path := range left {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	require.NoError(t, m.Fetch(t.Context(), git.FetchParams{URL: s.url, User: "x", Password: secret.New("right"), Wants: []string{head}, Depth: 1}))
	for _, path := range left {
		require.NoFileExists(t, path)
	}
}
