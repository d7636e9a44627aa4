package job_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
)

// started is a system whose council jobs are computed by body.
func started(t *testing.T, body job.Body) *system {
	t.Helper()
	return startedWith(t, fast(), body)
}

func startedWith(t *testing.T, cfg job.Config, body job.Body) *system {
	t.Helper()
	s := setupWith(t, cfg)
	s.Handle(job.KindCouncil, 0, body)
	require.NoError(t, s.Start(t.Context()))
	return s
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

func finish(r *job.Run, state job.State) error {
	return r.Finish(r.Context(), job.Outcome{State: state})
}

func TestIDsAreLongLowerCaseAndDifferent(t *testing.T) {
	t.Parallel()
	seen := make(map[job.ID]bool)
	for range 1000 {
		id := job.NewID()
		require.Regexp(t, `^[a-z2-7]{26}$`, string(id))
		require.False(t, seen[id])
		seen[id] = true
	}
}

func TestABodyWorksForItsJobsOwner(t *testing.T) {
	t.Parallel()
	owners := make(chan string, 3)
	s := started(t, func(r *job.Run) error {
		owners <- auth.Owner(r.Context())
		for i, step := range []func(*job.Run, string, engine.Policy, func(context.Context) (int, *engine.Failure, error)) (int, *engine.Failure, error){
			job.Step[int], job.LastStep[int],
		} {
			_, _, err := step(r, fmt.Sprintf("step %d", i), engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
				owners <- auth.Owner(ctx)
				return 0, nil, nil
			})
			if err != nil {
				return err
			}
		}
		return finish(r, job.StateSucceeded)
	})
	c := creation()
	c.Owner = "ada"
	_, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	for range 3 {
		require.Equal(t, "ada", receive(t, owners))
	}
}

func TestG14_AParentIsTheOwnersOwn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	parent := create(t, s)
	child := creation()
	child.Parent = parent.ID
	_, _, err := s.Create(t.Context(), child)
	require.NoError(t, err)
	for _, id := range []job.ID{parent.ID, job.NewID()} {
		foreign := creation()
		foreign.Owner, foreign.Parent = "ada", id
		_, _, err := s.Create(t.Context(), foreign)
		require.ErrorIs(t, err, job.ErrNotFound)
	}
}

func TestABodyThatPanicsEndsItsJob(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"body", "step"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			s := started(t, func(r *job.Run) error {
				if where == "body" {
					panic("boom")
				}
				_, _, err := job.Step(r, "step", engine.Policy{}, func(context.Context) (int, *engine.Failure, error) { panic("boom") })
				return err
			})
			j := await(t, s, create(t, s).ID)
			require.Equal(t, job.StateFailed, j.State)
			require.Equal(t, "INTERNAL", j.Error.Reason)
			require.NotContains(t, j.Error.Message, "boom", "callers do not see the inside")
			require.Equal(t, int64(1), j.Epoch)
			dense(t, s, j)
		})
	}
}

func TestABodyThatReturnsWithoutAnEndFails(t *testing.T) {
	t.Parallel()
	s := started(t, func(*job.Run) error { return nil })
	j := await(t, s, create(t, s).ID)
	require.Equal(t, job.StateFailed, j.State)
	dense(t, s, j)
}

func TestABodyThatOnlyFailsRunsAFewTimesAndEndsWithItsReason(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"body", "step"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			refusal := apierr.Unavailable("DISK_AWAY", "the disk is away")
			var runs atomic.Int32
			s := started(t, func(r *job.Run) error {
				runs.Add(1)
				if where == "body" {
					return refusal
				}
				_, _, err := job.Step(r, "step", engine.Policy{}, func(context.Context) (int, *engine.Failure, error) { return 0, nil, refusal })
				return err
			})
			j := await(t, s, create(t, s).ID)
			require.Equal(t, job.StateFailed, j.State)
			require.Equal(t, "DISK_AWAY", j.StateReason)
			require.Equal(t, &job.Error{Code: 14, Reason: "DISK_AWAY", Message: "the disk is away"}, j.Error)
			require.Equal(t, fast().ErrorRetries+1, int(runs.Load()))
			dense(t, s, j)
		})
	}
}

func TestABodyThatGetsOnMayFailMoreOften(t *testing.T) {
	t.Parallel()
	const steps = 6 // more than ErrorRetries and MaxStalled
	s := started(t, func(r *job.Run) error {
		for i := range steps {
			ran := false
			_, _, err := job.Step(r, string(rune('a'+i)), engine.Policy{}, func(context.Context) (int, *engine.Failure, error) {
				ran = true
				return i, nil, nil
			})
			if err != nil {
				return err
			}
			if ran {
				return errors.New("once more")
			}
		}
		return finish(r, job.StateSucceeded)
	})
	j := await(t, s, create(t, s).ID)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, int64(steps+1), j.Epoch)
	dense(t, s, j)
}

