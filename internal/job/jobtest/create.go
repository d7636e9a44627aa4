package jobtest

import (
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

var creating = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"a job comes back as it went in": func(t *testing.T, s job.Store) {
		c := creation()
		c.Timeout, c.QueueTimeout, c.HistoryKept, c.Priority = time.Hour, time.Minute, 7*time.Hour, 20
		c.ExpireAt = time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
		j := create(t, s, c)
		require.Equal(t, j, get(t, s, c.ID))
		require.Equal(t, c.ID, j.ID)
		require.Equal(t, c.Kind, j.Kind)
		require.Equal(t, c.Owner, j.Owner)
		require.Equal(t, c.Resource, j.Resource)
		require.Equal(t, c.Labels, j.Labels)
		require.Equal(t, c.Spec, j.Spec)
		require.Equal(t, j.CreatedAt.Add(c.Timeout), j.DeadlineAt)
		require.Equal(t, j.CreatedAt.Add(c.QueueTimeout), j.QueueExpireAt)
		require.Equal(t, []any{c.Timeout, c.QueueTimeout, c.HistoryKept, c.Priority}, []any{j.Timeout, j.QueueTimeout, j.HistoryKept, j.Priority})
		require.Equal(t, c.ExpireAt, j.ExpireAt)
		require.Equal(t, job.StateQueued, j.State)
		require.Equal(t, int32(1), j.Attempt)
		require.Equal(t, int64(1), j.LastSeq)
		require.Equal(t, int64(1), j.FirstAvailableSeq)
		require.Zero(t, j.Epoch)
		require.True(t, j.StartedAt.IsZero())
		require.Nil(t, j.Error)
		plain := create(t, s, creation())
		require.Equal(t, []any{time.Duration(0), time.Duration(0), job.DefaultHistoryKept, job.DefaultPriority},
			[]any{plain.Timeout, plain.QueueTimeout, plain.HistoryKept, plain.Priority})
		require.True(t, plain.DeadlineAt.IsZero())
		require.True(t, plain.QueueExpireAt.IsZero())
		require.Equal(t, []string{"create/0"}, keys(dense(t, s, c.ID)))
	},
	"nothing is left when the resource or the queue refuses": func(t *testing.T, s job.Store) {
		for _, fails := range []string{"write", "enqueue"} {
			c := request("r", "body")
			enqueue := enqueued
			if fails == "write" {
				c.Write = func(context.Context, job.Tx) error { return errRefused }
			} else {
				enqueue = func(context.Context, job.Tx) error { return errRefused }
			}
			_, _, err := s.Create(t.Context(), c, enqueue)
			require.ErrorIs(t, err, errRefused)
			_, err = s.Get(t.Context(), c.ID)
			require.ErrorIs(t, err, job.ErrNotFound)
		}
		create(t, s, request("r", "another body")) // the request is as if it had never been
	},
	"the same request gets the first job, at any state": func(t *testing.T, s job.Store) {
		first := create(t, s, request("r", "body"))
		repeat := func() {
			c := request("r", "body")
			c.Write = mustNotRun(t)
			j, reused, err := s.Create(t.Context(), c, mustNotRun(t))
			require.NoError(t, err)
			require.True(t, reused)
			require.Equal(t, first.ID, j.ID)
			_, err = s.Get(t.Context(), c.ID)
			require.ErrorIs(t, err, job.ErrNotFound)
		}
		repeat()
		f := begin(t, s, first.ID)
		_, err := s.Finish(t.Context(), f, job.Outcome{State: job.StateSucceeded})
		require.NoError(t, err)
		repeat()
	},
	"a request that an existing job answers is known from then on": func(t *testing.T, s job.Store) {
		existing, other := create(t, s, creation()), create(t, s, creation())
		answered := func(body string, by job.ID) (job.Job, error) {
			c := request("r", body)
			c.Existing, c.Write = by, mustNotRun(t)
			j, reused, err := s.Create(t.Context(), c, mustNotRun(t))
			require.Equal(t, err == nil, reused)
			return j, err
		}
		j, err := answered("body", existing.ID)
		require.NoError(t, err)
		require.Equal(t, existing, j)
		for _, by := range []job.ID{other.ID, ""} {
			j, err = answered("body", by)
			require.NoError(t, err)
			require.Equal(t, existing.ID, j.ID)
		}
		_, err = answered("other body", existing.ID)
		require.ErrorIs(t, err, job.ErrRequestIDReused)
	},
	"the creation may turn out to be answered already": func(t *testing.T, s job.Store) {
		waiting := create(t, s, creation())
		asked := 0
		joining := func(answer job.ID) job.Creation {
			c := request("r", "body")
			c.Write = mustNotRun(t)
			c.Admit = func(_ context.Context, _ job.Tx, c *job.Creation) error {
				asked++
				c.Existing = answer
				return nil
			}
			return c
		}
		for range 2 {
			j, reused, err := s.Create(t.Context(), joining(waiting.ID), mustNotRun(t))
			require.NoError(t, err)
			require.True(t, reused)
			require.Equal(t, waiting.ID, j.ID)
		}
		require.Equal(t, 1, asked, "a request that is known is not asked about")

		c := request("other", "body")
		c.Admit = func(_ context.Context, _ job.Tx, c *job.Creation) error {
			c.Spec = []byte("as decided")
			return nil
		}
		require.Equal(t, []byte("as decided"), create(t, s, c).Spec)
		c = request("refused", "body")
		c.Admit = func(context.Context, job.Tx, *job.Creation) error { return errRefused }
		_, _, err := s.Create(t.Context(), c, mustNotRun(t))
		require.ErrorIs(t, err, errRefused)
	},
	"another body, owner or method": func(t *testing.T, s job.Store) {
		create(t, s, request("r", "body"))
		_, _, err := s.Create(t.Context(), request("r", "other"), enqueued)
		require.ErrorIs(t, err, job.ErrRequestIDReused)
		c := request("r", "other")
		c.Owner = "somebody else"
		create(t, s, c)
		c = request("r", "other")
		c.Method = "CreateReview"
		create(t, s, c)
		create(t, s, request("", "body"))
		create(t, s, request("", "body"))
	},
	"two at once get one job": func(t *testing.T, s job.Store) {
		const callers = 16
		ids, errs := make(chan job.ID, callers), make(chan error, callers)
		fresh := make(chan bool, callers)
		for range callers {
			go func() {
				j, reused, err := s.Create(t.Context(), request("r", "body"), enqueued)
				ids <- j.ID
				fresh <- !reused
				errs <- err
			}()
		}
		first, created := <-ids, 0
		for i := range callers {
			require.NoError(t, <-errs)
			if <-fresh {
				created++
			}
			if i > 0 {
				require.Equal(t, first, <-ids)
			}
		}
		require.Equal(t, 1, created)
	},
	"a parent is there and the owner's, but for a request that is known": func(t *testing.T, s job.Store) {
		parent := finished(t, s, creation(), succeeded())
		c := request("r", "body")
		c.Kind, c.Parent = job.KindIndex, parent
		first := create(t, s, c)
		_, err := s.Delete(t.Context(), job.Deletion{IDs: []job.ID{parent}, Keep: []job.Kind{job.KindIndex}})
		require.NoError(t, err)
		again := request("r", "body")
		again.Kind, again.Parent, again.Write = job.KindIndex, parent, mustNotRun(t)
		j, reused, err := s.Create(t.Context(), again, mustNotRun(t))
		require.NoError(t, err, "what started it is gone, and it is not")
		require.True(t, reused)
		require.Equal(t, first.ID, j.ID)
		existing := request("existing", "body")
		existing.Parent, existing.Existing = parent, first.ID
		_, reused, err = s.Create(t.Context(), existing, mustNotRun(t))
		require.NoError(t, err)
		require.True(t, reused)
		foreign := creation()
		foreign.Owner = "somebody else"
		for _, by := range []job.ID{parent, create(t, s, foreign).ID} {
			c := request("r2", "body")
			c.Parent, c.Write = by, mustNotRun(t)
			_, _, err := s.Create(t.Context(), c, mustNotRun(t))
			require.ErrorIs(t, err, job.ErrNotFound)
			_, err = s.Get(t.Context(), c.ID)
			require.ErrorIs(t, err, job.ErrNotFound)
		}
		create(t, s, request("r2", "body")) // the request is as if it had never been
	},
	"states are read in the transaction that writes": func(t *testing.T, s job.Store) {
		done := finished(t, s, creation(), succeeded())
		c := creation()
		c.Write = func(ctx context.Context, tx job.Tx) error {
			states, err := s.StatesTx(ctx, tx, []job.ID{done, c.ID, "unknown"})
			require.NoError(t, err)
			require.Equal(t, map[job.ID]job.State{done: job.StateSucceeded, c.ID: job.StateQueued}, states)
			return nil
		}
		create(t, s, c)
	},
	"a job started by a cancelled one is cancelled": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		_, err := s.Cancel(t.Context(), parent.ID)
		require.NoError(t, err)
		c := creation()
		c.Parent = parent.ID
		j, reused, err := s.Create(t.Context(), c, mustNotRun(t))
		require.NoError(t, err)
		require.False(t, reused)
		require.Equal(t, job.StateCancelled, j.State)
		dense(t, s, c.ID)
	},
}

func request(id, body string) job.Creation {
	c := creation()
	c.RequestID, c.BodySHA256 = id, sha256.Sum256([]byte(body))
	return c
}
