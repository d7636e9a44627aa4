package worker_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/services/review"
	"witan.dev/services/review/repoconfig"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/starter"
	reviewsqlite "witan.dev/services/review/store/sqlite"
	"witan.dev/services/review/worker"
)

// hub is a forge with one pull request.
type hub struct {
	mu     sync.Mutex
	pull   review.PullRequest
	files  map[string]string // of the base's tip
	fails  func() error
	asked  []string // files with their commits
	pinned map[job.ID]string
	// held are heads at which a review stops in its step fetch, until the channel is closed.
	held map[string]chan struct{}
	// reached is told each head that a review begins to fetch.
	reached chan string
}

func newHub() *hub {
	return &hub{
		pull: review.PullRequest{
			PullRef: review.PullRef{Repo: review.Repo{Host: "github.com", Owner: "o", Name: "r", ID: 7}, Number: 3}, State: review.PullOpen,
			Author: "ada", Title: "a title", BaseBranch: "main", BaseTip: "tip", Head: "head-0",
		},
		files: map[string]string{}, pinned: map[job.ID]string{}, held: map[string]chan struct{}{}, reached: make(chan string, 1000),
	}
}

func (h *hub) change(fn func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fn()
}

func (h *hub) PullRequest(context.Context, review.PullRef) (review.PullRequest, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fails != nil {
		if err := h.fails(); err != nil {
			return review.PullRequest{}, err
		}
	}
	return h.pull, nil
}

func (h *hub) File(_ context.Context, _ review.Repo, path, commit string) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, path+"@"+commit)
	content, ok := h.files[path]
	if !ok || commit != h.pull.BaseTip {
		return nil, review.ErrNoFile
	}
	return []byte(content), nil
}

func (h *hub) Permission(context.Context, review.Repo, string) (review.Permission, error) {
	return review.PermissionWrite, nil
}

func (h *hub) Tip(context.Context, review.Repo, string) (string, error) { return "tip", nil }

func (h *hub) Pin(_ context.Context, id job.ID, s review.Source) (review.Pinned, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pinned[id] = s.Head
	return review.Pinned{Source: s, Base: s.Base, Head: s.Head, MergeBase: "mb", OldTree: "mb", NewTree: s.Head, GitDir: "/none"}, nil
}

func (h *hub) Load(ctx context.Context, p review.Pinned) (*review.Change, error) {
	h.mu.Lock()
	hold := h.held[p.Head]
	h.mu.Unlock()
	select {
	case h.reached <- p.Head:
	default:
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return &review.Change{Files: []review.File{{
		Path: "a.txt", OldPath: "a.txt", Change: review.Modified, Nature: review.NatureText, Added: 1,
		Hunks: []review.Hunk{{OldStart: 1, NewStart: 1, NewLines: 1, Lines: []review.Line{{Op: '+', Text: p.Head}}}},
	}}}, nil
}

func (h *hub) Trees(context.Context, review.Pinned) (base, head review.Tree, err error) {
	return nil, nil, nil
}

func (h *hub) Release(context.Context, job.ID) error { return nil }

// nobody is a parser, an index and a council that have nothing to say.
type nobody struct{}

func (nobody) Parse(_ context.Context, files []review.ParseInput) ([]review.Code, error) {
	return make([]review.Code, len(files)), nil
}

func (nobody) Build(context.Context, review.IndexSource) (index, job string, err error) {
	return "", "", review.ErrUnavailable
}

func (nobody) Related(context.Context, string, review.Place, int, ...review.Relation) (review.Related, error) {
	return review.Related{}, review.ErrUnavailable
}

func (nobody) Describe(_ context.Context, name string) (review.CouncilInfo, error) {
	if name != "" && name != "councils/default" {
		return review.CouncilInfo{}, review.ErrCouncilNotFound
	}
	return review.CouncilInfo{}, nil
}

func (nobody) Deliberate(context.Context, review.CouncilTask) (review.Deliberation, error) {
	return review.Deliberation{Name: "deliberations/none", Job: "jobs/none"}, nil
}

func (nobody) Estimate(context.Context, review.CouncilTask) (review.Estimate, error) {
	return review.Estimate{}, nil
}

func (nobody) Verdict(context.Context, string) (review.Verdict, error) { return review.Verdict{}, nil }

// jobs are review.Jobs beside the manager.
type jobs struct{ *job.Manager }

func (j jobs) Wait(context.Context, string) (review.JobState, error) {
	return review.JobState{State: string(job.StateSucceeded)}, nil
}

func (j jobs) Retry(context.Context, string, string) error { return nil }

func (j jobs) Cancel(ctx context.Context, name string) error {
	_, err := j.Manager.Cancel(ctx, job.ID(strings.TrimPrefix(name, "jobs/")), "")
	return err
}

func (j jobs) CancelStarted(context.Context, string, job.Kind) error { return nil }

// pulls is a system that reviews pull requests of one hub, with its data in a folder that outlives it.
type pulls struct {
	*hub

	jobs    *job.Manager
	store   *reviewsqlite.Store
	blobs   *blobsqlite.Store
	starter *starter.Starter
	stop    func()
}

// scanner is made once: it compiles some hundred expressions.
//
//nolint:gochecknoglobals // made once for all tests
var scanner = sync.OnceValues(func() (*secrets.Reviewer, error) {
	return secrets.New([]byte("0123456789abcdef0123456789abcdef"))
})

func openPulls(t *testing.T, h *hub, folder string, limits worker.Limits) *pulls {
	t.Helper()
	ctx, logger := context.WithoutCancel(t.Context()), slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, filepath.Join(folder, "witan.db"), logger)
	require.NoError(t, err)
	engine, err := dbos.NewSQLite(ctx, db, logger)
	require.NoError(t, err)
	manager := job.NewManager(jobsqlite.New(db, nil), engine, inprocess.New(), logger, job.Config{CancelPoll: 20 * time.Millisecond, Backoff: time.Millisecond})
	scanner, err := scanner()
	require.NoError(t, err)
	store := reviewsqlite.NewStore(db)
	limits.Retry, limits.Tries = time.Millisecond, 1
	w := worker.New(worker.Params{
		Repository: h, Parser: nobody{}, Index: nobody{}, Council: nobody{}, Jobs: jobs{manager}, Store: store, Blobs: blobsqlite.New(db, nil),
		Forge: h, Subjects: store, Ledger: store, States: manager.StatesTx, Configuration: repoconfig.New(repoconfig.Params{}), Secrets: scanner,
		Logger: logger, Limits: limits,
	})
	manager.Handle(job.KindReview, 64, w.Body)
	require.NoError(t, manager.Start(ctx))
	p := &pulls{
		hub: h, jobs: manager, store: store, blobs: blobsqlite.New(db, nil),
		starter: starter.New(starter.Params{Jobs: manager, Store: store, Subjects: store, Logger: logger, Clock: time.Now}),
	}
	p.stop = sync.OnceFunc(func() {
		stopping, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		require.NoError(t, manager.Stop(stopping))
		require.NoError(t, db.Close())
	})
	t.Cleanup(p.stop)
	return p
}