func TestCancellingARunningJobKeepsWhatThereIs(t *testing.T) {
	t.Parallel()
	inStep, answered := make(chan struct{}, 1), make(chan struct{})
	byHintOnly := fast()
	byHintOnly.CancelPoll = time.Hour
	s := startedWith(t, byHintOnly, func(r *job.Run) error {
		_, failure, err := job.Step(r, "asks", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
			inStep <- struct{}{}
			<-ctx.Done()
			<-answered
			if err := r.Append(ctx, job.NewEvent{Key: "asks/partial/0", Type: "council.member_failed"}); err != nil {
				return 0, nil, err
			}
			return 0, nil, context.Cause(ctx)
		})
		if err != nil {
			return err
		}
		if failure == nil || failure.Class != engine.ClassCancelled {
			return errors.New("the step was not told")
		}
		_, failure, err = job.Step(r, "not-any-more", engine.Policy{}, func(context.Context) (int, *engine.Failure, error) { panic("ran") })
		if err != nil || failure == nil {
			return errors.Join(err, errors.New("a step began after the cancellation"))
		}
		if _, _, err = job.LastStep(r, "last", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
			return 0, nil, r.Commit(ctx, job.Update{Stage: "last"})
		}); err != nil {
			return err
		}
		return finish(r, job.StateCancelled)
	})
	j := create(t, s)
	receive(t, inStep)
	got, err := s.Cancel(t.Context(), j.ID, owner)
	close(answered)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelling, got.State)
	got = await(t, s, j.ID)
	require.Equal(t, job.StateCancelled, got.State)
	require.Equal(t, "last", got.Stage)
	require.Len(t, dense(t, s, got), 6)
}

func TestACancellationWhoseHintWasLostIsFound(t *testing.T) {
	t.Parallel()
	inBody := make(chan struct{}, 1)
	s := started(t, func(r *job.Run) error {
		inBody <- struct{}{}
		<-r.Context().Done()
		if !errors.Is(context.Cause(r.Context()), job.ErrCancelAsked) {
			return context.Cause(r.Context())
		}
		return finish(r, job.StateCancelled)
	})
	j := create(t, s)
	receive(t, inBody)
	_, err := s.store.Cancel(t.Context(), j.ID) // past the manager, so nothing is published
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, await(t, s, j.ID).State)
}

func TestCancellingReachesTheJobsThatAJobStarted(t *testing.T) {
	t.Parallel()
	children := make(chan job.ID, 1)
	s := setup(t)
	s.Handle(job.KindReview, 0, func(r *job.Run) error {
		c := creation()
		c.Parent = r.Job().ID
		j, _, err := s.Create(r.Context(), c)
		if err != nil {
			return err
		}
		children <- j.ID
		<-r.Context().Done()
		return finish(r, job.StateCancelled)
	})
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		<-r.Context().Done()
		return finish(r, job.StateCancelled)
	})
	require.NoError(t, s.Start(t.Context()))
	c := creation()
	c.Kind = job.KindReview
	parent, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	child := receive(t, children)
	_, err = s.Cancel(t.Context(), parent.ID, owner)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, await(t, s, parent.ID).State)
	require.Equal(t, job.StateCancelled, await(t, s, child).State)
}

func TestAJobThatIsGivenUpStopsWhatItStarted(t *testing.T) {
	t.Parallel()
	children := make(chan job.ID, 1)
	s := setup(t)
	s.Handle(job.KindReview, 0, func(r *job.Run) error {
		c := creation()
		c.Parent = r.Job().ID
		j, _, err := s.Create(r.Context(), c)
		if err != nil {
			return err
		}
		children <- j.ID
		panic("boom")
	})
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		<-r.Context().Done()
		return finish(r, job.StateCancelled)
	})
	require.NoError(t, s.Start(t.Context()))
	c := creation()
	c.Kind = job.KindReview
	parent, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, await(t, s, receive(t, children)).State)
	require.Equal(t, job.StateFailed, await(t, s, parent.ID).State)
}

func TestTheDeadlineEndsAStepAsAValue(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error {
		_, failure, err := job.Step(r, "asks", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
			<-ctx.Done()
			return 0, nil, ctx.Err()
		})
		if err != nil {
			return err
		}
		return r.Finish(r.Context(), job.Outcome{State: job.StateFailed, Reason: failure.Reason})
	})
	c := creation()
	c.Timeout = 300 * time.Millisecond
	j, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	j = await(t, s, j.ID)
	require.Equal(t, "DEADLINE_EXCEEDED", j.StateReason)
	dense(t, s, j)
}

func TestAForeignJobAnswersLikeAMissingOne(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	j := create(t, s)
	_, foreign := s.Get(t.Context(), j.ID, "somebody else")
	require.ErrorIs(t, foreign, job.ErrNotFound)
	_, foreign = s.Cancel(t.Context(), j.ID, "somebody else")
	require.ErrorIs(t, foreign, job.ErrNotFound)
	_, err := s.Get(t.Context(), j.ID, "")
	require.NoError(t, err)
}

