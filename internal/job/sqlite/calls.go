package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"witan.dev/internal/job"
)

// try is one row of the journal.
type try struct {
	attempt int32
	state   job.CallState
	prompt  []byte
	// epoch is that of the execution that opened or closed the try.
	epoch          int64
	idempotencyKey string
	result         []byte
	usage          string
	errorClass     string
	// jobAttempt is the job's attempt in which the try was made.
	jobAttempt int32
}

// OpenCalls implements job.Writer.
func (s *Store) OpenCalls(ctx context.Context, f job.Fence, intents []job.CallIntent) ([]job.CallGrant, job.Written, error) {
	var grants []job.CallGrant
	w, err := s.fenced(ctx, f, func(ctx context.Context, tx *sql.Tx, _ held, l *log) error {
		grants = make([]job.CallGrant, 0, len(intents))
		for _, in := range intents {
			g, err := open(ctx, tx, f, in, l)
			if err != nil {
				return err
			}
			grants = append(grants, g)
		}
		return nil
	})
	if err != nil {
		return nil, job.Written{}, err
	}
	return grants, w, nil
}

// open decides about one call by what the journal holds of it.
func open(ctx context.Context, tx *sql.Tx, f job.Fence, in job.CallIntent, l *log) (job.CallGrant, error) {
	tries, err := triesOf(ctx, tx, f.ID, in.Key)
	if err != nil {
		return job.CallGrant{}, err
	}
	failed, lastFailure := 0, ""
	for _, t := range tries {
		same := bytes.Equal(t.prompt, in.PromptSHA256[:])
		switch {
		case same && t.state == job.CallResult:
			return reuse(f, t, l)
		case same && t.state == job.CallFailed && t.jobAttempt == f.Attempt:
			failed, lastFailure = failed+1, t.errorClass
		}
	}
	if failed >= max(in.MaxAttempts, 1) {
		return job.CallGrant{Exhausted: true, LastFailure: lastFailure, Attempt: tries[len(tries)-1].attempt}, nil
	}
	if in.ReuseOnly {
		return job.CallGrant{Refused: true}, nil
	}
	return send(ctx, tx, f, in, tries, l)
}

func triesOf(ctx context.Context, tx *sql.Tx, id job.ID, key job.CallKey) ([]try, error) {
	var tries []try
	err := query1(ctx, tx, func(row scanner) error {
		var t try
		err := row.Scan(&t.attempt, &t.epoch, &t.state, &t.prompt, &t.idempotencyKey, &t.result, &t.usage, &t.errorClass, &t.jobAttempt)
		tries = append(tries, t)
		return err
	}, `SELECT attempt, epoch, state, prompt_sha256, idempotency_key, result, usage, error_class, job_attempt FROM calls
		WHERE job_id = ? AND stage = ? AND subject = ? AND part = ? ORDER BY attempt`, id, key.Stage, key.Subject, key.Part)
	if err != nil {
		return nil, fmt.Errorf("read the journal of job %s: %w", id, err)
	}
	return tries, nil
}

func reuse(f job.Fence, t try, l *log) (job.CallGrant, error) {
	g := job.CallGrant{Attempt: t.attempt, IdempotencyKey: t.idempotencyKey, Reused: t.result}
	if g.Reused == nil {
		g.Reused = []byte{}
	}
	if err := json.Unmarshal([]byte(t.usage), &g.Usage); err != nil {
		return job.CallGrant{}, fmt.Errorf("read the usage of a call of job %s: %w", f.ID, err)
	}
	l.row.reused++
	return g, nil
}

