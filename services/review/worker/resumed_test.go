package worker_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/worker"
)

// away is a repository that cannot be read some times.
type away struct {
	review.Repository

	times atomic.Int64
}

func (a *away) Load(ctx context.Context, p review.Pinned) (*review.Change, error) {
	if a.times.Add(-1) >= 0 {
		return nil, &review.LimitError{Until: time.Now()}
	}
	return a.Repository.Load(ctx, p)
}

// withAway is a process from which the change is away so many times.
func withAway(times int64) func(*worker.Params) {
	return func(p *worker.Params) {
		a := &away{Repository: p.Repository}
		a.times.Store(times)
		p.Repository = a
	}
}

// killedWhilePublishing is a review whose process died in the middle of its first comments.
func killedWhilePublishing(t *testing.T, change ...func(*worker.Params)) (*at, job.ID) {
	t.Helper()
	a, _ := twoReviews(t)
	d := &dying{at: 2, died: make(chan struct{})}
	s := a.start(t, append(change, func(p *worker.Params) { d.Forge, p.Publisher = p.Publisher, d })...)
	id := s.ask(t)
	<-d.died
	s.kill(t)
	return a, id
}

// TestP01_APublisherThatReadsTheChangeAgainWaitsForTheForge within the execution that took over, which has nothing to store
// of it.
func TestP01_APublisherThatReadsTheChangeAgainWaitsForTheForge(t *testing.T) {
	t.Parallel()
	a, id := killedWhilePublishing(t)
	s := a.start(t, withAway(2))
	_, j := s.end(t, id)
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.EqualValues(t, 2, j.Epoch, "the second execution waited, and went on")
	by, _ := a.comments()
	require.Len(t, by, 3)
	told := (&pulls{jobs: s.jobs}).waited(t, id)
	require.Len(t, told, 2, "each pause once")
	require.Equal(t, "publish", told[1].GetStage())
	require.Equal(t, "FORGE_LIMIT", told[1].GetReason())
}

func TestAPublisherThatReadsTheChangeAgainDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	a, id := killedWhilePublishing(t)
	s := a.start(t, withAway(1<<40), func(p *worker.Params) { p.Limits.Patience = time.Second })
	_, j := s.end(t, id)
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, "FORGE_UNAVAILABLE", j.StateReason)
	check := a.posted(t, githubtest.KindCheckRun)
	require.Equal(t, "neutral", check.Conclusion)
}

// watching are jobs of which a council's never ends by itself, while a test holds it.
type watching struct {
	review.Jobs

	reached chan struct{}
	once    *sync.Once
	stopped *atomic.Int64
}

func newWatching() *watching {
	return &watching{reached: make(chan struct{}), once: &sync.Once{}, stopped: &atomic.Int64{}}
}

func (w *watching) Wait(ctx context.Context, _ string) (review.JobState, error) {
	w.once.Do(func() { close(w.reached) })
	<-ctx.Done()
	return review.JobState{}, context.Cause(ctx)
}

func (w *watching) CancelStarted(context.Context, string, job.Kind) error {
	w.stopped.Add(1)
	return nil
}

// counting are jobs that count what is stopped.
type counting struct {
	review.Jobs

	stopped *atomic.Int64
}

func (c counting) CancelStarted(context.Context, string, job.Kind) error {
	c.stopped.Add(1)
	return nil
}

// TestAForgeThatIsAwayStopsNoCouncil: whoever takes over reads the change again first.
func TestAForgeThatIsAwayStopsNoCouncil(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	w := newWatching()
	s := a.start(t, func(p *worker.Params) { w.Jobs, p.Jobs = p.Jobs, w })
	id := s.ask(t)
	<-w.reached
	s.kill(t)
	s = a.start(t, withAway(1), func(p *worker.Params) {
		p.CouncilPauses, p.Jobs = []time.Duration{}, counting{p.Jobs, w.stopped}
	})
	r, j := s.end(t, id)
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	require.Zero(t, w.stopped.Load(), "the council went on")
	require.Empty(t, r.Result.Council.Reason)
	require.Len(t, a.council.tasks, 1)
}

// TestACheckRunIsEndedThoughItsReviewWasCancelledWhileItWasOpened: the forge opened it, and its answer came too late.
func TestACheckRunIsEndedThoughItsReviewWasCancelledWhileItWasOpened(t *testing.T) {
	t.Parallel()
	a, _ := twoReviews(t)
	d := &dying{at: 1, died: make(chan struct{})}
	s := a.start(t, func(p *worker.Params) { d.Forge, p.Publisher = p.Publisher, d })
	id := s.ask(t)
	<-d.died
	_, err := s.jobs.Cancel(t.Context(), id, "")
	require.NoError(t, err)
	_, j := s.end(t, id)
	require.Equal(t, job.StateCancelled, j.State)
	check := a.posted(t, githubtest.KindCheckRun)
	require.Equal(t, "completed", check.Status)
	require.Equal(t, "cancelled", check.Conclusion)
}

