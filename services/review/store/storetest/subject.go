package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"witan.dev/internal/job"
	"witan.dev/services/review"
)

func (f Fixture) change(ctx context.Context, name string, fn func(*review.Subject)) error {
	return f.Write(ctx, func(ctx context.Context, tx job.Tx) error {
		s, err := f.Store.Lock(ctx, tx, name, "a")
		if err != nil {
			return err
		}
		fn(&s)
		return f.Store.Put(ctx, tx, s)
	})
}

func pull(repository, number int64) review.PullRef {
	return review.PullRef{Repo: review.Repo{Host: "example.com", Owner: "o", Name: "r", ID: repository, Installation: repository * 10}, Number: number}
}

func subjects(t *testing.T, f Fixture) {
	want := make([]review.Subject, 0, 4)
	for _, ref := range []review.PullRef{pull(1, 1), pull(1, 2), pull(2, 1)} {
		s := review.Subject{
			Name: ref.Subject(), Owner: "a", Pull: ref, Paused: true, Current: "c", Waiting: true, Running: "r", FirstPush: day(1), LastPush: day(2),
			Superseded: 2, Joined: []review.Trigger{review.TriggerPushed}, JoinedLabels: []string{"l"}, Joins: 4, DoneHead: "h",
			Files: map[review.Path]review.CoveredFile{"d\xe9": {Digest: "1", Review: "r"}},
		}
		require.NoError(t, f.change(t.Context(), s.Name, func(found *review.Subject) {
			require.Equal(t, review.Subject{Name: s.Name, Owner: "a"}, *found)
			*found = s
		}))
		want = append(want, s)
	}
	row := review.Subject{
		Name: pull(3, 0).Row(), Owner: "a", Pull: pull(3, 0), Snapshot: "s", Index: "i", Indexers: []string{"a", "b"},
		Tip: review.Tip{
			Branch: "main", Job: "j", Begun: true, FirstPush: day(1), LastPush: day(2), Commit: "c", Index: "i",
			Earlier: []review.EarlierTip{{Index: "left"}, {Index: "h", Until: day(3)}},
		},
	}
	require.NoError(t, f.change(t.Context(), row.Name, func(found *review.Subject) { *found = row }))
	want = append(want, row)
	got, err := f.Store.Subject(t.Context(), want[1].Name)
	require.NoError(t, err)
	require.Equal(t, want[1], got)
	_, err = f.Store.Subject(t.Context(), "github:example.com/9#9")
	require.ErrorIs(t, err, review.ErrNotFound)

	list := func(q review.SubjectQuery) []review.Subject {
		q.Host, q.Limit = "example.com", max(q.Limit, 1)
		found, err := f.Store.ListSubjects(t.Context(), q)
		require.NoError(t, err)
		return found
	}
	require.Equal(t, want, list(review.SubjectQuery{Limit: 10}))
	require.Equal(t, want[1:2], list(review.SubjectQuery{After: want[0].Name}))
	require.Equal(t, want[:2], list(review.SubjectQuery{Repository: 1, Limit: 10}))
	require.Equal(t, want[2:3], list(review.SubjectQuery{Installation: 20, Limit: 10}))
	require.Equal(t, want[3:], list(review.SubjectQuery{Installation: 30, Limit: 10}), "a repository has a row as well")
	require.ErrorIs(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error {
		return f.Store.Put(ctx, tx, review.Subject{Name: "never locked"})
	}), review.ErrNotFound)
}

func locked(t *testing.T, f Fixture) {
	const writers, each = 4, 5
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for range each {
				if err := f.change(t.Context(), "s", func(s *review.Subject) { s.Joins++ }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	got, err := f.Store.Subject(t.Context(), "s")
	require.NoError(t, err)
	require.Equal(t, writers*each, got.Joins)
}

func repinned(t *testing.T, f Fixture) {
	r := example(day(1))
	r.Pinned.Subject = ""
	f.create(t, r)
	r.Pinned.Subject, r.Pinned.Head, r.Title, r.Publish = "github:example.com/1#1", "head", "another", true
	require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.Store.Repin(ctx, tx, r) }))
	got, err := f.Store.Get(t.Context(), r.ID, "a")
	require.NoError(t, err)
	r.Revision = 2
	require.Equal(t, r, got)
	found, err := f.Store.List(t.Context(), review.ListQuery{Owner: "a", Subject: r.Pinned.Subject, Limit: 2})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.ErrorIs(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error {
		return f.Store.Repin(ctx, tx, review.Review{ID: job.NewID()})
	}), review.ErrNotFound)
}

func superseded(t *testing.T, f Fixture) {
	old, done := example(day(1)), example(day(2))
	f.create(t, old)
	f.create(t, done)
	require.NoError(t, f.publish(t, done.ID, review.Result{Disposition: review.DispositionReviewed}))
	for _, id := range []job.ID{old.ID, done.ID, job.NewID()} {
		require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.Store.Supersede(ctx, tx, id, "by") }))
	}
	got, err := f.Store.Get(t.Context(), old.ID, "a")
	require.NoError(t, err)
	require.Equal(t, review.DispositionSuperseded, got.Disposition)
	require.Equal(t, job.ID("by"), got.SupersededBy)
	got, err = f.Store.Get(t.Context(), done.ID, "a")
	require.NoError(t, err)
	require.Equal(t, review.DispositionReviewed, got.Disposition)
}
