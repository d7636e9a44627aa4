// Package sqlite keeps reviews and findings in the embedded database.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// Store is a review.Store on SQLite. Safe for concurrent use.
type Store struct {
	db     *sqlite.DB
	reader *sql.DB
}

var _ review.Store = (*Store)(nil)

// NewStore returns a store on the database, whose schema is up to date since it is open.
func NewStore(db *sqlite.DB) *Store { return &Store{db: db, reader: db.Reader()} }

// Create implements review.Store.
func (s *Store) Create(ctx context.Context, tx job.Tx, r review.Review) error {
	r.Result = review.Result{}
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode review %s: %w", r.ID, err)
	}
	_, err = sqlite.Unwrap(tx).ExecContext(ctx,
		`INSERT INTO reviews (id, owner, subject, create_time, revision, document) VALUES (?, ?, ?, ?, 1, ?)`,
		string(r.ID), r.Owner, r.Pinned.Subject, r.CreatedAt.UnixMicro(), document)
	if err != nil {
		return fmt.Errorf("store review %s: %w", r.ID, err)
	}
	return nil
}

// Publish implements review.Store.
func (s *Store) Publish(ctx context.Context, tx job.Tx, id job.ID, result review.Result, findings []finding.Finding) error {
	result.Coverage = review.PortableCoverage(result.Coverage)
	document, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result of review %s: %w", id, err)
	}
	t := sqlite.Unwrap(tx)
	changed, err := t.ExecContext(ctx, `UPDATE reviews SET result = ?, revision = revision + 1 WHERE id = ?`, document, string(id))
	if err != nil {
		return fmt.Errorf("store result of review %s: %w", id, err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("publish review %s: %w", id, review.ErrNotFound))
	}
	return replaceFindings(ctx, t, id, findings)
}

func replaceFindings(ctx context.Context, tx *sql.Tx, id job.ID, findings []finding.Finding) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM review_findings WHERE review_id = ?`, string(id)); err != nil {
		return fmt.Errorf("replace findings of review %s: %w", id, err)
	}
	insert, err := tx.PrepareContext(ctx, `INSERT INTO review_findings
		(review_id, ordinal, finding_id, severity, outcome, fingerprint, document) VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return fmt.Errorf("replace findings of review %s: %w", id, err)
	}
	defer func() { _ = insert.Close() }() // closed with its transaction at the latest
	for i, f := range review.PortableFindings(findings) {
		document, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode finding %s: %w", f.Name, err)
		}
		if _, err := insert.ExecContext(ctx, string(id), i+1, f.Name, int(f.Severity), int(f.Outcome), f.Fingerprint, document); err != nil {
			return fmt.Errorf("store finding %s: %w", f.Name, err)
		}
	}
	return nil
}

// Delete implements review.Store.
func (s *Store) Delete(ctx context.Context, tx job.Tx, id job.ID) error {
	t := sqlite.Unwrap(tx)
	var subject string
	err := t.QueryRowContext(ctx, `DELETE FROM reviews WHERE id = ? RETURNING subject`, string(id)).Scan(&subject)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("delete review %s: %w", id, err)
	}
	for _, table := range []string{"known_findings", "publications"} {
		if _, err := t.ExecContext(ctx, `DELETE FROM `+table+ //nolint:gosec // the names of two tables
			` WHERE subject = ?1 AND NOT EXISTS (SELECT 1 FROM reviews WHERE subject = ?1)`, subject); err != nil {
			return fmt.Errorf("delete what lasts of the subject of review %s: %w", id, err)
		}
	}
	return nil
}

const columns = `id, owner, create_time, revision, document, result`

