// Package jobtest is the suite that every adapter of job.Store passes.
package jobtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

// Run runs the suite. newStore returns an empty store whose end is the test's.
func Run(t *testing.T, newStore func(t *testing.T) job.Store) {
	t.Helper()
	groups := map[string]map[string]func(t *testing.T, s job.Store){
		"create": creating, "log": logging, "fence": fencing, "end": ending, "calls": calling, "read": reading,
		"retry": retrying, "remove": removing, "again": repeating, "family": family,
		"model": {"random scripts agree with a model of the log": script},
	}
	for group, tests := range groups {
		for name, test := range tests {
			t.Run(group+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, newStore(t))
			})
		}
	}
}

const owner = "somebody"

func creation() job.Creation {
	id := job.NewID()
	return job.Creation{
		ID: id, Kind: job.KindCouncil, Owner: owner, Method: "CreateDeliberation", Resource: "deliberations/" + string(id),
		Spec: []byte("spec"), Labels: map[string]string{"a": "b"},
	}
}

func enqueued(context.Context, job.Tx) error { return nil }

func create(t *testing.T, s job.Store, c job.Creation) job.Job {
	t.Helper()
	j, reused, err := s.Create(t.Context(), c, enqueued)
	require.NoError(t, err)
	require.False(t, reused)
	return j
}

const maxStalled = 3

// begin begins the next execution and returns its fence.
func begin(t *testing.T, s job.Store, id job.ID) job.Fence {
	t.Helper()
	j, w, err := s.Begin(t.Context(), job.Attempt{ID: id, Number: attemptOf(t, s, id)}, maxStalled)
	require.NoError(t, err)
	require.Equal(t, j.LastSeq, w.LastSeq)
	return job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt}
}

func attemptOf(t *testing.T, s job.Store, id job.ID) int32 {
	t.Helper()
	return get(t, s, id).Attempt
}

// began creates a job and begins it.
func began(t *testing.T, s job.Store) job.Fence {
	t.Helper()
	return begin(t, s, create(t, s, creation()).ID)
}

func get(t *testing.T, s job.Store, id job.ID) job.Job {
	t.Helper()
	j, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	return j
}

// dense reads the log and requires that nothing is missing or double.
func dense(t *testing.T, s job.Store, id job.ID) []job.Event {
	t.Helper()
	j := get(t, s, id)
	events, err := s.Events(t.Context(), id, 0, 100_000)
	require.NoError(t, err)
	require.Len(t, events, int(j.LastSeq))
	keys := make(map[string]bool)
	for i, e := range events {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, id, e.JobID)
		require.False(t, keys[e.Key], "key %s is there twice", e.Key)
		keys[e.Key] = true
		last := i == len(events)-1
		require.Equal(t, last && j.State.Terminal() || !last && events[i+1].Key == job.KeyRetry(e.Attempt+1), e.Final, "final of %s", e.Key)
	}
	return events
}

func event(key string) job.NewEvent {
	return job.NewEvent{Key: key, Type: "council.planned", Payload: []byte("payload of " + key)}
}

func apply(t *testing.T, s job.Store, f job.Fence, events ...job.NewEvent) {
	t.Helper()
	w, err := s.Apply(t.Context(), f, job.Change{Update: job.Update{Events: events}})
	require.NoError(t, err)
	require.Equal(t, get(t, s, f.ID).LastSeq, w.LastSeq)
}

func keys(events []job.Event) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.Key
	}
	return out
}

var errRefused = errors.New("refused")

