package job

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"witan.dev/internal/auth"
	"witan.dev/internal/crashpoint"
	"witan.dev/internal/job/engine"
)

// Body computes the jobs of a kind. It returns nil after Run.Finish. Any other return means that the job is not finished
// here: the body runs again under the next epoch, steps with a stored result are not repeated. After five such runs in
// a row without a new step or call result the job ends as FAILED. A body that panics ends its job as FAILED at once.
type Body func(r *Run) error

// Run is one execution of a body. Its methods may be called from several goroutines, Step from the body's own only.
type Run struct {
	m        *Manager
	engine   engine.Run
	job      Job
	ctx      context.Context //nolint:containedctx // a Run is one execution and lives as long as its context
	advanced atomic.Bool
	finished atomic.Bool
	paced    atomic.Bool
	handed   atomic.Bool
}

// Context carries the job's owner as its principal, like the contexts of steps. It ends when the job is cancelled (cause ErrCancelAsked), its deadline passes (ErrDeadlinePassed), the process
// stops or the execution loses the job. Writes through the Run go on after the first two.
func (r *Run) Context() context.Context { return r.ctx }

// Job is the job as it was when this execution began.
func (r *Run) Job() Job { return r.job }

// Epoch is the number of this execution.
func (r *Run) Epoch() int64 { return r.job.Epoch }

// Attempt is 1 unless the job was retried.
func (r *Run) Attempt() int32 { return r.job.Attempt }

func (r *Run) fence() Fence { return Fence{ID: r.job.ID, Epoch: r.job.Epoch, Attempt: r.job.Attempt} }

// Step runs fn as a named step, see engine.Step. fn's context ends like Context; when it ended because of a
// cancellation or the deadline, an error of fn becomes a Failure of that class. A step that begins after that does not
// run and returns the Failure at once, unless it is one of the last: see LastStep.
func Step[T any](r *Run, name string, p engine.Policy, fn func(ctx context.Context) (T, *engine.Failure, error)) (T, *engine.Failure, error) {
	return recorded(r, name, p, func(ctx context.Context) (T, *engine.Failure, error) {
		if f := ended(r.ctx); f != nil {
			var none T
			return none, f, nil
		}
		stepCtx, stop := r.stepContext(ctx)
		defer stop()
		value, failure, err := fn(stepCtx)
		if f := ended(r.ctx); err != nil && f != nil && ctx.Err() == nil && !errors.Is(err, ErrFenced) {
			return value, f, nil
		}
		return value, failure, err
	})
}

// LastStep is a Step that also runs when the job was cancelled or its deadline has passed: what is left to do then, such
// as writing down what there is. Its context ends only with the process or the execution.
func LastStep[T any](r *Run, name string, p engine.Policy, fn func(ctx context.Context) (T, *engine.Failure, error)) (T, *engine.Failure, error) {
	return recorded(r, name, p, fn)
}

// KeptStep is a Step whose result the body keeps itself: fn commits it through the Run, with the events that report it, and
// kept looks whether that has happened. So the engine records nothing beside it, which saves a commit of its own. A step
// that is kept does not run again, also when the job was cancelled or its deadline has passed since. The error of kept
// means, like that of fn, that the body must return.
func KeptStep(r *Run, kept func(ctx context.Context) (bool, error), fn func(ctx context.Context) error) (*engine.Failure, error) {
	ctx := r.onBehalf(r.engine.Context())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err := r.draining(); err != nil {
		return nil, err
	}
	if is, err := kept(ctx); is || err != nil {
		return nil, err
	}
	if f := ended(r.ctx); f != nil {
		return f, nil
	}
	stepCtx, stop := r.stepContext(ctx)
	defer stop()
	crashpoint.Hit(crashpoint.BeforeStep)
	err := fn(stepCtx)
	crashpoint.Hit(crashpoint.EndOfStep)
	if cause := context.Cause(ctx); err == nil && engine.Interrupted(cause) {
		err = cause
	}
	if f := ended(r.ctx); err != nil && f != nil && ctx.Err() == nil && !errors.Is(err, ErrFenced) {
		return f, nil
	}
	if err != nil {
		r.m.pace(ctx, r, err)
		return nil, err
	}
	r.advanced.Store(true)
	crashpoint.Hit(crashpoint.AfterStep)
	return nil, nil //nolint:nilnil // documented: it succeeded
}

// recorded notes when a step's result is new, and pauses before an error goes up, since the body runs again at once.
func recorded[T any](r *Run, name string, p engine.Policy, fn func(ctx context.Context) (T, *engine.Failure, error)) (T, *engine.Failure, error) {
	ran := false
	value, failure, err := engine.Step(r.engine, name, p, func(ctx context.Context) (T, *engine.Failure, error) {
		value, failure, err := fn(r.onBehalf(ctx))
		if err != nil {
			r.m.pace(ctx, r, err)
		}
		ran = true
		return value, failure, err
	})
	if err == nil && ran {
		r.advanced.Store(true)
	}
	return value, failure, err
}

// onBehalf says whom the body works for, so that what it asks of other services is asked in its owner's name.
func (r *Run) onBehalf(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Principal{Owner: r.job.Owner})
}

