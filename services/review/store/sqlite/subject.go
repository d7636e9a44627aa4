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

var _ review.Subjects = (*Store)(nil)

// Lock implements review.Subjects. Writing transactions follow each other anyway.
func (s *Store) Lock(ctx context.Context, tx job.Tx, name, owner string) (review.Subject, error) {
	document, err := json.Marshal(review.Subject{Name: name, Owner: owner})
	if err != nil {
		return review.Subject{}, fmt.Errorf("encode subject %s: %w", name, err)
	}
	t := sqlite.Unwrap(tx)
	if _, err := t.ExecContext(ctx, `INSERT INTO review_subjects (name, owner, host, repository, installation, document)
		VALUES (?, ?, '', 0, 0, ?) ON CONFLICT (name) DO NOTHING`, name, owner, document); err != nil {
		return review.Subject{}, fmt.Errorf("lock subject %s: %w", name, err)
	}
	found, err := scanSubject(t.QueryRowContext(ctx, `SELECT document FROM review_subjects WHERE name = ?`, name))
	if err != nil {
		return review.Subject{}, fmt.Errorf("lock subject %s: %w", name, err)
	}
	return found, nil
}

// Put implements review.Subjects.
func (s *Store) Put(ctx context.Context, tx job.Tx, subject review.Subject) error {
	document, err := json.Marshal(subject)
	if err != nil {
		return fmt.Errorf("encode subject %s: %w", subject.Name, err)
	}
	changed, err := sqlite.Unwrap(tx).ExecContext(ctx,
		`UPDATE review_subjects SET host = ?, repository = ?, installation = ?, document = ? WHERE name = ?`,
		subject.Pull.Host, subject.Pull.ID, subject.Pull.Installation, document, subject.Name)
	return one(changed, err, "store subject "+subject.Name)
}

// one makes a write that met no row ErrNotFound.
func one(changed sql.Result, err error, what string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, fmt.Errorf("%s: %w", what, review.ErrNotFound))
	}
	return nil
}

// Subject implements review.Subjects.
func (s *Store) Subject(ctx context.Context, name string) (review.Subject, error) {
	found, err := scanSubject(s.reader.QueryRowContext(ctx, `SELECT document FROM review_subjects WHERE name = ?`, name))
	if errors.Is(err, sql.ErrNoRows) {
		err = review.ErrNotFound
	}
	if err != nil {
		return review.Subject{}, fmt.Errorf("get subject %s: %w", name, err)
	}
	return found, nil
}

// ListSubjects implements review.Subjects.
func (s *Store) ListSubjects(ctx context.Context, q review.SubjectQuery) ([]review.Subject, error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT document FROM review_subjects
		WHERE host = ?1 AND name > ?2 AND (?3 = 0 OR repository = ?3) AND (?4 = 0 OR installation = ?4) ORDER BY name LIMIT ?5`,
		q.Host, q.After, q.Repository, q.Installation, q.Limit)
	if err != nil {
		return nil, fmt.Errorf("list subjects: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []review.Subject
	for rows.Next() {
		found, err := scanSubject(rows)
		if err != nil {
			return nil, fmt.Errorf("list subjects: %w", err)
		}
		out = append(out, found)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list subjects: %w", err)
	}
	return out, nil
}

func scanSubject(row scanner) (review.Subject, error) {
	var (
		document []byte
		found    review.Subject
	)
	if err := row.Scan(&document); err != nil {
		return found, err
	}
	if err := json.Unmarshal(document, &found); err != nil {
		return found, fmt.Errorf("decode a subject: %w", err)
	}
	return found, nil
}

// Repin implements review.Subjects.
func (s *Store) Repin(ctx context.Context, tx job.Tx, r review.Review) error {
	r.Result = review.Result{}
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode review %s: %w", r.ID, err)
	}
	changed, err := sqlite.Unwrap(tx).ExecContext(ctx,
		`UPDATE reviews SET subject = ?, document = ?, revision = revision + 1 WHERE id = ?`, r.Pinned.Subject, document, string(r.ID))
	return one(changed, err, "pin review "+string(r.ID))
}

// Supersede implements review.Subjects.
func (s *Store) Supersede(ctx context.Context, tx job.Tx, id, by job.ID) error {
	document, err := json.Marshal(review.Result{Disposition: review.DispositionSuperseded, SupersededBy: by})
	if err != nil {
		return fmt.Errorf("supersede review %s: %w", id, err)
	}
	if _, err := sqlite.Unwrap(tx).ExecContext(ctx,
		`UPDATE reviews SET result = ?, revision = revision + 1 WHERE id = ? AND result IS NULL`, document, string(id)); err != nil {
		return fmt.Errorf("supersede review %s: %w", id, err)
	}
	return nil
}