// Get implements review.Store.
func (s *Store) Get(ctx context.Context, id job.ID, owner string) (review.Review, error) {
	row := s.reader.QueryRowContext(ctx, `SELECT `+columns+` FROM reviews WHERE id = ?1 AND (?2 = '' OR owner = ?2)`, string(id), owner)
	r, err := scan(row)
	if errors.Is(err, sql.ErrNoRows) {
		err = review.ErrNotFound
	}
	if err != nil {
		return review.Review{}, fmt.Errorf("get review %s: %w", id, err)
	}
	return r, nil
}

// List implements review.Store.
func (s *Store) List(ctx context.Context, q review.ListQuery) ([]review.Review, error) {
	after := int64(0)
	if !q.After.CreatedAt.IsZero() {
		after = q.After.CreatedAt.UnixMicro()
	}
	rows, err := s.reader.QueryContext(ctx, `SELECT `+columns+` FROM reviews
		WHERE owner = ?1 AND (?2 = '' OR subject = ?2) AND (?3 = 0 OR (create_time, id) < (?3, ?4))
		ORDER BY create_time DESC, id DESC LIMIT ?5`, q.Owner, q.Subject, after, string(q.After.ID), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []review.Review
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list reviews: %w", err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list reviews: %w", err)
	}
	return out, nil
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (review.Review, error) {
	var (
		id, owner        string
		created          int64
		revision         int64
		document, result []byte
	)
	if err := row.Scan(&id, &owner, &created, &revision, &document, &result); err != nil {
		return review.Review{}, err
	}
	var r review.Review
	if err := json.Unmarshal(document, &r); err != nil {
		return review.Review{}, fmt.Errorf("decode review %s: %w", id, err)
	}
	if result != nil {
		if err := json.Unmarshal(result, &r.Result); err != nil {
			return review.Review{}, fmt.Errorf("decode result of review %s: %w", id, err)
		}
		r.Coverage = review.OriginalCoverage(r.Coverage)
	}
	r.ID, r.Owner, r.Revision, r.CreatedAt = job.ID(id), owner, revision, time.UnixMicro(created).UTC()
	return r, nil
}

// Findings implements review.Store.
func (s *Store) Findings(ctx context.Context, q review.FindingQuery) ([]review.NumberedFinding, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT ordinal, document FROM review_findings
		WHERE review_id = ?1 AND ordinal > ?2 AND severity >= ?3 AND (?4 = 0 OR outcome = ?4) ORDER BY ordinal LIMIT ?5`,
		string(q.Review), q.After, int(q.MinSeverity), int(q.Outcome), q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list findings of review %s: %w", q.Review, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []review.NumberedFinding
	for rows.Next() {
		var (
			ordinal  int
			document []byte
			f        finding.Finding
		)
		if err := rows.Scan(&ordinal, &document); err != nil {
			return nil, fmt.Errorf("list findings of review %s: %w", q.Review, err)
		}
		if err := json.Unmarshal(document, &f); err != nil {
			return nil, fmt.Errorf("decode finding %d of review %s: %w", ordinal, q.Review, err)
		}
		out = append(out, review.NumberedFinding{Ordinal: ordinal, Finding: review.OriginalFindings([]finding.Finding{f})[0]})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list findings of review %s: %w", q.Review, err)
	}
	return out, nil
}

// Count implements review.Store.
func (s *Store) Count(ctx context.Context, id job.ID) (map[review.Bucket]int, error) {
	rows, err := s.reader.QueryContext(ctx,
		`SELECT outcome, severity, count(*) FROM review_findings WHERE review_id = ? GROUP BY outcome, severity`, string(id))
	if err != nil {
		return nil, fmt.Errorf("count findings of review %s: %w", id, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	out := make(map[review.Bucket]int)
	for rows.Next() {
		var outcome, severity, n int
		if err := rows.Scan(&outcome, &severity, &n); err != nil {
			return nil, fmt.Errorf("count findings of review %s: %w", id, err)
		}
		out[review.Bucket{Outcome: finding.Outcome(outcome), Severity: finding.Severity(severity)}] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count findings of review %s: %w", id, err)
	}
	return out, nil
}