// start asks for a review; the same word is the same request.
func (p *pulls) start(ctx context.Context, trigger review.Trigger, word string, reports ...review.ReportRef) (review.Review, error) {
	p.mu.Lock()
	ref := p.pull.PullRef
	p.mu.Unlock()
	rev := review.Review{
		ID: job.NewID(), Owner: "local", Trigger: trigger, Publish: true, CreatedAt: time.Now().UTC().Truncate(time.Microsecond), Revision: 1,
		Pinned: review.Pinned{Source: review.Source{Kind: review.SourcePull, Pull: ref, Reports: reports}, Subject: ref.Subject()},
	}
	return p.starter.Start(ctx, rev, starter.Request{
		Method: "test", ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(word)).String(), Body: sha256.Sum256([]byte(word)),
	})
}

func (p *pulls) must(t *testing.T, trigger review.Trigger, word string) job.ID {
	t.Helper()
	made, err := p.start(t.Context(), trigger, word)
	require.NoError(t, err)
	return made.ID
}

func (p *pulls) push(n int) string {
	head := fmt.Sprintf("head-%d", n)
	p.change(func() { p.pull.Head = head })
	return head
}

// end waits for the end of a review.
func (p *pulls) end(t *testing.T, id job.ID) (review.Review, job.Job) {
	t.Helper()
	var j job.Job
	require.Eventually(t, func() bool {
		var err error
		j, err = p.jobs.Get(t.Context(), id, "")
		require.NoError(t, err)
		return j.State.Terminal()
	}, 30*time.Second, 10*time.Millisecond)
	r, err := p.store.Get(t.Context(), id, "")
	require.NoError(t, err)
	return r, j
}

// hold makes reviews of a head stop in the middle until the end of the test, or release is called.
func (p *pulls) hold(t *testing.T, head string) (release func()) {
	t.Helper()
	c := make(chan struct{})
	p.change(func() { p.held[head] = c })
	release = sync.OnceFunc(func() { close(c) })
	t.Cleanup(release)
	return release
}

// until waits for a review that begins to fetch a head.
func (p *pulls) until(t *testing.T, head string) {
	t.Helper()
	require.Eventually(t, func() bool {
		for {
			select {
			case got := <-p.reached:
				if got == head {
					return true
				}
			default:
				return false
			}
		}
	}, 30*time.Second, 5*time.Millisecond)
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
