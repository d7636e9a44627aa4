package council

import (
	"context"
	"time"

	"witan.dev/internal/job"
)

// Position is a place in a list, newest first: everything created before it, or at the same time with a smaller ID. The
// zero value is the beginning.
type Position struct {
	CreatedAt time.Time
	ID        string
}

// Expiry is a place in the order in which temporary conversations end.
type Expiry struct {
	At time.Time
	ID string
}

// Request makes a creation idempotent: the same owner, ID and body get the first resource again. ID "" means that it is
// not.
type Request struct {
	ID   string
	Body [32]byte
}

// A ConversationStore keeps conversations and their messages.
type ConversationStore interface {
	// CreateConversation stores c, or returns the one that an earlier request with the same ID and body made.
	// ErrRequestIDReused for another body, ErrConversationDeleted when that one has been deleted.
	CreateConversation(ctx context.Context, c Conversation, r Request) (Conversation, error)
	// Conversation returns ErrConversationNotFound for unknown and foreign ones.
	Conversation(ctx context.Context, id, owner string) (Conversation, error)
	Conversations(ctx context.Context, owner string, after Position, limit int) ([]Conversation, error)
	// Messages returns those with Ordinal > after in order, at most limit.
	Messages(ctx context.Context, conversation string, after int64, limit int) ([]Message, error)
	// Recent lists the newest deliberations of each conversation, newest first, at most 50 of each.
	Recent(ctx context.Context, conversations ...string) (map[string][]job.ID, error)
	// ExpiredConversations returns those whose ExpireAt has come, oldest first, at most limit, behind one that it returned
	// before; the zero value is the beginning.
	ExpiredConversations(ctx context.Context, now time.Time, after Expiry, limit int) ([]Conversation, error)
	// DeleteConversation removes a conversation with its messages; its deliberations are gone by then. The hash of the
	// request that made it stays. What is not there is no error.
	DeleteConversation(ctx context.Context, tx job.Tx, id string) error
	// SetTitle gives a conversation a title where it has none and is not temporary.
	SetTitle(ctx context.Context, tx job.Tx, conversation, title string) error
}

// A DeliberationStore keeps deliberations. Methods with a transaction take part in one that internal/job opened.
type DeliberationStore interface {
	// LockConversation keeps others from starting a deliberation in the conversation until tx ends, and lists all its
	// deliberations, newest first. ErrConversationNotFound for unknown and foreign ones.
	LockConversation(ctx context.Context, tx job.Tx, id, owner string) (Conversation, []job.ID, error)
	AddDeliberation(ctx context.Context, tx job.Tx, d Deliberation) error
	// AddMessage appends to the conversation and touches it. A message whose ID is there already is left as it is.
	AddMessage(ctx context.Context, tx job.Tx, m Message) error
	// ConversationOf is the conversation that a deliberation of any owner lies in, "" for none. ErrDeliberationNotFound.
	ConversationOf(ctx context.Context, tx job.Tx, id job.ID) (string, error)
	// Deliberation returns ErrDeliberationNotFound for unknown and foreign ones; owner "" is an internal caller.
	Deliberation(ctx context.Context, id job.ID, owner string, v View) (Deliberation, error)
	// Deliberations lists without material; conversation "" means all.
	Deliberations(ctx context.Context, owner, conversation string, after Position, limit int) ([]Deliberation, error)
	// DeleteDeliberation removes a deliberation with its outcomes and its messages. What is not there is no error.
	DeleteDeliberation(ctx context.Context, tx job.Tx, id job.ID) error
}

// A RunStore keeps what a running deliberation must find again. Contents are the worker's.
type RunStore interface {
	// Plan returns nil before the plan is there.
	Plan(ctx context.Context, id job.ID) ([]byte, error)
	// SavePlan stores the plan and the estimate. A plan that is there already stays.
	SavePlan(ctx context.Context, tx job.Tx, id job.ID, plan []byte, e Estimate) error
	// Outcome returns nil while the stage is open in this attempt of the job.
	Outcome(ctx context.Context, id job.ID, attempt int32, stage string) ([]byte, error)
	SaveOutcome(ctx context.Context, tx job.Tx, id job.ID, attempt int32, stage string, outcome []byte) error
	// SaveResult replaces the result.
	SaveResult(ctx context.Context, tx job.Tx, id job.ID, r Result) error
}

// Store is all of it. Adapters: services/council/store/sqlite, services/council/store/postgres. Suite: services/council/store/storetest.
type Store interface {
	ConversationStore
	DeliberationStore
	RunStore
}

// Blobs is stored material.
type Blobs interface {
	// Keep notes in a transaction that a resource names an owner's blobs. ErrBlobNotFound for unknown and foreign ones.
	Keep(ctx context.Context, tx job.Tx, owner, resource string, ids []string) error
	// Read returns at most limit bytes of an owner's blob, named by its hex SHA-256. ErrBlobNotFound for unknown and
	// foreign ones.
	Read(ctx context.Context, owner, id string, limit int64) ([]byte, error)
	// Release forgets in a transaction what a resource names.
	Release(ctx context.Context, tx job.Tx, resource string) error
}
