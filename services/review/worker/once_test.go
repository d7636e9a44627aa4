package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/worker"
)

// dying is a forge after one of whose writes the process is killed: the write is done, its answer never comes.
type dying struct {
	publish.Forge

	n, at int64 // counts writes from 1
	died  chan struct{}
}

func dies[T any](ctx context.Context, d *dying, write func() (T, error)) (T, error) {
	v, err := write()
	if atomic.AddInt64(&d.n, 1) != d.at {
		return v, err
	}
	close(d.died)
	<-ctx.Done()
	var none T
	return none, context.Cause(ctx)
}

func (d *dying) CreateReview(ctx context.Context, ref review.PullRef, commit string, c []publish.Inline) ([]publish.Comment, error) {
	return dies(ctx, d, func() ([]publish.Comment, error) { return d.Forge.CreateReview(ctx, ref, commit, c) })
}

func (d *dying) CreateFileComment(ctx context.Context, ref review.PullRef, commit, path, body string) (publish.Comment, error) {
	return dies(ctx, d, func() (publish.Comment, error) { return d.Forge.CreateFileComment(ctx, ref, commit, path, body) })
}

func (d *dying) Reply(ctx context.Context, ref review.PullRef, root int64, body string) (publish.Comment, error) {
	return dies(ctx, d, func() (publish.Comment, error) { return d.Forge.Reply(ctx, ref, root, body) })
}

func (d *dying) CreateComment(ctx context.Context, ref review.PullRef, body string) (publish.Comment, error) {
	return dies(ctx, d, func() (publish.Comment, error) { return d.Forge.CreateComment(ctx, ref, body) })
}

func (d *dying) EditComment(ctx context.Context, ref review.PullRef, kind publish.Kind, id int64, body string) (publish.Comment, error) {
	return dies(ctx, d, func() (publish.Comment, error) { return d.Forge.EditComment(ctx, ref, kind, id, body) })
}

func (d *dying) ResolveThread(ctx context.Context, ref review.PullRef, thread string) error {
	_, err := dies(ctx, d, func() (struct{}, error) { return struct{}{}, d.Forge.ResolveThread(ctx, ref, thread) })
	return err
}

func (d *dying) CreateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	return dies(ctx, d, func() (publish.Check, error) { return d.Forge.CreateCheck(ctx, repo, c) })
}

func (d *dying) UpdateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	return dies(ctx, d, func() (publish.Check, error) { return d.Forge.UpdateCheck(ctx, repo, c) })
}

// twoReviews are a change with faults on lines and one beside the hunks, and a push that fixes one and adds one.
func twoReviews(t *testing.T) (*at, func()) {
	t.Helper()
	long := "package p\n\n" + def("Far", "\tdanger(1)\n") + strings.Repeat("// Filler.\n", 40)
	base := map[string]string{"a.go": long, "b.go": "package p\n\n" + def("B")}
	head := map[string]string{
		"a.go": long + def("N2", "\tdanger(2)\n"), "b.go": "package p\n\n" + def("B") + def("N3", "\tdanger(3)\n"),
	}
	a := openAt(t, base, head)
	return a, func() {
		_, err := a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{
			"a.go": long + def("N2", "\tsafe()\n"), "b.go": "package p\n\n" + def("B") + def("N3", "\tdanger(3)\n") + def("N4", "\tdanger(4)\n"),
		}})
		require.NoError(t, err)
	}
}

// requireOnce requires what two undisturbed reviews leave.
func requireOnce(t *testing.T, a *at) {
	t.Helper()
	by, replies := a.comments()
	for _, fault := range []string{"1", "2", "3", "4"} {
		require.Len(t, by[fault], 1, "comments on fault %s", fault)
	}
	require.Equal(t, githubtest.KindFileComment, by["1"][0].Kind, "its line is in no hunk")
	for fault, list := range by {
		want := 0
		if fault == "2" {
			want = 1
		}
		require.Equal(t, want, replies[list[0].ID], "answers to fault %s", fault)
		require.Equal(t, fault == "2", list[0].Resolved, "thread of fault %s", fault)
	}
	count := map[githubtest.Kind]int{}
	for _, p := range a.PostedBy(a.app.Bot) {
		count[p.Kind]++
		if p.Kind == githubtest.KindCheckRun {
			require.Equal(t, "completed", p.Status)
			require.Equal(t, "failure", p.Conclusion)
		}
	}
	require.Equal(t, 1, count[githubtest.KindIssueComment])
	require.Equal(t, 2, count[githubtest.KindCheckRun])
	require.NoError(t, a.CheckPositions(t.Context()))
	require.Empty(t, a.Rejected())
}

// writesOf is how many writes the two reviews make.
const writesOf = 11

func TestP06_EveryWriteIsMadeOnceOverLostAnswers(t *testing.T) {
	t.Parallel()
	kinds := []githubtest.FaultKind{githubtest.FailAfter, githubtest.CutAfter}
	if os.Getenv("WITAN_TEST_LONG") != "" {
		kinds = append(kinds, githubtest.FailBefore, githubtest.CutBefore, githubtest.SecondaryLimit)
	}
	for i, kind := range kinds {
		for n := range writesOf {
			if len(kinds) == 2 && n%2 != i {
				continue // each write in one of the two ways
			}
			t.Run(fmt.Sprintf("%s/%d", kind, n+1), func(t *testing.T) {
				t.Parallel()
				a, push := twoReviews(t)
				a.LagLists(2)
				fault := a.Inject(githubtest.Fault{Kind: kind, Method: "write", Skip: n, Times: 1, RetryAfter: time.Second})
				s := a.start(t)
				for round := range 2 {
					if round == 1 {
						push()
					}
					r, j := s.end(t, s.ask(t))
					require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
					require.Equal(t, "DONE", r.Publication.State)
				}
				require.Equal(t, 1, fault.Hits())
				requireOnce(t, a)
			})
		}
	}
}

