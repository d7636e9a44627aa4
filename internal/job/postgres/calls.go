package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/job"
)

// journal is what the calls of one write know of each other.
type journal struct {
	h     *held
	tries map[job.CallKey][]jobsql.TriesOfRow
	// opened are inserted together, abandoned before them.
	opened    []jobsql.InsertCallParams
	abandoned []jobsql.AbandonCallParams
}

// OpenCalls implements job.Writer.
func (s *Store) OpenCalls(ctx context.Context, f job.Fence, intents []job.CallIntent) ([]job.CallGrant, job.Written, error) {
	var grants []job.CallGrant
	w, err := s.fenced(ctx, f, func(ctx context.Context, tx transaction, h *held) error {
		grants = make([]job.CallGrant, len(intents))
		book, err := openJournal(ctx, tx, h, intents)
		if err != nil {
			return err
		}
		for i, in := range intents {
			if grants[i], err = book.open(in); err != nil {
				return err
			}
		}
		return book.write(ctx, tx)
	})
	if err != nil {
		return nil, job.Written{}, err
	}
	return grants, w, nil
}

// openJournal reads what there is about the calls.
func openJournal(ctx context.Context, tx transaction, h *held, intents []job.CallIntent) (*journal, error) {
	stages, subjects, parts := make([]string, len(intents)), make([]string, len(intents)), make([]string, len(intents))
	for i, in := range intents {
		stages[i], subjects[i], parts[i] = in.Key.Stage, in.Key.Subject, in.Key.Part
	}
	rows, err := tx.TriesOf(ctx, jobsql.TriesOfParams{JobID: string(h.ID), Stages: stages, Subjects: subjects, Parts: parts})
	if err != nil {
		return nil, fmt.Errorf("read the journal of job %s: %w", h.ID, err)
	}
	book := &journal{h: h, tries: make(map[job.CallKey][]jobsql.TriesOfRow, len(intents))}
	for _, r := range rows {
		key := job.CallKey{Stage: r.Stage, Subject: r.Subject, Part: r.Part}
		book.tries[key] = append(book.tries[key], r)
	}
	return book, nil
}

// open decides about one call by what the journal holds of it.
func (b *journal) open(in job.CallIntent) (job.CallGrant, error) {
	tries := b.tries[in.Key]
	failed, lastFailure := 0, ""
	for _, t := range tries {
		same := bytes.Equal(t.PromptSha256, in.PromptSHA256[:])
		switch state := job.CallState(t.State); {
		case same && state == job.CallResult:
			return b.reuse(t)
		case same && state == job.CallFailed && t.JobAttempt == b.h.Attempt:
			failed, lastFailure = failed+1, t.ErrorClass
		}
	}
	if failed >= max(in.MaxAttempts, 1) {
		return job.CallGrant{Exhausted: true, LastFailure: lastFailure, Attempt: tries[len(tries)-1].Attempt}, nil
	}
	if in.ReuseOnly {
		return job.CallGrant{Refused: true}, nil
	}
	return b.send(in, tries), nil
}

func (b *journal) reuse(t jobsql.TriesOfRow) (job.CallGrant, error) {
	g := job.CallGrant{Attempt: t.Attempt, IdempotencyKey: t.IdempotencyKey, Reused: t.Result}
	if g.Reused == nil {
		g.Reused = []byte{}
	}
	if err := json.Unmarshal([]byte(t.Usage), &g.Usage); err != nil {
		return job.CallGrant{}, fmt.Errorf("read the usage of a call of job %s: %w", b.h.ID, err)
	}
	b.h.Ledger.CallsReused++
	return g, nil
}

// send notes the intent of a call that is made now. A try that was in flight when its execution ended is given up: it
// may have been charged, so its reservation stays, and it is counted as repaid. One that this execution has opened itself
// is the same call, written again because the answer to the first write was lost.
func (b *journal) send(in job.CallIntent, tries []jobsql.TriesOfRow) job.CallGrant {
	g := job.CallGrant{Attempt: 1, IdempotencyKey: in.IdempotencyKey}
	var reissueOf int32
	if n := len(tries); n > 0 {
		last := tries[n-1]
		same := bytes.Equal(last.PromptSha256, in.PromptSHA256[:])
		open := job.CallState(last.State) == job.CallOpen
		if open && same && last.Epoch == b.h.Epoch {
			return job.CallGrant{Attempt: last.Attempt, IdempotencyKey: last.IdempotencyKey}
		}
		g.Attempt = last.Attempt + 1
		if open {
			if same {
				g.IdempotencyKey = last.IdempotencyKey
			}
			reissueOf = last.Attempt
			b.abandon(in.Key, last.Attempt)
		}
	}
	if g.IdempotencyKey == "" {
		g.IdempotencyKey = job.IdempotencyKey(b.h.ID, in.Key, g.Attempt)
	}
	b.note(in, g, reissueOf)
	b.h.log(in.Events...)
	if in.EventsFor != nil {
		b.h.log(in.EventsFor(g.Attempt)...)
	}
	return g
}

