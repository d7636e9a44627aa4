package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
)

// write runs fn in a transaction that others may share.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	return s.db.Write(ctx, fn)
}

// Begin implements job.Writer.
func (s *Store) Begin(ctx context.Context, a job.Attempt, maxStalled int) (job.Job, job.Written, error) {
	var (
		begun job.Job
		w     job.Written
		over  bool
	)
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		begun, w, over, err = s.begin(ctx, tx, a, maxStalled)
		return err
	})
	if err == nil && over {
		err = job.ErrEnded
	}
	return begun, w, err
}

func (s *Store) begin(ctx context.Context, tx *sql.Tx, a job.Attempt, maxStalled int) (j job.Job, w job.Written, over bool, err error) {
	id := a.ID
	j, err = get(ctx, tx, id)
	if err != nil || j.State.Terminal() || j.Attempt != a.Number {
		return job.Job{}, job.Written{}, err == nil, err
	}
	now := s.now()
	if o, end := job.Unbeginnable(j, now, maxStalled); end {
		w, err = s.end(ctx, tx, j, o)
		return job.Job{}, w, true, err
	}
	again := 0
	reason := ""
	if j.State != job.StateQueued {
		again, reason = 1, "RECOVERED"
	}
	to := job.StateRunning
	if j.State == job.StateCancelling {
		to = job.StateCancelling
	}
	l := &log{tx: tx, id: id, epoch: j.Epoch + 1, attempt: j.Attempt, last: j.LastSeq, now: now}
	l.add(ctx, job.NewEvent{
		Key: fmt.Sprintf("begin/%d", j.Epoch+1), Type: job.TypeStateChanged,
		Payload: job.StateChange{From: j.State, To: to, Reason: reason, Stage: j.Stage}.Encode(),
	}, false)
	if l.err != nil {
		return job.Job{}, job.Written{}, false, l.err
	}
	j, err = scan(tx.QueryRowContext(ctx, `UPDATE jobs SET epoch = epoch + 1, state = ?, start_time = COALESCE(start_time, ?),
		recoveries = recoveries + ?, stalled = stalled + ?, last_seq = ?, revision = revision + 1 WHERE id = ? RETURNING `+columns,
		to, micros(now), again, again, l.last, id))
	if err != nil {
		return job.Job{}, job.Written{}, false, fmt.Errorf("begin job %s: %w", id, err)
	}
	return j, l.written(), false, nil
}

// held is what a fenced write needs to know of its job.
type held struct {
	state    job.State
	stage    string
	progress job.Progress
	last     int64
	cancel   bool
	usage    string
}

// hold checks the fence: the job is unfinished and this epoch's.
func hold(ctx context.Context, tx *sql.Tx, f job.Fence) (held, error) {
	var h held
	err := tx.QueryRowContext(ctx, `SELECT state, stage, progress_done, progress_total, progress_unit, last_seq, cancel_time IS NOT NULL, usage
		FROM jobs WHERE id = ? AND epoch = ?`, f.ID, f.Epoch).
		Scan(&h.state, &h.stage, &h.progress.Done, &h.progress.Total, &h.progress.Unit, &h.last, &h.cancel, &h.usage)
	if errors.Is(err, sql.ErrNoRows) || err == nil && h.state == job.StateQueued {
		return held{}, job.ErrFenced // a queued job is nobody's
	}
	return h, err
}

// fenced runs fn when the fence holds, and closes the log that fn appended to.
func (s *Store) fenced(ctx context.Context, f job.Fence, fn func(ctx context.Context, tx *sql.Tx, h held, l *log) error) (job.Written, error) {
	var w job.Written
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		h, err := hold(ctx, tx, f)
		if err != nil {
			return err
		}
		if h.state.Terminal() {
			return job.ErrFenced
		}
		l := &log{tx: tx, id: f.ID, epoch: f.Epoch, attempt: f.Attempt, last: h.last, now: s.now()}
		if err := fn(ctx, tx, h, l); err != nil {
			return err
		}
		w = l.written()
		return l.close(ctx)
	})
	return w, err
}

// Apply implements job.Writer.
func (s *Store) Apply(ctx context.Context, f job.Fence, c job.Change) (job.Written, error) {
	return s.fenced(ctx, f, func(ctx context.Context, tx *sql.Tx, h held, l *log) error {
		if err := runWrite(ctx, tx, c.Write); err != nil {
			return err
		}
		l.addAll(ctx, c.Events)
		l.progress(ctx, h, c.Update)
		switch {
		case c.Stalled != nil:
			l.row.stalled = sql.NullInt64{Int64: int64(*c.Stalled), Valid: true}
		case c.Advanced:
			l.row.stalled = sql.NullInt64{Valid: true}
		}
		return nil
	})
}

