package job

import "context"

// CallKey names one paid call of a job: which stage asks whom about which part.
type CallKey struct{ Stage, Subject, Part string }

// CallState is where a call stands in the journal.
type CallState string

// The states of a call.
const (
	CallOpen      CallState = "INTENT"
	CallResult    CallState = "RESULT"
	CallFailed    CallState = "FAILED"
	CallAbandoned CallState = "ABANDONED"
)

// CallIntent says what is about to be asked. It is written before anything is sent.
type CallIntent struct {
	Key CallKey
	// PromptSHA256 covers everything that is sent. An answer is used again only for the same prompt.
	PromptSHA256 [32]byte
	// Template is the version of the prompt's template.
	Template string
	// IdempotencyKey goes to providers that know one; empty means one that the journal derives from job and key.
	IdempotencyKey string
	// MaxAttempts bounds the tries of this call that failed; 0 means 1. A call that a crash interrupted does not count.
	MaxAttempts int
	// ReservedTokens is kept for the call until it is settled.
	ReservedTokens int64
	// ReuseOnly asks for a stored answer and opens nothing: for a call that must not be sent any more.
	ReuseOnly bool
	// Events are logged with the intent of a call that is sent, EventsFor builds them for the call's attempt. Both are
	// left out when the answer is reused. Their keys follow the rules of NewEvent.
	Events    []NewEvent
	EventsFor func(attempt int32) []NewEvent
}

// CallGrant answers a CallIntent. Exactly one of the four holds: Reused is not nil, Exhausted is true, Refused is true, or
// the call is to be made under Attempt and closed with CloseCall.
type CallGrant struct {
	// Attempt counts the tries of this call, from 1.
	Attempt int32
	// IdempotencyKey is what to send: the same for a call that a crash interrupted and that is made again.
	IdempotencyKey string
	// Reused is the stored result of the same prompt; it may be empty, then not nil.
	Reused []byte
	// Usage is that of the reused result.
	Usage Usage
	// Exhausted: MaxAttempts tries have failed, the last one with LastFailure.
	Exhausted   bool
	LastFailure string
	// Refused: the intent was ReuseOnly and there is no answer to the prompt.
	Refused bool
}

// CallDone closes one try of a call.
type CallDone struct {
	Key     CallKey
	Attempt int32
	// State is CallResult, CallFailed or CallAbandoned.
	State CallState
	// Result is stored for reuse.
	Result []byte
	// ErrorClass says why the try failed.
	ErrorClass string
	// Usage is what the try consumed, added to the job's.
	Usage Usage
	// Events report the end of the try, Write changes the service's own rows; all commit together.
	Events []NewEvent
	Write  func(ctx context.Context, tx Tx) error
}
