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
	// Admit decides, in the transaction and for a request that was not seen before, whether there is something to create: it
	// may set Existing, which must be unfinished then, and Spec. It may be run again and begins with the creation as given.
	Admit func(ctx context.Context, tx Tx, c *Creation) error
	// Timeout ends an attempt of the job: its deadline is this long after its creation, and after each retry. QueueTimeout
	// does the same to an attempt that no worker has taken until then. 0 means never.
	Timeout, QueueTimeout time.Duration
	// ExpireAt is when the resource of a temporary thing goes; zero means never.
	ExpireAt time.Time
	// HistoryKept is how long the log stays after the end of an attempt; 0 means DefaultHistoryKept.
	HistoryKept time.Duration
	// Priority orders the queue, lower first; 0 means 10, that of a person who waits.
	Priority uint
	// Write stores the resource in the same transaction. It is not called when an earlier creation is returned.
	Write func(ctx context.Context, tx Tx) error
}

// DefaultHistoryKept is how long the log of a finished job stays.
const DefaultHistoryKept = 30 * 24 * time.Hour

// Retrial asks for the next attempt of a job.
type Retrial struct {
	ID ID
	// Owner must be the job's; "" is for internal callers.
	Owner string
	// RequestID and BodySHA256 make it idempotent for the job's owner, like a creation of method RetryMethod. RequestID ""
	// means that it is not.
	RequestID  string
	BodySHA256 [32]byte
	// Revision is what the job's revision must be; 0 means anything.
	Revision int64
}

// RetryMethod is the method under which requests of retries are noted.
const RetryMethod = "RetryJob"

// Deletion asks for the removal of jobs that have ended, and of those that they started.
type Deletion struct {
	IDs []ID
	// Owner must be that of each; "" is for internal callers.
	Owner string
	// Revision is what the revision of the first must be; 0 means anything.
	Revision int64
	// Keep are kinds whose jobs stay when one that started them goes, which they then forget.
	Keep []Kind
	// Remove takes away what belongs to a job elsewhere. It is called once for each removed job, children first, while its
	// rows are still there.
	Remove func(ctx context.Context, tx Tx, j Job) error
	// Write is called last, when the jobs are gone.
	Write func(ctx context.Context, tx Tx) error
}

