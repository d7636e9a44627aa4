// Package apierr holds the errors that callers may see. A sentinel that may leave a service is an *Error declared beside
// its port; package rpcstatus turns it into a gRPC status and back. This package knows neither services nor gRPC.
package apierr

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// Kind says what sort of failure an Error is; it decides the status code. The zero value is KindInternal.
type Kind uint8

// The kinds, named after what the caller can make of them.
const (
	// KindInternal is a failure of ours.
	KindInternal Kind = iota
	// KindInvalid is a request that is wrong whatever the state of things.
	KindInvalid
	// KindNotFound is a resource that does not exist, or belongs to someone else.
	KindNotFound
	// KindAlreadyExists is a name or request ID that is taken.
	KindAlreadyExists
	// KindPrecondition is a request that would be right in another state.
	KindPrecondition
	// KindAborted is a request that lost a race: read again, then decide.
	KindAborted
	// KindOutOfRange is a position beyond what there is.
	KindOutOfRange
	// KindUnavailable is a failure that may pass: the only kind to retry blindly.
	KindUnavailable
	// KindDeadlineExceeded is a call that took longer than its deadline.
	KindDeadlineExceeded
	// KindCanceled is a call that its caller gave up.
	KindCanceled
	// KindPermissionDenied is a caller who is known but may not.
	KindPermissionDenied
	// KindUnauthenticated is a caller who is not known.
	KindUnauthenticated
	// KindResourceExhausted is a limit that was reached.
	KindResourceExhausted
	// KindUnimplemented is something that this version cannot do.
	KindUnimplemented
)

// Reason names one cause, in UPPER_SNAKE. Those that leave the system are the constants of this package.
type Reason string

// Field is one bad field of a request.
type Field struct {
	// Path is the field as the protos name it, such as "deliberation.question.text".
	Path string
	// Description says what is wrong with it.
	Description string
}

// Error is an error that a caller may see: kind, reason, a sentence with the next step, and the values that change from
// case to case. It is immutable: With, Field and Wrap return copies, so sentinels can be shared by goroutines.
type Error struct {
	kind     Kind
	reason   Reason
	message  string
	metadata map[string]string
	fields   []Field
	cause    error
}

// New makes an error. The message is for people, constant for its reason, and says the next step where there is one.
func New(kind Kind, reason Reason, message string) *Error {
	return &Error{kind: kind, reason: reason, message: message}
}

// Internal is New(KindInternal, …).
func Internal(reason Reason, message string) *Error { return New(KindInternal, reason, message) }

// Invalid is New(KindInvalid, …).
func Invalid(reason Reason, message string) *Error { return New(KindInvalid, reason, message) }

// NotFound is New(KindNotFound, …).
func NotFound(reason Reason, message string) *Error { return New(KindNotFound, reason, message) }

// AlreadyExists is New(KindAlreadyExists, …).
func AlreadyExists(reason Reason, message string) *Error {
	return New(KindAlreadyExists, reason, message)
}

// Precondition is New(KindPrecondition, …).
func Precondition(reason Reason, message string) *Error {
	return New(KindPrecondition, reason, message)
}

// Aborted is New(KindAborted, …).
func Aborted(reason Reason, message string) *Error { return New(KindAborted, reason, message) }

// OutOfRange is New(KindOutOfRange, …).
func OutOfRange(reason Reason, message string) *Error { return New(KindOutOfRange, reason, message) }

// Unavailable is New(KindUnavailable, …).
func Unavailable(reason Reason, message string) *Error { return New(KindUnavailable, reason, message) }

// DeadlineExceeded is New(KindDeadlineExceeded, …).
func DeadlineExceeded(reason Reason, message string) *Error {
	return New(KindDeadlineExceeded, reason, message)
}

// Canceled is New(KindCanceled, …).
func Canceled(reason Reason, message string) *Error { return New(KindCanceled, reason, message) }

// PermissionDenied is New(KindPermissionDenied, …).
func PermissionDenied(reason Reason, message string) *Error {
	return New(KindPermissionDenied, reason, message)
}

// Unauthenticated is New(KindUnauthenticated, …).
func Unauthenticated(reason Reason, message string) *Error {
	return New(KindUnauthenticated, reason, message)
}

// ResourceExhausted is New(KindResourceExhausted, …).
func ResourceExhausted(reason Reason, message string) *Error {
	return New(KindResourceExhausted, reason, message)
}

// Unimplemented is New(KindUnimplemented, …).
func Unimplemented(reason Reason, message string) *Error {
	return New(KindUnimplemented, reason, message)
}

// With returns a copy with one more metadata value; an existing key is replaced.
func (e *Error) With(key, value string) *Error {
	c := e.clone()
	if c.metadata == nil {
		c.metadata = map[string]string{}
	}
	c.metadata[key] = value
	return c
}

// Field returns a copy with one more bad field.
func (e *Error) Field(path, description string) *Error {
	c := e.clone()
	c.fields = append(c.fields, Field{path, description})
	return c
}

// Wrap returns a copy with a cause. The cause is for the log: callers never see it.
func (e *Error) Wrap(cause error) *Error {
	c := e.clone()
	c.cause = cause
	return c
}

// Kind is what sort of failure it is.
func (e *Error) Kind() Kind { return e.kind }

// Reason is the cause's name.
func (e *Error) Reason() Reason { return e.reason }

// Message is the sentence for people.
func (e *Error) Message() string { return e.message }

// Metadata is a copy of the changing values; never nil.
func (e *Error) Metadata() map[string]string {
	m := maps.Clone(e.metadata)
	if m == nil {
		m = map[string]string{}
	}
	return m
}

// Fields is a copy of the bad fields.
func (e *Error) Fields() []Field { return slices.Clone(e.fields) }

// Error is the message, with the cause behind it.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(e.message)
	for _, f := range e.fields {
		text.WriteString("; " + f.Path + ": " + f.Description)
	}
	if e.cause != nil {
		text.WriteString(": " + e.cause.Error())
	}
	return text.String()
}

// Is says whether target has the same kind and reason, so that copies equal their sentinel.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.kind == e.kind && t.reason == e.reason
}

// Unwrap is the cause, nil without one.
func (e *Error) Unwrap() error { return e.cause }

func (e *Error) clone() *Error {
	c := *e
	c.metadata = maps.Clone(e.metadata)
	c.fields = slices.Clone(e.fields)
	return &c
}
