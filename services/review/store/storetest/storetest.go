// Package storetest is the suite that every review.Store passes.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// Fixture is an empty store with the way to write to it: Write runs fn in one transaction.
type Fixture struct {
	Store interface {
		review.Store
		review.Subjects
	}
	Write func(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error
}

// Run runs the suite; open gives an empty store for each test.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Fixture){
		"what was created is read":             created,
		"publishing replaces":                  published,
		"foreign reviews look missing":         foreign,
		"pages go on where they ended":         pages,
		"findings are filtered in their order": findings,
		"any path is kept byte for byte":       anyPath,
		"deleting takes the findings along":    deleted,
		"a subject is kept as it was put":      subjects,
		"a subject has one writer at a time":   locked,
		"what a review came to be is stored":   repinned,
		"a result is not superseded":           superseded,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func example(at time.Time) review.Review {
	return review.Review{
		ID: job.NewID(), Owner: "a", CreatedAt: at.UTC(), FailOn: finding.SeverityHigh, Council: "councils/default",
		Labels: map[string]string{"k": "v"}, Title: "a title",
		Pinned: review.Pinned{
			Source:  review.Source{Kind: review.SourceRange, Dir: "/srv/repo", Base: "main"},
			Subject: "local:1234/main", Base: "b", Head: "h", MergeBase: "m", GitDir: "/srv/repo/.git",
		},
	}
}

func (f Fixture) create(t *testing.T, r review.Review) {
	t.Helper()
	require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.Store.Create(ctx, tx, r) }))
}

func (f Fixture) publish(t *testing.T, id job.ID, result review.Result, findings ...finding.Finding) error {
	t.Helper()
	return f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.Store.Publish(ctx, tx, id, result, findings) })
}

func day(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 1000, time.UTC) }

func created(t *testing.T, f Fixture) {
	want := example(day(1))
	f.create(t, want)
	got, err := f.Store.Get(t.Context(), want.ID, "a")
	require.NoError(t, err)
	want.Revision = 1
	require.Equal(t, want, got)
	_, err = f.Store.Get(t.Context(), job.NewID(), "a")
	require.ErrorIs(t, err, review.ErrNotFound)
}

func published(t *testing.T, f Fixture) {
	r := example(day(1))
	f.create(t, r)
	cost := int64(0)
	first := review.Result{
		Disposition: review.DispositionReviewed, Summary: "one", PublishedAt: day(2),
		Usage:    job.Usage{InputTokens: 5, CostMicros: &cost, Currency: "USD"},
		Coverage: finding.Coverage{Complete: true, Files: []finding.FileCoverage{{Path: "a", Change: "M", Status: finding.Reviewed}}},
	}
	require.NoError(t, f.publish(t, r.ID, first, finding.Finding{Name: "f1"}, finding.Finding{Name: "f2"}))
	got, err := f.Store.Get(t.Context(), r.ID, "a")
	require.NoError(t, err)
	require.Equal(t, first, got.Result)
	require.Equal(t, int64(2), got.Revision)

	second := first
	second.Summary = "two"
	require.NoError(t, f.publish(t, r.ID, second, finding.Finding{Name: "f2"}))
	got, err = f.Store.Get(t.Context(), r.ID, "a")
	require.NoError(t, err)
	require.Equal(t, "two", got.Summary)
	list, err := f.Store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.ErrorIs(t, f.publish(t, job.NewID(), first), review.ErrNotFound)
}

