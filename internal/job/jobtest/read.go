package jobtest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

var reading = map[string]func(t *testing.T, s job.Store){ //nolint:gochecknoglobals // a table of tests
	"an unknown job is not found": func(t *testing.T, s job.Store) {
		_, err := s.Get(t.Context(), "unknown")
		require.ErrorIs(t, err, job.ErrNotFound)
		events, err := s.Events(t.Context(), "unknown", 0, 10)
		require.NoError(t, err)
		require.Empty(t, events)
	},
	"lists show neither spec nor result": func(t *testing.T, s job.Store) {
		id := finished(t, s, creation(), succeeded())
		whole := get(t, s, id)
		require.NotEmpty(t, whole.Spec)
		require.NotEmpty(t, whole.Result)
		whole.Spec, whole.Result = nil, nil
		for _, q := range []job.ListQuery{{Limit: 10}, {Limit: 10, Owner: owner}} {
			jobs, err := s.List(t.Context(), q)
			require.NoError(t, err)
			require.Equal(t, []job.Job{whole}, jobs)
		}
	},
	"events come in pages": func(t *testing.T, s job.Store) {
		f := began(t, s)
		for _, k := range []string{"a", "b", "c"} {
			apply(t, s, f, event(k))
		}
		var got []string
		for after := int64(0); ; {
			page, err := s.Events(t.Context(), f.ID, after, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(t, len(page), 2)
			got = append(got, keys(page)...)
			after = page[len(page)-1].Seq
		}
		require.Equal(t, []string{"create/0", "begin/1", "a", "b", "c"}, got)
	},
	"a page of large events ends early and none is lost": func(t *testing.T, s job.Store) {
		f := began(t, s)
		large := func(key string, bytes int) job.NewEvent {
			return job.NewEvent{Key: key, Type: "council.planned", Payload: make([]byte, bytes)}
		}
		apply(t, s, f, large("a", job.EventsBytes/2), large("b", job.EventsBytes/2), large("c", 2*job.EventsBytes), large("d", 1), large("e", 1))
		var pages [][]string
		for after := int64(0); ; {
			page, err := s.Events(t.Context(), f.ID, after, 1000)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			pages = append(pages, keys(page))
			after = page[len(page)-1].Seq
		}
		require.Equal(t, [][]string{{"create/0", "begin/1", "a", "b"}, {"c"}, {"d", "e"}}, pages)
	},
	"last sequence numbers of many": func(t *testing.T, s job.Store) {
		a, b := create(t, s, creation()), began(t, s)
		seqs, err := s.LastSeqs(t.Context(), []job.ID{a.ID, b.ID, "unknown"})
		require.NoError(t, err)
		require.Equal(t, map[job.ID]int64{a.ID: 1, b.ID: 2}, seqs)
		many := slices.Repeat([]job.ID{"unknown"}, 2500)
		seqs, err = s.LastSeqs(t.Context(), append(many, a.ID))
		require.NoError(t, err)
		require.Equal(t, map[job.ID]int64{a.ID: 1}, seqs)
	},
	"unfinished jobs in pages": func(t *testing.T, s job.Store) {
		want := []job.ID{create(t, s, creation()).ID, began(t, s).ID, began(t, s).ID}
		_, err := s.Cancel(t.Context(), want[2])
		require.NoError(t, err)
		done := began(t, s)
		_, err = s.Finish(t.Context(), done, job.Outcome{State: job.StateFailed})
		require.NoError(t, err)
		slices.Sort(want)
		head, err := s.Unfinished(t.Context(), "", 2)
		require.NoError(t, err)
		rest, err := s.Unfinished(t.Context(), head[1].ID, 2)
		require.NoError(t, err)
		require.Equal(t, []job.Attempt{attemptOne(want[0]), attemptOne(want[1]), attemptOne(want[2])}, append(head, rest...))
	},
	"lists are newest first, filtered and paged": func(t *testing.T, s job.Store) {
		var want []job.ID
		for range 5 {
			want = append(want, create(t, s, creation()).ID)
		}
		other := creation()
		other.Owner, other.Kind = "somebody else", job.KindReview
		create(t, s, other)
		var got []job.ID
		q := job.ListQuery{Owner: owner, Limit: 2}
		for {
			page, err := s.List(t.Context(), q)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for i, j := range page {
				require.Equal(t, owner, j.Owner)
				if i > 0 {
					require.False(t, j.CreatedAt.After(page[i-1].CreatedAt))
				}
				got = append(got, j.ID)
			}
			last := page[len(page)-1]
			q.After = job.ListPosition{CreatedAt: last.CreatedAt, ID: last.ID}
		}
		require.ElementsMatch(t, want, got)
		require.Len(t, got, 5)
		require.Len(t, list(t, s, job.ListQuery{Limit: 100}), 6)
		require.Len(t, list(t, s, job.ListQuery{Kinds: []job.Kind{job.KindReview}, Limit: 100}), 1)
		require.Empty(t, list(t, s, job.ListQuery{States: []job.State{job.StateFailed}, Limit: 100}))
		require.Len(t, list(t, s, job.ListQuery{States: []job.State{job.StateFailed, job.StateQueued}, Limit: 100}), 6)
	},
	"lists by parent": func(t *testing.T, s job.Store) {
		parent := began(t, s)
		child := create(t, s, childOf(parent.ID))
		got := list(t, s, job.ListQuery{Parent: parent.ID, Limit: 10})
		require.Len(t, got, 1)
		child.Spec = nil // lists leave it out
		require.Equal(t, child, got[0])
	},
}

func list(t *testing.T, s job.Store, q job.ListQuery) []job.Job {
	t.Helper()
	jobs, err := s.List(t.Context(), q)
	require.NoError(t, err)
	return jobs
}
