package ingest

import (
	"context"
	"time"
)

// Buffer keeps accepted deliveries until they are handled. A delivery that Put returned nil for is taken at least once, by
// one of the processes that take, whoever is killed meanwhile. Safe for concurrent use.
type Buffer interface {
	// Put stores a delivery and returns when it would survive the end of every process. It gives up at the end of ctx; the
	// delivery may have been stored then. The same one again does no harm.
	Put(ctx context.Context, e Entry) error
}

// Queue is where the intake takes deliveries from. Safe for concurrent use, by any number of processes where the buffer
// has several.
type Queue interface {
	// Take returns up to n entries that nobody else has in hand, oldest first. Without any it waits a moment. What was
	// taken and neither settled nor held for the lease is taken again, which Entry.Takes counts.
	Take(ctx context.Context, n int) ([]Entry, error)
	// Hold begins the lease of entries anew, and their Takes: who lives to hold one does not die of it.
	Hold(ctx context.Context, receipts []string) error
	// Release gives entries back, as if they had not been taken.
	Release(ctx context.Context, entries []Entry) error
	// Done removes an entry.
	Done(ctx context.Context, receipt string) error
	// Bury removes an entry and leaves it among the dead letters, with the reason.
	Bury(ctx context.Context, e Entry, reason string) error
	// Clean removes what only takes room: dead letters from before, and traces of processes that are gone.
	Clean(ctx context.Context, before time.Time) error
	// Stats says how much waits.
	Stats(ctx context.Context) (QueueStats, error)
}

// QueueStats says how a queue stands.
type QueueStats struct {
	// Waiting are entries that are not handled, those in hand included; Dead are dead letters.
	Waiting, Dead int64
	// Takers are processes that took, or tried to, within the last lease.
	Takers int
}

// Store is the table of deliveries. Safe for concurrent use.
type Store interface {
	// Keep makes the row of a delivery (Stored) and answers what is kept: an earlier row of the same ID wins, with its time
	// and state. One that is Dead or Unparsed is Stored again.
	Keep(ctx context.Context, e Entry) (Delivery, error)
	// Settle says what became of a delivery. One that is Settled stays as it is.
	Settle(ctx context.Context, id string, o Outcome) error
	// Get reads one. ErrNotFound.
	Get(ctx context.Context, id string) (Delivery, error)
	// List reads a page, newest first.
	List(ctx context.Context, q ListQuery) ([]Delivery, error)
	// Redeliver makes a row for the kept body under the next ID of a redelivery and answers it with the body. The same
	// request ID, where there is one, answers the same row. ErrNotFound; ErrTooManyRedeliveries.
	Redeliver(ctx context.Context, id, requestID string, at time.Time) (Entry, error)
	// Expire removes settled, unreadable and dead deliveries from before, at most n, and says how many.
	Expire(ctx context.Context, before time.Time, n int) (int, error)
	// History says what is kept.
	History(ctx context.Context) (History, error)
}

// Outcome is what became of a delivery.
type Outcome struct {
	State    State
	Reason   string
	Resource string
}

// ListQuery is a page of deliveries.
type ListQuery struct {
	// State filters; 0: all.
	State State
	// Before is the place of the page: only deliveries that were received before, or at the same time under a smaller ID.
	// The zero value is the beginning.
	Before   time.Time
	BeforeID string
	// Limit is the most rows to answer.
	Limit int
}

// History says what is kept of deliveries.
type History struct {
	// States counts deliveries by state.
	States map[State]int64
	// HookDeletedAt is when the sender last said that the hook was removed, LastReceivedAt when anything else came last;
	// zero: never.
	HookDeletedAt, LastReceivedAt time.Time
}

// Reviews is the review service, as the intake needs it. Both calls act once for a request ID, however often they are
// made, and act for the owner of ctx. Errors that callers of the service see are apierr's. Safe for concurrent use.
type Reviews interface {
	// Start starts a review and names it.
	Start(ctx context.Context, r Review, requestID string) (resource string, err error)
	// Tell hands an event over. ignored says why nothing was done, empty: something was, and resource may name it.
	Tell(ctx context.Context, delivery string, received time.Time, e Event, requestID string) (resource, ignored string, err error)
}

// Lease is how long an entry stays with whoever took it without a word.
const Lease = 10 * time.Second

// MaxTakes is how often an entry is handled at most that nobody lived to hold, release or settle.
const MaxTakes = 5
