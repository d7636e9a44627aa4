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

var _ review.Subjects = (*Store)(nil)

// Lock implements review.Subjects.
func (s *Store) Lock(ctx context.Context, tx job.Tx, name, owner string) (review.Subject, error) {
	document, err := json.Marshal(review.Subject{Name: name, Owner: owner})
	if err != nil {
		return review.Subject{}, fmt.Errorf("encode subject %s: %w", name, err)
	}
	q := in(tx)
	if err := q.TouchSubject(ctx, reviewsql.TouchSubjectParams{Name: name, Owner: owner, Document: document}); err != nil {
		return review.Subject{}, fmt.Errorf("lock subject %s: %w", name, err)
	}
	row, err := q.LockSubject(ctx, name)
	if err != nil {
		return review.Subject{}, fmt.Errorf("lock subject %s: %w", name, err)
	}
	return decodeSubject(row)
}

// Put implements review.Subjects.
func (s *Store) Put(ctx context.Context, tx job.Tx, subject review.Subject) error {
	document, err := json.Marshal(subject)
	if err != nil {
		return fmt.Errorf("encode subject %s: %w", subject.Name, err)
	}
	n, err := in(tx).PutSubject(ctx, reviewsql.PutSubjectParams{
		Name: subject.Name, Host: subject.Pull.Host, Repository: subject.Pull.ID, Installation: subject.Pull.Installation, Document: document,
	})
	return one(n, err, "store subject "+subject.Name)
}

// one makes a write that met no row ErrNotFound.
func one(n int64, err error, what string) error {
	if err == nil && n == 0 {
		err = review.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Subject implements review.Subjects.
func (s *Store) Subject(ctx context.Context, name string) (review.Subject, error) {
	row, err := s.read().GetSubject(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		err = review.ErrNotFound
	}
	if err != nil {
		return review.Subject{}, fmt.Errorf("get subject %s: %w", name, postgres.Error(err))
	}
	return decodeSubject(row)
}

// ListSubjects implements review.Subjects.
func (s *Store) ListSubjects(ctx context.Context, q review.SubjectQuery) ([]review.Subject, error) {
	rows, err := s.read().ListSubjects(ctx, reviewsql.ListSubjectsParams{
		Host: q.Host, After: q.After, Repository: q.Repository, Installation: q.Installation, N: limit(q.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("list subjects: %w", postgres.Error(err))
	}
	out := make([]review.Subject, len(rows))
	for i, row := range rows {
		if out[i], err = decodeSubject(row); err != nil {
			return nil, fmt.Errorf("list subjects: %w", err)
		}
	}
	return out, nil
}

func decodeSubject(row reviewsql.ReviewSubject) (review.Subject, error) {
	var found review.Subject
	if err := json.Unmarshal(row.Document, &found); err != nil {
		return found, fmt.Errorf("decode subject %s: %w", row.Name, err)
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
	n, err := in(tx).Repin(ctx, reviewsql.RepinParams{ID: string(r.ID), Subject: r.Pinned.Subject, Document: document})
	return one(n, err, "pin review "+string(r.ID))
}

// Supersede implements review.Subjects.
func (s *Store) Supersede(ctx context.Context, tx job.Tx, id, by job.ID) error {
	document, err := json.Marshal(review.Result{Disposition: review.DispositionSuperseded, SupersededBy: by})
	if err != nil {
		return fmt.Errorf("supersede review %s: %w", id, err)
	}
	if err := in(tx).SupersedeReview(ctx, reviewsql.SupersedeReviewParams{ID: string(id), Result: document}); err != nil {
		return fmt.Errorf("supersede review %s: %w", id, err)
	}
	return nil
}
