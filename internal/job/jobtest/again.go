package jobtest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

// repeating: a commit whose answer was lost is written again.
var repeating = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"a creation": func(t *testing.T, s job.Store) {
		for _, c := range []job.Creation{creation(), request("r", "body")} {
			first := create(t, s, c)
			c.Write = mustNotRun(t)
			j, reused, err := s.Create(t.Context(), c, mustNotRun(t))
			require.NoError(t, err)
			require.True(t, reused)
			require.Equal(t, first, j)
			c.RequestID, c.Resource = "", "deliberations/other"
			_, _, err = s.Create(t.Context(), c, mustNotRun(t))
			require.Error(t, err, "the ID is another's")
			require.Equal(t, first, get(t, s, c.ID))
			dense(t, s, c.ID)
		}
	},
	"creations with one ID at once": func(t *testing.T, s job.Store) {
		const callers = 8
		c := creation()
		var wg sync.WaitGroup
		fresh := make(chan bool, callers)
		for range callers {
			wg.Go(func() {
				j, reused, err := s.Create(t.Context(), c, enqueued)
				if err != nil || j.ID != c.ID {
					t.Error(j.ID, err)
				}
				fresh <- !reused
			})
		}
		wg.Wait()
		created := 0
		for range callers {
			if <-fresh {
				created++
			}
		}
		require.Equal(t, 1, created)
		require.Equal(t, []string{"create/0"}, keys(dense(t, s, c.ID)))
	},
	"an intent": func(t *testing.T, s job.Store) {
		f := began(t, s)
		in := intent("m1")
		first, _, err := s.OpenCalls(t.Context(), f, []job.CallIntent{in, intent("m2")})
		require.NoError(t, err)
		before := get(t, s, f.ID)
		second, w, err := s.OpenCalls(t.Context(), f, []job.CallIntent{in, intent("m2"), in})
		require.NoError(t, err)
		require.Equal(t, append(first, first[0]), second)
		require.Equal(t, []any{before.LastSeq, before.Ledger}, []any{w.LastSeq, get(t, s, f.ID).Ledger})
		in.PromptSHA256[0]++
		g := openCall(t, s, f, in)
		require.Equal(t, int32(2), g.Attempt, "another prompt is another call")
		require.NotEqual(t, first[0].IdempotencyKey, g.IdempotencyKey)
		require.Equal(t, int64(1), get(t, s, f.ID).Ledger.CallsRepaid)
		f = begin(t, s, f.ID)
		require.Equal(t, int32(2), openCall(t, s, f, intent("m2")).Attempt, "the next execution cannot know whether it was sent")
		require.Equal(t, int64(2), get(t, s, f.ID).Ledger.CallsRepaid)
	},
	"what an execution writes": func(t *testing.T, s job.Store) {
		f := began(t, s)
		twice := func(what string, write func() (job.Written, error)) {
			first, err := write()
			require.NoError(t, err, what)
			before := get(t, s, f.ID)
			second, err := write()
			require.NoError(t, err, what)
			after := get(t, s, f.ID)
			after.Revision = before.Revision
			require.Equal(t, first, second, what)
			require.Equal(t, before, after, what)
		}
		twice("apply", func() (job.Written, error) {
			return s.Apply(t.Context(), f, job.Change{Advanced: true, Update: job.Update{
				Events: []job.NewEvent{event("a"), event("b")}, Stage: "answer", Progress: &job.Progress{Done: 1, Total: 2},
			}})
		})
		openCall(t, s, f, intent("m1"))
		openCall(t, s, f, intent("m2"))
		twice("answer", func() (job.Written, error) { return s.CloseCall(t.Context(), f, answered(intent("m1"), 1)) })
		twice("failure", func() (job.Written, error) {
			return s.CloseCall(t.Context(), f, job.CallDone{Key: intent("m2").Key, Attempt: 1, State: job.CallFailed, ErrorClass: "TIMEOUT"})
		})
		twice("cancel", func() (job.Written, error) {
			_, err := s.Cancel(t.Context(), f.ID)
			return job.Written{}, err
		})
		twice("finish", func() (job.Written, error) {
			return s.Finish(t.Context(), f, job.Outcome{State: job.StatePartiallySucceeded, Events: []job.NewEvent{event("c")}, Result: []byte("result")})
		})
		dense(t, s, f.ID)
	},
	"what ends a job from outside": func(t *testing.T, s job.Store) {
		c := creation()
		c.QueueTimeout = time.Microsecond
		late, lost := create(t, s, c), began(t, s)
		later := time.Now().Add(time.Minute)
		for i := range 2 {
			endings, err := s.ExpireQueued(t.Context(), later, 10)
			require.NoError(t, err)
			require.Len(t, endings, 1-i)
			_, ended, err := s.End(t.Context(), attemptOne(lost.ID), failedOutcome())
			require.NoError(t, err)
			require.Equal(t, i == 0, ended)
		}
		require.Len(t, dense(t, s, late.ID), 2)
		require.Len(t, dense(t, s, lost.ID), 3)
	},
}

// family: what several jobs of one family do at once.
var family = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"a job started while its parent is being cancelled is cancelled": func(t *testing.T, s job.Store) {
		for range 40 {
			parent := began(t, s)
			c := childOf(parent.ID)
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, _, err := s.Create(t.Context(), c, enqueued); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := s.Cancel(t.Context(), parent.ID); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			require.Equal(t, job.StateCancelled, get(t, s, c.ID).State)
			dense(t, s, c.ID)
		}
	},
	"cancellations, retries and deletions of relatives neither block each other nor leave half": func(t *testing.T, s job.Store) {
		for range 5 {
			parent := began(t, s)
			var ids []job.ID
			for range 3 {
				child := finished(t, s, childOf(parent.ID), failedOutcome())
				ids = append(ids, child, create(t, s, childOf(child)).ID)
			}
			finish(t, s, parent, failedOutcome())
			var wg sync.WaitGroup
			for _, id := range append(ids, parent.ID, parent.ID) {
				wg.Go(func() { _, _ = s.Cancel(t.Context(), id) })
				wg.Go(func() { _, _, _ = s.Retry(t.Context(), job.Retrial{ID: id}, unqueued) })
				wg.Go(func() { _, _ = s.Delete(t.Context(), job.Deletion{IDs: []job.ID{id}}) })
			}
			wg.Wait()
			for _, id := range ids {
				if _, err := s.Get(t.Context(), id); err == nil {
					dense(t, s, id)
				}
			}
		}
	},
}