var logging = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"events come back as they went in": func(t *testing.T, s job.Store) {
		before := time.Now().Add(-time.Second)
		f := began(t, s)
		apply(t, s, f, event("1/plan/planned/0"), job.NewEvent{Key: "1/plan/empty/0", Type: "council.member_delta"})
		events := dense(t, s, f.ID)
		require.Equal(t, []string{"create/0", "begin/1", "1/plan/planned/0", "1/plan/empty/0"}, keys(events))
		e := events[2]
		require.Equal(t, "council.planned", e.Type)
		require.Equal(t, []byte("payload of 1/plan/planned/0"), e.Payload)
		require.Equal(t, f.Epoch, e.Epoch)
		require.Equal(t, f.Attempt, e.Attempt)
		require.True(t, e.Time.After(before))
		require.Equal(t, time.UTC, e.Time.Location())
		require.Empty(t, events[3].Payload)
		require.True(t, events[3].Delta())
	},
	"a key that is there adds nothing, in the same write and in a later one": func(t *testing.T, s job.Store) {
		f := began(t, s)
		apply(t, s, f, event("a"), event("b"), event("a"))
		apply(t, s, f, event("b"), event("c"))
		require.Equal(t, []string{"create/0", "begin/1", "a", "b", "c"}, keys(dense(t, s, f.ID)))
		f = begin(t, s, f.ID)
		apply(t, s, f, event("a"), event("c"), event("d"))
		require.Equal(t, []string{"create/0", "begin/1", "a", "b", "c", "begin/2", "d"}, keys(dense(t, s, f.ID)))
	},
	"progress and stage are logged when they change": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range 2 {
			_, err := s.Apply(t.Context(), f, job.Change{Update: job.Update{Stage: "answer", Progress: &job.Progress{Done: 1, Total: 3, Unit: "calls"}}})
			require.NoError(t, err)
		}
		apply(t, s, f, event("a"))
		j := get(t, s, f.ID)
		require.Equal(t, "answer", j.Stage)
		require.Equal(t, job.Progress{Done: 1, Total: 3, Unit: "calls"}, j.Progress)
		events := dense(t, s, f.ID)
		require.Len(t, events, 4)
		p, err := job.DecodeStageProgress(events[2].Payload)
		require.NoError(t, err)
		require.Equal(t, job.StageProgress{Stage: "answer", Progress: job.Progress{Done: 1, Total: 3, Unit: "calls"}}, p)
	},
	"a write that fails leaves neither rows nor events": func(t *testing.T, s job.Store) {
		f := began(t, s)
		_, err := s.Apply(t.Context(), f, job.Change{Update: job.Update{
			Events: []job.NewEvent{event("a")}, Stage: "answer",
			Write: func(context.Context, job.Tx) error { return errRefused },
		}})
		require.ErrorIs(t, err, errRefused)
		require.Len(t, dense(t, s, f.ID), 2)
		require.Empty(t, get(t, s, f.ID).Stage)
	},
	"many writers number without gaps": func(t *testing.T, s job.Store) {
		f := began(t, s)
		const writers, each = 8, 25
		errs := make(chan error, writers)
		for w := range writers {
			go func() {
				var err error
				for i := range each {
					if _, e := s.Apply(t.Context(), f, job.Change{Update: job.Update{Events: []job.NewEvent{event(fmt.Sprintf("%d/%d", w, i))}}}); e != nil {
						err = e
					}
				}
				errs <- err
			}()
		}
		for range writers {
			require.NoError(t, <-errs)
		}
		require.Len(t, dense(t, s, f.ID), 2+writers*each)
	},
	"revision rises with each change": func(t *testing.T, s job.Store) {
		f := began(t, s)
		before := get(t, s, f.ID).Revision
		apply(t, s, f, event("a"))
		require.Greater(t, get(t, s, f.ID).Revision, before)
	},
}