// send writes the intent of a call that is made now. A try that was in flight when its execution ended is given up: it
// may have been charged, so its reservation stays, and it is counted as repaid. One that this execution has opened itself
// is the same call, written again because the answer to the first write was lost.
func send(ctx context.Context, tx *sql.Tx, f job.Fence, in job.CallIntent, tries []try, l *log) (job.CallGrant, error) {
	g := job.CallGrant{Attempt: 1, IdempotencyKey: in.IdempotencyKey}
	var reissueOf int32
	if n := len(tries); n > 0 {
		last := tries[n-1]
		same := bytes.Equal(last.prompt, in.PromptSHA256[:])
		if last.state == job.CallOpen && same && last.epoch == f.Epoch {
			return job.CallGrant{Attempt: last.attempt, IdempotencyKey: last.idempotencyKey}, nil
		}
		g.Attempt = last.attempt + 1
		if last.state == job.CallOpen {
			reissueOf = last.attempt
			l.row.repaid++
			if same {
				g.IdempotencyKey = last.idempotencyKey
			}
			if err := abandon(ctx, tx, f, in.Key, last.attempt, l); err != nil {
				return job.CallGrant{}, err
			}
		}
	}
	if g.IdempotencyKey == "" {
		g.IdempotencyKey = job.IdempotencyKey(f.ID, in.Key, g.Attempt)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO calls (job_id, stage, subject, part, attempt, epoch, state, prompt_sha256, template,
		idempotency_key, reissue_of, reserved, start_time, job_attempt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		f.ID, in.Key.Stage, in.Key.Subject, in.Key.Part, g.Attempt, f.Epoch, job.CallOpen, in.PromptSHA256[:], in.Template,
		g.IdempotencyKey, reissueOf, in.ReservedTokens, micros(l.now), f.Attempt); err != nil {
		return job.CallGrant{}, fmt.Errorf("journal a call of job %s: %w", f.ID, err)
	}
	l.row.started++
	l.row.reserved += in.ReservedTokens
	l.addAll(ctx, in.Events)
	if in.EventsFor != nil {
		l.addAll(ctx, in.EventsFor(g.Attempt))
	}
	return g, l.err // no further call after a statement that failed: the transaction may be gone
}

func abandon(ctx context.Context, tx *sql.Tx, f job.Fence, key job.CallKey, attempt int32, l *log) error {
	if _, err := tx.ExecContext(ctx, `UPDATE calls SET state = ?, end_time = ?
		WHERE job_id = ? AND stage = ? AND subject = ? AND part = ? AND attempt = ? AND state = ?`,
		job.CallAbandoned, micros(l.now), f.ID, key.Stage, key.Subject, key.Part, attempt, job.CallOpen); err != nil {
		return fmt.Errorf("give up a call of job %s: %w", f.ID, err)
	}
	return nil
}

// CloseCall implements job.Writer.
func (s *Store) CloseCall(ctx context.Context, f job.Fence, d job.CallDone) (job.Written, error) {
	return s.fenced(ctx, f, func(ctx context.Context, tx *sql.Tx, h held, l *log) error {
		if err := closeTry(ctx, tx, f, d, h, l); err != nil {
			return err
		}
		if err := runWrite(ctx, tx, d.Write); err != nil {
			return err
		}
		l.addAll(ctx, d.Events)
		return nil
	})
}

// closeTry stores the end of one try and counts it, unless it was closed in the same way before.
func closeTry(ctx context.Context, tx *sql.Tx, f job.Fence, d job.CallDone, h held, l *log) error {
	var (
		state    job.CallState
		reserved int64
	)
	err := tx.QueryRowContext(ctx, `SELECT state, reserved FROM calls WHERE job_id = ? AND stage = ? AND subject = ? AND part = ? AND attempt = ?`,
		f.ID, d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt).Scan(&state, &reserved)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("call %s/%s/%s attempt %d of job %s was never opened", d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt, f.ID)
	case err != nil:
		return fmt.Errorf("read the journal of job %s: %w", f.ID, err)
	case state == d.State:
		return nil
	case state != job.CallOpen:
		return fmt.Errorf("call %s/%s/%s attempt %d of job %s is %s already", d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt, f.ID, state)
	}
	usage, err := encodeUsage(d.Usage)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE calls SET state = ?, epoch = ?, result = ?, error_class = ?, usage = ?, end_time = ?
		WHERE job_id = ? AND stage = ? AND subject = ? AND part = ? AND attempt = ?`,
		d.State, f.Epoch, d.Result, d.ErrorClass, usage, micros(l.now),
		f.ID, d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt); err != nil {
		return fmt.Errorf("close a call of job %s: %w", f.ID, err)
	}
	return l.settle(d, h, reserved)
}

// settle counts a closed try in the job's ledger. An answer means that the job got on; a given-up try keeps its
// reservation, since it may have been charged.
func (l *log) settle(d job.CallDone, h held, reserved int64) error {
	var total job.Usage
	if err := json.Unmarshal([]byte(h.usage), &total); err != nil {
		return fmt.Errorf("read the usage of job %s: %w", l.id, err)
	}
	usage, err := encodeUsage(total.Add(d.Usage))
	if err != nil {
		return err
	}
	l.row.usage = sql.NullString{String: usage, Valid: true}
	if d.State == job.CallResult {
		l.row.completed++
		l.row.stalled = sql.NullInt64{Valid: true}
	}
	if d.State != job.CallAbandoned {
		l.row.reserved -= reserved
	}
	return nil
}
