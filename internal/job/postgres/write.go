package postgres

import (
	"context"
	"errors"
	"fmt"

	"witan.dev/internal/job"
)

// Begin implements job.Writer.
func (s *Store) Begin(ctx context.Context, a job.Attempt, maxStalled int) (job.Job, job.Written, error) {
	var (
		begun job.Job
		w     job.Written
		over  bool
	)
	err := s.write(ctx, func(ctx context.Context, tx transaction) (err error) {
		begun, w, over, err = s.begin(ctx, tx, a, maxStalled)
		return err
	})
	if err != nil {
		return job.Job{}, job.Written{}, err
	}
	if over {
		return job.Job{}, w, job.ErrEnded
	}
	return begun, w, nil
}

func (s *Store) begin(ctx context.Context, tx transaction, a job.Attempt, maxStalled int) (j job.Job, w job.Written, over bool, err error) {
	if err := s.alive(ctx, tx); err != nil {
		return job.Job{}, job.Written{}, false, err
	}
	h, err := s.hold(ctx, tx, a.ID)
	if err != nil || h.State.Terminal() || h.Attempt != a.Number {
		return job.Job{}, job.Written{}, err == nil, err
	}
	if o, end := job.Unbeginnable(h.Job, h.now, maxStalled); end {
		w, err = h.endOutside(ctx, tx, o)
		return job.Job{}, w, true, err
	}
	h.begin()
	if w, err = h.save(ctx, tx); err != nil {
		return job.Job{}, job.Written{}, false, err
	}
	j, err = get(ctx, tx.Queries, a.ID)
	return j, w, false, err
}

// begin makes the next execution of what was read.
func (h *held) begin() {
	change := job.StateChange{From: h.State, To: job.StateRunning, Stage: h.Stage}
	if h.State != job.StateQueued {
		h.Ledger.Recoveries, h.Stalled, change.Reason = h.Ledger.Recoveries+1, h.Stalled+1, "RECOVERED"
	}
	if h.State == job.StateCancelling {
		change.To = job.StateCancelling
	}
	h.State = change.To
	h.Epoch++
	if h.StartedAt.IsZero() {
		h.StartedAt = h.now
	}
	h.log(job.NewEvent{Key: fmt.Sprintf("begin/%d", h.Epoch), Type: job.TypeStateChanged, Payload: change.Encode()})
}

// alive refuses to begin anything for a process that was declared dead, whose jobs others may have begun already, and
// keeps it from being declared dead until the transaction ends. So epochs rise in the order in which jobs are claimed.
func (s *Store) alive(ctx context.Context, tx transaction) error {
	id := s.identity()
	if id == "" {
		return nil
	}
	living, err := tx.ShareLivingExecutor(ctx, id)
	if err != nil {
		return fmt.Errorf("look whether this process is alive: %w", err)
	}
	if len(living) == 0 {
		return fmt.Errorf("process %s was declared dead: %w", id, job.ErrFenced)
	}
	return nil
}

// holdFenced locks a job for a write of an execution, which owns it.
func (s *Store) holdFenced(ctx context.Context, tx transaction, f job.Fence) (*held, error) {
	h, err := s.hold(ctx, tx, f.ID)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return nil, job.ErrFenced
	case err != nil:
		return nil, err
	case h.Epoch != f.Epoch, h.State == job.StateQueued: // a queued job is nobody's
		return nil, job.ErrFenced
	}
	return h, nil
}

// fenced runs fn when the fence holds, and writes what fn changes.
func (s *Store) fenced(ctx context.Context, f job.Fence, fn func(ctx context.Context, tx transaction, h *held) error) (job.Written, error) {
	var w job.Written
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		h, err := s.holdFenced(ctx, tx, f)
		if err != nil {
			return err
		}
		if h.State.Terminal() {
			return job.ErrFenced
		}
		if err := fn(ctx, tx, h); err != nil {
			return err
		}
		w, err = h.save(ctx, tx)
		return err
	})
	if err != nil {
		return job.Written{}, err
	}
	return w, nil
}

// Apply implements job.Writer.
func (s *Store) Apply(ctx context.Context, f job.Fence, c job.Change) (job.Written, error) {
	return s.fenced(ctx, f, func(ctx context.Context, tx transaction, h *held) error {
		if err := tx.run(ctx, c.Write); err != nil {
			return err
		}
		h.log(c.Events...)
		h.progress(c.Update)
		switch {
		case c.Stalled != nil:
			h.Stalled = *c.Stalled
		case c.Advanced:
			h.Stalled = 0
		}
		return nil
	})
}

// progress changes and logs stage and progress. The event is keyed by what it says, so saying it again adds nothing.
func (h *held) progress(u job.Update) {
	stage, p := h.Stage, h.Progress
	if u.Stage != "" {
		stage = u.Stage
	}
	if u.Progress != nil {
		p = *u.Progress
	}
	if stage == h.Stage && p == h.Progress {
		return
	}
	h.Stage, h.Progress = stage, p
	h.log(job.NewEvent{
		Key:  fmt.Sprintf("%d/progress/%s/%d/%d/%s", h.Attempt, stage, p.Done, p.Total, p.Unit),
		Type: job.TypeProgress, Payload: job.StageProgress{Stage: stage, Progress: p}.Encode(),
	})
}

// Finish implements job.Writer.
func (s *Store) Finish(ctx context.Context, f job.Fence, o job.Outcome) (job.Written, error) {
	if !o.State.Terminal() {
		return job.Written{}, fmt.Errorf("job %s cannot end as %s", f.ID, o.State)
	}
	var w job.Written
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		h, err := s.holdFenced(ctx, tx, f)
		if err != nil {
			return err
		}
		if h.State.Terminal() {
			w = job.Written{ID: f.ID, LastSeq: h.LastSeq}
			return nil
		}
		if o.State == job.StateCancelled && h.CancelAskedAt.IsZero() {
			return fmt.Errorf("job %s cannot end as %s: nobody asked for that", f.ID, o.State)
		}
		if err := tx.run(ctx, o.Write); err != nil {
			return err
		}
		h.log(o.Events...)
		h.end(o)
		w, err = h.save(ctx, tx)
		return err
	})
	if err != nil {
		return job.Written{}, err
	}
	return w, nil
}

// End implements job.Ender.
func (s *Store) End(ctx context.Context, a job.Attempt, o job.Outcome) (job.Written, bool, error) {
	var (
		w     job.Written
		ended bool
	)
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		w, ended = job.Written{}, false
		h, err := s.hold(ctx, tx, a.ID)
		if err != nil || h.State.Terminal() || h.Attempt != a.Number {
			return err
		}
		ended = true
		w, err = h.endOutside(ctx, tx, o)
		return err
	})
	if err != nil {
		return job.Written{}, false, err
	}
	return w, ended, nil
}
