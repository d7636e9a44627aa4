package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// People change findings outside a review: they dismiss and accept them, resolve their threads, delete their comments. Safe
// for concurrent use.
type People struct {
	Ledger   review.Ledger
	Subjects review.Subjects // nil: no subject is ever closed
}

// rereads is how often a row is read anew because somebody else changed it meanwhile.
const rereads = 20

// ByID changes the finding of that ID with one of the functions of this package. Errors: review.ErrNotFound, and
// review.ErrSubjectClosed where the subject's findings are frozen.
func (p *People) ByID(ctx context.Context, subject, id string, change func(review.Known) review.Known) (review.Known, error) {
	return p.change(ctx, subject, func(ctx context.Context) (review.Known, error) {
		return p.Ledger.KnownByID(ctx, subject, id)
	}, change)
}

// ByComment changes the finding whose comment of any generation has that ID, with the errors of ByID.
func (p *People) ByComment(ctx context.Context, subject string, comment int64, change func(review.Known) review.Known) (review.Known, error) {
	return p.change(ctx, subject, func(ctx context.Context) (review.Known, error) {
		return p.Ledger.KnownByComment(ctx, subject, comment)
	}, change)
}

// ByFinding changes a finding of a review; one that was never published becomes known by it.
func (p *People) ByFinding(ctx context.Context, subject string, first review.Known, change func(review.Known) review.Known) (review.Known, error) {
	return p.change(ctx, subject, func(ctx context.Context) (review.Known, error) {
		k, err := p.Ledger.KnownByID(ctx, subject, first.ID)
		if errors.Is(err, review.ErrNotFound) {
			return first, nil
		}
		return k, err
	}, change)
}

func (p *People) change(
	ctx context.Context, subject string, read func(ctx context.Context) (review.Known, error), change func(review.Known) review.Known,
) (review.Known, error) {
	for range rereads {
		k, err := read(ctx)
		if err != nil {
			return k, err
		}
		k = change(k)
		err = p.Ledger.Write(ctx, func(ctx context.Context, tx job.Tx) error {
			if err := p.frozen(ctx, subject); err != nil {
				return err
			}
			return p.Ledger.PutKnown(ctx, tx, k)
		})
		if !errors.Is(err, review.ErrChanged) {
			return k, err
		}
	}
	return review.Known{}, fmt.Errorf("a finding of %s is changed all the time: %w", subject, review.ErrChanged)
}

// frozen is the error for a subject that is closed.
func (p *People) frozen(ctx context.Context, subject string) error {
	if p.Subjects == nil {
		return nil
	}
	s, err := p.Subjects.Subject(ctx, subject)
	switch {
	case errors.Is(err, review.ErrNotFound):
		return nil
	case err != nil:
		return err
	case s.Closed:
		return review.ErrSubjectClosed
	}
	return nil
}
