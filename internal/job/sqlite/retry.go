package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
)

// Retry implements job.Creator.
func (s *Store) Retry(ctx context.Context, r job.Retrial, enqueue func(ctx context.Context, tx job.Tx, j job.Job) error) (job.Job, bool, error) {
	var (
		retried job.Job
		reused  bool
	)
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		retried, reused, err = s.retry(ctx, tx, r, enqueue)
		return err
	})
	if err != nil {
		return job.Job{}, false, err
	}
	return retried, reused, nil
}

func (s *Store) retry(ctx context.Context, tx *sql.Tx, r job.Retrial, enqueue func(ctx context.Context, tx job.Tx, j job.Job) error) (job.Job, bool, error) {
	j, err := get(ctx, tx, r.ID)
	if err != nil {
		return job.Job{}, false, err
	}
	if r.Owner != "" && r.Owner != j.Owner {
		return job.Job{}, false, job.ErrNotFound
	}
	req := request{j.Owner, job.RetryMethod, r.RequestID, r.BodySHA256}
	if first, err := earlier(ctx, tx, req); err != nil || first != "" {
		return j, true, err
	}
	if err := job.RetryRefused(j, r.Revision); err != nil {
		return job.Job{}, false, err
	}
	if busy, err := cancelling(ctx, tx, j.Parent); err != nil || busy {
		return job.Job{}, false, either(err, job.ErrNotFinished)
	}
	now := s.now()
	if err := note(ctx, tx, req, j.ID, j.Resource, now); err != nil {
		return job.Job{}, false, err
	}
	if j, err = next(ctx, tx, j, now); err != nil {
		return job.Job{}, false, err
	}
	if err := enqueue(ctx, sqlite.Wrap(tx), j); err != nil {
		return job.Job{}, false, err
	}
	return j, false, nil
}

func either(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// next puts the job into its next attempt.
func next(ctx context.Context, tx *sql.Tx, j job.Job, now time.Time) (job.Job, error) {
	attempt := j.Attempt + 1
	if _, err := tx.ExecContext(ctx, `UPDATE jobs SET attempt = ?, state = ?, state_reason = '', stage = '', error = NULL, stalled = 0,
		progress_done = 0, progress_total = 0, progress_unit = '', end_time = NULL, cancel_time = NULL, history_expire_time = NULL,
		deadline_time = ?, queue_expire_time = ? WHERE id = ?`,
		attempt, job.StateQueued, after(now, j.Timeout), after(now, j.QueueTimeout), j.ID); err != nil {
		return job.Job{}, fmt.Errorf("retry job %s: %w", j.ID, err)
	}
	l := &log{tx: tx, id: j.ID, epoch: j.Epoch, attempt: attempt, last: j.LastSeq, now: now}
	l.add(ctx, job.NewEvent{
		Key: job.KeyRetry(attempt), Type: job.TypeStateChanged,
		Payload: job.StateChange{From: j.State, To: job.StateQueued}.Encode(),
	}, false)
	if err := l.close(ctx); err != nil {
		return job.Job{}, err
	}
	return get(ctx, tx, j.ID)
}

// cancelling reports whether the job is there, unfinished, and asked to end.
func cancelling(ctx context.Context, tx *sql.Tx, id job.ID) (bool, error) {
	if id == "" {
		return false, nil
	}
	j, err := get(ctx, tx, id)
	if err != nil {
		return false, ignore(err, job.ErrNotFound)
	}
	return !j.State.Terminal() && !j.CancelAskedAt.IsZero(), nil
}

// ExpireQueued implements job.Ender.
func (s *Store) ExpireQueued(ctx context.Context, now time.Time, n int) ([]job.Ending, error) {
	var endings []job.Ending
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		endings = nil
		ids, err := idsOf(ctx, tx, `SELECT id FROM jobs WHERE state = 'QUEUED' AND (deadline_time < ?1 OR queue_expire_time < ?1) LIMIT ?2`,
			micros(now), n)
		if err != nil {
			return fmt.Errorf("find jobs that waited too long: %w", err)
		}
		for _, id := range ids {
			j, err := get(ctx, tx, id)
			if err != nil {
				return err
			}
			o, over := job.QueueOver(j, now)
			if !over {
				continue
			}
			w, err := s.end(ctx, tx, j, o)
			if err != nil {
				return err
			}
			endings = append(endings, job.Ending{Written: w, State: o.State, Attempt: j.Attempt})
		}
		return nil
	})
	return endings, err
}

// Delete implements job.Ender.
func (s *Store) Delete(ctx context.Context, d job.Deletion) ([]job.Job, error) {
	var gone []job.Job
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		gone = nil
		doomed, err := s.doomed(ctx, tx, d)
		if err != nil {
			return err
		}
		for _, j := range slices.Backward(doomed) {
			if d.Remove != nil {
				if err := d.Remove(ctx, sqlite.Wrap(tx), j); err != nil {
					return err
				}
			}
			if err := erase(ctx, tx, j.ID); err != nil {
				return err
			}
			gone = append(gone, j)
		}
		return runWrite(ctx, tx, d.Write)
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// doomed returns what a deletion removes, each job behind the one that started it, when all of it may go.
func (s *Store) doomed(ctx context.Context, tx *sql.Tx, d job.Deletion) ([]job.Job, error) {
	var (
		all  []job.Job
		seen = make(map[job.ID]bool)
	)
	for i, id := range d.IDs {
		family, err := descendants(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if len(family) == 0 {
			return nil, job.ErrNotFound
		}
		revision := d.Revision
		if i > 0 {
			revision = 0
		}
		for _, member := range family {
			j, err := get(ctx, tx, member)
			if err != nil {
				return nil, err
			}
			if member != id && slices.Contains(d.Keep, j.Kind) {
				continue
			}
			if member == id && d.Owner != "" && j.Owner != d.Owner {
				return nil, job.ErrNotFound
			}
			if err := job.DeleteRefused(j, revision); err != nil {
				return nil, err
			}
			revision = 0 // the caller has seen the first only
			if !seen[member] {
				seen[member] = true
				all = append(all, j)
			}
		}
	}
	job.ParentsFirst(all, func(j job.Job) job.Job { return j })
	return all, parentsEnded(ctx, tx, all, seen)
}

// parentsEnded refuses to take a job away from under one that may still read it.
func parentsEnded(ctx context.Context, tx *sql.Tx, doomed []job.Job, seen map[job.ID]bool) error {
	for _, j := range doomed {
		if j.Parent == "" || seen[j.Parent] {
			continue
		}
		parent, err := get(ctx, tx, j.Parent)
		if err = ignore(err, job.ErrNotFound); err != nil {
			return err
		}
		if parent.ID != "" && !parent.State.Terminal() {
			return job.ErrNotFinished
		}
	}
	return nil
}

// erase removes all rows of a job; its requests keep their hashes, so that a repetition is known.
func erase(ctx context.Context, tx *sql.Tx, id job.ID) error {
	for _, statement := range []string{
		`DELETE FROM calls WHERE job_id = ?`,
		`DELETE FROM job_events WHERE job_id = ?`,
		`DELETE FROM jobs WHERE id = ?`,
		`UPDATE requests SET job_id = '', resource = '' WHERE job_id = ?`,
		`UPDATE jobs SET parent_job = '', revision = revision + 1 WHERE parent_job = ?`,
	} {
		if _, err := tx.ExecContext(ctx, statement, id); err != nil {
			return fmt.Errorf("remove job %s: %w", id, err)
		}
	}
	return nil
}
