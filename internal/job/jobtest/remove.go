package jobtest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

func succeeded() job.Outcome { return job.Outcome{State: job.StateSucceeded, Result: []byte("result")} }

func attemptsOf(jobs []job.Job) []job.Attempt {
	out := make([]job.Attempt, len(jobs))
	for i, j := range jobs {
		out[i] = job.Attempt{ID: j.ID, Number: j.Attempt}
	}
	return out
}

var removing = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"a finished job goes with all that it started": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		openCall(t, s, parent, intent("m1"))
		child := finished(t, s, childOf(parent.ID), succeeded())
		grandchild := finished(t, s, childOf(child), succeeded())
		stranger := finished(t, s, creation(), succeeded())
		finish(t, s, parent, failedOutcome())
		retry(t, s, parent.ID)
		finish(t, s, begin(t, s, parent.ID), succeeded())
		var removed []job.ID
		wrote := false
		gone, err := s.Delete(t.Context(), job.Deletion{
			IDs: []job.ID{parent.ID}, Owner: owner, Revision: get(t, s, parent.ID).Revision,
			Remove: func(_ context.Context, _ job.Tx, j job.Job) error { removed = append(removed, j.ID); return nil },
			Write:  func(context.Context, job.Tx) error { wrote = true; return nil },
		})
		require.NoError(t, err)
		require.True(t, wrote)
		require.Equal(t, []job.ID{grandchild, child, parent.ID}, removed, "children first")
		require.ElementsMatch(t, []job.Attempt{{ID: parent.ID, Number: 2}, attemptOne(child), attemptOne(grandchild)}, attemptsOf(gone))
		for _, id := range removed {
			_, err := s.Get(t.Context(), id)
			require.ErrorIs(t, err, job.ErrNotFound)
			events, err := s.Events(t.Context(), id, 0, 10)
			require.NoError(t, err)
			require.Empty(t, events)
		}
		_, _, err = s.Begin(t.Context(), attemptOne(parent.ID), maxStalled)
		require.ErrorIs(t, err, job.ErrNotFound)
		_, err = s.Finish(t.Context(), parent, succeeded())
		require.ErrorIs(t, err, job.ErrFenced)
		dense(t, s, stranger)
		_, err = s.Delete(t.Context(), job.Deletion{IDs: []job.ID{parent.ID}})
		require.ErrorIs(t, err, job.ErrNotFound)
	},
	"what is refused, and then nothing is gone": func(t *testing.T, s job.Store) {
		running := began(t, s)
		of := finished(t, s, childOf(running.ID), succeeded())
		parent := began(t, s)
		create(t, s, childOf(parent.ID))
		finish(t, s, parent, failedOutcome())
		done := finished(t, s, creation(), succeeded())
		refuse := func(context.Context, job.Tx, job.Job) error { return errRefused }
		for what, c := range map[string]struct {
			d    job.Deletion
			want error
		}{
			"running":                {job.Deletion{IDs: []job.ID{running.ID}}, job.ErrNotFinished},
			"read by a running one":  {job.Deletion{IDs: []job.ID{of}}, job.ErrNotFinished},
			"a child is unfinished":  {job.Deletion{IDs: []job.ID{parent.ID}}, job.ErrNotFinished},
			"one of two":             {job.Deletion{IDs: []job.ID{done, running.ID}}, job.ErrNotFinished},
			"foreign":                {job.Deletion{IDs: []job.ID{done}, Owner: "somebody else"}, job.ErrNotFound},
			"stale":                  {job.Deletion{IDs: []job.ID{done}, Revision: get(t, s, done).Revision - 1}, job.ErrETagMismatch},
			"unknown":                {job.Deletion{IDs: []job.ID{done, "unknown"}}, job.ErrNotFound},
			"its service objects":    {job.Deletion{IDs: []job.ID{done}, Remove: refuse}, errRefused},
			"the last write objects": {job.Deletion{IDs: []job.ID{done}, Write: func(context.Context, job.Tx) error { return errRefused }}, errRefused},
		} {
			_, err := s.Delete(t.Context(), c.d)
			require.ErrorIs(t, err, c.want, what)
		}
		for _, id := range []job.ID{running.ID, of, parent.ID, done} {
			dense(t, s, id)
		}
	},
	"kinds that are kept forget who started them": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		c := childOf(parent.ID)
		c.Kind = job.KindIndex
		kept := create(t, s, c)
		child := finished(t, s, childOf(parent.ID), succeeded())
		finish(t, s, parent, succeeded())
		gone, err := s.Delete(t.Context(), job.Deletion{IDs: []job.ID{parent.ID}, Keep: []job.Kind{job.KindIndex}})
		require.NoError(t, err)
		require.ElementsMatch(t, []job.Attempt{attemptOne(parent.ID), attemptOne(child)}, attemptsOf(gone))
		j := get(t, s, kept.ID)
		require.Empty(t, j.Parent)
		require.Equal(t, job.StateQueued, j.State)
		_, err = s.Cancel(t.Context(), kept.ID)
		require.NoError(t, err)
		gone, err = s.Delete(t.Context(), job.Deletion{IDs: []job.ID{kept.ID}, Keep: []job.Kind{job.KindIndex}})
		require.NoError(t, err)
		require.Len(t, gone, 1, "what is named goes")
	},
	"several in one": func(t *testing.T, s job.Store) {
		a, b := finished(t, s, creation(), succeeded()), finished(t, s, creation(), succeeded())
		child := finished(t, s, childOf(a), succeeded())
		gone, err := s.Delete(t.Context(), job.Deletion{IDs: []job.ID{a, child, b}, Owner: owner})
		require.NoError(t, err)
		require.ElementsMatch(t, []job.Attempt{attemptOne(a), attemptOne(b), attemptOne(child)}, attemptsOf(gone))
		wrote := false
		gone, err = s.Delete(t.Context(), job.Deletion{Write: func(context.Context, job.Tx) error { wrote = true; return nil }})
		require.NoError(t, err)
		require.Empty(t, gone)
		require.True(t, wrote, "a deletion of no job is a write")
	},
	"children first, in whatever order they are named": func(t *testing.T, s job.Store) {
		for range 4 { // IDs are drawn, and some order would be right by chance
			a := finished(t, s, creation(), succeeded())
			b := finished(t, s, childOf(a), succeeded())
			c := finished(t, s, childOf(b), succeeded())
			for _, ids := range [][]job.ID{{a, b, c}, {c, b, a}, {c, a}, {b, a, c}} {
				var removed []job.ID
				_, err := s.Delete(t.Context(), job.Deletion{
					IDs:    ids,
					Remove: func(_ context.Context, _ job.Tx, j job.Job) error { removed = append(removed, j.ID); return nil },
					Write:  func(context.Context, job.Tx) error { return errRefused },
				})
				require.ErrorIs(t, err, errRefused)
				require.Equal(t, []job.ID{c, b, a}, removed, "named as %v", ids)
			}
		}
	},
	"its requests are known and answer nothing any more": func(t *testing.T, s job.Store) {
		f := begin(t, s, create(t, s, request("r", "body")).ID)
		finish(t, s, f, failedOutcome())
		_, _, err := s.Retry(t.Context(), retrial(f.ID, "again", "body"), unqueued)
		require.NoError(t, err)
		finish(t, s, begin(t, s, f.ID), succeeded())
		_, err = s.Delete(t.Context(), job.Deletion{IDs: []job.ID{f.ID}})
		require.NoError(t, err)
		_, _, err = s.Create(t.Context(), request("r", "body"), mustNotRun(t))
		require.ErrorIs(t, err, job.ErrNotFound)
		require.ErrorContains(t, err, job.ErrDeleted.Message())
		_, _, err = s.Create(t.Context(), request("r", "other body"), mustNotRun(t))
		require.ErrorIs(t, err, job.ErrRequestIDReused)
		_, _, err = s.Retry(t.Context(), retrial(f.ID, "again", "body"), unqueued)
		require.ErrorIs(t, err, job.ErrNotFound)
		create(t, s, request("r2", "body"))
	},
	"temporary jobs are found when their time is over": func(t *testing.T, s job.Store) {
		now := time.Now()
		create(t, s, creation())
		var ids []job.ID
		for _, d := range []time.Duration{2 * time.Hour, time.Hour, 3 * time.Hour} {
			c := creation()
			c.ExpireAt = now.Add(d)
			ids = append(ids, create(t, s, c).ID)
		}
		got, err := s.Expired(t.Context(), now, job.Expiry{}, 10)
		require.NoError(t, err)
		require.Empty(t, got)
		got, err = s.Expired(t.Context(), now.Add(150*time.Minute), job.Expiry{}, 10)
		require.NoError(t, err)
		require.Equal(t, []job.ID{ids[1], ids[0]}, []job.ID{got[0].ID, got[1].ID})
		require.Len(t, got, 2)
		got, err = s.Expired(t.Context(), now.Add(24*time.Hour), job.Expiry{}, 1)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.Equal(t, ids[1], got[0].ID)
		got, err = s.Expired(t.Context(), now.Add(24*time.Hour), got[0], 1)
		require.NoError(t, err)
		require.Equal(t, ids[0], got[0].ID, "the next page begins behind the last")
	},
	"the log stays as long as the creation says": func(t *testing.T, s job.Store) {
		c := creation()
		c.HistoryKept = time.Hour
		id := finished(t, s, c, succeeded())
		j := get(t, s, id)
		require.Equal(t, j.EndedAt.Add(time.Hour), j.HistoryExpireAt)
		n, err := s.ExpireHistory(t.Context(), time.Now().Add(2*time.Hour), 10)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []byte("result"), get(t, s, id).Result)
	},
}