var fencing = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"an earlier epoch writes nothing": func(t *testing.T, s job.Store) {
		old := began(t, s)
		grants, _, err := s.OpenCalls(t.Context(), old, []job.CallIntent{intent("m1")})
		require.NoError(t, err)
		f := begin(t, s, old.ID)
		require.Equal(t, old.Epoch+1, f.Epoch)
		before := get(t, s, f.ID)
		refusals := map[string]error{}
		_, refusals["apply"] = s.Apply(t.Context(), old, job.Change{Update: job.Update{Events: []job.NewEvent{event("late")}, Write: mustNotRun(t)}})
		_, _, refusals["open"] = s.OpenCalls(t.Context(), old, []job.CallIntent{intent("m2")})
		_, refusals["close"] = s.CloseCall(t.Context(), old, job.CallDone{Key: intent("m1").Key, Attempt: grants[0].Attempt, State: job.CallResult, Write: mustNotRun(t)})
		_, refusals["finish"] = s.Finish(t.Context(), old, job.Outcome{State: job.StateSucceeded, Write: mustNotRun(t)})
		for what, err := range refusals {
			require.ErrorIs(t, err, job.ErrFenced, what)
		}
		require.Equal(t, before, get(t, s, f.ID))
		dense(t, s, f.ID)
	},
	"an epoch that has not begun writes nothing": func(t *testing.T, s job.Store) {
		f := began(t, s)
		f.Epoch++
		_, err := s.Apply(t.Context(), f, job.Change{Update: job.Update{Events: []job.NewEvent{event("early")}}})
		require.ErrorIs(t, err, job.ErrFenced)
	},
	"an unknown job is not begun": func(t *testing.T, s job.Store) {
		_, _, err := s.Begin(t.Context(), attemptOne("unknown"), maxStalled)
		require.ErrorIs(t, err, job.ErrNotFound)
	},
	"after its end an execution writes nothing": func(t *testing.T, s job.Store) {
		f := began(t, s)
		_, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateSucceeded})
		require.NoError(t, err)
		_, err = s.Apply(t.Context(), f, job.Change{Update: job.Update{Events: []job.NewEvent{event("late")}}})
		require.ErrorIs(t, err, job.ErrFenced)
		dense(t, s, f.ID)
	},
	"begin counts recoveries": func(t *testing.T, s job.Store) {
		f := began(t, s)
		require.Zero(t, get(t, s, f.ID).Ledger.Recoveries)
		f = begin(t, s, f.ID)
		j := get(t, s, f.ID)
		require.Equal(t, int64(1), j.Ledger.Recoveries)
		require.Equal(t, job.StateRunning, j.State)
		require.False(t, j.StartedAt.IsZero())
	},
	"what stayed away makes a job a dead letter": func(t *testing.T, s job.Store) {
		want := int64(0)
		for _, o := range []job.Outcome{
			{State: job.StateFailed, Reason: "FORGE_UNAVAILABLE"},
			{State: job.StateFailed, Reason: "BUDGET_EXCEEDED"},
			{State: job.StatePartiallySucceeded, Reason: "COUNCIL_UNAVAILABLE"},
			{State: job.StatePartiallySucceeded, Reason: "MEMBER_FAILED"},
		} {
			f := began(t, s)
			finish(t, s, f, o)
			if job.IsDeadLetter(o.Reason) {
				want++
			}
			n, err := s.DeadLetters(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, n, "%v", o)
		}
		require.Equal(t, int64(2), want)
	},
	"a job that never gets on is given up": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range maxStalled {
			f = begin(t, s, f.ID)
		}
		_, w, err := s.Begin(t.Context(), attemptOne(f.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrEnded)
		j := get(t, s, f.ID)
		require.Equal(t, w.LastSeq, j.LastSeq)
		require.Equal(t, job.StateFailed, j.State)
		require.Equal(t, job.ReasonRecoveryAttempts, j.StateReason)
		require.Equal(t, job.ReasonRecoveryAttempts, j.Error.Reason)
		_, err = s.Apply(t.Context(), f, job.Change{})
		require.ErrorIs(t, err, job.ErrFenced)
		dense(t, s, f.ID)
	},
	"getting on starts the count anew": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range 2 * maxStalled {
			f = begin(t, s, f.ID)
			_, err := s.Apply(t.Context(), f, job.Change{Advanced: true})
			require.NoError(t, err)
		}
		require.Zero(t, get(t, s, f.ID).Stalled)
	},
	"a hand-over is not counted": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for range 2 * maxStalled {
			before := get(t, s, f.ID).Stalled - 1
			_, err := s.Apply(t.Context(), f, job.Change{Stalled: &before})
			require.NoError(t, err)
			f = begin(t, s, f.ID)
		}
		require.Zero(t, get(t, s, f.ID).Stalled)
		f = begin(t, s, f.ID)
		require.Equal(t, 1, get(t, s, f.ID).Stalled, "what was not handed over is")
		before := 0
		_, err := s.Apply(t.Context(), f, job.Change{Stalled: &before})
		require.NoError(t, err)
		begin(t, s, f.ID)
		require.Equal(t, 1, get(t, s, f.ID).Stalled)
	},
}

func mustNotRun(t *testing.T) func(context.Context, job.Tx) error {
	t.Helper()
	return func(context.Context, job.Tx) error {
		t.Error("a fenced write ran")
		return nil
	}
}
