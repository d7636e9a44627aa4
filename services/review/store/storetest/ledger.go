package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// RunLedger runs the suite of review.Ledger on stores that keep reviews as well; open gives an empty one for each test.
func RunLedger(t *testing.T, open func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, ledgerFixture){
		"known findings are kept, changed and counted": knownFindings,
		"a finding is found by each of its comments":   knownComments,
		"what is done stays done":                      publications,
		"it lasts as long as the subject has a review": forgotten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			l, ok := f.Store.(review.Ledger)
			require.True(t, ok)
			test(t, ledgerFixture{f, l})
		})
	}
}

type ledgerFixture struct {
	Fixture

	ledger review.Ledger
}

const subject = "github:example.com/1#2"

func (f ledgerFixture) put(t *testing.T, k review.Known) error {
	t.Helper()
	return f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.ledger.PutKnown(ctx, tx, k) })
}

func (f ledgerFixture) publication(t *testing.T, p review.Publication) {
	t.Helper()
	require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.ledger.PutPublication(ctx, tx, p) }))
}

func knownFindings(t *testing.T, f ledgerFixture) {
	k := review.Known{
		Subject: subject, ID: "b", LastReview: "reviews/r1", Was: finding.Open, ChangedIn: "reviews/r1", Before: "x", After: "}",
		Finding: finding.Finding{Title: "t", Status: finding.Open, Location: finding.Location{Path: "d\xe9j\xe0", Code: "x()"}},
	}
	require.NoError(t, f.put(t, k))
	require.ErrorIs(t, f.put(t, k), review.ErrChanged, "there is one already")
	other := k
	other.ID = "a"
	require.NoError(t, f.put(t, other))
	foreign := k
	foreign.Subject = "another"
	require.NoError(t, f.put(t, foreign))

	k.Revision, other.Revision = 1, 1
	got, err := f.ledger.Known(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, []review.Known{other, k}, got)

	k.Finding.Status, k.Feedback = finding.Dismissed, "REFUSED"
	require.NoError(t, f.put(t, k))
	require.ErrorIs(t, f.put(t, k), review.ErrChanged, "the revision is an old one")
	k.Revision = 2
	one, err := f.ledger.KnownByID(t.Context(), subject, "b")
	require.NoError(t, err)
	require.Equal(t, k, one)
	_, err = f.ledger.KnownByID(t.Context(), subject, "c")
	require.ErrorIs(t, err, review.ErrNotFound)
}

func knownComments(t *testing.T, f ledgerFixture) {
	k := review.Known{Subject: subject, ID: "a", CommentID: 5}
	require.NoError(t, f.put(t, k))
	k.Revision, k.CommentID, k.Generation = 1, 9, 1
	require.NoError(t, f.put(t, k))
	for _, id := range []int64{5, 9} {
		got, err := f.ledger.KnownByComment(t.Context(), subject, id)
		require.NoError(t, err)
		require.Equal(t, "a", got.ID)
		require.Equal(t, int64(9), got.CommentID)
	}
	_, err := f.ledger.KnownByComment(t.Context(), subject, 7)
	require.ErrorIs(t, err, review.ErrNotFound)
	_, err = f.ledger.KnownByComment(t.Context(), "another", 5)
	require.ErrorIs(t, err, review.ErrNotFound)
}

func publications(t *testing.T, f ledgerFixture) {
	p := review.Publication{Subject: subject, Key: "k2", Role: "comment", State: review.PublicationIntent, Review: "r1"}
	f.publication(t, p)
	begun := p
	begun.State = review.PublicationBegun
	f.publication(t, begun)
	f.publication(t, p)
	got, err := f.ledger.Publications(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, []review.Publication{begun}, got)
	done := p
	done.State, done.RemoteID, done.URL, done.Reason = review.PublicationDone, 12, "https://example.com/12", "HEAD_GONE"
	f.publication(t, done)
	f.publication(t, p)
	first := review.Publication{Subject: subject, Key: "k1", Role: "check", State: review.PublicationIntent, Review: "r1"}
	f.publication(t, first)
	got, err = f.ledger.Publications(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, []review.Publication{first, done}, got)
	done.URL, done.Review = "https://example.com/other", "r2"
	f.publication(t, done)
	got, err = f.ledger.Publications(t.Context(), subject)
	require.NoError(t, err)
	require.Equal(t, "https://example.com/other", got[1].URL)
	require.Equal(t, job.ID("r1"), got[1].Review)
}

func forgotten(t *testing.T, f ledgerFixture) {
	first, second := example(day(1)), example(day(2))
	first.Pinned.Subject, second.Pinned.Subject = subject, subject
	f.create(t, first)
	f.create(t, second)
	require.NoError(t, f.put(t, review.Known{Subject: subject, ID: "a", CommentID: 3}))
	f.publication(t, review.Publication{Subject: subject, Key: "k", Role: "check", State: review.PublicationIntent})
	remove := func(id job.ID) {
		require.NoError(t, f.Write(t.Context(), func(ctx context.Context, tx job.Tx) error { return f.Store.Delete(ctx, tx, id) }))
	}
	remove(first.ID)
	known, err := f.ledger.Known(t.Context(), subject)
	require.NoError(t, err)
	require.Len(t, known, 1)
	remove(second.ID)
	known, err = f.ledger.Known(t.Context(), subject)
	require.NoError(t, err)
	require.Empty(t, known)
	written, err := f.ledger.Publications(t.Context(), subject)
	require.NoError(t, err)
	require.Empty(t, written)
	_, err = f.ledger.KnownByComment(t.Context(), subject, 3)
	require.ErrorIs(t, err, review.ErrNotFound)
}
