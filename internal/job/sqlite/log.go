package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"witan.dev/internal/job"
)

// log appends to one job's events inside one transaction. The transaction is immediate, so nobody else can number events
// at the same time.
type log struct {
	tx      *sql.Tx
	id      job.ID
	epoch   int64
	attempt int32
	// last is the sequence number of the newest event.
	last int64
	now  time.Time
	err  error
	row  row
}

// row is what a write changes in the job's row beside the length of its log. All of it is written at once, by close.
type row struct {
	stage    sql.NullString
	progress *job.Progress
	stalled  sql.NullInt64
	usage    sql.NullString

	started, completed, reused, repaid, reserved int64
}

// add stores one event under the next number, unless its key is there already.
func (l *log) add(ctx context.Context, e job.NewEvent, final bool) {
	if l.err != nil {
		return
	}
	payload := e.Payload
	if payload == nil {
		payload = []byte{}
	}
	res, err := l.tx.ExecContext(ctx, `INSERT INTO job_events (job_id, seq, key, epoch, attempt, type, time, final, payload)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, key) DO NOTHING`,
		l.id, l.last+1, e.Key, l.epoch, l.attempt, e.Type, micros(l.now), final, payload)
	if err != nil {
		l.err = fmt.Errorf("append event %s of job %s: %w", e.Key, l.id, err)
		return
	}
	n, err := res.RowsAffected()
	if err != nil {
		l.err = fmt.Errorf("append event %s of job %s: %w", e.Key, l.id, err)
		return
	}
	l.last += n
}

func (l *log) addAll(ctx context.Context, events []job.NewEvent) {
	for _, e := range events {
		l.add(ctx, e, false)
	}
}

// close stores where the log ends now, and what else the write has changed in the job's row.
func (l *log) close(ctx context.Context) error {
	if l.err != nil {
		return l.err
	}
	r := l.row
	var done, total sql.NullInt64
	var unit sql.NullString
	if p := r.progress; p != nil {
		done, total = sql.NullInt64{Int64: p.Done, Valid: true}, sql.NullInt64{Int64: p.Total, Valid: true}
		unit = sql.NullString{String: p.Unit, Valid: true}
	}
	if _, err := l.tx.ExecContext(ctx, `UPDATE jobs SET last_seq = ?, revision = revision + 1, stage = COALESCE(?, stage),
		progress_done = COALESCE(?, progress_done), progress_total = COALESCE(?, progress_total), progress_unit = COALESCE(?, progress_unit),
		stalled = COALESCE(?, stalled), usage = COALESCE(?, usage),
		calls_started = calls_started + ?, calls_completed = calls_completed + ?, calls_reused = calls_reused + ?,
		calls_repaid = calls_repaid + ?, reserved = reserved + ? WHERE id = ?`,
		l.last, r.stage, done, total, unit, r.stalled, r.usage, r.started, r.completed, r.reused, r.repaid, r.reserved, l.id); err != nil {
		return fmt.Errorf("store the length of the log of job %s: %w", l.id, err)
	}
	return nil
}

func (l *log) written() job.Written { return job.Written{ID: l.id, LastSeq: l.last} }
