package dbos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"witan.dev/internal/job/engine"
)

// className is the name of the type workflow, which the library records with each instance.
const className = "workflow"

// retryPause is between two attempts to put a job back while the database does not answer.
const retryPause = time.Second

// workflow is one kind's body as the library knows it. An instance of its own, because the library tells functions apart
// by their code and all kinds share one.
type workflow struct {
	engine *Engine
	kind   engine.Kind
	queue  string
	body   engine.Body
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
	ctx, cancel := context.WithCancelCause(dctx)
	defer cancel(nil)
	defer context.AfterFunc(w.engine.stopping, func() { cancel(engine.ErrStopping) })()
	r := &run{flow: w, dctx: dctx, ctx: ctx, id: engine.ID(id)}
	defer w.engine.begun(r.id)()
	if err := w.body(r); err != nil {
		r.giveBack()
		return "", err
	}
	return "", nil
}

// begun counts the bodies of a job that run here; what it returns must be called at the end.
func (e *Engine) begun(id engine.ID) func() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running[id]++
	delete(e.idle, id) // what was seen between two bodies says nothing about the next pause
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.running[id]--; e.running[id] == 0 {
			delete(e.running, id)
		}
	}
}

// run implements engine.Run.
type run struct {
	flow  *workflow
	dctx  dbos.Context
	ctx   context.Context //nolint:containedctx // one execution, lives as long as its context
	id    engine.ID
	given bool
}

// Context implements engine.Run.
func (r *run) Context() context.Context { return r.ctx }

// Job implements engine.Run.
func (r *run) Job() engine.ID { return r.id }

// Checkpoint implements engine.Run.
func (r *run) Checkpoint(name string, fn func(ctx context.Context) (json.RawMessage, error)) (json.RawMessage, error) {
	if r.ctx.Err() != nil {
		return nil, r.park(context.Cause(r.ctx))
	}
	raw, err := dbos.RunAsStep(r.dctx, func(context.Context) (string, error) {
		raw, err := fn(r.ctx)
		if err != nil {
			r.giveBack()
		}
		return string(raw), err
	}, dbos.WithStepName(name))
	if err != nil {
		return nil, err
	}
	return json.RawMessage(raw), nil
}

// park waits for the library to end the execution as well: what returns earlier would be recorded.
func (r *run) park(err error) error {
	<-r.dctx.Done()
	return err
}

// giveBack takes the job away from this execution. When the process stops the library leaves the job where it is, and
// there is only the moment to wait for at which it knows.
func (r *run) giveBack() {
	if r.given {
		return
	}
	r.given = true
	for {
		if r.flow.engine.stopping.Err() != nil {
			<-r.dctx.Done()
			return
		}
		_, err := dbos.ResumeWorkflow[string](r.flow.engine.root, string(r.id), dbos.WithResumeQueue(r.flow.queue))
		if err == nil {
			return
		}
		r.flow.engine.logger.Warn("a job could not be put back into its queue and is tried again", "job_id", r.id, "error", err)
		select {
		case <-r.flow.engine.stopping.Done():
		case <-time.After(retryPause):
		}
	}
}
