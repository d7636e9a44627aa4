package dbos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Why an execution ends before its body began.
var (
	errFull     = errors.New("this process runs as many jobs of the queue as it may")
	errDisowned = errors.New("the job belongs to another execution")
)

// workflow is one kind's body as the library knows it. An instance of its own, because the library tells functions apart
// by their code and all kinds share one.
type workflow struct {
	flow

	life *life
}

// ConfigName implements dbos.ConfiguredInstance.
func (w *workflow) ConfigName() string { return string(w.kind) }

// run is one execution. An error that the library saw while it still owns the job would be recorded as the job's end, so
// the job is put back into its queue first, which takes the ownership away.
func (w *workflow) run(dctx dbos.Context, _ string) (string, error) {
	id, err := dbos.GetWorkflowID(dctx)
	if err != nil {
		return "", fmt.Errorf("read the job's ID: %w", err)
	}
	l := w.life
	ctx, cancel := context.WithCancelCause(dctx)
	defer cancel(nil)
	defer context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })()
	done, free := l.begun(engine.ID(id), w.queue)
	defer done()
	r := &run{flow: w, dctx: dctx, ctx: ctx, id: engine.ID(id)}
	defer r.rest()
	if err := r.own(); err != nil {
		return "", err
	}
	switch {
	case !free:
		err = errFull
	case r.drains():
		err = engine.ErrDraining
	default:
		err = w.body(r)
	}
	if err != nil {
		r.giveBack()
		return "", err
	}
	return "", nil
}

// run implements engine.Run.
type run struct {
	flow *workflow
	dctx dbos.Context
	ctx  context.Context //nolint:containedctx // one execution, lives as long as its context
	id   engine.ID
	// owner is the token under which the library holds the job for this execution.
	owner  string
	given  bool
	rested bool
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
			<-r.dctx.Done() // what returns earlier would be recorded
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
	case r.given:
		return nil, errDisowned
	case r.ctx.Err() != nil:
		return nil, context.Cause(r.ctx)
	case r.drains():
		return nil, engine.ErrDraining
	}
	raw, err := dbos.RunAsStep(r.dctx, func(context.Context) (string, error) {
		crashpoint.Hit(crashpoint.BeforeStep)
		raw, err := fn(r.ctx)
		crashpoint.Hit(crashpoint.EndOfStep)
		if err != nil {
			r.giveBack()
		}
		return string(raw), err
	}, dbos.WithStepName(name))
	if err != nil {
		return nil, err
	}
	crashpoint.Hit(crashpoint.AfterStep)
	return json.RawMessage(raw), nil
}

// giveBack takes the job away from this execution, and from no other: whoever owns it by now keeps it. After it nothing
// that the library writes for this execution is accepted. When this life ends, the job is left where it is for the one
// who ends it, and there is only the moment to wait for at which the library knows.
func (r *run) giveBack() {
	if r.given {
		return
	}
	r.given = true
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
			<-r.dctx.Done()
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
