package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database"
	"witan.dev/internal/job/engine"
)

const (
	// awayPause is the first pause between two attempts to write while the database is away, maxAwayPause the longest:
	// jobs go on soon after it is back.
	awayPause, maxAwayPause = 50 * time.Millisecond, time.Second
	// patience bounds one attempt, since a connection may hang on which no answer ever comes.
	patience = 30 * time.Second
)

// insist runs a write of an execution until the database has taken or refused it, or ctx ends. Writing twice what was
// committed unheard does no harm, see Writer. give ends the waiting too, with its cause; nil never does.
func (m *Manager) insist(ctx context.Context, give func() error, write func(ctx context.Context) error) error {
	for d, told := awayPause, false; ; d = min(2*d, maxAwayPause) {
		if give != nil {
			if err := give(); err != nil {
				return err
			}
		}
		err := once(ctx, write)
		if !errors.Is(err, database.ErrAway) {
			return err
		}
		if !told {
			told = true
			m.logger.WarnContext(ctx, "the database is away; a write waits for it", "error", err)
		}
		pause(ctx, d)
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// once makes one attempt. One that gets no answer counts as made while the database was away.
func once(ctx context.Context, write func(ctx context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := write(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return database.ErrAway.Wrap(err)
	}
	return err
}

// Draining is closed when the process is about to stop. What is under way may end and is stored; what would take long
// and can be asked for again ends with engine.ErrDraining, and so do OpenCalls and steps that begin.
func (r *Run) Draining() <-chan struct{} { return r.engine.Draining() }

// draining is engine.ErrDraining when the process is about to stop.
func (r *Run) draining() error {
	select {
	case <-r.engine.Draining():
		return engine.ErrDraining
	default:
		return nil
	}
}

// UntilDraining is ctx that also ends when the process is about to stop, with engine.ErrDraining as its cause. It is for
// waiting on others. stop must be called.
func (r *Run) UntilDraining(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-r.engine.Draining():
			cancel(engine.ErrDraining)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// leaving says whether an execution ends because of what happened around it rather than in it.
func (r *Run) leaving(err error) bool {
	return r.draining() != nil || errors.Is(context.Cause(r.engine.Context()), engine.ErrStopping) || errors.Is(err, database.ErrAway)
}

// handOver notes, once, that this execution ends in good order and unfinished: how it began says nothing about the job.
func (r *Run) handOver(ctx context.Context) {
	if r.finished.Load() || r.handed.Swap(true) {
		return
	}
	if errors.Is(context.Cause(r.engine.Context()), engine.ErrStopping) {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(context.WithoutCancel(ctx), leaveTaking)
		defer stop()
	}
	before := r.job.Stalled - 1 // Begin counts on from here
	if r.advanced.Load() {
		before = 0
	}
	crashpoint.Hit(crashpoint.BeforeHandOver)
	w, err := r.m.store.Apply(ctx, r.fence(), Change{Stalled: &before})
	crashpoint.Hit(crashpoint.AfterHandOver)
	if err != nil && !errors.Is(err, ErrFenced) {
		r.m.logger.WarnContext(ctx, "a job that is handed over counts as one that did not get on", "job_id", r.job.ID, "error", err)
		return
	}
	r.m.announce(ctx, w)
}

// leaveTaking bounds the last write of an execution that was ended.
const leaveTaking = 2 * time.Second
