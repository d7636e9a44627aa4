package jobtest

import (
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

func unqueued(context.Context, job.Tx, job.Job) error { return nil }

func retry(t *testing.T, s job.Store, id job.ID) job.Job {
	t.Helper()
	j, reused, err := s.Retry(t.Context(), job.Retrial{ID: id}, unqueued)
	require.NoError(t, err)
	require.False(t, reused)
	return j
}

// finished creates a job and ends it.
func finished(t *testing.T, s job.Store, c job.Creation, o job.Outcome) job.ID {
	t.Helper()
	f := begin(t, s, create(t, s, c).ID)
	finish(t, s, f, o)
	return f.ID
}

func finish(t *testing.T, s job.Store, f job.Fence, o job.Outcome) {
	t.Helper()
	_, err := s.Finish(t.Context(), f, o)
	require.NoError(t, err)
}

func failedOutcome() job.Outcome {
	return job.Outcome{State: job.StateFailed, Reason: "R", Error: &job.Error{Code: 14, Reason: "R", Message: "away"}}
}

func retrial(id job.ID, requestID, body string) job.Retrial {
	return job.Retrial{ID: id, RequestID: requestID, BodySHA256: sha256.Sum256([]byte(body))}
}

var retrying = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"the next attempt continues the log": func(t *testing.T, s job.Store) {
		c := creation()
		c.Timeout, c.QueueTimeout, c.Priority = time.Hour, time.Minute, 20
		f := begin(t, s, create(t, s, c).ID)
		_, err := s.Apply(t.Context(), f, job.Change{Update: job.Update{Stage: "answer", Progress: &job.Progress{Done: 1, Total: 2}}})
		require.NoError(t, err)
		_, err = s.Cancel(t.Context(), f.ID)
		require.NoError(t, err)
		finish(t, s, f, job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled, Result: []byte("partial")})
		before := get(t, s, f.ID)
		var enqueued job.Job
		j, reused, err := s.Retry(t.Context(), job.Retrial{ID: f.ID, Owner: owner, Revision: before.Revision},
			func(_ context.Context, _ job.Tx, j job.Job) error { enqueued = j; return nil })
		require.NoError(t, err)
		require.False(t, reused)
		require.Equal(t, j, enqueued)
		require.Equal(t, j, get(t, s, f.ID))
		require.Equal(t, []any{int32(2), job.StateQueued, "", "", job.Progress{}, before.LastSeq + 1, uint(20)},
			[]any{j.Attempt, j.State, j.StateReason, j.Stage, j.Progress, j.LastSeq, j.Priority})
		require.Nil(t, j.Error)
		for what, at := range map[string]time.Time{"end": j.EndedAt, "cancel": j.CancelAskedAt, "history": j.HistoryExpireAt} {
			require.True(t, at.IsZero(), what)
		}
		require.True(t, j.DeadlineAt.After(before.DeadlineAt))
		require.Equal(t, c.Timeout-c.QueueTimeout, j.DeadlineAt.Sub(j.QueueExpireAt))
		require.Equal(t, []any{before.Epoch, before.StartedAt, before.Ledger, before.Result}, []any{j.Epoch, j.StartedAt, j.Ledger, j.Result})
		f = begin(t, s, f.ID)
		require.Equal(t, before.Epoch+1, f.Epoch)
		require.Equal(t, int32(2), f.Attempt)
		finish(t, s, f, job.Outcome{State: job.StateSucceeded})
		events := dense(t, s, f.ID)
		require.Equal(t, []string{"create/0", "begin/1", "1/progress/answer/1/2/", "1/cancel", "1/end", "retry/2", "begin/2", "2/end"}, keys(events))
		change, err := job.DecodeStateChange(events[5].Payload)
		require.NoError(t, err)
		require.Equal(t, job.StateChange{From: job.StateCancelled, To: job.StateQueued}, change)
		require.Equal(t, int32(2), events[5].Attempt)
		require.Zero(t, get(t, s, f.ID).Ledger.Recoveries, "an attempt's first execution recovers nothing")
	},
	"what has ended with less than everything": func(t *testing.T, s job.Store) {
		for _, state := range []job.State{job.StateFailed, job.StatePartiallySucceeded} {
			retry(t, s, finished(t, s, creation(), job.Outcome{State: state}))
		}
		cancelled := create(t, s, creation())
		_, err := s.Cancel(t.Context(), cancelled.ID)
		require.NoError(t, err)
		retry(t, s, cancelled.ID)
		expired := create(t, s, creation())
		_, _, err = s.End(t.Context(), attemptOne(expired.ID), job.Outcome{State: job.StateExpired})
		require.NoError(t, err)
		retry(t, s, expired.ID)
	},
	"what is refused": func(t *testing.T, s job.Store) {
		queued, running := create(t, s, creation()).ID, began(t, s).ID
		done := finished(t, s, creation(), job.Outcome{State: job.StateSucceeded})
		failed := finished(t, s, creation(), failedOutcome())
		stale := job.Retrial{ID: failed, Revision: get(t, s, failed).Revision - 1}
		for what, c := range map[string]struct {
			r    job.Retrial
			want error
		}{
			"queued": {job.Retrial{ID: queued}, job.ErrNotFinished}, "running": {job.Retrial{ID: running}, job.ErrNotFinished},
			"succeeded": {job.Retrial{ID: done}, job.ErrNotRetryable}, "stale": {stale, job.ErrETagMismatch},
			"unknown": {job.Retrial{ID: "unknown"}, job.ErrNotFound}, "foreign": {job.Retrial{ID: failed, Owner: "somebody else"}, job.ErrNotFound},
		} {
			before, _ := s.Get(t.Context(), c.r.ID)
			_, reused, err := s.Retry(t.Context(), c.r, func(context.Context, job.Tx, job.Job) error {
				t.Errorf("%s was enqueued", what)
				return nil
			})
			require.ErrorIs(t, err, c.want, what)
			require.False(t, reused, what)
			after, _ := s.Get(t.Context(), c.r.ID)
			require.Equal(t, before, after, what)
		}
	},
	"nothing is left when the queue refuses": func(t *testing.T, s job.Store) {
		id := finished(t, s, creation(), failedOutcome())
		before := get(t, s, id)
		_, _, err := s.Retry(t.Context(), retrial(id, "r", "body"), func(context.Context, job.Tx, job.Job) error { return errRefused })
		require.ErrorIs(t, err, errRefused)
		require.Equal(t, before, get(t, s, id))
		_, reused, err := s.Retry(t.Context(), retrial(id, "r", "another body"), unqueued)
		require.NoError(t, err)
		require.False(t, reused, "the request is as if it had never been")
	},
	"the same request starts one attempt, at any later time": func(t *testing.T, s job.Store) {
		id := finished(t, s, creation(), failedOutcome())
		r := retrial(id, "r", "body")
		r.Revision = get(t, s, id).Revision
		again := func(wantAttempt int32, wantReused bool) {
			t.Helper()
			j, reused, err := s.Retry(t.Context(), r, unqueued)
			require.NoError(t, err)
			require.Equal(t, wantReused, reused)
			require.Equal(t, wantAttempt, j.Attempt)
		}
		again(2, false)
		again(2, true)
		f := begin(t, s, id)
		again(2, true)
		finish(t, s, f, failedOutcome())
		again(2, true)
		other := r
		other.BodySHA256[0]++
		_, _, err := s.Retry(t.Context(), other, unqueued)
		require.ErrorIs(t, err, job.ErrRequestIDReused)
		other.Owner = "somebody else"
		_, _, err = s.Retry(t.Context(), other, unqueued)
		require.ErrorIs(t, err, job.ErrNotFound)
		r = retrial(id, "r2", "body")
		again(3, false)
		create(t, s, request("r", "the same request ID of another method"))
	},
	"executions of an earlier attempt write nothing and do not begin": func(t *testing.T, s job.Store) {
		old := began(t, s)
		finish(t, s, old, failedOutcome())
		retry(t, s, old.ID)
		silent := func() {
			t.Helper()
			before := get(t, s, old.ID)
			_, w, err := s.Begin(t.Context(), attemptOne(old.ID), maxStalled)
			require.ErrorIs(t, err, job.ErrEnded)
			require.Zero(t, w)
			_, _, err = s.Begin(t.Context(), job.Attempt{ID: old.ID, Number: 3}, maxStalled)
			require.ErrorIs(t, err, job.ErrEnded)
			_, err = s.Apply(t.Context(), old, job.Change{Update: job.Update{Events: []job.NewEvent{event("late")}, Write: mustNotRun(t)}})
			require.ErrorIs(t, err, job.ErrFenced)
			_, err = s.Finish(t.Context(), old, job.Outcome{State: job.StateSucceeded, Write: mustNotRun(t)})
			require.ErrorIs(t, err, job.ErrFenced)
			_, ended, err := s.End(t.Context(), attemptOne(old.ID), failedOutcome())
			require.NoError(t, err)
			require.False(t, ended)
			require.Equal(t, before, get(t, s, old.ID))
		}
		silent()
		f := begin(t, s, old.ID)
		silent()
		finish(t, s, f, job.Outcome{State: job.StateSucceeded})
		dense(t, s, old.ID)
	},
	"answers are used again, failures do not count any more": func(t *testing.T, s job.Store) {
		f := began(t, s)
		good, bad := intent("m1"), intent("m2")
		bad.MaxAttempts = 1
		openCall(t, s, f, good)
		closeCall(t, s, f, answered(good, 1))
		openCall(t, s, f, bad)
		closeCall(t, s, f, job.CallDone{Key: bad.Key, Attempt: 1, State: job.CallFailed, ErrorClass: "TIMEOUT"})
		require.True(t, openCall(t, s, f, bad).Exhausted)
		finish(t, s, f, job.Outcome{State: job.StatePartiallySucceeded})
		retry(t, s, f.ID)
		f = begin(t, s, f.ID)
		require.Equal(t, []byte("answer of m1"), openCall(t, s, f, good).Reused)
		g := openCall(t, s, f, bad)
		require.Equal(t, []any{int32(2), false}, []any{g.Attempt, g.Exhausted})
		closeCall(t, s, f, job.CallDone{Key: bad.Key, Attempt: 2, State: job.CallFailed, ErrorClass: "TIMEOUT"})
		require.True(t, openCall(t, s, f, bad).Exhausted)
		f = begin(t, s, f.ID)
		require.True(t, openCall(t, s, f, bad).Exhausted, "a take-over in the same attempt counts them")
		require.Equal(t, job.Ledger{CallsStarted: 3, CallsCompleted: 1, CallsReused: 1, Recoveries: 1}, get(t, s, f.ID).Ledger)
	},
	"stalling is counted for each attempt": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range maxStalled {
			f = begin(t, s, f.ID)
		}
		_, _, err := s.Begin(t.Context(), attemptOne(f.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrEnded)
		n, err := s.DeadLetters(t.Context())
		require.NoError(t, err)
		require.Equal(t, int64(1), n)
		retry(t, s, f.ID)
		n, err = s.DeadLetters(t.Context())
		require.NoError(t, err)
		require.Zero(t, n)
		for range maxStalled + 1 {
			f = begin(t, s, f.ID)
		}
		finish(t, s, f, job.Outcome{State: job.StateSucceeded})
		dense(t, s, f.ID)
	},
	"a cancellation of the attempt before is over": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		child := create(t, s, childOf(parent.ID))
		_, err := s.Cancel(t.Context(), parent.ID)
		require.NoError(t, err)
		_, _, err = s.Retry(t.Context(), job.Retrial{ID: child.ID}, unqueued)
		require.ErrorIs(t, err, job.ErrNotFinished, "the job that started it is still to end")
		finish(t, s, parent, job.Outcome{State: job.StateCancelled})
		retry(t, s, child.ID)
		retry(t, s, parent.ID)
		parent = begin(t, s, parent.ID)
		require.Equal(t, job.StateRunning, get(t, s, parent.ID).State)
		asked, err := s.CancelAsked(t.Context(), []job.ID{parent.ID, child.ID})
		require.NoError(t, err)
		require.Empty(t, asked)
		require.Equal(t, job.StateQueued, create(t, s, childOf(parent.ID)).State)
		endings, err := s.Cancel(t.Context(), parent.ID)
		require.NoError(t, err)
		require.Len(t, endings, 3)
		for _, e := range endings {
			require.Equal(t, attemptOf(t, s, e.ID), e.Attempt)
		}
	},
	"what an ended attempt started is stopped, what a retry goes on with is not": func(t *testing.T, s job.Store) {
		f := began(t, s)
		child := create(t, s, childOf(f.ID)).ID
		grandchild := begin(t, s, create(t, s, childOf(child)).ID).ID
		stop := func(a job.Attempt) []job.Ending {
			t.Helper()
			endings, err := s.CancelStarted(t.Context(), a)
			require.NoError(t, err)
			return endings
		}
		require.Empty(t, stop(attemptOne(f.ID)), "it runs")
		finish(t, s, f, failedOutcome())
		retry(t, s, f.ID)
		require.Empty(t, stop(attemptOne(f.ID)), "it goes on")
		finish(t, s, begin(t, s, f.ID), failedOutcome())
		require.Empty(t, stop(attemptOne(f.ID)))
		require.Empty(t, stop(attemptOne("unknown")))
		require.Len(t, stop(job.Attempt{ID: f.ID, Number: 2}), 2)
		require.Empty(t, stop(job.Attempt{ID: f.ID, Number: 2}))
		require.Equal(t, []any{job.StateFailed, job.StateCancelled, job.StateCancelling},
			[]any{get(t, s, f.ID).State, get(t, s, child).State, get(t, s, grandchild).State})
	},
	"a job whose history is gone goes on behind it": func(t *testing.T, s job.Store) {
		id := finished(t, s, creation(), failedOutcome())
		_, err := s.ExpireHistory(t.Context(), time.Now().Add(31*24*time.Hour), 10)
		require.NoError(t, err)
		last := get(t, s, id).LastSeq
		retry(t, s, id)
		finish(t, s, begin(t, s, id), job.Outcome{State: job.StateSucceeded})
		j := get(t, s, id)
		require.Equal(t, last+1, j.FirstAvailableSeq)
		events, err := s.Events(t.Context(), id, last, 10)
		require.NoError(t, err)
		require.Equal(t, []string{"retry/2", "begin/2", "2/end"}, keys(events))
		require.False(t, j.HistoryExpireAt.IsZero())
	},
	"a waiting job expires without any worker": func(t *testing.T, s job.Store) {
		patient, impatient, running, late := creation(), creation(), creation(), creation()
		patient.QueueTimeout, impatient.QueueTimeout, running.QueueTimeout, late.Timeout = time.Hour, time.Minute, time.Minute, time.Minute
		create(t, s, patient)
		ids := []job.ID{create(t, s, impatient).ID, create(t, s, late).ID}
		begin(t, s, create(t, s, running).ID)
		endings, err := s.ExpireQueued(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		require.Empty(t, endings)
		later := time.Now().Add(2 * time.Minute)
		one, err := s.ExpireQueued(t.Context(), later, 1)
		require.NoError(t, err)
		require.Len(t, one, 1)
		endings, err = s.ExpireQueued(t.Context(), later, 10)
		require.NoError(t, err)
		endings = append(endings, one...)
		require.ElementsMatch(t, ids, []job.ID{endings[0].ID, endings[1].ID})
		for _, e := range endings {
			require.Equal(t, []any{job.StateExpired, int32(1), int64(2)}, []any{e.State, e.Attempt, e.LastSeq})
			j := get(t, s, e.ID)
			require.Equal(t, []any{job.StateExpired, j.Error.Reason, int64(1)}, []any{j.State, j.StateReason, j.Epoch})
			_, _, err = s.Begin(t.Context(), attemptOne(e.ID), maxStalled)
			require.ErrorIs(t, err, job.ErrEnded)
			dense(t, s, e.ID)
		}
		require.Equal(t, job.ReasonQueueExpired, get(t, s, ids[0]).StateReason)
		require.Equal(t, job.ReasonDeadline, get(t, s, ids[1]).StateReason)
		endings, err = s.ExpireQueued(t.Context(), later, 10)
		require.NoError(t, err)
		require.Empty(t, endings)
	},
	"retries at once": func(t *testing.T, s job.Store) {
		id := finished(t, s, creation(), failedOutcome())
		const callers = 8
		var wg sync.WaitGroup
		attempts := make(chan int32, callers)
		for range callers {
			wg.Go(func() {
				j, _, err := s.Retry(t.Context(), retrial(id, "r", "body"), unqueued)
				if err != nil {
					t.Error(err)
				}
				attempts <- j.Attempt
			})
		}
		wg.Wait()
		for range callers {
			require.Equal(t, int32(2), <-attempts)
		}
		dense(t, s, id)
	},
}
