package dbos

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/job/engine"
)

// className is the name of the type workflow, which the library records with each instance.
const className = "workflow"

const (
	// retryPause is the first pause between two attempts to reach the database, maxRetryPause the longest.
	retryPause    = 100 * time.Millisecond
	maxRetryPause = time.Second
)

// Why an execution ends without a record.
var (
	errUnrecorded = errors.New("the execution ended without a result")
	errFull       = errors.New("this process runs as many jobs of the queue as it may")
	errDisowned   = errors.New("the job belongs to another execution")
)

// recorded is what the library stores of a step or a body. What refuses to be encoded it does not store: the only way to
// end one without a record, since it stores every error as the end of the job as long as it owns it.
type recorded struct {
	text   string
	refuse bool
}

// MarshalJSON implements json.Marshaler.
func (r recorded) MarshalJSON() ([]byte, error) {
	if r.refuse {
		return nil, errUnrecorded
	}
	return json.Marshal(r.text)
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *recorded) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &r.text) }

// unrecorded ends an execution.
func unrecorded() (recorded, error) { return recorded{refuse: true}, errUnrecorded }

// workflow is one kind's body as the library knows it. An instance of its own, because the library tells functions apart
// by their code and all kinds share one.
type workflow struct {
	flow

	life *life
}

// ConfigName implements dbos.ConfiguredInstance.
func (w *workflow) ConfigName() string { return string(w.kind) }

// run is one execution. Unless it is done, the job goes back into its queue.
func (w *workflow) run(dctx dbos.Context, _ string) (recorded, error) {
	id, err := dbos.GetWorkflowID(dctx)
	if err != nil {
		return unrecorded()
	}
	crashpoint.Hit(crashpoint.AfterClaim)
	l := w.life
	ctx, cancel := l.context(dctx)
	defer cancel()
	done, free := l.begun(engine.ID(id), w.queue)
	defer done()
	r := &run{flow: w, dctx: dctx, ctx: ctx, id: engine.ID(id)}
	defer r.rest()
	if r.own() != nil {
		return unrecorded()
	}
	switch {
	case !free:
		err = errFull
	case r.drains():
		err = engine.ErrDraining
	default:
		err = w.body(r)
	}
	if err != nil || r.broken {
		r.giveBack()
		return unrecorded()
	}
	crashpoint.Hit(crashpoint.BeforeOutcome)
	if crashpoint.Enabled {
		go r.recorded()
	}
	return recorded{}, nil
}

// recorded says when the library has stored that an execution is done, which nothing but the test of crashes wants to know.
func (r *run) recorded() {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-r.life().ctx.Done():
			return
		}
		handle, err := dbos.RetrieveWorkflow[recorded](r.life().engine.within(r.life().ctx), string(r.id))
		if err != nil {
			continue
		}
		if status, err := handle.GetStatus(); err == nil && status.Status == dbos.WorkflowStatusSuccess {
			crashpoint.Hit(crashpoint.AfterOutcome)
			return
		}
	}
}

// context ends with an execution's own context and with the life. Ending a life ends the library's contexts too, and
// what the library gives as their cause says nothing, so the life's comes first.
func (l *life) context(execution context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(execution))
	end := func() {
		if l.ctx.Err() != nil {
			cancel(context.Cause(l.ctx))
			return
		}
		cancel(context.Cause(execution))
	}
	ofLife, ofExecution := context.AfterFunc(l.ctx, end), context.AfterFunc(execution, end)
	return ctx, func() { ofLife(); ofExecution(); cancel(nil) }
}

// run implements engine.Run.
type run struct {
	flow *workflow
	dctx dbos.Context
	ctx  context.Context //nolint:containedctx // one execution, lives as long as its context
	id   engine.ID
	// owner is the token under which the library holds the job for this execution.
	owner string
	// broken says that a step ended without a record, so the body must return.
	broken, rested bool
}

// own reads the token. A job that meanwhile belongs to somebody else is none of ours, and the library records nothing
// for it.
func (r *run) own() error {
	for pause := retryPause; ; pause = min(2*pause, maxRetryPause) {
		owner, err := r.life().engine.back.owner(r.ctx, r.id, r.life().id)
		switch {
		case err == nil && owner == "":
			return errDisowned
		case err == nil:
			r.owner = owner
			return nil
		case r.wait(pause) != nil:
			return context.Cause(r.ctx)
		}
	}
}

// wait returns the cause when the execution ends before d has passed.
func (r *run) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

func (r *run) life() *life { return r.flow.life }

// rest says once that this execution works no more.
func (r *run) rest() {
	if !r.rested {
		r.rested = true
		r.life().rests()
	}
}

func (r *run) drains() bool {
	select {
	case <-r.life().draining:
		return true
	default:
		return false
	}
}

// Context implements engine.Run.
func (r *run) Context() context.Context { return r.ctx }

// Draining implements engine.Run.
func (r *run) Draining() <-chan struct{} { return r.life().draining }

// Job implements engine.Run.
func (r *run) Job() engine.ID { return r.id }

// Checkpoint implements engine.Run.
func (r *run) Checkpoint(name string, fn func(ctx context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	switch {
	case r.broken:
		return nil, errUnrecorded
	case r.ctx.Err() != nil:
		return nil, context.Cause(r.ctx)
	case r.drains():
		return nil, engine.ErrDraining
	}
	var failed error
	value, err := dbos.RunAsStep(r.dctx, func(context.Context) (recorded, error) {
		crashpoint.Hit(crashpoint.BeforeStep)
		raw, err := fn(r.ctx)
		crashpoint.Hit(crashpoint.EndOfStep)
		failed = err
		return recorded{text: string(raw), refuse: err != nil}, nil
	}, dbos.WithStepName(name))
	if failed != nil {
		err = failed
	}
	if err != nil {
		r.broken = true
		return nil, err
	}
	crashpoint.Hit(crashpoint.AfterStep)
	return json.RawMessage(value.text), nil
}

// giveBack returns the job to its queue unless somebody else owns it by now. When this life ends, it is left where it is
// for the one who ends it.
func (r *run) giveBack() {
	r.rest()
	l := r.life()
	if r.drains() {
		select {
		case <-l.quiet: // else this process would take it again
		case <-l.ctx.Done():
		}
	}
	for pause := retryPause; ; pause = min(2*pause, maxRetryPause) {
		if l.ctx.Err() != nil {
			return
		}
		crashpoint.Hit(crashpoint.BeforeGiveBack)
		_, err := l.engine.back.release(l.ctx, r.id, r.owner)
		crashpoint.Hit(crashpoint.AfterGiveBack)
		if err == nil {
			return
		}
		if r.wait(pause) == nil {
			l.engine.logger.WarnContext(r.ctx, "a job could not be put back into its queue and is tried again", "job_id", r.id, "error", err)
		}
	}
}