func foreign(t *testing.T, f Fixture) {
	r := example(day(1))
	f.create(t, r)
	_, err := f.Store.Get(t.Context(), r.ID, "b")
	require.ErrorIs(t, err, review.ErrNotFound)
	_, err = f.Store.Get(t.Context(), r.ID, "")
	require.NoError(t, err)
	list, err := f.Store.List(t.Context(), review.ListQuery{Owner: "b", Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
}

func pages(t *testing.T, f Fixture) {
	var want []job.ID
	for i := range 7 {
		r := example(day(1 + i/2)) // pairs share their time
		if i%3 == 0 {
			r.Pinned.Subject = "local:other/main"
		}
		f.create(t, r)
		want = append(want, r.ID)
	}
	var got []job.ID
	q := review.ListQuery{Owner: "a", Limit: 2}
	for {
		page, err := f.Store.List(t.Context(), q)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		for i := range page {
			got = append(got, page[i].ID)
			require.False(t, i > 0 && page[i].CreatedAt.After(page[i-1].CreatedAt))
		}
		last := page[len(page)-1]
		q.After = review.Position{CreatedAt: last.CreatedAt, ID: last.ID}
	}
	require.ElementsMatch(t, want, got)
	other, err := f.Store.List(t.Context(), review.ListQuery{Owner: "a", Subject: "local:other/main", Limit: 10})
	require.NoError(t, err)
	require.Len(t, other, 3)
}

func findings(t *testing.T, f Fixture) {
	r := example(day(1))
	f.create(t, r)
	high := finding.Finding{Name: "f1", Severity: finding.SeverityHigh, Outcome: finding.Published, Fingerprint: "v1:1"}
	low := finding.Finding{Name: "f2", Severity: finding.SeverityLow, Outcome: finding.Published}
	held := finding.Finding{Name: "f3", Severity: finding.SeverityHigh, Outcome: finding.Held, Votes: []finding.Vote{{Voter: "m"}}}
	require.NoError(t, f.publish(t, r.ID, review.Result{}, high, low, held))
	names := func(q review.FindingQuery) (out []string) {
		q.Review, q.Limit = r.ID, max(q.Limit, 1)
		list, err := f.Store.Findings(t.Context(), q)
		require.NoError(t, err)
		for _, n := range list {
			out = append(out, n.Name)
		}
		return out
	}
	require.Equal(t, []string{"f1", "f2", "f3"}, names(review.FindingQuery{Limit: 10}))
	require.Equal(t, []string{"f1", "f3"}, names(review.FindingQuery{MinSeverity: finding.SeverityMedium, Limit: 10}))
	require.Equal(t, []string{"f3"}, names(review.FindingQuery{Outcome: finding.Held, Limit: 10}))
	require.Equal(t, []string{"f2"}, names(review.FindingQuery{After: 1, Limit: 1}))
	counts, err := f.Store.Count(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, map[review.Bucket]int{
		{Outcome: finding.Published, Severity: finding.SeverityHigh}: 1,
		{Outcome: finding.Published, Severity: finding.SeverityLow}:  1,
		{Outcome: finding.Held, Severity: finding.SeverityHigh}:      1,
	}, counts)
}

func anyPath(t *testing.T, f Fixture) {
	r := example(day(1))
	f.create(t, r)
	const odd = "d\xe9j\xe0 \"vu\"\t\n"
	result := review.Result{Coverage: finding.Coverage{Files: []finding.FileCoverage{{Path: odd, OldPath: odd}}}}
	place := finding.Location{Path: odd}
	require.NoError(t, f.publish(t, r.ID, result, finding.Finding{Name: "f", Location: place, Related: []finding.Location{place}}))
	got, err := f.Store.Get(t.Context(), r.ID, "a")
	require.NoError(t, err)
	require.Equal(t, odd, got.Coverage.Files[0].Path)
	require.Equal(t, odd, got.Coverage.Files[0].OldPath)
	list, err := f.Store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, place, list[0].Location)
	require.Equal(t, place, list[0].Related[0])
}

func deleted(t *testing.T, f Fixture) {
	r := example(day(1))
	f.create(t, r)
	require.NoError(t, f.publish(t, r.ID, review.Result{}, finding.Finding{Name: "f"}))
	remove := func(ctx context.Context, tx job.Tx) error { return f.Store.Delete(ctx, tx, r.ID) }
	require.NoError(t, f.Write(t.Context(), remove))
	require.NoError(t, f.Write(t.Context(), remove))
	_, err := f.Store.Get(t.Context(), r.ID, "a")
	require.ErrorIs(t, err, review.ErrNotFound)
	list, err := f.Store.Findings(t.Context(), review.FindingQuery{Review: r.ID, Limit: 1})
	require.NoError(t, err)
	require.Empty(t, list)
}
