package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// Plan implements council.RunStore.
func (s *Store) Plan(ctx context.Context, id job.ID) ([]byte, error) {
	var plan []byte
	err := s.db.Reader().QueryRowContext(ctx, `SELECT plan FROM deliberations WHERE id = ?`, id).Scan(&plan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, council.ErrDeliberationNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the plan of deliberation %s: %w", id, err)
	}
	return plan, nil
}

// SavePlan implements council.RunStore.
func (s *Store) SavePlan(ctx context.Context, tx job.Tx, id job.ID, plan []byte, e council.Estimate) error {
	estimate, err := encode(e)
	if err != nil {
		return err
	}
	_, err = sqlite.Unwrap(tx).ExecContext(ctx, `UPDATE deliberations SET plan = ?, estimate = ?, revision = revision + 1
		WHERE id = ? AND plan IS NULL`, plan, estimate, id)
	if err != nil {
		return fmt.Errorf("store the plan of deliberation %s: %w", id, err)
	}
	return nil
}

// Outcome implements council.RunStore.
func (s *Store) Outcome(ctx context.Context, id job.ID, attempt int32, stage string) ([]byte, error) {
	var outcome []byte
	err := s.db.Reader().QueryRowContext(ctx, `SELECT outcome FROM deliberation_outcomes WHERE deliberation = ? AND attempt = ? AND stage = ?`,
		id, attempt, stage).Scan(&outcome)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read stage %s of deliberation %s: %w", stage, id, err)
	}
	return outcome, nil
}

// SaveOutcome implements council.RunStore.
func (s *Store) SaveOutcome(ctx context.Context, tx job.Tx, id job.ID, attempt int32, stage string, outcome []byte) error {
	_, err := sqlite.Unwrap(tx).ExecContext(ctx, `INSERT INTO deliberation_outcomes (deliberation, attempt, stage, outcome) VALUES (?, ?, ?, ?)
		ON CONFLICT (deliberation, attempt, stage) DO NOTHING`, id, attempt, stage, outcome)
	if err != nil {
		return fmt.Errorf("store stage %s of deliberation %s: %w", stage, id, err)
	}
	return nil
}

// SaveResult implements council.RunStore.
func (s *Store) SaveResult(ctx context.Context, tx job.Tx, id job.ID, r council.Result) error {
	result, err := encode(r)
	if err != nil {
		return err
	}
	_, err = sqlite.Unwrap(tx).ExecContext(ctx, `UPDATE deliberations SET result = ?, revision = revision + 1 WHERE id = ?`, result, id)
	if err != nil {
		return fmt.Errorf("store the result of deliberation %s: %w", id, err)
	}
	return nil
}
