package job

import (
	"context"
	"time"
)

// Creation asks for a job.
type Creation struct {
	// ID is drawn by NewID, so that the resource can bear it as well.
	ID    ID
	Kind  Kind
	Owner string
	// Parent is the job that starts this one; cancelling it cancels this one.
	Parent ID
	// Method, RequestID and BodySHA256 make the creation idempotent for its owner. RequestID "" means that it is not.
	Method, RequestID string
	BodySHA256        [32]byte
	// Resource is the name of what the job computes.
	Resource string
	Labels   map[string]string
	// Spec is kept for the body.
	Spec []byte
	// Existing is a job that does what is asked for already. A request that was not seen before is noted as answered by
	// it, and nothing is created; "" creates. Without a RequestID, nothing is noted.
	Existing ID
	// Deadline ends the job; zero means none.
	Deadline time.Time
	// ExpireAt is when the resource of a temporary thing goes; zero means never.
	ExpireAt time.Time
	// Priority orders the queue, lower first; 0 means 10, that of a person who waits.
	Priority uint
	// Write stores the resource in the same transaction. It is not called when an earlier creation is returned.
	Write func(ctx context.Context, tx Tx) error
}

// ListQuery selects jobs of an owner, newest first.
type ListQuery struct {
	// Owner "" selects all owners and is for internal callers.
	Owner  string
	Kinds  []Kind
	States []State
	Parent ID
	// Limit is the largest number of jobs; 0 means 50, and 1,000 is the most.
	Limit int
	// After is the position behind which the page begins; zero is the beginning.
	After ListPosition
}

// ListPosition is a place in a list of jobs: everything created before it, or at the same time with a smaller ID.
type ListPosition struct {
	CreatedAt time.Time
	ID        ID
}

// Fence is what every write of an execution carries.
type Fence struct {
	ID      ID
	Epoch   int64
	Attempt int32
}

// Update is one write of a body. All of it commits or none.
type Update struct {
	// Events are logged in this order.
	Events []NewEvent
	// Stage replaces the job's stage where it is not empty, Progress its progress where it is not nil. A change of
	// either is logged as TypeProgress.
	Stage    string
	Progress *Progress
	// Write changes the service's own rows.
	Write func(ctx context.Context, tx Tx) error
}

// Change is an Update as the store gets it: the keys of its events are complete.
type Change struct {
	Update

	// Advanced says that a step's result is new since the last write, so the job is not stalled.
	Advanced bool
}

// Outcome ends an attempt.
type Outcome struct {
	// State is terminal. CANCELLED is for jobs whose cancellation was asked for.
	State  State
	Reason string
	Result []byte
	Error  *Error
	// Events come before the final event in the same transaction.
	Events []NewEvent
	Write  func(ctx context.Context, tx Tx) error
}

// Written is the job's place after a write.
type Written struct {
	ID      ID
	LastSeq int64
}

// A Creator stores new jobs.
type Creator interface {
	// Create stores the job, its first event and the request, and calls c.Write and enqueue in the same transaction.
	// With a known request it returns the first job and reused, or ErrRequestIDReused for another body.
	Create(ctx context.Context, c Creation, enqueue func(ctx context.Context, tx Tx) error) (j Job, reused bool, err error)
}

// EventsBytes bounds the payloads that one read of a log holds in memory, give or take the last event.
const EventsBytes = 4 << 20

// A Reader answers questions without changing anything.
type Reader interface {
	// Get returns ErrNotFound for an unknown job.
	Get(ctx context.Context, id ID) (Job, error)
	// States leaves unknown jobs out.
	States(ctx context.Context, ids []ID) (map[ID]State, error)
	List(ctx context.Context, q ListQuery) ([]Job, error)
	// Events returns those with Seq > after in order, at most limit, and ends with the one whose payload brings their
	// sum to EventsBytes. So fewer than limit do not mean that nothing follows; none means it.
	Events(ctx context.Context, id ID, after int64, limit int) ([]Event, error)
	// LastSeqs leaves unknown jobs out.
	LastSeqs(ctx context.Context, ids []ID) (map[ID]int64, error)
	// CancelAsked returns those of ids whose cancellation was asked for.
	CancelAsked(ctx context.Context, ids []ID) ([]ID, error)
	// Unfinished returns jobs that are not terminal, with ID > after in the order of IDs, at most limit.
	Unfinished(ctx context.Context, after ID, limit int) ([]ID, error)
}

// A Writer stores what an execution does. Each method is one transaction, fenced by the epoch: ErrFenced means that
// another execution owns the job, and nothing was written.
type Writer interface {
	// Begin raises the epoch and puts the job to RUNNING (CANCELLING stays). ErrEnded: the attempt is over, nothing was
	// written. A job that began more than maxStalled times in a row without advancing is ended as FAILED with reason
	// RECOVERY_ATTEMPTS_EXCEEDED, and the error is ErrEnded as well.
	Begin(ctx context.Context, id ID, maxStalled int) (Job, Written, error)
	Apply(ctx context.Context, f Fence, c Change) (Written, error)
	// OpenCalls writes the intents of calls that are made together and answers in their order.
	OpenCalls(ctx context.Context, f Fence, intents []CallIntent) ([]CallGrant, Written, error)
	CloseCall(ctx context.Context, f Fence, d CallDone) (Written, error)
	// Finish ends the attempt. Repeating it in the same epoch does nothing.
	Finish(ctx context.Context, f Fence, o Outcome) (Written, error)
}

// An Ender ends jobs from outside of their executions, guarded by the state.
type Ender interface {
	// Cancel notes that the job and all its descendants are to end: queued ones are CANCELLED at once, running ones
	// become CANCELLING. It returns what was changed, in no order; a finished job is left as it is.
	Cancel(ctx context.Context, id ID) ([]Ending, error)
	// End ends an unfinished job whatever its epoch, and raises it. ended is false when it was finished already.
	End(ctx context.Context, id ID, o Outcome) (w Written, ended bool, err error)
	// ExpireHistory removes the events of at most n jobs whose history has expired.
	ExpireHistory(ctx context.Context, now time.Time, n int) (int, error)
}

// Ending is what Cancel did to one job.
type Ending struct {
	Written

	State State
}

// Store is all of it. Adapters: internal/job/sqlite. Suite: internal/job/jobtest.
type Store interface {
	Creator
	Reader
	Writer
	Ender
}
