// Package worker builds indexes: the body of jobs of the kind index. Its steps are list, parse (in batches), graph,
// vectors and activate; the result of each is stored, and what they write is addressed by content or belongs to the one
// index, so a step that runs again finds its work done. Nothing is visible to readers before activate.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"google.golang.org/protobuf/proto"

	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/messages"
)

// Store is what the worker needs of the store.
type Store interface {
	retrieval.Catalog
	retrieval.Builds
	retrieval.Codes
}

// Worker builds indexes. Safe for concurrent use.
type Worker struct {
	store    Store
	rankings retrieval.Rankings
	trees    retrieval.Trees
	parser   retrieval.Parser
	logger   *slog.Logger
	now      func() time.Time
}

// Params are the parts of a Worker.
type Params struct {
	Store Store
	// Rankings make what is indexed findable.
	Rankings retrieval.Rankings
	Trees    retrieval.Trees
	Parser   retrieval.Parser
	Logger   *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New returns a worker.
func New(p Params) *Worker {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Worker{store: p.Store, rankings: p.Rankings, trees: p.Trees, parser: p.Parser, logger: p.Logger, now: p.Now}
}

// Body is the body of index jobs; see job.Manager.Handle.
func (w *Worker) Body(r *job.Run) error {
	index, err := w.store.Get(r.Context(), retrieval.ID(r.Job().ID))
	if err != nil {
		return fmt.Errorf("read the index of job %s: %w", r.Job().ID, err)
	}
	b := &build{Worker: w, run: r, index: index}
	res, failure, err := b.steps()
	if err != nil {
		return err
	}
	if failure != nil {
		return b.end(failure)
	}
	return b.activate(res)
}

// build is one execution of a job.
type build struct {
	*Worker

	run   *job.Run
	index retrieval.Index
}

// fence is retrieval.Fence of this execution.
func (b *build) fence(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
	return b.run.Commit(ctx, job.Update{Write: fn})
}

// result is what the steps before the activation found.
type result struct {
	// Version is the parser's.
	Version string           `json:"version"`
	Counts  retrieval.Counts `json:"counts"`
	Partial bool             `json:"partial"`
}

// steps runs everything but the activation.
func (b *build) steps() (result, *engine.Failure, error) {
	l, failure, err := job.Step(b.run, "list", retried(), b.list)
	if err != nil || failure != nil {
		return result{}, failure, err
	}
	parsed := int64(0)
	for n := range l.Staging.Batches {
		p, failure, err := job.Step(b.run, fmt.Sprintf("parse/%d", n), retried(), b.parseBatch(l, n))
		if err != nil || failure != nil {
			return result{}, failure, err
		}
		parsed += int64(p.Parsed)
	}
	counts, failure, err := job.Step(b.run, "graph", retried(), b.graph(l))
	if err != nil || failure != nil {
		return result{}, failure, err
	}
	counts.Parsed = parsed
	vectors, failure, err := job.Step(b.run, "vectors", waiting(), b.vectors(l))
	if err != nil || failure != nil {
		return result{}, failure, err
	}
	counts.Chunks = vectors
	return result{Version: l.Version, Counts: counts, Partial: l.LeftOut[retrieval.LeftOutLimit] > 0}, nil, nil
}

// classUnavailable is the class of failures that a later try may not meet.
const classUnavailable engine.Class = "UNAVAILABLE"

// unavailable is the failure of a parser that did not answer.
func unavailable(err error) *engine.Failure {
	return &engine.Failure{Class: classUnavailable, Reason: "PARSER_UNAVAILABLE", Message: err.Error()}
}

// retried is the policy of all steps: what they wait for is a process on the same machine.
func retried() engine.Policy {
	return engine.Policy{Tries: 4, Backoff: 500 * time.Millisecond, MaxBackoff: 5 * time.Second, Retry: []engine.Class{classUnavailable}}
}

// waiting is the policy of the step that fills the search index: it waits for as long as that is away.
func waiting() engine.Policy {
	p := retried()
	p.Tries, p.MaxBackoff = math.MaxInt, 30*time.Second
	return p
}

// end ends the job without a view.
func (b *build) end(f *engine.Failure) error {
	o := job.Outcome{State: job.StateFailed, Reason: f.Reason, Error: &job.Error{Code: code(f), Reason: f.Reason, Message: f.Message}}
	if f.Class == engine.ClassCancelled {
		o = job.Outcome{State: job.StateCancelled, Reason: f.Reason}
	}
	return b.run.Finish(b.run.Context(), o)
}

// code is the google.rpc.Code of a failure.
func code(f *engine.Failure) uint32 {
	const failedPrecondition, deadlineExceeded, unavailable = 9, 4, 14
	switch f.Class {
	case engine.ClassDeadline:
		return deadlineExceeded
	case classUnavailable:
		return unavailable
	case engine.ClassCancelled, classSource:
	}
	return failedPrecondition
}

// activate makes the view visible and ends the job, in one transaction.
func (b *build) activate(res result) error {
	payload, err := encode(activated(res.Counts))
	if err != nil {
		return err
	}
	done := b.index
	done.State, done.Counts, done.Partial, done.ActivatedAt = retrieval.Ready, res.Counts, res.Partial, b.now()
	frozen, err := proto.MarshalOptions{Deterministic: true}.Marshal(messages.Index(done))
	if err != nil {
		return fmt.Errorf("encode the result: %w", err)
	}
	return b.run.Finish(b.run.Context(), job.Outcome{
		State: job.StateSucceeded, Result: frozen,
		Events: []job.NewEvent{{Key: "activate/activated/0", Type: typeActivated, Payload: payload}},
		Write: func(ctx context.Context, tx job.Tx) error {
			return b.store.Activate(ctx, tx, retrieval.Activation{
				Index: b.index.ID, Version: res.Version, Counts: res.Counts, Partial: res.Partial, At: done.ActivatedAt,
			})
		},
	})
}

// classSource is the class of failures that lie in the repository.
const classSource engine.Class = "SOURCE"

// sourceFailure turns an error of the repository into a value; others stay errors.
func sourceFailure(err error) (*engine.Failure, error) {
	for reason, known := range map[string]error{
		"NOT_A_REPOSITORY": retrieval.ErrNotARepository, "REVISION_UNKNOWN": retrieval.ErrRevisionUnknown, "TREE_TOO_LARGE": retrieval.ErrTreeTooLarge,
		"SNAPSHOT_INVALID": retrieval.ErrSnapshotInvalid, "SNAPSHOT_TOO_LARGE": retrieval.ErrSnapshotTooLarge, "BLOB_NOT_FOUND": blob.ErrNotFound,
	} {
		if errors.Is(err, known) {
			return &engine.Failure{Class: classSource, Reason: reason, Message: err.Error()}, nil
		}
	}
	return nil, err
}
