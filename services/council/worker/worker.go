// Package worker runs deliberations: the body of the jobs of kind council. A deliberation is a sequence of stages, each
// one step; the model calls inside a stage are journaled one by one, and what the clock decided is frozen in the stage's
// outcome, which commits with stage_completed and is the step's only record. So a run that begins again finds the same
// orders, labels and prompts, takes over what was answered, and never asks for it twice.
package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/council"
	"witan.dev/services/council/tally"
)

// Store is what a run keeps.
type Store interface {
	council.ConversationStore
	council.DeliberationStore
	council.RunStore
}

// Params are what a Worker works with.
type Params struct {
	Store  Store
	Models council.Models
	// Blobs may be nil: then no task names stored material.
	Blobs  council.Blobs
	Logger *slog.Logger
	// Now is the clock of what is written; nil: time.Now.
	Now func() time.Time
	// Random draws job keys; nil: crypto/rand.
	Random io.Reader
}

// Worker runs deliberations. Safe for concurrent use.
type Worker struct {
	store       Store
	models      council.Models
	blobs       council.Blobs
	logger      *slog.Logger
	now         func() time.Time
	random      io.Reader
	fingerprint tally.Fingerprint
}

// New makes a worker. Its Body is what jobs of kind council run:
//
//	manager.Handle(job.KindCouncil, 32, w.Body)
func New(p Params) *Worker {
	w := &Worker{
		store: p.Store, models: p.Models, blobs: p.Blobs, logger: p.Logger, now: p.Now, random: p.Random,
		fingerprint: func(path, symbol, category, code string) string {
			return finding.Fingerprint(finding.Key{Path: path, Symbol: symbol, Category: finding.Category(category), Code: code})
		},
	}
	if w.now == nil {
		w.now = time.Now
	}
	if w.random == nil {
		w.random = rand.Reader
	}
	return w
}

// deliberation is one execution of the body.
type deliberation struct {
	*Worker
	council.Deliberation

	run  *job.Run
	plan plan
	// storedPlan is the plan as it lies in the store.
	storedPlan []byte
	budget     *budget
	// stopped says how the job was stopped, nil while it goes on.
	stopped *engine.Failure
	ended   council.Facts
	// changed: a stage of this attempt has ended otherwise than in the attempt before.
	changed bool
	// frozen is the outcome of the stage that ended last, as it lies in the store; nil where none is known to.
	frozen []byte
	// rounds says of units whose answer could not be read in an earlier attempt when they are asked anew; see rounds.
	rounds map[string]int32
}

// Body runs one deliberation to its end, or returns what keeps it from going on here.
func (w *Worker) Body(r *job.Run) error {
	ctx := context.WithoutCancel(r.Context())
	row, err := w.store.Deliberation(ctx, r.Job().ID, "", council.ViewFull)
	if err != nil {
		return fmt.Errorf("read deliberation %s: %w", r.Job().ID, err)
	}
	d := &deliberation{Worker: w, Deliberation: row, run: r, budget: newBudget(council.BudgetPolicy{}, amount{}, amount{})}
	d.ended.Kind, d.ended.Spec = row.Task.Kind(), row.Spec
	if err := d.material(ctx); err != nil {
		return d.refuse(ctx, err)
	}
	if err := d.step(d.planned, d.makePlan); err != nil {
		return err
	}
	if d.stopped == nil {
		if err := d.readPlan(); err != nil {
			return err
		}
	}
	if d.Task.Kind() == council.TaskCodeReview {
		return d.review(ctx)
	}
	return d.question(ctx)
}

// step runs fn, unless what it leaves is in the store already or the job was stopped before.
func (d *deliberation) step(kept func(ctx context.Context) (bool, error), fn func(ctx context.Context) error) error {
	if d.stopped != nil {
		return nil
	}
	failure, err := job.KeptStep(d.run, kept, fn)
	d.stopped = failure
	if failure != nil {
		d.ended.Cancelled = failure.Class == engine.ClassCancelled
		d.ended.DeadlinePassed = failure.Class == engine.ClassDeadline
	}
	return err
}

// stage runs fn as a step that leaves an outcome, and reads the outcome into o. Where the outcome is there already the
// stage is over and fn does not run; nor where an earlier attempt of the job left nothing to be made better.
func stage[T outcome](ctx context.Context, d *deliberation, name string, o *T, fn func(ctx context.Context) error) error {
	d.frozen = nil
	err := d.step(func(ctx context.Context) (_ bool, err error) {
		d.frozen, err = d.store.Outcome(ctx, d.ID, d.run.Attempt(), name)
		return d.frozen != nil, err
	}, func(stepCtx context.Context) error {
		done, err := keep[T](stepCtx, d, name)
		if err != nil || done {
			return err
		}
		if d.rounds, err = rounds[T](ctx, d, name); err != nil {
			return err
		}
		return fn(stepCtx)
	})
	if err != nil {
		return err
	}
	if err = d.thaw(ctx, name, o); err != nil {
		return err
	}
	if err = d.compare(ctx, name); err != nil {
		return err
	}
	if (*o).covered().ClosedBy == council.ClosedBudget {
		d.budget.refuse("calls")
	}
	return nil
}

// refuse ends a job whose task cannot be read.
func (d *deliberation) refuse(ctx context.Context, cause error) error {
	if !errors.Is(cause, council.ErrBlobNotFound) {
		return cause
	}
	return d.run.Finish(ctx, job.Outcome{
		State: job.StateFailed, Reason: string(council.ErrBlobNotFound.Reason()),
		Error: &job.Error{Code: 5, Reason: string(council.ErrBlobNotFound.Reason()), Message: "stored material of the task is gone"},
	})
}