// blind is a forge that cannot list its comments right after a fault hit a write.
type blind struct {
	publish.Forge

	fault *githubtest.Fault
	once  sync.Once
}

func (b *blind) Comments(ctx context.Context, ref review.PullRef) (list []publish.Comment, err error) {
	if b.fault.Hits() > 0 {
		b.once.Do(func() { err = review.ErrUnavailable })
	}
	if err != nil {
		return nil, err
	}
	return b.Forge.Comments(ctx, ref)
}

func TestP06_EveryCommentIsMadeOnceThoughTheLookAfterALostAnswerFails(t *testing.T) {
	t.Parallel()
	for what, n := range map[string]int{"on lines": 2, "answer": 7} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			a, push := twoReviews(t)
			a.LagLists(2)
			fault := a.Inject(githubtest.Fault{Kind: githubtest.FailAfter, Method: "write", Skip: n - 1, Times: 1})
			s := a.start(t, func(p *worker.Params) { p.Publisher = &blind{Forge: p.Publisher, fault: fault} })
			for round := range 2 {
				if round == 1 {
					push()
				}
				_, j := s.end(t, s.ask(t))
				require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
			}
			require.Equal(t, 1, fault.Hits())
			requireOnce(t, a)
		})
	}
}

// asking counts the writes at the forge, and those that nobody confirms before they are sent.
type asking struct {
	publish.Forge

	writes, unasked atomic.Int64
}

func (a *asking) count(ctx context.Context) {
	a.writes.Add(1)
	now := time.Now()
	fresh, err := publish.Confirm(ctx, func() time.Time { now = now.Add(time.Hour); return now })
	if err == nil && fresh() == nil { // nothing is asked of anybody, so that nothing grows old
		a.unasked.Add(1)
	}
}

func (a *asking) CreateReview(ctx context.Context, ref review.PullRef, commit string, comments []publish.Inline) ([]publish.Comment, error) {
	a.count(ctx)
	return a.Forge.CreateReview(ctx, ref, commit, comments)
}

func (a *asking) CreateFileComment(ctx context.Context, ref review.PullRef, commit, path, body string) (publish.Comment, error) {
	a.count(ctx)
	return a.Forge.CreateFileComment(ctx, ref, commit, path, body)
}

func (a *asking) Reply(ctx context.Context, ref review.PullRef, root int64, body string) (publish.Comment, error) {
	a.count(ctx)
	return a.Forge.Reply(ctx, ref, root, body)
}

func (a *asking) CreateComment(ctx context.Context, ref review.PullRef, body string) (publish.Comment, error) {
	a.count(ctx)
	return a.Forge.CreateComment(ctx, ref, body)
}

func (a *asking) EditComment(ctx context.Context, ref review.PullRef, kind publish.Kind, id int64, body string) (publish.Comment, error) {
	a.count(ctx)
	return a.Forge.EditComment(ctx, ref, kind, id, body)
}

func (a *asking) ResolveThread(ctx context.Context, ref review.PullRef, thread string) error {
	a.count(ctx)
	return a.Forge.ResolveThread(ctx, ref, thread)
}

func (a *asking) CreateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	a.count(ctx)
	return a.Forge.CreateCheck(ctx, repo, c)
}

func (a *asking) UpdateCheck(ctx context.Context, repo review.Repo, c publish.Check) (publish.Check, error) {
	a.count(ctx)
	return a.Forge.UpdateCheck(ctx, repo, c)
}

// TestP06_EveryWriteIsConfirmedBeforeItIsSent whichever step makes it: a worker that stood still meanwhile would write what
// another one has written.
func TestP06_EveryWriteIsConfirmedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	asked := &asking{}
	s := a.start(t, func(p *worker.Params) { asked.Forge, p.Publisher = p.Publisher, asked })
	for round := range 2 {
		if round == 1 {
			push()
		}
		_, j := s.end(t, s.ask(t))
		require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	}
	require.EqualValues(t, writesOf, asked.writes.Load())
	require.Zero(t, asked.unasked.Load())
	requireOnce(t, a)
}

func TestP06_EveryWriteIsMadeOnceOverKilledProcesses(t *testing.T) {
	t.Parallel()
	for n := range writesOf {
		t.Run(fmt.Sprint(n+1), func(t *testing.T) {
			t.Parallel()
			a, push := twoReviews(t)
			a.LagLists(2)
			d := &dying{at: int64(n + 1), died: make(chan struct{})}
			s := a.start(t, func(p *worker.Params) { d.Forge, p.Publisher = p.Publisher, d })
			for round := range 2 {
				if round == 1 {
					push()
				}
				id := s.ask(t)
				s = a.over(t, s, d, id)
				_, j := s.end(t, id)
				require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
			}
			requireOnce(t, a)
		})
	}
}

// over waits for the end of a review; where the process dies meanwhile, the next one takes over.
func (a *at) over(t *testing.T, s *shows, d *dying, id job.ID) *shows {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-d.died:
			if d.at == 0 {
				return s // it died in the review before
			}
			d.at = 0
			s.kill(t)
			return a.start(t)
		case <-tick.C:
		}
		j, err := s.jobs.Get(t.Context(), id, "")
		require.NoError(t, err)
		if j.State.Terminal() {
			return s
		}
	}
}

// kill gives what runs no time.
func (s *shows) kill(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := s.jobs.Stop(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		require.NoError(t, err)
	}
	s.stop()
}