func (b *journal) abandon(key job.CallKey, attempt int32) {
	b.h.Ledger.CallsRepaid++
	b.abandoned = append(b.abandoned, jobsql.AbandonCallParams{
		JobID: string(b.h.ID), Stage: key.Stage, Subject: key.Subject, Part: key.Part, Attempt: attempt, EndTime: &b.h.now,
	})
}

func (b *journal) note(in job.CallIntent, g job.CallGrant, reissueOf int32) {
	b.h.Ledger.CallsStarted++
	b.h.reserved += in.ReservedTokens
	b.opened = append(b.opened, jobsql.InsertCallParams{
		JobID: string(b.h.ID), Stage: in.Key.Stage, Subject: in.Key.Subject, Part: in.Key.Part, Attempt: g.Attempt,
		Epoch: b.h.Epoch, State: string(job.CallOpen), PromptSha256: in.PromptSHA256[:], Template: in.Template,
		IdempotencyKey: g.IdempotencyKey, ReissueOf: reissueOf, Reserved: in.ReservedTokens,
		StartTime: b.h.now, JobAttempt: b.h.Attempt,
	})
	b.tries[in.Key] = append(b.tries[in.Key], jobsql.TriesOfRow{ // the same call may be asked for twice
		Attempt: g.Attempt, Epoch: b.h.Epoch, State: string(job.CallOpen), PromptSha256: in.PromptSHA256[:],
		IdempotencyKey: g.IdempotencyKey, JobAttempt: b.h.Attempt,
	})
}

func (b *journal) write(ctx context.Context, tx transaction) error {
	var failed error
	note := func(_ int, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("write the journal of job %s: %w", b.h.ID, err)
		}
	}
	if len(b.opened) > 0 {
		tx.InsertCall(ctx, b.opened).Exec(note)
	}
	if len(b.abandoned) > 0 && failed == nil {
		tx.AbandonCall(ctx, b.abandoned).Exec(note)
	}
	return failed
}

// CloseCall implements job.Writer.
func (s *Store) CloseCall(ctx context.Context, f job.Fence, d job.CallDone) (job.Written, error) {
	return s.fenced(ctx, f, func(ctx context.Context, tx transaction, h *held) error {
		if err := h.closeTry(ctx, tx, d); err != nil {
			return err
		}
		if err := tx.run(ctx, d.Write); err != nil {
			return err
		}
		h.log(d.Events...)
		return nil
	})
}

// closeTry stores the end of one try and counts it, unless it was closed in the same way before.
func (h *held) closeTry(ctx context.Context, tx transaction, d job.CallDone) error {
	call, err := tx.GetCall(ctx, jobsql.GetCallParams{
		JobID: string(h.ID), Stage: d.Key.Stage, Subject: d.Key.Subject, Part: d.Key.Part, Attempt: d.Attempt,
	})
	switch state := job.CallState(call.State); {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("call %s/%s/%s attempt %d of job %s was never opened", d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt, h.ID)
	case err != nil:
		return fmt.Errorf("read the journal of job %s: %w", h.ID, err)
	case state == d.State:
		return nil
	case state != job.CallOpen:
		return fmt.Errorf("call %s/%s/%s attempt %d of job %s is %s already", d.Key.Stage, d.Key.Subject, d.Key.Part, d.Attempt, h.ID, state)
	}
	usage, err := encodeUsage(d.Usage)
	if err != nil {
		return err
	}
	if err := tx.CloseCall(ctx, jobsql.CloseCallParams{
		State: string(d.State), Epoch: h.Epoch, Result: d.Result, ErrorClass: d.ErrorClass, Usage: usage, EndTime: &h.now,
		JobID: string(h.ID), Stage: d.Key.Stage, Subject: d.Key.Subject, Part: d.Key.Part, Attempt: d.Attempt,
	}); err != nil {
		return fmt.Errorf("close a call of job %s: %w", h.ID, err)
	}
	h.settle(d, call.Reserved)
	return nil
}

// settle counts a closed try. An answer means that the job got on; a given-up try keeps its reservation, since it may have
// been charged.
func (h *held) settle(d job.CallDone, reserved int64) {
	h.Usage = h.Usage.Add(d.Usage)
	if d.State == job.CallResult {
		h.Ledger.CallsCompleted++
		h.Stalled = 0
	}
	if d.State != job.CallAbandoned {
		h.reserved -= reserved
	}
}
