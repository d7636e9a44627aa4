// Package engine is the port behind which bodies of jobs run durably: a body is a fixed sequence of named steps, a
// step's result is stored before the next one begins, and a body that was interrupted runs again from its beginning with
// the stored results in place of the steps. Adapters live in folders named for their technology; enginetest is the suite
// that each of them passes.
package engine

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ID names what the engine runs to its end once: one attempt of a job. Of the first it is the job's own ID.
type ID string

// Kind says which body computes a job.
type Kind string

// Tx is one open transaction of the database in which engine and stores lie. Only adapters look inside.
type Tx interface{ JobTx() }

// ErrStopping is the cause of a run's context when the process stops: what was not recorded runs again at the next start.
var ErrStopping = errors.New("the process is stopping")

// Engine runs bodies durably. Safe for concurrent use after Start.
type Engine interface {
	// Handle registers the body of a kind, before Start only. Two kinds may share a queue; its settings are those of
	// the first.
	Handle(kind Kind, q Queue, b Body)
	// Start claims jobs for the registered bodies, first of all those that an earlier process left unfinished. Without
	// any body it claims nothing, and EnqueueTx works all the same.
	Start(ctx context.Context) error
	// Stop ends the context of every body, waits for them at most until ctx ends, and leaves unfinished jobs to the
	// next Start. It may be called twice and before Start.
	Stop(ctx context.Context) error
	// EnqueueTx makes the job visible to workers when tx commits. The same ID again does nothing.
	EnqueueTx(ctx context.Context, tx Tx, r Request) error
	// Forget drops jobs that ended before a body ran from their queue. Not for running jobs.
	Forget(ctx context.Context, ids []ID) error
	// Lost says which of ids the engine will never run again by itself, because it gave up, recorded a result, or does
	// not know them.
	Lost(ctx context.Context, ids []ID) ([]ID, error)
	// Remove forgets all about ids, whose bodies have returned or are about to. Unknown ones are left out.
	Remove(ctx context.Context, ids []ID) error
	// Purge removes at most n finished executions that ended before the given time.
	Purge(ctx context.Context, ended time.Time, n int) error
}

// Queue is where the jobs of a kind wait.
type Queue struct {
	// Name of the queue; empty means the kind's name.
	Name string
	// WorkerConcurrency is how many bodies of this queue run at once in one process; 0 means 32.
	WorkerConcurrency int
	// Poll is the pause between two looks into the queue; 0 means 50 ms.
	Poll time.Duration
}

// Request asks for one execution.
type Request struct {
	ID   ID
	Kind Kind
	// Queue is that of the kind's Queue; empty means the kind's name.
	Queue string
	// Priority orders a queue, lower first, then age.
	Priority uint
	// Args holds IDs, never objects. It may be empty.
	Args json.RawMessage
}

// Body computes a job. nil means done: its outcome is in the job's row. Any error means that this execution ends here
// and the engine runs the body again: at once when the process goes on, else at the next start. Pauses and limits
// between runs are the caller's. A body must not panic.
type Body func(run Run) error

// Run is one execution of a body. Its methods are for the body's own goroutine, except Context and Job.
type Run interface {
	// Context ends when the process stops (cause ErrStopping) or this execution is no longer the job's.
	Context() context.Context
	// Job is the ID under which the body was enqueued.
	Job() ID
	// Checkpoint runs fn and stores what it returned under the step's name; a replay returns the stored bytes without
	// running fn. When fn returns an error nothing is stored and the body must return: it runs again. Names and order
	// of the steps are the same in each execution. Bodies call Step instead.
	Checkpoint(name string, fn func(ctx context.Context) (json.RawMessage, error)) (json.RawMessage, error)
}
