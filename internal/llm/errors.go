package llm

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Class is the kind of a failure. It decides whether a retry may help; the table is the council's.
type Class string

// The classes of failure.
const (
	ClassTimeout        Class = "TIMEOUT"         // a clock or a deadline ran out
	ClassRateLimit      Class = "RATE_LIMIT"      // too many calls, or the quota is used up
	ClassAuth           Class = "AUTH"            // the key is missing, wrong, or may not use the model
	ClassRefusal        Class = "REFUSAL"         // the model or its provider's filter refused
	ClassProvider       Class = "PROVIDER"        // 5xx, overloaded, connection, cut stream, malformed body
	ClassEmpty          Class = "EMPTY"           // finished without a text
	ClassTruncated      Class = "TRUNCATED"       // the output limit was reached; the Response holds the text so far
	ClassInvalidRequest Class = "INVALID_REQUEST" // 400, unknown model, prompt longer than the context
	ClassBudget         Class = "BUDGET"          // the caller's budget does not allow the call; adapters never say so
	ClassCancelled      Class = "CANCELLED"       // the caller gave up
)

// ErrCircuitOpen is in the chain of an error that was given without a call, because the model failed too often.
var ErrCircuitOpen = errors.New("circuit open")

// Error is a failed call.
type Error struct {
	Class Class
	// HTTPStatus is 0 where the failure was none of HTTP.
	HTTPStatus int
	// RetryAfter is how long the provider asks to wait; 0: it did not say.
	RetryAfter time.Duration
	// Detail says what went wrong, in the provider's words where it gave any: redacted, at most 500 characters, and never
	// empty.
	Detail string
	Err    error
}

// Error gives class and detail.
func (e *Error) Error() string {
	if e.HTTPStatus != 0 {
		return fmt.Sprintf("%s (HTTP %d): %s", e.Class, e.HTTPStatus, e.Detail)
	}
	return fmt.Sprintf("%s: %s", e.Class, e.Detail)
}

// Unwrap gives the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf gives the class of an error of Generate: "" for nil, PROVIDER for what is no *Error.
func ClassOf(err error) Class {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ClassProvider
}

// Interrupted is the error of a call that ctx ended, or nil while ctx goes on: TIMEOUT when a deadline passed, CANCELLED
// otherwise. A cause that is an *Error is returned as it is.
func Interrupted(ctx context.Context) *Error {
	if ctx.Err() == nil {
		return nil
	}
	cause := context.Cause(ctx)
	if e, ok := errors.AsType[*Error](cause); ok {
		return e
	}
	if errors.Is(cause, context.DeadlineExceeded) {
		return &Error{Class: ClassTimeout, Detail: "the call's deadline passed", Err: cause}
	}
	return &Error{Class: ClassCancelled, Detail: "the call was cancelled", Err: cause}
}

// Check turns a response that ended into the error that it means: nil for a finished, non-empty text, else REFUSAL,
// TRUNCATED, EMPTY, or PROVIDER for an answer without an end.
func Check(r Response) error {
	switch r.Finish {
	case FinishStop:
		if r.Text == "" {
			return &Error{Class: ClassEmpty, Detail: "the model finished without a text"}
		}
		return nil
	case FinishLength:
		return &Error{Class: ClassTruncated, Detail: "the answer reached its length limit"}
	case FinishRefusal:
		return &Error{Class: ClassRefusal, Detail: Redact("the model refused: " + r.Text)}
	case FinishFilter:
		return &Error{Class: ClassRefusal, Detail: "the provider's content filter stopped the answer"}
	case FinishUnknown:
		return &Error{Class: ClassProvider, Detail: "the stream was cut: it ended without saying why"}
	}
	return &Error{Class: ClassProvider, Detail: Redact("the answer ended for an unknown reason: " + r.RawFinish)}
}