// Attempt names one attempt of a job.
type Attempt struct {
	ID     ID
	Number int32
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

// Expiry is a place in the order in which temporary jobs end.
type Expiry struct {
	At time.Time
	ID ID
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
	// Stalled replaces the job's count where it is not nil; -1 makes the next execution begin as if it were the first.
	Stalled *int
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
	// When that job was deleted the error is ErrDeleted. For a request that is not known, a parent that is not there or not
	// the owner's is ErrNotFound. Where the job itself is there already, because the answer to an
	// earlier run of the same creation was lost, it returns that one and reused.
	Create(ctx context.Context, c Creation, enqueue func(ctx context.Context, tx Tx) error) (j Job, reused bool, err error)
	// Retry starts the next attempt of a job that has ended: attempt + 1, QUEUED, the event KeyRetry, and enqueue in the
	// same transaction with the job as it is then. Reason, error, end, cancellation, stage and progress are cleared,
	// deadlines begin anew; log, journal and the last result stay. With a known request it returns the job as it is and
	// reused. The order of its refusals: ErrNotFound (unknown, or another owner), then what the request says (reused,
	// ErrRequestIDReused), then RetryRefused. While the job that started it is unfinished and its cancellation was asked
	// for, the error is ErrNotFinished.
	Retry(ctx context.Context, r Retrial, enqueue func(ctx context.Context, tx Tx, j Job) error) (j Job, reused bool, err error)
}

// EventsBytes bounds the payloads that one read of a log holds in memory, give or take the last event.
const EventsBytes = 4 << 20

// A Reader answers questions without changing anything.
type Reader interface {
	// Get returns ErrNotFound for an unknown job.
	Get(ctx context.Context, id ID) (Job, error)
	// States leaves unknown jobs out.
	States(ctx context.Context, ids []ID) (map[ID]State, error)
	// StatesTx is States as tx sees it. A transaction must not wait for another connection, and so reads in itself.
	StatesTx(ctx context.Context, tx Tx, ids []ID) (map[ID]State, error)
	// List returns jobs without spec and result.
	List(ctx context.Context, q ListQuery) ([]Job, error)
	// Events returns those with Seq > after in order, at most limit, and ends with the one whose payload brings their
	// sum to EventsBytes. So fewer than limit do not mean that nothing follows; none means it.
	Events(ctx context.Context, id ID, after int64, limit int) ([]Event, error)
	// LastSeqs leaves unknown jobs out.
	LastSeqs(ctx context.Context, ids []ID) (map[ID]int64, error)
	// CancelAsked returns those of ids whose cancellation was asked for.
	CancelAsked(ctx context.Context, ids []ID) ([]ID, error)
	// Unfinished returns the attempts of jobs that are not terminal, with ID > after in the order of IDs, at most limit.
	Unfinished(ctx context.Context, after ID, limit int) ([]Attempt, error)
	// Expired returns jobs of any state whose ExpireAt has come, oldest first, at most limit, behind one that it returned
	// before; the zero value is the beginning.
	Expired(ctx context.Context, now time.Time, after Expiry, limit int) ([]Expiry, error)
	// DeadLetters counts the jobs that are FAILED or PARTIALLY_SUCCEEDED for a reason that IsDeadLetter is true of.
	DeadLetters(ctx context.Context) (int64, error)
}

// A Writer stores what an execution does. Each method is one transaction, fenced by the epoch: ErrFenced means that
// another execution owns the job, and nothing was written. After any other error it is unknown whether the transaction
// was committed: each method may be called again with the same arguments and then adds nothing that is there.
type Writer interface {
	// Begin raises the epoch and puts the job to RUNNING (CANCELLING stays). ErrEnded: the attempt is over or is not the
	// job's, and nothing was written. A job for which Unbeginnable has an end is ended so, and the error is ErrEnded as
	// well.
	Begin(ctx context.Context, a Attempt, maxStalled int) (Job, Written, error)
	Apply(ctx context.Context, f Fence, c Change) (Written, error)
	// OpenCalls writes the intents of calls that are made together and answers in their order. Answers of all attempts of
	// the job are used again; tries that failed count only in the attempt in which they were made. An intent that is open in
	// this execution already gets its grant again, and nothing is added.
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
	// CancelStarted does what Cancel does to all that a job started, but not to the job: nobody will read their results. It
	// does nothing unless the attempt is the job's and has ended, so that it never meets what a retry goes on with.
	CancelStarted(ctx context.Context, a Attempt) ([]Ending, error)
	// End ends an unfinished attempt whatever its epoch, and raises it. ended is false when it was finished already.
	End(ctx context.Context, a Attempt, o Outcome) (w Written, ended bool, err error)
	// ExpireQueued ends at most n QUEUED jobs for which QueueOver has an end, like End, and returns them.
	ExpireQueued(ctx context.Context, now time.Time, n int) ([]Ending, error)
	// ExpireHistory removes the events of at most n jobs whose history has expired.
	ExpireHistory(ctx context.Context, now time.Time, n int) (int, error)
	// Delete removes jobs, all that they started (but see Deletion.Keep), and everything that belongs to these: rows, logs,
	// journals. Of their requests the job and the resource are forgotten and the hashes stay. All of it or nothing: the
	// errors are ErrNotFound, then DeleteRefused of any of them, and ErrNotFinished also while the job that started one of
	// IDs is unfinished and not removed with it. It returns what is gone, what a job started before that job.
	Delete(ctx context.Context, d Deletion) ([]Job, error)
}

// Ending is what Cancel or ExpireQueued did to one job.
type Ending struct {
	Written

	State   State
	Attempt int32
}

// Store is all of it. Adapters: internal/job/sqlite, internal/job/postgres. Suite: internal/job/jobtest.
type Store interface {
	Creator
	Reader
	Writer
	Ender
}
