package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"witan.dev/internal/bus"
	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database"
	"witan.dev/internal/job/engine"
)

const maxPause = time.Minute

// execute is one execution of a body: begin under the next epoch, run, and see that the job ends or runs again.
func (m *Manager) execute(er engine.Run, body Body) error {
	a, err := attemptOf(er.Job())
	if err != nil {
		m.logger.ErrorContext(er.Context(), "the engine holds what is no job's", "error", err)
		return nil
	}
	asked, err := m.bus.Subscribe(er.Context(), cancelTopic(a.ID))
	if err != nil {
		return m.unready(er, fmt.Errorf("listen for the cancellation of job %s: %w", a.ID, err))
	}
	defer asked.Close()
	j, w, err := m.begin(er, a)
	if errors.Is(err, ErrEnded) {
		m.announceEnd(er.Context(), w)
	} else {
		m.announce(er.Context(), w)
	}
	switch {
	case errors.Is(err, ErrFenced):
		// This process was taken for dead. Who gave its jobs to others decides, so nothing is given back here.
		<-er.Context().Done()
		return context.Cause(er.Context())
	case engine.Interrupted(err):
		return err
	case errors.Is(err, ErrEnded):
		m.abandon(er.Context(), a) // ended just now, after too many starts, or before a crash that came before this
		if err := m.follow(er.Context(), a); err != nil {
			return m.unready(er, err)
		}
		return nil
	case errors.Is(err, ErrNotFound):
		m.logger.WarnContext(er.Context(), "the engine holds a job that the store does not know", "job_id", a.ID)
		return nil
	case err != nil:
		return m.unready(er, fmt.Errorf("begin job %s: %w", a.ID, err))
	}
	if j.Stalled > 0 {
		m.logger.InfoContext(er.Context(), "took over", "job_id", j.ID, "epoch", j.Epoch, "stalled", j.Stalled)
	}
	r := &Run{m: m, engine: er, job: j}
	defer m.track(r, asked)()
	return m.conclude(r, m.call(r, body))
}

// begin waits for a database that is away.
func (m *Manager) begin(er engine.Run, a Attempt) (j Job, w Written, err error) {
	drained := func() error {
		select {
		case <-er.Draining():
			return engine.ErrDraining
		default:
			return nil
		}
	}
	err = m.insist(er.Context(), drained, func(ctx context.Context) (err error) {
		crashpoint.Hit(crashpoint.BeforeBegin)
		j, w, err = m.store.Begin(ctx, a, m.cfg.MaxStalled)
		crashpoint.Hit(crashpoint.AfterBegin)
		return err
	})
	return j, w, err
}

// unready pauses before the engine tries again.
func (m *Manager) unready(er engine.Run, err error) error {
	m.logger.WarnContext(er.Context(), "a job could not begin and is tried again", "job_id", er.Job(), "error", err)
	pause(er.Context(), m.cfg.Backoff)
	return err
}

