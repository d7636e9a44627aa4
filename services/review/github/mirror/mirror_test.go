package mirror_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/git"
	"witan.dev/internal/secret"
	"witan.dev/services/review"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/github/mirror"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a simulated GitHub with one pull request, and a reader with a cache of its own.
type world struct {
	*githubtest.Server

	t      *testing.T
	repo   *githubtest.Repository
	pull   *githubtest.PullRequest
	client *github.Client
	dir    string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx := t.Context()
	s := githubtest.New(t, githubtest.Options{})
	repo, err := s.AddRepository(ctx, githubtest.RepositorySpec{Owner: "octo", Name: "site", Files: map[string]string{"a.txt": "one\n", "b.txt": "same\n"}})
	require.NoError(t, err)
	_, err = repo.Commit(ctx, githubtest.Commit{Branch: "topic", Files: map[string]string{"a.txt": "two\n"}, Message: "Change"})
	require.NoError(t, err)
	pull, err := repo.OpenPullRequest(ctx, githubtest.PullRequestSpec{Title: "Change", Head: "topic"})
	require.NoError(t, err)
	app, err := s.App()
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := github.NewClient(github.Params{BaseURL: s.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey)), Transport: transport})
	require.NoError(t, err)
	return &world{Server: s, t: t, repo: repo, pull: pull, client: client, dir: t.TempDir()}
}

func (w *world) reader(change ...func(*mirror.Params)) *mirror.Repository {
	w.t.Helper()
	g, err := git.New(git.Params{})
	require.NoError(w.t, err)
	p := mirror.Params{Remote: w.client, Git: g, Local: reviewgit.NewRepository(g, nil, w.t.TempDir()), Dir: w.dir, Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&p)
	}
	return mirror.New(p)
}

func (w *world) source() review.Source {
	owner, name, _ := strings.Cut(w.repo.Name(), "/")
	return review.Source{Kind: review.SourcePull, Pull: review.PullRef{Repo: review.Repo{Host: w.client.Host(), Owner: owner, Name: name}, Number: int64(w.pull.Number())}}
}

func (w *world) pin(r *mirror.Repository) review.Pinned {
	w.t.Helper()
	p, err := r.Pin(w.t.Context(), "r", w.source())
	require.NoError(w.t, err)
	return p
}

// holds reads the change and both states.
func (w *world) holds(r *mirror.Repository, p review.Pinned, now string) {
	w.t.Helper()
	const old = "one\n"
	ctx := w.t.Context()
	c, err := r.Load(ctx, p)
	require.NoError(w.t, err)
	require.Len(w.t, c.Files, 1)
	require.Equal(w.t, old, string(c.Files[0].Old))
	require.Equal(w.t, now, string(c.Files[0].New))
	base, head, err := r.Trees(ctx, p)
	require.NoError(w.t, err)
	for tree, want := range map[review.Tree]string{base: old, head: now} {
		got, err := tree.Read(ctx, "a.txt")
		require.NoError(w.t, err)
		require.Equal(w.t, want, string(got))
	}
	got, err := head.Read(ctx, "b.txt")
	require.NoError(w.t, err)
	require.Equal(w.t, "same\n", string(got))
	_, err = head.Read(ctx, "none")
	require.ErrorIs(w.t, err, review.ErrNoFile)
}

func (w *world) fetches() int {
	return w.Count(func(r githubtest.Request) bool {
		return strings.HasSuffix(r.Path, "/git-upload-pack") && r.Method == http.MethodPost
	})
}

func TestAPullRequestIsReadFromItsMergeBase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.repo.Commit(t.Context(), githubtest.Commit{Branch: "main", Files: map[string]string{"c.txt": "later\n"}, Message: "Go on"})
	require.NoError(t, err)
	r := w.reader()
	p := w.pin(r)
	start, err := w.pull.MergeBase(t.Context())
	require.NoError(t, err)
	require.Equal(t, start, p.MergeBase)
	require.Equal(t, w.pull.Head(), p.Head)
	require.Equal(t, w.repo.ID(), p.Source.Pull.ID)
	require.Contains(t, p.Subject, "github:"+w.client.Host())
	w.holds(r, p, "two\n")
	seen := w.fetches()
	w.holds(w.reader(), p, "two\n")
	require.Equal(t, seen, w.fetches(), "what is there is not fetched again")
}

func TestACacheMayVanishAtAnyTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	p := w.pin(r)
	base, head, err := r.Trees(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Dir(p.GitDir)))
	got, err := head.Read(t.Context(), "a.txt")
	require.NoError(t, err)
	require.Equal(t, "two\n", string(got))
	require.NoError(t, os.RemoveAll(p.GitDir))
	got, err = base.Read(t.Context(), "a.txt")
	require.NoError(t, err)
	require.Equal(t, "one\n", string(got))
	require.NoError(t, os.RemoveAll(w.dir))
	w.holds(r, p, "two\n")

	// Another machine keeps it elsewhere.
	w.dir = t.TempDir()
	ready, err := w.reader().Ready(t.Context(), p)
	require.NoError(t, err)
	require.NotEqual(t, p.GitDir, ready.GitDir)
}

func TestADamagedMirrorIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, dir string){
		"packs gone": func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "objects", "pack")))
		},
		"no HEAD": func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.Remove(filepath.Join(dir, "HEAD")))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "objects")))
		},
		"locks left": func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "objects", "pack")))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "shallow.lock"), nil, 0o600))
		},
		"half a config": func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "config"), []byte("[core"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r := w.reader()
			p := w.pin(r)
			damage(t, p.GitDir)
			w.holds(r, p, "two\n")
		})
	}
}

func TestForksNeedNothingElse(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(*githubtest.Repository){"there": func(*githubtest.Repository) {}, "deleted": (*githubtest.Repository).Delete} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			fork, err := w.repo.Fork(t.Context(), "ann")
			require.NoError(t, err)
			_, err = fork.Commit(t.Context(), githubtest.Commit{Branch: "patch", Files: map[string]string{"a.txt": "three\n"}, Message: "Mine"})
			require.NoError(t, err)
			w.pull, err = w.repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "Mine", Head: "patch", Fork: fork})
			require.NoError(t, err)
			after(fork)
			r := w.reader()
			p := w.pin(r)
			w.holds(r, p, "three\n")
			pull, err := w.client.PullRequest(t.Context(), p.Source.Pull)
			require.NoError(t, err)
			require.True(t, pull.Fork)
		})
	}
}

func TestAForcePushedHeadIsReadWhileItIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	p := w.pin(r)
	start, err := w.pull.MergeBase(t.Context())
	require.NoError(t, err)
	_, err = w.pull.Push(t.Context(), githubtest.Commit{Parent: start, Files: map[string]string{"a.txt": "anew\n"}, Message: "Again"})
	require.NoError(t, err)
	require.NotEqual(t, p.Head, w.pull.Head())
	w.holds(r, p, "two\n")
	w.holds(r, w.pin(r), "anew\n")

	require.NoError(t, os.RemoveAll(p.GitDir))
	w.holds(r, p, "two\n") // GitHub still gives what nothing points at

	require.NoError(t, w.pull.Prune(t.Context()))
	w.holds(r, p, "two\n") // it is here
	require.NoError(t, os.RemoveAll(p.GitDir))
	_, err = r.Load(t.Context(), p)
	require.ErrorIs(t, err, review.ErrHeadGone)
	require.ErrorIs(t, err, review.ErrRevisionUnknown, "nobody tries it again")

	source := w.source()
	source.Head = p.Head
	_, err = r.Pin(t.Context(), "r", source)
	require.ErrorIs(t, err, review.ErrHeadGone)
}

func TestAPushBeforeThePinChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := w.source()
	source.Head = w.pull.Head()
	_, err := w.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"a.txt": "later\n"}, Message: "More"})
	require.NoError(t, err)
	r := w.reader()
	p, err := r.Pin(t.Context(), "r", source)
	require.NoError(t, err)
	require.Equal(t, source.Head, p.Head)
	w.holds(r, p, "two\n")
}

func TestARenamedRepositoryIsFetchedByItsNewName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	p := w.pin(r)
	w.repo.Rename("page")
	require.NoError(t, os.RemoveAll(p.GitDir))
	w.holds(r, p, "two\n")
}

func TestATokenThatGitIsRefusedWithIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	p := w.pin(r)
	require.NoError(t, os.RemoveAll(p.GitDir))
	w.RevokeTokens()
	w.holds(r, p, "two\n")
}

func TestGitGetsATokenThatReadsContentsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pin(w.reader())
	var fetched bool
	for _, request := range w.Requests() {
		if strings.Contains(request.Path, "git-upload-pack") {
			fetched = true
			require.Equal(t, map[string]string{"contents": "read", "metadata": "read", "pull_requests": "read"}, request.Permissions)
		}
	}
	require.True(t, fetched)
}

func TestWhatCannotBeFetchedIsTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(w *world)
		want    error
	}{
		"forge is down": {func(w *world) {
			w.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Path: "/octo/*/info/refs", Status: 502})
		}, review.ErrUnavailable},
		"forge hangs up": {func(w *world) {
			w.Inject(githubtest.Fault{Kind: githubtest.CutBefore, Path: "/octo/*/git-upload-pack"})
		}, review.ErrUnavailable},
		"git is refused": {func(w *world) {
			w.Inject(githubtest.Fault{Kind: githubtest.Forbidden, Path: "/octo/*/info/refs", Status: 403})
		}, review.ErrForgeRefused},
		"not installed": {func(w *world) { w.repo.Install(false) }, review.ErrPullRequestNotFound},
		"suspended":     {func(w *world) { w.Suspend(true) }, review.ErrForgeRefused},
		"nothing changed": {func(w *world) {
			_, err := w.pull.Push(w.t.Context(), githubtest.Commit{Files: map[string]string{"a.txt": "one\n"}, Message: "Undo"})
			require.NoError(w.t, err)
		}, review.ErrNoChanges},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.prepare(w)
			_, err := w.reader().Pin(t.Context(), "r", w.source())
			require.ErrorIs(t, err, c.want)
			require.NotContains(t, err.Error(), "ghs_")
		})
	}
}

func TestARepositoryAboveTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"a.txt": strings.Repeat("two\n", 9) + "\n", "big": random(1 << 20)}, Message: "Large"})
	require.NoError(t, err)
	_, err = w.reader(func(p *mirror.Params) { p.Limits.Mirror = 512 << 10 }).Pin(t.Context(), "r", w.source())
	require.ErrorIs(t, err, review.ErrMaterialTooLarge)
}

// TestReviewsOfALargeRepositoryLeaveEachOtherTheMirror as long as there is room, and what it held before makes room then.
func TestReviewsOfALargeRepositoryLeaveEachOtherTheMirror(t *testing.T) {
	t.Parallel()
	noise := random(800 << 10)
	w := newWorldOf(t, map[string]string{"first": "1", "large": noise[:400<<10]}, nil, nil)
	r := w.reader(func(p *mirror.Params) { p.Limits.Mirror = 700 << 10 })
	push := func(c githubtest.Commit) review.Pinned {
		c.Message = "Go on"
		_, err := w.pull.Push(t.Context(), c)
		require.NoError(t, err)
		return w.pin(r)
	}
	pins := []review.Pinned{w.pin(r), push(githubtest.Commit{Files: map[string]string{"second": noise[400<<10 : 600<<10]}})}
	seen := w.fetches()
	for _, p := range append(pins, pins...) {
		_, err := r.Load(t.Context(), p)
		require.NoError(t, err)
	}
	require.Equal(t, seen, w.fetches())
	_, err := r.Load(t.Context(), push(githubtest.Commit{Delete: []string{"second"}, Files: map[string]string{"third": noise[600<<10:]}}))
	require.NoError(t, err)
}

