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

// close stores where the log ends now.
func (l *log) close(ctx context.Context) error {
	if l.err != nil {
		return l.err
	}
	if _, err := l.tx.ExecContext(ctx, `UPDATE jobs SET last_seq = ?, revision = revision + 1 WHERE id = ?`, l.last, l.id); err != nil {
		return fmt.Errorf("store the length of the log of job %s: %w", l.id, err)
	}
	return nil
}

func (l *log) written() job.Written { return job.Written{ID: l.id, LastSeq: l.last} }
