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

// Why an execution ends without a result. None of them says anything about the job: it runs again elsewhere or later.
var (
	// ErrStopping is the cause of a run's context when the process stops.
	ErrStopping = errors.New("the process is stopping")
	// ErrDraining is the error of what must not begin any more because the process is about to stop.
	ErrDraining = errors.New("the process is about to stop and begins nothing new")
	// ErrIdentityLost is the cause of a run's context when this process was taken for dead and its jobs were given to
	// others: after a long pause, or a time without the database.
	ErrIdentityLost = errors.New("this process was taken for dead; its jobs belong to others")
)

// Interrupted says that an execution was ended by what happened to its process, and that nothing it made of that is a
// result.
func Interrupted(err error) bool {
	return errors.Is(err, ErrStopping) || errors.Is(err, ErrDraining) || errors.Is(err, ErrIdentityLost)
}

// MaxArgs bounds the size of an ID and of a request's arguments in bytes: they name things and hold none.
const MaxArgs = 255

// ErrTooLarge refuses a request whose ID or arguments are larger than MaxArgs.
var ErrTooLarge = errors.New("the engine takes names of things only, at most 255 bytes")

// Engine runs bodies durably. Safe for concurrent use after Start.
type Engine interface {
	// Handle registers the body of a kind, before Start only. Two kinds may share a queue; its settings are those of
	// the first.
	Handle(kind Kind, q Queue, b Body)
	// Start claims jobs for the registered bodies, first of all those that an earlier process left unfinished. Without
	// any body it claims nothing, and EnqueueTx works all the same.
	Start(ctx context.Context) error
	// Stop claims nothing more and begins no step: steps that run may end until ctx's deadline, none without one, then
	// the context of every body ends. Unfinished jobs go to other processes at once, or wait for the next Start. It may
	// be called twice and before Start.
	Stop(ctx context.Context) error
	// Identity names this life of the process among all that share the database. It changes when the process was taken
	// for dead, after the contexts of the bodies that began under the old one have ended. "" where there is no other
	// process or nothing runs here.
	Identity() string
	// EnqueueTx makes the job visible to workers when tx commits. The same ID again does nothing. ErrTooLarge.
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
	// WorkerConcurrency is how many bodies of this queue run at once in this process; 0 means 32.
	WorkerConcurrency int
	// AtWork is how many of them do something at once where the others wait; 0 means all. It is told and limits nothing.
	AtWork int
	// Poll is the pause between two looks into the queue; 0 means the adapter's default.
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
// and the engine runs the body again: at once when the process goes on, else in another one or at the next start. Where
// the execution does not own the job any more, its end changes nothing. Pauses and limits between runs are the
// caller's. A body must not panic.
type Body func(run Run) error

// Run is one execution of a body. Its methods are for the body's own goroutine, except Context and Job.
type Run interface {
	// Context ends when the process stops (cause ErrStopping) or is taken for dead (ErrIdentityLost).
	Context() context.Context
	// Draining is closed when the process is about to stop: what is under way may end, nothing new begins, and the body
	// returns at the next occasion.
	Draining() <-chan struct{}
	// Job is the ID under which the body was enqueued.
	Job() ID
	// Checkpoint runs fn and stores what it returned under the step's name; a replay returns the stored bytes without
	// running fn. When fn returns an error nothing is stored and the body must return: it runs again. So does an error
	// of Checkpoint itself, such as ErrDraining. Names and order of the steps are the same in each execution. Bodies
	// call Step instead.
	Checkpoint(name string, fn func(ctx context.Context) (json.RawMessage, error)) (json.RawMessage, error)
}