// stepContext ends with the engine's context of the step and with the job's.
func (r *Run) stepContext(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// ended is the failure that a cancellation or the deadline makes of a step.
func ended(ctx context.Context) *engine.Failure {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrCancelAsked):
		return &engine.Failure{Class: engine.ClassCancelled, Reason: ReasonCancelled, Message: "the job was cancelled"}
	case errors.Is(cause, ErrDeadlinePassed):
		return &engine.Failure{Class: engine.ClassDeadline, Reason: ReasonDeadline, Message: "the job's deadline has passed"}
	}
	return nil
}

// writeContext lets writes go on after a cancellation or the deadline, since what there is must be kept.
func (r *Run) writeContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(r.engine.Context(), func() { cancel(context.Cause(r.engine.Context())) })
	return ctx, func() { stop(); cancel(nil) }
}

func (r *Run) keyed(events []NewEvent) []NewEvent {
	keyed := make([]NewEvent, len(events))
	for i, e := range events {
		keyed[i] = NewEvent{Key: attemptKey(r.job.Attempt, e.Key), Type: e.Type, Payload: e.Payload}
	}
	return keyed
}

// Append logs events in one transaction. ErrFenced goes upwards untouched.
func (r *Run) Append(ctx context.Context, events ...NewEvent) error {
	if len(events) == 0 {
		return nil
	}
	return r.Commit(ctx, Update{Events: events})
}

// Commit writes rows and events in one transaction. Like every write through the Run it waits for a database that is away.
func (r *Run) Commit(ctx context.Context, u Update) error {
	ctx, stop := r.writeContext(ctx)
	defer stop()
	u.Events = r.keyed(u.Events)
	advanced := r.advanced.Swap(false)
	var w Written
	err := r.m.insist(ctx, nil, func(ctx context.Context) (err error) {
		crashpoint.Hit(crashpoint.BeforeApply)
		w, err = r.m.store.Apply(ctx, r.fence(), Change{Update: u, Advanced: advanced})
		return err
	})
	if err != nil {
		r.advanced.Store(advanced)
		return fmt.Errorf("write to job %s: %w", r.job.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterApply)
	r.m.announce(ctx, w)
	return nil
}

// Held says by a write whether this execution still has the job. The error is ErrFenced where another one has it.
func (r *Run) Held(ctx context.Context) error {
	return r.Commit(ctx, Update{Write: func(context.Context, Tx) error { return nil }})
}

// Finish ends the job with its final event. The body returns nil after it.
func (r *Run) Finish(ctx context.Context, o Outcome) error {
	ctx, stop := r.writeContext(ctx)
	defer stop()
	o.Events = r.keyed(o.Events)
	var w Written
	err := r.m.insist(ctx, nil, func(ctx context.Context) (err error) {
		crashpoint.Hit(crashpoint.BeforeFinish)
		w, err = r.m.store.Finish(ctx, r.fence(), o)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish job %s: %w", r.job.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterFinish)
	r.finished.Store(true)
	r.m.announceEnd(ctx, w)
	return nil
}

// OpenCalls writes the intents of the calls that a stage makes together in one transaction, before anything is sent, and
// says for each whether to send it. When the process is about to stop the error is engine.ErrDraining: calls that are in
// flight go on and are closed, and the step returns that error when they have ended.
func (r *Run) OpenCalls(ctx context.Context, intents []CallIntent) ([]CallGrant, error) {
	ctx, stop := r.writeContext(ctx)
	defer stop()
	keyed := make([]CallIntent, len(intents))
	for i, in := range intents {
		keyed[i] = in
		keyed[i].Events = r.keyed(in.Events)
		if in.EventsFor != nil {
			keyed[i].EventsFor = func(attempt int32) []NewEvent { return r.keyed(in.EventsFor(attempt)) }
		}
	}
	var (
		grants []CallGrant
		w      Written
	)
	tried := false
	err := r.m.insist(ctx, func() error {
		if tried && r.ctx.Err() != nil { // a call of a job that has ended need not wait for the database
			return context.Cause(r.ctx)
		}
		tried = true
		return r.draining()
	}, func(ctx context.Context) (err error) {
		crashpoint.Hit(crashpoint.BeforeIntent)
		grants, w, err = r.m.store.OpenCalls(ctx, r.fence(), keyed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open calls of job %s: %w", r.job.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterIntent)
	r.m.announce(ctx, w)
	return grants, nil
}

// CloseCall writes the end of one try of a call with everything that reports it.
func (r *Run) CloseCall(ctx context.Context, d CallDone) error {
	ctx, stop := r.writeContext(ctx)
	defer stop()
	d.Events = r.keyed(d.Events)
	var w Written
	err := r.m.insist(ctx, nil, func(ctx context.Context) (err error) {
		crashpoint.Hit(crashpoint.BeforeClose)
		w, err = r.m.store.CloseCall(ctx, r.fence(), d)
		return err
	})
	if err != nil {
		return fmt.Errorf("close call %s/%s/%s of job %s: %w", d.Key.Stage, d.Key.Subject, d.Key.Part, r.job.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterClose)
	r.m.announce(ctx, w)
	return nil
}

// Sleep waits durably as a step of its own name; see engine.Sleep.
func (r *Run) Sleep(name string, d time.Duration) error {
	return engine.Sleep(r.ctx, r.engine, name, d)
}