// panicError marks a panic of a body.
type panicError struct{ value any }

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (m *Manager) call(r *Run, body Body) (err error) {
	defer func() {
		if v := recover(); v != nil {
			m.logger.ErrorContext(r.ctx, "a body panicked", "job_id", r.job.ID, "epoch", r.job.Epoch,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			err = &panicError{value: v}
		}
	}()
	return body(r)
}

// conclude decides what a body's return means.
func (m *Manager) conclude(r *Run, err error) error {
	if err == nil && !r.finished.Load() {
		err = errors.New("the body returned without ending its job")
		return m.giveUp(r, err)
	}
	if _, panicked := errors.AsType[*panicError](err); panicked {
		return m.giveUp(r, err)
	}
	if err != nil {
		m.pace(r.engine.Context(), r, err)
	}
	return err
}

// pace decides, once an execution, what an error that was not recorded leads to: the engine is going to run the body
// again at once, so a pause is made here, and the job ends when it has failed too often without progress.
func (m *Manager) pace(ctx context.Context, r *Run, err error) {
	if r.leaving(err) {
		r.handOver(ctx)
	}
	if ctx.Err() != nil || r.engine.Context().Err() != nil || r.draining() != nil || r.finished.Load() || r.paced.Swap(true) {
		return
	}
	stalled := r.job.Stalled
	if r.advanced.Load() {
		stalled = 0
		if e := r.Commit(ctx, Update{}); e != nil {
			err = errors.Join(err, e)
		}
	}
	m.logger.WarnContext(ctx, "a body stopped with an error and runs again", "job_id", r.job.ID, "epoch", r.job.Epoch,
		"stalled", stalled, "error", err)
	if errors.Is(err, ErrFenced) {
		return
	}
	if errors.Is(err, database.ErrAway) { // no fault of the job
		pause(ctx, m.cfg.Backoff)
		return
	}
	if stalled >= m.cfg.ErrorRetries {
		m.fail(r, err)
		return
	}
	pause(ctx, min(m.cfg.Backoff<<min(stalled, 16), maxPause))
}

// giveUp is fail with what is to follow. Where that fails, the engine runs the job again, finds it ended, and it follows then.
func (m *Manager) giveUp(r *Run, err error) error {
	m.fail(r, err)
	return m.follow(context.WithoutCancel(r.ctx), Attempt{ID: r.job.ID, Number: r.job.Attempt})
}

// follow does what a kind has follow the end of an attempt that its body did not bring about.
func (m *Manager) follow(ctx context.Context, a Attempt) error {
	if len(m.givenUp) == 0 {
		return nil
	}
	j, err := m.store.Get(ctx, a.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at job %s, which was given up: %w", a.ID, err)
	}
	fn := m.givenUp[j.Kind]
	if fn == nil || j.Attempt != a.Number {
		return nil
	}
	if err := fn(ctx, j); err != nil {
		return fmt.Errorf("do what follows job %s, which was given up: %w", a.ID, err)
	}
	return nil
}

// fail ends the job for a fault of its own. Whether it succeeds or not, the error goes no further: the next execution
// finds the job ended, or tries again.
func (m *Manager) fail(r *Run, err error) {
	m.logger.ErrorContext(r.ctx, "gave up a job", "job_id", r.job.ID, "epoch", r.job.Epoch, "error", err)
	failure := failureOf(err)
	if e := r.Finish(r.ctx, Outcome{State: StateFailed, Reason: failure.Reason, Error: failure}); e != nil {
		m.logger.ErrorContext(r.ctx, "a job could not be ended", "job_id", r.job.ID, "error", e)
		return
	}
	m.abandon(context.WithoutCancel(r.ctx), Attempt{ID: r.job.ID, Number: r.job.Attempt})
}

// abandon stops what an attempt that has ended had started and its own body could not end: nobody will read the results.
func (m *Manager) abandon(ctx context.Context, a Attempt) {
	crashpoint.Hit(crashpoint.BeforeAbandon)
	endings, err := m.store.CancelStarted(ctx, a)
	crashpoint.Hit(crashpoint.AfterAbandon)
	if err != nil {
		m.logger.WarnContext(ctx, "what a failed job has started goes on", "job_id", a.ID, "error", err)
	}
	m.ended(ctx, endings)
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// track gives r its context and ends it at a cancellation or the deadline. What it returns must be called when the body
// has returned.
func (m *Manager) track(r *Run, asked bus.Subscription) func() {
	ctx, cancel := context.WithCancelCause(r.onBehalf(r.engine.Context()))
	r.ctx = ctx
	if r.job.State == StateCancelling {
		cancel(ErrCancelAsked)
	}
	m.mu.Lock()
	m.running[r] = cancel
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		deadline, stop := deadlineOf(r.job)
		defer stop()
		for {
			select {
			case <-asked.Wake():
				if !m.cancelAsked(ctx, r.job.ID) {
					continue
				}
				cancel(ErrCancelAsked)
			case <-deadline:
				cancel(ErrDeadlinePassed)
			case <-ctx.Done():
			}
			return
		}
	}()
	return func() {
		cancel(nil)
		<-done
		m.mu.Lock()
		delete(m.running, r)
		m.mu.Unlock()
	}
}

// cancelAsked looks a hint up: it may be old, meant for an earlier attempt, or say only that others were lost. Where the
// store does not answer, the poll finds out.
func (m *Manager) cancelAsked(ctx context.Context, id ID) bool {
	asked, err := m.store.CancelAsked(ctx, []ID{id})
	return err == nil && len(asked) > 0
}

// deadlineOf fires at the job's deadline, never when there is none.
func deadlineOf(j Job) (<-chan time.Time, func()) {
	if j.DeadlineAt.IsZero() {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(j.DeadlineAt))
	return t.C, func() { t.Stop() }
}