// unheard is a council whose first answers get lost: it was convened all the same.
type unheard struct {
	*echo

	lost *atomic.Int64
}

func (u unheard) Deliberate(ctx context.Context, task review.CouncilTask) (review.Deliberation, error) {
	d, err := u.echo.Deliberate(ctx, task)
	if u.lost.Add(-1) >= 0 {
		return review.Deliberation{}, review.ErrUnavailable
	}
	return d, err
}

// deaf are jobs that cannot be followed some times.
type deaf struct {
	counting

	lost *atomic.Int64
}

func (d deaf) Wait(ctx context.Context, name string) (review.JobState, error) {
	if d.lost.Add(-1) >= 0 {
		return review.JobState{}, review.ErrUnavailable
	}
	return d.counting.Wait(ctx, name)
}

// TestACouncilThatCouldNotBeReachedIsConvenedOnce: what it has done by then is paid for. It is stopped when nobody asks for
// it any more.
func TestACouncilThatCouldNotBeReachedIsConvenedOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		unheard, deaf int64
		stopped       int64
	}{
		"its answer was lost":        {unheard: 1},
		"it could not be followed":   {deaf: 1},
		"both":                       {unheard: 1, deaf: 1},
		"nobody heard of it at last": {unheard: 1 << 40, stopped: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := twoReviews(t)
			var lostAnswers, lostWatches, stopped atomic.Int64
			lostAnswers.Store(c.unheard)
			lostWatches.Store(c.deaf)
			s := a.start(t, func(p *worker.Params) {
				p.CouncilPauses = []time.Duration{time.Millisecond, time.Millisecond}
				p.Council, p.Jobs = unheard{a.council, &lostAnswers}, deaf{counting{p.Jobs, &stopped}, &lostWatches}
			})
			r, j := s.end(t, s.ask(t))
			require.Len(t, a.council.tasks, 1)
			require.Equal(t, c.stopped, stopped.Load())
			if c.stopped > 0 {
				require.Equal(t, job.StatePartiallySucceeded, j.State)
				return
			}
			require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
			require.Empty(t, r.Result.Council.Reason)
		})
	}
}

// paid is a council with members that expects to take something.
type paid struct{ *echo }

func (paid) Describe(context.Context, string) (review.CouncilInfo, error) {
	return review.CouncilInfo{Members: 2, ContextTokens: 32_000, OutputTokens: 1000}, nil
}

func (paid) Estimate(context.Context, review.CouncilTask) (review.Estimate, error) {
	r := review.Range{Low: 10, Expected: 20, High: 30}
	return review.Estimate{Calls: r, Tokens: r}, nil
}

// stuck is a reviewer that ends with its review.
type stuck struct {
	probe

	reached chan struct{}
}

func (s stuck) Review(ctx context.Context, _ review.Inspection) (review.Report, error) {
	close(s.reached)
	<-ctx.Done()
	return review.Report{}, context.Cause(ctx)
}

// TestABudgetIsGivenBackWhereNoCouncilMet, and only there: one that was convened may have been charged.
func TestABudgetIsGivenBackWhereNoCouncilMet(t *testing.T) {
	t.Parallel()
	budgets := func(p *worker.Params) {
		p.Council = paid{p.Council.(*echo)} //nolint:errcheck,forcetypeassert // the test's own
		p.Budgets.SubjectDay.Tokens, p.Budgets.RepositoryMonth.Tokens = 1000, 1000
	}
	held := func(t *testing.T, s *shows, r review.Review) []int {
		t.Helper()
		out := []int{}
		for _, name := range []string{r.Pinned.Subject, strings.Split(r.Pinned.Subject, "#")[0]} {
			row, err := s.store.Subject(t.Context(), name)
			require.NoError(t, err)
			require.Zero(t, row.Spending.Spent)
			out = append(out, len(row.Spending.Held))
		}
		return out
	}
	t.Run("before it met", func(t *testing.T) {
		t.Parallel()
		a, _ := twoReviews(t)
		reviewer := stuck{reached: make(chan struct{})}
		s := a.start(t, budgets, func(p *worker.Params) { p.Reviewers = []review.Reviewer{reviewer} })
		id := s.ask(t)
		<-reviewer.reached
		r, err := s.store.Get(t.Context(), id, "")
		require.NoError(t, err)
		require.Equal(t, []int{1, 1}, held(t, s, r))
		_, err = s.jobs.Cancel(t.Context(), id, "")
		require.NoError(t, err)
		_, j := s.end(t, id)
		require.Equal(t, job.StateCancelled, j.State)
		require.Equal(t, []int{0, 0}, held(t, s, r))
	})
	for name, killed := range map[string]bool{"while it met": false, "by the next process": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := twoReviews(t)
			w := newWatching()
			s := a.start(t, budgets, func(p *worker.Params) { w.Jobs, p.Jobs = p.Jobs, w })
			id := s.ask(t)
			<-w.reached
			_, err := s.jobs.Cancel(t.Context(), id, "")
			require.NoError(t, err)
			if killed {
				s.kill(t)
				s = a.start(t, budgets)
			}
			r, j := s.end(t, id)
			require.Equal(t, job.StateCancelled, j.State)
			require.Equal(t, []int{1, 1}, held(t, s, r))
		})
	}
}

