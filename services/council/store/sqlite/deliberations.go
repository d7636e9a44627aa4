package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// AddDeliberation implements council.DeliberationStore.
func (s *Store) AddDeliberation(ctx context.Context, tx job.Tx, d council.Deliberation) error {
	task, texts := council.SplitMaterial(d.Task)
	var columns [5]string
	for i, v := range []any{task, texts, d.Spec, d.Labels, d.Estimate} {
		var err error
		if columns[i], err = encode(v); err != nil {
			return err
		}
	}
	_, err := sqlite.Unwrap(tx).ExecContext(ctx, `INSERT INTO deliberations (id, owner, conversation, council, task, material, spec, timeout,
		labels, parent_job, estimate, revision, create_time, expire_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.ID, d.Owner, d.Conversation, d.Council, columns[0], []byte(columns[1]), columns[2], d.Timeout.Microseconds(),
		columns[3], d.ParentJob, columns[4], d.Revision, micros(d.CreatedAt), micros(d.ExpireAt))
	if err != nil {
		return fmt.Errorf("store deliberation %s: %w", d.ID, err)
	}
	return nil
}

const deliberationColumns = `id, owner, conversation, council, task, spec, timeout, labels, parent_job, estimate, result, revision,
	create_time, expire_time`

func scanDeliberation(row scanner, more ...any) (council.Deliberation, error) {
	var d council.Deliberation
	var task, spec, labels string
	var estimate, result sql.NullString
	var timeout int64
	var create, expire sql.NullInt64
	err := row.Scan(append([]any{
		&d.ID, &d.Owner, &d.Conversation, &d.Council, &task, &spec, &timeout, &labels, &d.ParentJob, &estimate, &result,
		&d.Revision, &create, &expire,
	}, more...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return council.Deliberation{}, council.ErrDeliberationNotFound
	}
	if err != nil {
		return council.Deliberation{}, fmt.Errorf("read a deliberation: %w", err)
	}
	d.Timeout = time.Duration(timeout) * time.Microsecond
	d.CreatedAt, d.ExpireAt = fromMicros(create), fromMicros(expire)
	errs := []error{decode(task, &d.Task), decode(spec, &d.Spec), decode(labels, &d.Labels)}
	if estimate.Valid {
		errs = append(errs, decode(estimate.String, &d.Estimate))
	}
	if result.Valid {
		errs = append(errs, decode(result.String, &d.Result))
	}
	return d, errors.Join(errs...)
}

// Deliberation implements council.DeliberationStore.
func (s *Store) Deliberation(ctx context.Context, id job.ID, owner string, v council.View) (council.Deliberation, error) {
	column := `NULL`
	if v == council.ViewFull {
		column = `material`
	}
	var raw []byte
	d, err := scanDeliberation(s.db.Reader().QueryRowContext(ctx, `SELECT `+deliberationColumns+`, `+column+` FROM deliberations
		WHERE id = ? AND (owner = ? OR ? = '')`, id, owner, owner), &raw)
	if err != nil {
		return council.Deliberation{}, err
	}
	if len(raw) > 0 {
		var m council.Material
		if err := decode(string(raw), &m); err != nil {
			return council.Deliberation{}, err
		}
		m.Into(&d.Task)
	}
	return d, nil
}

// ConversationOf implements council.DeliberationStore.
func (s *Store) ConversationOf(ctx context.Context, tx job.Tx, id job.ID) (string, error) {
	var c string
	err := sqlite.Unwrap(tx).QueryRowContext(ctx, `SELECT conversation FROM deliberations WHERE id = ?`, id).Scan(&c)
	if errors.Is(err, sql.ErrNoRows) {
		return "", council.ErrDeliberationNotFound
	}
	if err != nil {
		return "", fmt.Errorf("look at deliberation %s: %w", id, err)
	}
	return c, nil
}

// Deliberations implements council.DeliberationStore.
func (s *Store) Deliberations(ctx context.Context, owner, conversation string, after council.Position, limit int) ([]council.Deliberation, error) {
	var list []council.Deliberation
	condition, args := before(after)
	args = append(append([]any{owner, conversation, conversation}, args...), limit)
	err := each(ctx, s.db.Reader(), func(row scanner) error {
		d, err := scanDeliberation(row)
		list = append(list, d)
		return err
	}, `SELECT `+deliberationColumns+` FROM deliberations WHERE owner = ? AND (conversation = ? OR ? = '')`+condition+`
		ORDER BY create_time DESC, id DESC LIMIT ?`, args...)
	if err != nil {
		return nil, fmt.Errorf("list deliberations: %w", err)
	}
	return list, nil
}

// DeleteDeliberation implements council.DeliberationStore.
func (s *Store) DeleteDeliberation(ctx context.Context, tx job.Tx, id job.ID) error {
	for _, statement := range []string{
		`DELETE FROM messages WHERE conversation = (SELECT conversation FROM deliberations WHERE id = ?1) AND deliberation = ?1`,
		`UPDATE conversations SET revision = revision + 1 WHERE id = (SELECT conversation FROM deliberations WHERE id = ?1)`,
		`DELETE FROM deliberation_outcomes WHERE deliberation = ?1`,
		`DELETE FROM deliberations WHERE id = ?1`,
	} {
		if _, err := sqlite.Unwrap(tx).ExecContext(ctx, statement, id); err != nil {
			return fmt.Errorf("delete deliberation %s: %w", id, err)
		}
	}
	return nil
}
