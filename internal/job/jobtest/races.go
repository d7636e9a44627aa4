package jobtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

// Races lets what may happen to a job at the same time happen at the same time, rounds times each: every job ends once.
// newStore is as in Run.
func Races(t *testing.T, newStore func(t *testing.T) job.Store, rounds int) {
	t.Helper()
	for name, round := range map[string]func(t *testing.T, s job.Store) error{
		"TestG12_CancelFinishKill":       cancelFinishKill,
		"TestG12_CancelBegin":            cancelBegin,
		"TestG12_CancelRetry":            cancelRetry,
		"TestG11_CreatesOfOneRequest":    createCreate,
		"TestG10_LateExecution":          lateExecution,
		"TestG08_RetriesOfOneRequest":    retryRetrySame,
		"TestG08_RetriesOfManyRequests":  retryRetryOther,
		"TestG08_BeginExpire":            beginExpire,
		"TestG15_DeleteRetry":            deleteRetry,
		"TestG15_DeleteCreateOfAnother":  deleteCreate,
		"TestG15_DeleteOfOneJobManyWays": deleteDelete,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repeat(t, newStore(t), rounds, round)
		})
	}
}

// abreast is how many rounds run at once: they are of different jobs, and meet in the database only.
const abreast = 8

func repeat(t *testing.T, s job.Store, rounds int, round func(t *testing.T, s job.Store) error) {
	t.Helper()
	left := make(chan struct{}, rounds)
	for range rounds {
		left <- struct{}{}
	}
	close(left)
	var work sync.WaitGroup
	for range abreast {
		work.Go(func() {
			for range left {
				if err := round(t, s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

// together runs all of it at once and joins what is not expected.
func together(all ...func() error) error {
	errs := make([]error, len(all))
	var start, done sync.WaitGroup
	start.Add(1)
	for i, fn := range all {
		done.Go(func() {
			start.Wait()
			errs[i] = fn()
		})
	}
	start.Done()
	done.Wait()
	return errors.Join(errs...)
}

// but is nil for errors that a race may give.
func but(err error, expected ...error) error {
	if slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) }) {
		return nil
	}
	return err
}

func fenceOf(j job.Job) job.Fence { return job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt} }

// running creates a job and begins it; every error is the round's.
func running(ctx context.Context, s job.Store) (job.Fence, error) {
	j, _, err := s.Create(ctx, creation(), enqueued)
	if err != nil {
		return job.Fence{}, err
	}
	j, _, err = s.Begin(ctx, attemptOne(j.ID), maxStalled)
	return fenceOf(j), err
}

func failedJob(ctx context.Context, s job.Store) (job.ID, error) {
	f, err := running(ctx, s)
	if err != nil {
		return "", err
	}
	_, err = s.Finish(ctx, f, failedOutcome())
	return f.ID, err
}

// end brings a job to its end as a worker does that takes it over.
func end(ctx context.Context, s job.Store, id job.ID) error {
	for {
		j, err := s.Get(ctx, id)
		if err != nil || j.State.Terminal() {
			return err
		}
		j, _, err = s.Begin(ctx, job.Attempt{ID: id, Number: j.Attempt}, 1000)
		if errors.Is(err, job.ErrEnded) {
			continue
		}
		if err != nil {
			return err
		}
		o := job.Outcome{State: job.StateSucceeded}
		if j.State == job.StateCancelling {
			o = job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled}
		}
		if _, err := s.Finish(ctx, fenceOf(j), o); err != nil && !errors.Is(err, job.ErrFenced) {
			return err
		}
	}
}

// ended holds a log against what it must be: numbered without gaps, and one final event at the end of each attempt.
func ended(ctx context.Context, s job.Store, id job.ID, attempts int32) error {
	j, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if !j.State.Terminal() || j.Attempt != attempts {
		return fmt.Errorf("job %s is %s in attempt %d, not ended in attempt %d", id, j.State, j.Attempt, attempts)
	}
	events, err := s.Events(ctx, id, 0, 100_000)
	if err != nil {
		return err
	}
	finals := int32(0)
	for i, e := range events {
		last := i == len(events)-1
		next := !last && events[i+1].Key == job.KeyRetry(e.Attempt+1)
		if e.Seq != int64(i+1) || e.Final != (last || next) {
			return fmt.Errorf("job %s: event %d (%s, final %v) at place %d of %v", id, e.Seq, e.Key, e.Final, i+1, keys(events))
		}
		if e.Final {
			finals++
		}
	}
	if finals != attempts || int64(len(events)) != j.LastSeq {
		return fmt.Errorf("job %s: %d final events in %d attempts, %d of %d events: %v", id, finals, attempts, len(events), j.LastSeq, keys(events))
	}
	change, err := job.DecodeStateChange(events[len(events)-1].Payload)
	if err != nil || change.To != j.State {
		return fmt.Errorf("job %s is %s and its log says %s (%w)", id, j.State, change.To, err)
	}
	return nil
}

// cancelFinishKill: the execution was given up for dead and ends its job all the same, while another begins and somebody
// cancels.
func cancelFinishKill(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	f, err := running(ctx, s)
	if err != nil {
		return err
	}
	err = together(
		func() error { _, err := s.Cancel(ctx, f.ID); return err },
		func() error {
			_, err := s.Finish(ctx, f, job.Outcome{State: job.StateSucceeded, Events: []job.NewEvent{event("1/done")}})
			return but(err, job.ErrFenced)
		},
		func() error {
			j, _, err := s.Begin(ctx, attemptOne(f.ID), maxStalled)
			if err != nil {
				return but(err, job.ErrEnded)
			}
			_, err = s.Apply(ctx, fenceOf(j), job.Change{Update: job.Update{Events: []job.NewEvent{event("1/successor")}}})
			return err
		},
		func() error {
			_, err := s.Apply(ctx, f, job.Change{Update: job.Update{Events: []job.NewEvent{event("1/late")}}})
			return but(err, job.ErrFenced)
		},
	)
	return errors.Join(err, end(ctx, s, f.ID), ended(ctx, s, f.ID, 1))
}

// cancelBegin: either the job never begins, or it begins and is told.
func cancelBegin(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	j, _, err := s.Create(ctx, creation(), enqueued)
	if err != nil {
		return err
	}
	begun := false
	err = together(
		func() error { _, err := s.Cancel(ctx, j.ID); return err },
		func() error {
			_, _, err := s.Begin(ctx, attemptOne(j.ID), maxStalled)
			begun = err == nil
			return but(err, job.ErrEnded)
		},
	)
	if err != nil {
		return err
	}
	if j, err = s.Get(ctx, j.ID); err != nil {
		return err
	}
	if begun != (j.State == job.StateCancelling) || begun == (j.State == job.StateCancelled) {
		return fmt.Errorf("begun %v and %s", begun, j.State)
	}
	if err := end(ctx, s, j.ID); err != nil {
		return err
	}
	if j, err = s.Get(ctx, j.ID); err == nil && j.State != job.StateCancelled {
		err = fmt.Errorf("a cancelled job ended as %s", j.State)
	}
	return errors.Join(err, ended(ctx, s, j.ID, 1))
}

// cancelRetry: a cancellation ends the attempt that it meets and no other.
func cancelRetry(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	id, err := failedJob(ctx, s)
	if err != nil {
		return err
	}
	var endings []job.Ending
	err = together(
		func() (err error) { endings, err = s.Cancel(ctx, id); return err },
		func() error { _, _, err := s.Retry(ctx, job.Retrial{ID: id}, unqueued); return err },
	)
	if err != nil {
		return err
	}
	j, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if met := len(endings) == 1; met != (j.State == job.StateCancelled) || met && endings[0].Attempt != 2 {
		return fmt.Errorf("%s after %v", j.State, endings)
	}
	return errors.Join(end(ctx, s, id), ended(ctx, s, id, 2))
}

// createCreate: two calls with one request ID make one job; a third with another body gets nothing.
func createCreate(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	requestID := string(job.NewID())
	var (
		ids    [2]job.ID
		fresh  [2]bool
		writes [2]int
	)
	call := func(i int) func() error {
		return func() error {
			c := request(requestID, "body")
			c.Write = func(context.Context, job.Tx) error { writes[i] = 1; return nil }
			j, reused, err := s.Create(ctx, c, enqueued)
			ids[i], fresh[i] = j.ID, !reused
			return err
		}
	}
	if err := together(call(0), call(1)); err != nil {
		return err
	}
	if ids[0] != ids[1] || fresh[0] == fresh[1] {
		return fmt.Errorf("jobs %v, fresh %v", ids, fresh)
	}
	if _, _, err := s.Create(ctx, request(requestID, "other"), enqueued); !errors.Is(err, job.ErrRequestIDReused) {
		return fmt.Errorf("another body under the same ID: %w", err)
	}
	return errors.Join(end(ctx, s, ids[0]), ended(ctx, s, ids[0], 1))
}

// lateExecution: while a job is retried, begun and ended, an execution of the attempt before writes nothing.
func lateExecution(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	f, err := running(ctx, s)
	if err != nil {
		return err
	}
	if _, _, err = s.End(ctx, attemptOne(f.ID), failedOutcome()); err != nil {
		return err
	}
	err = together(
		func() error {
			if _, _, err := s.Retry(ctx, job.Retrial{ID: f.ID}, unqueued); err != nil {
				return err
			}
			return end(ctx, s, f.ID)
		},
		func() error {
			_, err := s.Apply(ctx, f, job.Change{Update: job.Update{Events: []job.NewEvent{event("1/late")}}})
			return wanted(err, job.ErrFenced)
		},
		func() error {
			_, err := s.Finish(ctx, f, job.Outcome{State: job.StateSucceeded})
			return wanted(err, job.ErrFenced)
		},
		func() error {
			_, _, err := s.Begin(ctx, attemptOne(f.ID), maxStalled)
			return wanted(err, job.ErrEnded)
		},
		func() error {
			_, _, err := s.End(ctx, attemptOne(f.ID), job.Outcome{State: job.StateFailed})
			return err
		},
	)
	if err != nil {
		return err
	}
	j, err := s.Get(ctx, f.ID)
	if err == nil && j.State != job.StateSucceeded {
		err = fmt.Errorf("the second attempt ended as %s", j.State)
	}
	return errors.Join(err, ended(ctx, s, f.ID, 2))
}

func wanted(err, want error) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("another error than the wanted one (%s): %w", want.Error(), err)
}