func runWrite(ctx context.Context, tx *sql.Tx, write func(ctx context.Context, tx job.Tx) error) error {
	if write == nil {
		return nil
	}
	return write(ctx, sqlite.Wrap(tx))
}

// progress logs a new stage or progress, which close stores. Its event is keyed by what it says, so saying it again adds
// nothing.
func (l *log) progress(ctx context.Context, h held, u job.Update) {
	stage, p := h.stage, h.progress
	if u.Stage != "" {
		stage = u.Stage
	}
	if u.Progress != nil {
		p = *u.Progress
	}
	if stage == h.stage && p == h.progress {
		return
	}
	l.row.stage, l.row.progress = sql.NullString{String: stage, Valid: true}, &p
	l.add(ctx, job.NewEvent{
		Key:  fmt.Sprintf("%d/progress/%s/%d/%d/%s", l.attempt, stage, p.Done, p.Total, p.Unit),
		Type: job.TypeProgress, Payload: job.StageProgress{Stage: stage, Progress: p}.Encode(),
	}, false)
}

// Finish implements job.Writer.
func (s *Store) Finish(ctx context.Context, f job.Fence, o job.Outcome) (job.Written, error) {
	var w job.Written
	if !o.State.Terminal() {
		return w, fmt.Errorf("job %s cannot end as %s", f.ID, o.State)
	}
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		h, err := hold(ctx, tx, f)
		if err != nil {
			return err
		}
		if h.state.Terminal() {
			w = job.Written{ID: f.ID, LastSeq: h.last}
			return nil
		}
		if o.State == job.StateCancelled && !h.cancel {
			return fmt.Errorf("job %s cannot end as %s: nobody asked for that", f.ID, o.State)
		}
		if err := runWrite(ctx, tx, o.Write); err != nil {
			return err
		}
		l := &log{tx: tx, id: f.ID, epoch: f.Epoch, attempt: f.Attempt, last: h.last, now: s.now()}
		l.addAll(ctx, o.Events)
		w, err = s.terminal(ctx, l, h.state, h.stage, o)
		return err
	})
	return w, err
}

// terminal writes the final state with the final event. Nothing may be appended to l afterwards.
func (s *Store) terminal(ctx context.Context, l *log, from job.State, stage string, o job.Outcome) (job.Written, error) {
	failure, err := encodeError(o.Error)
	if err != nil {
		return job.Written{}, err
	}
	l.add(ctx, job.NewEvent{
		Key: fmt.Sprintf("%d/end", l.attempt), Type: job.TypeStateChanged,
		Payload: job.StateChange{From: from, To: o.State, Reason: o.Reason, Stage: stage, Error: o.Error}.Encode(),
	}, true)
	if l.err != nil {
		return job.Written{}, l.err
	}
	if _, err := l.tx.ExecContext(ctx, `UPDATE jobs SET state = ?1, state_reason = ?2, result = COALESCE(?3, result), error = ?4, end_time = ?5,
		history_expire_time = ?5 + history_kept, epoch = ?6, last_seq = ?7, revision = revision + 1 WHERE id = ?8`,
		o.State, o.Reason, o.Result, failure, micros(l.now), l.epoch, l.last, l.id); err != nil {
		return job.Written{}, fmt.Errorf("end job %s: %w", l.id, err)
	}
	return l.written(), nil
}

// end ends a job from outside of its execution and raises the epoch, so that an execution writes nothing after it.
func (s *Store) end(ctx context.Context, tx *sql.Tx, j job.Job, o job.Outcome) (job.Written, error) {
	l := &log{tx: tx, id: j.ID, epoch: j.Epoch + 1, attempt: j.Attempt, last: j.LastSeq, now: s.now()}
	l.addAll(ctx, o.Events)
	if err := runWrite(ctx, tx, o.Write); err != nil {
		return job.Written{}, err
	}
	return s.terminal(ctx, l, j.State, j.Stage, o)
}

// End implements job.Ender.
func (s *Store) End(ctx context.Context, a job.Attempt, o job.Outcome) (job.Written, bool, error) {
	var (
		w     job.Written
		ended bool
	)
	err := s.write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		w, ended = job.Written{}, false
		j, err := get(ctx, tx, a.ID)
		if err != nil || j.State.Terminal() || j.Attempt != a.Number {
			return err
		}
		ended = true
		w, err = s.end(ctx, tx, j, o)
		return err
	})
	return w, ended, err
}
