// Package postgres keeps reviews and findings in the cluster's database.
package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/reviewsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// Store is a review.Store on Postgres. Safe for concurrent use by any number of processes.
type Store struct{ db *postgres.DB }

var _ review.Store = (*Store)(nil)

// NewStore returns a store on the database, whose schema is up to date since it is open.
func NewStore(db *postgres.DB) *Store { return &Store{db: db} }

func (s *Store) read() *reviewsql.Queries { return reviewsql.New(s.db.Pool()) }

func in(tx job.Tx) *reviewsql.Queries { return reviewsql.New(postgres.Unwrap(tx)) }

// Create implements review.Store.
func (s *Store) Create(ctx context.Context, tx job.Tx, r review.Review) error {
	r.Result = review.Result{}
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode review %s: %w", r.ID, err)
	}
	if err := in(tx).InsertReview(ctx, reviewsql.InsertReviewParams{
		ID: string(r.ID), Owner: r.Owner, Subject: r.Pinned.Subject, CreateTime: r.CreatedAt, Document: document,
	}); err != nil {
		return fmt.Errorf("store review %s: %w", r.ID, err)
	}
	return nil
}

// Publish implements review.Store. The row of the review is locked first.
func (s *Store) Publish(ctx context.Context, tx job.Tx, id job.ID, result review.Result, findings []finding.Finding) error {
	result.Coverage = review.PortableCoverage(result.Coverage)
	document, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result of review %s: %w", id, err)
	}
	q := in(tx)
	n, err := q.SaveResult(ctx, reviewsql.SaveResultParams{ID: string(id), Result: document})
	if err != nil {
		return fmt.Errorf("store result of review %s: %w", id, err)
	}
	if n == 0 {
		return fmt.Errorf("publish review %s: %w", id, review.ErrNotFound)
	}
	return replaceFindings(ctx, q, id, findings)
}

func replaceFindings(ctx context.Context, q *reviewsql.Queries, id job.ID, findings []finding.Finding) error {
	if err := q.DeleteFindings(ctx, string(id)); err != nil {
		return fmt.Errorf("replace findings of review %s: %w", id, err)
	}
	rows := make([]reviewsql.InsertFindingParams, 0, len(findings))
	for i, f := range review.PortableFindings(findings) {
		document, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode finding %s: %w", f.Name, err)
		}
		rows = append(rows, reviewsql.InsertFindingParams{
			ReviewID: string(id), Ordinal: int64(i + 1), FindingID: f.Name, Severity: int64(f.Severity), Outcome: int64(f.Outcome),
			Fingerprint: f.Fingerprint, Document: document,
		})
	}
	if len(rows) == 0 {
		return nil
	}
	var failed error
	q.InsertFinding(ctx, rows).Exec(func(i int, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("store finding %s: %w", rows[i].FindingID, err)
		}
	})
	return failed
}

// Delete implements review.Store.
func (s *Store) Delete(ctx context.Context, tx job.Tx, id job.ID) error {
	q := in(tx)
	subject, err := q.DeleteReview(ctx, string(id))
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("delete review %s: %w", id, err)
	}
	for _, forget := range []func(context.Context, string) error{q.ForgetFindings, q.ForgetPublications} {
		if err := forget(ctx, subject); err != nil {
			return fmt.Errorf("delete what lasts of the subject of review %s: %w", id, err)
		}
	}
	return nil
}

// Get implements review.Store.
func (s *Store) Get(ctx context.Context, id job.ID, owner string) (review.Review, error) {
	row, err := s.read().GetReview(ctx, reviewsql.GetReviewParams{ID: string(id), Owner: owner})
	if errors.Is(err, pgx.ErrNoRows) {
		err = review.ErrNotFound
	}
	if err != nil {
		return review.Review{}, fmt.Errorf("get review %s: %w", id, postgres.Error(err))
	}
	return decode(row)
}

// List implements review.Store.
func (s *Store) List(ctx context.Context, q review.ListQuery) ([]review.Review, error) {
	rows, err := s.list(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", postgres.Error(err))
	}
	out := make([]review.Review, len(rows))
	for i, row := range rows {
		if out[i], err = decode(row); err != nil {
			return nil, fmt.Errorf("list reviews: %w", err)
		}
	}
	return out, nil
}

func (s *Store) list(ctx context.Context, q review.ListQuery) ([]reviewsql.Review, error) {
	before, id, n := q.After.CreatedAt, string(q.After.ID), limit(q.Limit)
	if before.IsZero() {
		before, id = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC), "" // later than any review
	}
	if q.Subject == "" {
		return s.read().ListReviews(ctx, reviewsql.ListReviewsParams{Owner: q.Owner, BeforeTime: before, BeforeID: id, N: n})
	}
	return s.read().ListReviewsOfSubject(ctx, reviewsql.ListReviewsOfSubjectParams{
		Owner: q.Owner, Subject: q.Subject, BeforeTime: before, BeforeID: id, N: n,
	})
}

func limit(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

func decode(row reviewsql.Review) (review.Review, error) {
	var r review.Review
	if err := json.Unmarshal(row.Document, &r); err != nil {
		return review.Review{}, fmt.Errorf("decode review %s: %w", row.ID, err)
	}
	if row.Result != nil {
		if err := json.Unmarshal(row.Result, &r.Result); err != nil {
			return review.Review{}, fmt.Errorf("decode result of review %s: %w", row.ID, err)
		}
		r.Coverage = review.OriginalCoverage(r.Coverage)
	}
	r.ID, r.Owner, r.Revision, r.CreatedAt = job.ID(row.ID), row.Owner, row.Revision, row.CreateTime.UTC()
	return r, nil
}

// Findings implements review.Store.
func (s *Store) Findings(ctx context.Context, q review.FindingQuery) ([]review.NumberedFinding, error) {
	rows, err := s.read().ListFindings(ctx, reviewsql.ListFindingsParams{
		ReviewID: string(q.Review), After: int64(q.After), MinSeverity: int64(q.MinSeverity), Outcome: int64(q.Outcome), N: limit(q.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list findings of review %s: %w", q.Review, postgres.Error(err))
	}
	out := make([]review.NumberedFinding, len(rows))
	for i, r := range rows {
		var f finding.Finding
		if err := json.Unmarshal(r.Document, &f); err != nil {
			return nil, fmt.Errorf("decode finding %d of review %s: %w", r.Ordinal, q.Review, err)
		}
		out[i] = review.NumberedFinding{Ordinal: int(r.Ordinal), Finding: review.OriginalFindings([]finding.Finding{f})[0]}
	}
	return out, nil
}

// Count implements review.Store.
func (s *Store) Count(ctx context.Context, id job.ID) (map[review.Bucket]int, error) {
	rows, err := s.read().CountFindings(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("count findings of review %s: %w", id, postgres.Error(err))
	}
	out := make(map[review.Bucket]int, len(rows))
	for _, r := range rows {
		out[review.Bucket{Outcome: finding.Outcome(r.Outcome), Severity: finding.Severity(r.Severity)}] = int(r.N)
	}
	return out, nil
}