// retryRetrySame: two calls with one request ID start one attempt.
func retryRetrySame(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	id, err := failedJob(ctx, s)
	if err != nil {
		return err
	}
	var fresh, attempt [2]int32
	call := func(i int) func() error {
		return func() error {
			j, reused, err := s.Retry(ctx, retrial(id, string(id), "body"), func(context.Context, job.Tx, job.Job) error { return nil })
			if !reused {
				fresh[i]++
			}
			attempt[i] = j.Attempt
			return err
		}
	}
	if err := together(call(0), call(1)); err != nil {
		return err
	}
	if fresh[0]+fresh[1] != 1 || attempt != [2]int32{2, 2} {
		return fmt.Errorf("fresh %v, attempts %v", fresh, attempt)
	}
	return errors.Join(end(ctx, s, id), ended(ctx, s, id, 2))
}

// retryRetryOther: of two calls with request IDs of their own, and one with none, one starts the attempt and the others
// are told that it runs.
func retryRetryOther(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	id, err := failedJob(ctx, s)
	if err != nil {
		return err
	}
	var started [3]bool
	call := func(i int, requestID string) func() error {
		return func() error {
			_, _, err := s.Retry(ctx, retrial(id, requestID, "body"), unqueued)
			started[i] = err == nil
			return but(err, job.ErrNotFinished)
		}
	}
	if err := together(call(0, string(id)+"a"), call(1, string(id)+"b"), call(2, "")); err != nil {
		return err
	}
	n := 0
	for _, yes := range started {
		if yes {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d attempts were started", n)
	}
	return errors.Join(end(ctx, s, id), ended(ctx, s, id, 2))
}

// beginExpire: a job that waited too long begins or expires.
func beginExpire(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	c := creation()
	c.QueueTimeout = time.Hour
	j, _, err := s.Create(ctx, c, enqueued)
	if err != nil {
		return err
	}
	begun := false
	err = together(
		func() error {
			_, _, err := s.Begin(ctx, attemptOne(j.ID), maxStalled)
			begun = err == nil
			return but(err, job.ErrEnded)
		},
		func() error {
			_, err := s.ExpireQueued(ctx, time.Now().Add(2*time.Hour), 1000) // those of other rounds too
			return err
		},
	)
	if err != nil {
		return err
	}
	if j, err = s.Get(ctx, j.ID); err != nil {
		return err
	}
	if begun == (j.State == job.StateExpired) {
		return fmt.Errorf("begun %v and %s", begun, j.State)
	}
	return errors.Join(end(ctx, s, j.ID), ended(ctx, s, j.ID, 1))
}

// deleteRetry: the job is gone, or it runs again.
func deleteRetry(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	id, err := failedJob(ctx, s)
	if err != nil {
		return err
	}
	var deleted, retried bool
	err = together(
		func() error {
			_, err := s.Delete(ctx, job.Deletion{IDs: []job.ID{id}})
			deleted = err == nil
			return but(err, job.ErrNotFinished)
		},
		func() error {
			_, _, err := s.Retry(ctx, retrial(id, string(id), "body"), unqueued)
			retried = err == nil
			return but(err, job.ErrNotFound)
		},
	)
	if err != nil {
		return err
	}
	if deleted == retried {
		return fmt.Errorf("deleted %v and retried %v", deleted, retried)
	}
	if retried {
		return errors.Join(end(ctx, s, id), ended(ctx, s, id, 2))
	}
	_, err = s.Get(ctx, id)
	return wanted(err, job.ErrNotFound)
}

// deleteCreate: a job is deleted while its request is repeated: the caller gets it, or is told that it is gone.
func deleteCreate(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	requestID := string(job.NewID())
	j, _, err := s.Create(ctx, request(requestID, "body"), enqueued)
	if err != nil {
		return err
	}
	if _, err := s.Cancel(ctx, j.ID); err != nil {
		return err
	}
	return together(
		func() error { _, err := s.Delete(ctx, job.Deletion{IDs: []job.ID{j.ID}}); return err },
		func() error {
			got, reused, err := s.Create(ctx, request(requestID, "body"), enqueued)
			if err == nil && (!reused || got.ID != j.ID) {
				return fmt.Errorf("another job %s was made", got.ID)
			}
			return but(err, job.ErrDeleted)
		},
	)
}

// deleteDelete: a child and its parent are deleted at once, each once.
func deleteDelete(t *testing.T, s job.Store) error {
	t.Helper()
	ctx := t.Context()
	parent, err := failedJob(ctx, s)
	if err != nil {
		return err
	}
	child, _, err := s.Create(ctx, childOf(parent), enqueued)
	if err != nil {
		return err
	}
	if _, err := s.Cancel(ctx, child.ID); err != nil {
		return err
	}
	var (
		mu      sync.Mutex
		removed = map[job.ID]int{}
	)
	drop := func(id job.ID) func() error {
		return func() error {
			gone, err := s.Delete(ctx, job.Deletion{IDs: []job.ID{id}})
			mu.Lock()
			defer mu.Unlock()
			for _, j := range gone {
				removed[j.ID]++
			}
			return but(err, job.ErrNotFound)
		}
	}
	if err := together(drop(parent), drop(child.ID), drop(parent)); err != nil {
		return err
	}
	if removed[parent] != 1 || removed[child.ID] != 1 {
		return fmt.Errorf("removed %v", removed)
	}
	return nil
}

// races is a short run of the longest race, so that every run of the suite has one.
func races(t *testing.T, s job.Store) {
	for range 40 {
		require.NoError(t, cancelFinishKill(t, s))
	}
}
