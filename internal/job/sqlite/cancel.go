package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"witan.dev/internal/job"
)

// Cancel implements job.Ender. One transaction for the job and all that it started.
func (s *Store) Cancel(ctx context.Context, id job.ID) ([]job.Ending, error) {
	var endings []job.Ending
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		family, err := descendants(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(family) == 0 {
			return job.ErrNotFound
		}
		endings, err = s.cancelAll(ctx, tx, family)
		return err
	})
	return endings, err
}

// CancelStarted implements job.Ender.
func (s *Store) CancelStarted(ctx context.Context, a job.Attempt) ([]job.Ending, error) {
	var endings []job.Ending
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		endings = nil
		j, err := get(ctx, tx, a.ID)
		if err != nil || !j.State.Terminal() || j.Attempt != a.Number {
			return ignore(err, job.ErrNotFound)
		}
		family, err := descendants(ctx, tx, a.ID)
		if err != nil {
			return err
		}
		endings, err = s.cancelAll(ctx, tx, family[1:])
		return err
	})
	if err != nil {
		return nil, err
	}
	return endings, nil
}

func (s *Store) cancelAll(ctx context.Context, tx *sql.Tx, ids []job.ID) ([]job.Ending, error) {
	var endings []job.Ending
	for _, id := range ids {
		e, err := s.cancelOne(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if e != nil {
			endings = append(endings, *e)
		}
	}
	return endings, nil
}

func descendants(ctx context.Context, tx *sql.Tx, id job.ID) ([]job.ID, error) {
	ids, err := idsOf(ctx, tx, `WITH RECURSIVE family (id) AS (
			SELECT id FROM jobs WHERE id = ?
			UNION
			SELECT child.id FROM jobs AS child JOIN family ON child.parent_job = family.id
		) SELECT id FROM family`, id)
	if err != nil {
		return nil, fmt.Errorf("find what job %s started: %w", id, err)
	}
	return ids, nil
}

// cancelOne ends a queued job and tells a running one; nil means that there was nothing to do.
func (s *Store) cancelOne(ctx context.Context, tx *sql.Tx, id job.ID) (*job.Ending, error) {
	j, err := get(ctx, tx, id)
	if err != nil || j.State.Terminal() || !j.CancelAskedAt.IsZero() {
		return nil, err
	}
	now := s.now()
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET cancel_time = ? WHERE id = ?`, micros(now), id); err != nil {
		return nil, fmt.Errorf("cancel job %s: %w", id, err)
	}
	if j.State == job.StateQueued {
		w, err := s.end(ctx, tx, j, job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled})
		return &job.Ending{Written: w, State: job.StateCancelled, Attempt: j.Attempt}, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET state = ? WHERE id = ?`, job.StateCancelling, id); err != nil {
		return nil, fmt.Errorf("cancel job %s: %w", id, err)
	}
	l := &log{tx: tx, id: id, epoch: j.Epoch, attempt: j.Attempt, last: j.LastSeq, now: now}
	l.add(ctx, job.NewEvent{
		Key: fmt.Sprintf("%d/cancel", j.Attempt), Type: job.TypeStateChanged,
		Payload: job.StateChange{From: j.State, To: job.StateCancelling, Reason: job.ReasonCancelled, Stage: j.Stage}.Encode(),
	}, false)
	return &job.Ending{Written: l.written(), State: job.StateCancelling, Attempt: j.Attempt}, l.close(ctx)
}

// ExpireHistory implements job.Ender.
func (s *Store) ExpireHistory(ctx context.Context, now time.Time, n int) (int, error) {
	expired := 0
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		ids, err := idsOf(ctx, tx, `SELECT id FROM jobs WHERE history_expire_time <= ? AND first_available_seq <= last_seq
			AND state NOT IN ('QUEUED', 'RUNNING', 'CANCELLING') LIMIT ?`, micros(now), n)
		if err != nil {
			return fmt.Errorf("find expired history: %w", err)
		}
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, `DELETE FROM job_events WHERE job_id = ?`, id); err != nil {
				return fmt.Errorf("remove the history of job %s: %w", id, err)
			}
			if _, err := tx.ExecContext(ctx, `UPDATE jobs SET first_available_seq = last_seq + 1 WHERE id = ?`, id); err != nil {
				return fmt.Errorf("remove the history of job %s: %w", id, err)
			}
		}
		expired = len(ids)
		return nil
	})
	return expired, err
}
