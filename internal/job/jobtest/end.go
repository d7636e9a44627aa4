package jobtest

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

var ending = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"finish writes state, result and the last event together": func(t *testing.T, s job.Store) {
		f := began(t, s)
		wrote := false
		o := job.Outcome{
			State: job.StatePartiallySucceeded, Reason: "MEMBER_MISSING", Result: []byte("result"),
			Events: []job.NewEvent{event("1/finish/done/0")},
			Write:  func(context.Context, job.Tx) error { wrote = true; return nil },
		}
		w, err := s.Finish(t.Context(), f, o)
		require.NoError(t, err)
		require.True(t, wrote)
		j := get(t, s, f.ID)
		require.Equal(t, w.LastSeq, j.LastSeq)
		require.Equal(t, job.StatePartiallySucceeded, j.State)
		require.Equal(t, "MEMBER_MISSING", j.StateReason)
		require.Equal(t, []byte("result"), j.Result)
		require.False(t, j.EndedAt.IsZero())
		require.Equal(t, j.EndedAt.Add(30*24*time.Hour), j.HistoryExpireAt)
		events := dense(t, s, f.ID)
		require.Equal(t, []string{"create/0", "begin/1", "1/finish/done/0", "1/end"}, keys(events))
		change, err := job.DecodeStateChange(events[3].Payload)
		require.NoError(t, err)
		require.Equal(t, job.StateChange{From: job.StateRunning, To: job.StatePartiallySucceeded, Reason: "MEMBER_MISSING"}, change)
	},
	"finishing again changes nothing": func(t *testing.T, s job.Store) {
		f := began(t, s)
		first, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateSucceeded})
		require.NoError(t, err)
		second, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateFailed, Write: mustNotRun(t)})
		require.NoError(t, err)
		require.Equal(t, first, second)
		require.Equal(t, job.StateSucceeded, get(t, s, f.ID).State)
		_, _, err = s.Begin(t.Context(), attemptOne(f.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrEnded)
		dense(t, s, f.ID)
	},
	"only final states end a job, and CANCELLED only where it was asked for": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for _, state := range []job.State{job.StateRunning, job.StateQueued, job.StateCancelling, "", job.StateCancelled} {
			_, err := s.Finish(t.Context(), f, job.Outcome{State: state})
			require.Error(t, err, state)
		}
		require.Equal(t, job.StateRunning, get(t, s, f.ID).State)
	},
	"an error is kept": func(t *testing.T, s job.Store) {
		f := began(t, s)
		failure := &job.Error{Code: 14, Reason: "MODEL_AWAY", Message: "no answer"}
		_, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateFailed, Error: failure})
		require.NoError(t, err)
		require.Equal(t, failure, get(t, s, f.ID).Error)
	},
	"a queued job is cancelled at once and never begins": func(t *testing.T, s job.Store) {
		j := create(t, s, creation())
		endings, err := s.Cancel(t.Context(), j.ID)
		require.NoError(t, err)
		require.Len(t, endings, 1)
		require.Equal(t, job.StateCancelled, endings[0].State)
		got := get(t, s, j.ID)
		require.Equal(t, job.StateCancelled, got.State)
		require.Equal(t, endings[0].LastSeq, got.LastSeq)
		_, _, err = s.Begin(t.Context(), attemptOne(j.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrEnded)
		dense(t, s, j.ID)
	},
	"a running job is told, keeps writing, and ends as it says": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range 2 { // the second one changes nothing
			_, err := s.Cancel(t.Context(), f.ID)
			require.NoError(t, err)
			require.Equal(t, job.StateCancelling, get(t, s, f.ID).State)
		}
		asked, err := s.CancelAsked(t.Context(), []job.ID{f.ID, "unknown"})
		require.NoError(t, err)
		require.Equal(t, []job.ID{f.ID}, asked)
		apply(t, s, f, event("partial"))
		f = begin(t, s, f.ID)
		require.Equal(t, job.StateCancelling, get(t, s, f.ID).State, "a take-over does not forget it")
		_, err = s.Finish(t.Context(), f, job.Outcome{State: job.StateCancelled})
		require.NoError(t, err)
		require.Equal(t, []string{"create/0", "begin/1", "1/cancel", "partial", "begin/2", "1/end"}, keys(dense(t, s, f.ID)))
		endings, err := s.Cancel(t.Context(), f.ID)
		require.NoError(t, err)
		require.Empty(t, endings)
	},
	"cancelling reaches all that a job started": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		child := create(t, s, childOf(parent.ID))
		running := begin(t, s, create(t, s, childOf(child.ID)).ID)
		done := begin(t, s, create(t, s, childOf(parent.ID)).ID)
		_, err := s.Finish(t.Context(), done, job.Outcome{State: job.StateSucceeded})
		require.NoError(t, err)
		stranger := create(t, s, creation())
		endings, err := s.Cancel(t.Context(), parent.ID)
		require.NoError(t, err)
		require.Len(t, endings, 3)
		states, err := s.States(t.Context(), []job.ID{parent.ID, child.ID, running.ID, done.ID, stranger.ID, "unknown"})
		require.NoError(t, err)
		require.Equal(t, map[job.ID]job.State{
			parent.ID: job.StateCancelling, child.ID: job.StateCancelled, running.ID: job.StateCancelling,
			done.ID: job.StateSucceeded, stranger.ID: job.StateQueued,
		}, states)
	},
	"an unknown job is not cancelled": func(t *testing.T, s job.Store) {
		_, err := s.Cancel(t.Context(), "unknown")
		require.ErrorIs(t, err, job.ErrNotFound)
	},
	"ending from outside raises the epoch": func(t *testing.T, s job.Store) {
		f := began(t, s)
		w, ended, err := s.End(t.Context(), attemptOne(f.ID), job.Outcome{State: job.StateFailed, Reason: "R"})
		require.NoError(t, err)
		require.True(t, ended)
		require.Equal(t, get(t, s, f.ID).LastSeq, w.LastSeq)
		_, err = s.Finish(t.Context(), f, job.Outcome{State: job.StateSucceeded})
		require.ErrorIs(t, err, job.ErrFenced)
		_, ended, err = s.End(t.Context(), attemptOne(f.ID), job.Outcome{State: job.StateFailed})
		require.NoError(t, err)
		require.False(t, ended)
		dense(t, s, f.ID)
	},
	"a deadline that passes in the queue expires the job": func(t *testing.T, s job.Store) {
		c := creation()
		c.Timeout = time.Microsecond
		j := create(t, s, c)
		passed(j.DeadlineAt)
		_, _, err := s.Begin(t.Context(), attemptOne(j.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrEnded)
		got := get(t, s, j.ID)
		require.Equal(t, []any{job.StateExpired, job.ReasonDeadline, job.ReasonDeadline}, []any{got.State, got.StateReason, got.Error.Reason})
		dense(t, s, j.ID)
	},
	"every race ends in one terminal state": races,
	"history goes when its time has come": func(t *testing.T, s job.Store) {
		f, running := began(t, s), began(t, s)
		_, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateSucceeded, Result: []byte("kept")})
		require.NoError(t, err)
		n, err := s.ExpireHistory(t.Context(), time.Now(), 10)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = s.ExpireHistory(t.Context(), time.Now().Add(31*24*time.Hour), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		j := get(t, s, f.ID)
		require.Equal(t, j.LastSeq+1, j.FirstAvailableSeq)
		require.Equal(t, []byte("kept"), j.Result)
		events, err := s.Events(t.Context(), f.ID, 0, 10)
		require.NoError(t, err)
		require.Empty(t, events)
		dense(t, s, running.ID)
		n, err = s.ExpireHistory(t.Context(), time.Now().Add(31*24*time.Hour), 10)
		require.NoError(t, err)
		require.Zero(t, n)
	},
}

func attemptOne(id job.ID) job.Attempt { return job.Attempt{ID: id, Number: 1} }

// passed returns when a time of the store's clock is over.
func passed(t time.Time) {
	for !time.Now().After(t) {
		runtime.Gosched()
	}
}

func childOf(id job.ID) job.Creation {
	c := creation()
	c.Parent = id
	return c
}
