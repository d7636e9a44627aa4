package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

var _ review.Ledger = (*Store)(nil)

// Write implements review.Ledger.
func (s *Store) Write(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, sqlite.Wrap(tx)) })
}

// Known implements review.Ledger.
func (s *Store) Known(ctx context.Context, subject string) ([]review.Known, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT revision, document FROM known_findings WHERE subject = ? ORDER BY id`, subject)
	if err != nil {
		return nil, fmt.Errorf("list known findings of %s: %w", subject, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []review.Known
	for rows.Next() {
		k, err := scanKnown(rows)
		if err != nil {
			return nil, fmt.Errorf("list known findings of %s: %w", subject, err)
		}
		out = append(out, k)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list known findings of %s: %w", subject, err)
	}
	return out, nil
}

func scanKnown(row scanner) (review.Known, error) {
	var (
		revision int64
		document []byte
		k        review.Known
	)
	if err := row.Scan(&revision, &document); err != nil {
		return k, err
	}
	if err := json.Unmarshal(document, &k); err != nil {
		return k, fmt.Errorf("decode a known finding: %w", err)
	}
	k.Revision, k.Finding = revision, review.OriginalFinding(k.Finding)
	return k, nil
}

// KnownByID implements review.Ledger.
func (s *Store) KnownByID(ctx context.Context, subject, id string) (review.Known, error) {
	return s.known(ctx, `SELECT revision, document FROM known_findings WHERE subject = ? AND id = ?`, subject, id)
}

// KnownByComment implements review.Ledger.
func (s *Store) KnownByComment(ctx context.Context, subject string, comment int64) (review.Known, error) {
	return s.known(ctx, `SELECT k.revision, k.document FROM known_findings k
		JOIN known_finding_comments c ON c.subject = k.subject AND c.id = k.id WHERE c.subject = ? AND c.comment = ?`, subject, comment)
}

func (s *Store) known(ctx context.Context, query string, args ...any) (review.Known, error) {
	k, err := scanKnown(s.reader.QueryRowContext(ctx, query, args...))
	if errors.Is(err, sql.ErrNoRows) {
		err = review.ErrNotFound
	}
	if err != nil {
		return review.Known{}, fmt.Errorf("get known finding %v: %w", args, err)
	}
	return k, nil
}

// PutKnown implements review.Ledger.
func (s *Store) PutKnown(ctx context.Context, tx job.Tx, k review.Known) error {
	t, revision := sqlite.Unwrap(tx), k.Revision
	k.Finding, k.Revision = review.PortableFinding(k.Finding), 0
	document, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("encode known finding %s: %w", k.ID, err)
	}
	query, args := `UPDATE known_findings SET document = ?3, revision = revision + 1 WHERE subject = ?1 AND id = ?2 AND revision = ?4`,
		[]any{k.Subject, k.ID, document, revision}
	if revision == 0 {
		query, args = `INSERT INTO known_findings (subject, id, document, revision) VALUES (?1, ?2, ?3, 1) ON CONFLICT DO NOTHING`, args[:3]
	}
	changed, err := t.ExecContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("store known finding %s: %w", k.ID, err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("store known finding %s: %w", k.ID, review.ErrChanged))
	}
	if k.CommentID == 0 {
		return nil
	}
	if _, err := t.ExecContext(ctx, `INSERT INTO known_finding_comments (subject, comment, id) VALUES (?, ?, ?)
		ON CONFLICT (subject, comment) DO UPDATE SET id = excluded.id`, k.Subject, k.CommentID, k.ID); err != nil {
		return fmt.Errorf("note the comment of known finding %s: %w", k.ID, err)
	}
	return nil
}

// Publications implements review.Ledger.
func (s *Store) Publications(ctx context.Context, subject string) ([]review.Publication, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT subject, key, role, state, remote_id, url, reason, review_id FROM publications
		WHERE subject = ? ORDER BY key`, subject)
	if err != nil {
		return nil, fmt.Errorf("list publications of %s: %w", subject, err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []review.Publication
	for rows.Next() {
		var p review.Publication
		if err := rows.Scan(&p.Subject, &p.Key, &p.Role, &p.State, &p.RemoteID, &p.URL, &p.Reason, &p.Review); err != nil {
			return nil, fmt.Errorf("list publications of %s: %w", subject, err)
		}
		out = append(out, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list publications of %s: %w", subject, err)
	}
	return out, nil
}

// PutPublication implements review.Ledger.
func (s *Store) PutPublication(ctx context.Context, tx job.Tx, p review.Publication) error {
	_, err := sqlite.Unwrap(tx).ExecContext(ctx, `INSERT INTO publications (subject, key, role, state, remote_id, url, reason, review_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (subject, key) DO UPDATE SET
			state = excluded.state, remote_id = excluded.remote_id, url = excluded.url, reason = excluded.reason
		WHERE excluded.state = 'DONE' OR publications.state = 'INTENT'`,
		p.Subject, p.Key, p.Role, string(p.State), p.RemoteID, p.URL, p.Reason, string(p.Review))
	if err != nil {
		return fmt.Errorf("store publication %s: %w", p.Key, err)
	}
	return nil
}
