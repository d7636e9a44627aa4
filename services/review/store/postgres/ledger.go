package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/reviewsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

var _ review.Ledger = (*Store)(nil)

// Write implements review.Ledger.
func (s *Store) Write(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, postgres.Wrap(tx)) })
}

// Known implements review.Ledger.
func (s *Store) Known(ctx context.Context, subject string) ([]review.Known, error) {
	rows, err := s.read().KnownFindings(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list known findings of %s: %w", subject, postgres.Error(err))
	}
	out := make([]review.Known, len(rows))
	for i, r := range rows {
		if out[i], err = decodeKnown(r.Revision, r.Document); err != nil {
			return nil, fmt.Errorf("list known findings of %s: %w", subject, err)
		}
	}
	return out, nil
}

func decodeKnown(revision int64, document []byte) (review.Known, error) {
	var k review.Known
	if err := json.Unmarshal(document, &k); err != nil {
		return k, fmt.Errorf("decode a known finding: %w", err)
	}
	k.Revision, k.Finding = revision, review.OriginalFinding(k.Finding)
	return k, nil
}

// KnownByID implements review.Ledger.
func (s *Store) KnownByID(ctx context.Context, subject, id string) (review.Known, error) {
	row, err := s.read().KnownFinding(ctx, reviewsql.KnownFindingParams{Subject: subject, ID: id})
	if err != nil {
		return review.Known{}, fmt.Errorf("get known finding %s: %w", id, missing(err))
	}
	return decodeKnown(row.Revision, row.Document)
}

// KnownByComment implements review.Ledger.
func (s *Store) KnownByComment(ctx context.Context, subject string, comment int64) (review.Known, error) {
	row, err := s.read().KnownFindingOfComment(ctx, reviewsql.KnownFindingOfCommentParams{Subject: subject, Comment: comment})
	if err != nil {
		return review.Known{}, fmt.Errorf("get the known finding of comment %d: %w", comment, missing(err))
	}
	return decodeKnown(row.Revision, row.Document)
}

func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return review.ErrNotFound
	}
	return postgres.Error(err)
}

// PutKnown implements review.Ledger.
func (s *Store) PutKnown(ctx context.Context, tx job.Tx, k review.Known) error {
	q, revision := in(tx), k.Revision
	k.Finding, k.Revision = review.PortableFinding(k.Finding), 0
	document, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode known finding %s: %w", k.ID, err)
	}
	var n int64
	if revision == 0 {
		n, err = q.InsertKnownFinding(ctx, reviewsql.InsertKnownFindingParams{Subject: k.Subject, ID: k.ID, Document: document})
	} else {
		n, err = q.UpdateKnownFinding(ctx, reviewsql.UpdateKnownFindingParams{
			Subject: k.Subject, ID: k.ID, Document: document, Revision: revision,
		})
	}
	if err != nil {
		return fmt.Errorf("store known finding %s: %w", k.ID, err)
	}
	if n == 0 {
		return fmt.Errorf("store known finding %s: %w", k.ID, review.ErrChanged)
	}
	if k.CommentID == 0 {
		return nil
	}
	if err := q.NoteComment(ctx, reviewsql.NoteCommentParams{Subject: k.Subject, Comment: k.CommentID, ID: k.ID}); err != nil {
		return fmt.Errorf("note the comment of known finding %s: %w", k.ID, err)
	}
	return nil
}

// Publications implements review.Ledger.
func (s *Store) Publications(ctx context.Context, subject string) ([]review.Publication, error) {
	rows, err := s.read().Publications(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list publications of %s: %w", subject, postgres.Error(err))
	}
	out := make([]review.Publication, len(rows))
	for i, r := range rows {
		out[i] = review.Publication{
			Subject: r.Subject, Key: r.Key, Role: r.Role, State: review.PublicationState(r.State), RemoteID: r.RemoteID, URL: r.Url,
			Reason: r.Reason, Review: job.ID(r.ReviewID),
		}
	}
	return out, nil
}

// PutPublication implements review.Ledger.
func (s *Store) PutPublication(ctx context.Context, tx job.Tx, p review.Publication) error {
	err := in(tx).PutPublication(ctx, reviewsql.PutPublicationParams{
		Subject: p.Subject, Key: p.Key, Role: p.Role, State: string(p.State), RemoteID: p.RemoteID, Url: p.URL, Reason: p.Reason,
		ReviewID: string(p.Review),
	})
	if err != nil {
		return fmt.Errorf("store publication %s: %w", p.Key, err)
	}
	return nil
}