// TestAFetchThatTakesTooLongIsNotBegunAgain at once, and other reviews keep the mirror.
func TestAFetchThatTakesTooLongIsNotBegunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pin(w.reader())
	_, err := w.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"a.txt": "three\n"}, Message: "Go on"})
	require.NoError(t, err)
	slow := w.reader(func(p *mirror.Params) { p.Limits.Fetch = 1 })
	_, err = slow.Pin(t.Context(), "r", w.source())
	require.ErrorIs(t, err, review.ErrMaterialTooLarge)
	seen := w.fetches()
	w.holds(slow, p, "two\n")
	require.Equal(t, seen, w.fetches())
}

// random is a text that does not compress.
func random(n int) string {
	out := make([]byte, n)
	state := uint64(1)
	for i := range out {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		out[i] = byte(state >> 56)
	}
	return string(out)
}

func TestNoTokenLiesOnTheDisk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pin(w.reader())
	remote, err := w.client.Remote(t.Context(), p.Source.Pull.Repo, false)
	require.NoError(t, err)
	token := remote.Password.Reveal()
	require.NotEmpty(t, token)
	require.NoError(t, filepath.WalkDir(w.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		require.NotContains(t, string(content), token, path)
		require.NotContains(t, string(content), "Authorization", path)
		return err
	}))
}

func TestConcurrentFetchesAreOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.reader()
	p := w.pin(first)
	require.NoError(t, os.RemoveAll(p.GitDir))
	before := w.fetches()
	readers := []*mirror.Repository{first, first, w.reader(), w.reader()} // the same process, and others by the file's lock
	var all sync.WaitGroup
	for _, r := range readers {
		all.Go(func() {
			_, err := r.Load(t.Context(), p)
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	once := w.fetches() - before
	require.NoError(t, os.RemoveAll(p.GitDir))
	_, err := first.Load(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, w.fetches()-before-once, once, "four fetched as often as one")
}

func TestSweepRemovesWhatIsOldOrTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := time.Now()
	r := w.reader(func(p *mirror.Params) { p.Clock = func() time.Time { return now }; p.Limits.Total = 1 })
	p := w.pin(r)
	require.NoError(t, r.Sweep(t.Context()))
	require.DirExists(t, p.GitDir, "it is in use, whatever the disk says")
	now = now.Add(2 * time.Hour)
	require.NoError(t, r.Sweep(t.Context()))
	require.NoDirExists(t, p.GitDir)

	r = w.reader(func(p *mirror.Params) { p.Clock = func() time.Time { return now } })
	w.holds(r, p, "two\n")
	now = now.Add(6 * 24 * time.Hour)
	require.NoError(t, r.Sweep(t.Context()))
	require.DirExists(t, p.GitDir)
	now = now.Add(2 * 24 * time.Hour)
	require.NoError(t, r.Sweep(t.Context()))
	require.NoDirExists(t, p.GitDir)
}

func TestASweeperStartsAndStopsAtAnyTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := mirror.NewSweeper(w.reader())
	require.NoError(t, s.Stop(t.Context()))
	for range 2 {
		require.NoError(t, s.Start(t.Context()))
	}
	for range 2 {
		require.NoError(t, s.Stop(t.Context()))
	}
}

func TestOtherSourcesAreReadLocally(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader(func(p *mirror.Params) { p.Remote = nil })
	_, err := r.Pin(t.Context(), "r", w.source())
	require.ErrorIs(t, err, review.ErrNoForge)
	p, err := r.Pin(t.Context(), "r", review.Source{Kind: review.SourceRange, Dir: w.repo.GitDir(), Base: "main", Head: "topic"})
	require.NoError(t, err)
	w.holds(r, p, "two\n")
}