func TestTheSameRequestStartsOneJob(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	c := creation()
	c.RequestID, c.BodySHA256 = "r", sha256.Sum256([]byte("body"))
	first, reused, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	require.False(t, reused)
	await(t, s, first.ID)
	c.ID = job.NewID()
	again, reused, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	require.True(t, reused)
	require.Equal(t, first.ID, again.ID)
	c.BodySHA256 = sha256.Sum256([]byte("other"))
	_, _, err = s.Create(t.Context(), c)
	require.ErrorIs(t, err, job.ErrRequestIDReused)
}

func TestAJobThatTheEngineLostBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	c := creation()
	_, _, err := s.store.Create(t.Context(), c, func(context.Context, job.Tx) error { return nil }) // never enqueued
	require.NoError(t, err)
	j := await(t, s, c.ID)
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, job.ReasonRecoveryAttempts, j.StateReason)
	dense(t, s, j)
}

func TestWhateverWasGivenUpIsFollowedAlsoWhenThatFailsAtFirst(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]job.Body{
		"panic":    func(*job.Run) error { panic("boom") },
		"no end":   func(*job.Run) error { return nil },
		"errors":   func(*job.Run) error { return errors.New("again and again") },
		"lost":     nil,
		"other":    func(*job.Run) error { panic("boom") },
		"finished": func(r *job.Run) error { return finish(r, job.StateFailed) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setup(t)
			kind := job.KindCouncil
			if name == "other" {
				kind = job.KindReview
			}
			var calls atomic.Int32
			followed := make(chan job.Job, 100)
			s.OnGivenUp(kind, func(_ context.Context, j job.Job) error {
				if calls.Add(1) == 1 {
					return errors.New("the store is away")
				}
				followed <- j
				return nil
			})
			s.Handle(job.KindCouncil, 0, body)
			c := creation()
			if body == nil {
				_, _, err := s.store.Create(t.Context(), c, func(context.Context, job.Tx) error { return nil }) // never enqueued
				require.NoError(t, err)
			}
			require.NoError(t, s.Start(t.Context()))
			if body != nil {
				_, _, err := s.Create(t.Context(), c)
				require.NoError(t, err)
			}
			j := await(t, s, c.ID)
			require.Equal(t, job.StateFailed, j.State)
			if name == "other" || name == "finished" {
				require.NoError(t, s.Stop(t.Context()))
				require.Zero(t, calls.Load())
				return
			}
			require.Equal(t, c.ID, receive(t, followed).ID)
		})
	}
}

func TestListsGoOnWhereThePageEnded(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	for range 5 {
		create(t, s)
	}
	q := job.ListQuery{Owner: owner, Limit: 2}
	pages := []int{}
	for {
		page, next, err := s.List(t.Context(), q)
		require.NoError(t, err)
		pages = append(pages, len(page))
		if next == (job.ListPosition{}) {
			break
		}
		q.After = next
	}
	require.Equal(t, []int{2, 2, 1}, pages)
}

func TestAStoppedProcessLeavesTheJobToTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "witan.db")
	inCall := make(chan struct{}, 16)
	first, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	var calls atomic.Int32
	first.Handle(job.KindCouncil, 0, councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
		if calls.Add(1) <= 7 { // the answers and two ballots
			return atOnce(ctx, key, attempt)
		}
		inCall <- struct{}{}
		<-ctx.Done()
		return "", context.Cause(ctx)
	}))
	require.NoError(t, first.Start(t.Context()))
	id := create(t, first).ID
	for range 3 {
		receive(t, inCall)
	}
	require.Eventually(t, func() bool { return mustGet(t, first, id).Ledger.CallsCompleted == 7 }, time.Minute, time.Millisecond)
	before := dense(t, first, mustGet(t, first, id))
	first.end(t)

	second, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	t.Cleanup(func() { second.end(t) })
	calls.Store(0)
	second.Handle(job.KindCouncil, 0, councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
		calls.Add(1)
		return atOnce(ctx, key, attempt)
	}))
	require.NoError(t, second.Start(t.Context()))
	j := await(t, second, id)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, int32(4), calls.Load(), "three ballots and the chairman")
	require.Equal(t, job.Ledger{CallsStarted: 14, CallsCompleted: 11, CallsReused: 2, CallsRepaid: 3, Recoveries: 1}, j.Ledger)
	require.Equal(t, before, dense(t, second, j)[:len(before)])
}

func mustGet(t *testing.T, s *system, id job.ID) job.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id, owner)
	require.NoError(t, err)
	return j
}

func TestStartTwiceIsRefusedAndStopMayComeTwiceOrFirst(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	require.Error(t, s.Start(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	require.NoError(t, s.Stop(t.Context()))
	unstarted := setup(t)
	require.NoError(t, unstarted.Stop(t.Context()))
}