// generated tells of every file that it was generated; away it tells nothing.
type generated struct {
	reader

	away bool
}

func (g generated) Parse(ctx context.Context, files []review.ParseInput) ([]review.Code, error) {
	if g.away {
		return nil, review.ErrUnavailable
	}
	out, err := g.reader.Parse(ctx, files)
	for i := range out {
		out[i].Generated = out[i].Path == "b.go"
	}
	return out, err
}

// TestP07_WhatIsLeftOutByPolicyIsSoInEveryProcess: the policy is told when the change is fetched.
func TestP07_WhatIsLeftOutByPolicyIsSoInEveryProcess(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"away when it publishes": false, "away when it fetches": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, id := killedWhilePublishing(t, func(p *worker.Params) { p.Parser = generated{away: first} })
			s := a.start(t, func(p *worker.Params) { p.Parser = generated{away: !first} })
			r, j := s.end(t, id)
			require.Contains(t, []job.State{job.StateSucceeded, job.StatePartiallySucceeded}, j.State, "%s %v", j.StateReason, j.Error)
			for _, row := range r.Coverage.Files {
				left := row.Status == finding.Skipped && len(row.Reasons) == 1 && row.Reasons[0] == review.ReasonGenerated
				require.Equal(t, row.Path == "b.go" && !first, left, "%+v", row)
			}
		})
	}
}

// TestP06_AnAnswerThatWasNotWrittenIsMadeUpFor by the next review, in the words of the one that could not write it.
func TestP06_AnAnswerThatWasNotWrittenIsMadeUpFor(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	s := a.start(t, func(p *worker.Params) { p.Limits.Patience = time.Second })
	_, j := s.end(t, s.ask(t))
	require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	push()
	fixedIn := a.pull.Head()
	fault := a.Inject(githubtest.Fault{Kind: githubtest.FailBefore, Method: "POST", Path: "/repos/*/*/pulls/*/comments/*/replies"})
	_, j = s.end(t, s.ask(t))
	require.Equal(t, "FORGE_UNAVAILABLE", j.StateReason)
	require.Positive(t, fault.Hits())
	fault.Remove()
	_, err := a.pull.Push(t.Context(), githubtest.Commit{Files: map[string]string{"c.txt": "more\n"}})
	require.NoError(t, err)
	for range 2 {
		_, j = s.end(t, s.ask(t))
		require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
		reply := a.posted(t, githubtest.KindReply)
		require.Contains(t, reply.Body, "Fixed in `"+fixedIn[:12])
		by, _ := a.comments()
		require.True(t, by["2"][0].Resolved)
	}
}

// mute is a forge at which a comment cannot be answered.
type mute struct {
	publish.Forge

	asked *atomic.Int64
	err   error
}

func (m *mute) Reply(context.Context, review.PullRef, int64, string) (publish.Comment, error) {
	m.asked.Add(1)
	return publish.Comment{}, m.err
}

func TestAnAnswerThatNobodyCanGetIsTriedOnce(t *testing.T) {
	t.Parallel()
	a, push := twoReviews(t)
	m := &mute{asked: &atomic.Int64{}, err: publish.ErrGone}
	s := a.start(t, func(p *worker.Params) { m.Forge, p.Publisher = p.Publisher, m })
	for round := range 3 {
		if round == 1 {
			push()
		}
		_, j := s.end(t, s.ask(t))
		require.Equal(t, job.StateSucceeded, j.State, "%s %v", j.StateReason, j.Error)
	}
	require.EqualValues(t, 1, m.asked.Load())
}
