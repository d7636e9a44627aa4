package job

import (
	"errors"

	"witan.dev/internal/apierr"
)

// What callers outside may see.
var (
	// ErrNotFound is the answer for a job that does not exist, and for a foreign one.
	ErrNotFound = apierr.NotFound(apierr.ReasonJobNotFound, "there is no such job")
	// ErrRequestIDReused: the request ID was used before with another body.
	ErrRequestIDReused = apierr.AlreadyExists(apierr.ReasonRequestIDReused, "this request_id was used before for another request; take a new one")
	// ErrDeleted: the request is known, and what it created has been deleted since.
	ErrDeleted = apierr.NotFound(apierr.ReasonJobNotFound, "what this request_id created was deleted; take a new one to create it again")
	// ErrNotFinished: only a job that has ended can be retried or deleted.
	ErrNotFinished = apierr.Precondition(apierr.ReasonJobNotFinished, "the job, or one that belongs to it, has not ended; wait for it or cancel it first")
	// ErrNotRetryable: the job has everything that was planned.
	ErrNotRetryable = apierr.Precondition(apierr.ReasonJobNotRetryable, "a succeeded job has nothing to retry; create a new one")
	// ErrETagMismatch: the job is not as the caller has seen it.
	ErrETagMismatch = apierr.Aborted(apierr.ReasonETagMismatch, "the job has changed since it was read; read it again")
	// ErrHistoryExpired: the events asked for are no longer kept.
	ErrHistoryExpired = apierr.OutOfRange(apierr.ReasonHistoryExpired, "the job's history has expired; GetJob still answers")
	// ErrSequenceAhead: the position lies beyond the log.
	ErrSequenceAhead = apierr.OutOfRange(apierr.ReasonSequenceAhead, "after_seq lies beyond the job's last event")
)

// What only this process sees.
var (
	// ErrFenced: another execution owns the job. Nothing was written; the body returns.
	ErrFenced = errors.New("job: another execution owns the job")
	// ErrEnded: the attempt is over.
	ErrEnded = errors.New("job: the attempt is over")
	// ErrCancelAsked is the cause of a run's context after CancelJob.
	ErrCancelAsked = errors.New("job: cancellation was asked for")
	// ErrDeadlinePassed is the cause of a run's context after the job's deadline.
	ErrDeadlinePassed = errors.New("job: the deadline has passed")
)

// Reasons that this package gives to jobs.
const (
	// ReasonRecoveryAttempts: the job began again and again without getting on.
	ReasonRecoveryAttempts = string(apierr.ReasonRecoveryAttemptsExceeded)
	// ReasonInternal: a fault of the program.
	ReasonInternal = string(apierr.ReasonInternal)
	// ReasonCancelled: CancelJob.
	ReasonCancelled = "CANCELLED"
	// ReasonDeadline: the job's deadline passed.
	ReasonDeadline = string(apierr.ReasonDeadlineExceeded)
	// ReasonQueueExpired: no worker took the job in time.
	ReasonQueueExpired = string(apierr.ReasonQueueExpired)
)

// ReasonCouncilUnavailable: a review went on without its council, which stayed away for longer than reviews ask for it.
const ReasonCouncilUnavailable = "COUNCIL_UNAVAILABLE"

// IsDeadLetter says whether a job that ended FAILED or PARTIALLY_SUCCEEDED for this reason was given up though nothing is wrong
// with what it was asked for: it began again and again without getting on, or others stayed away for longer than it waits.
// Someone has to look, and retry it.
func IsDeadLetter(reason string) bool {
	return reason == ReasonRecoveryAttempts || reason == string(apierr.ReasonForgeUnavailable) || reason == ReasonCouncilUnavailable
}

// CodeInternal is google.rpc.Code INTERNAL.
const CodeInternal uint32 = 13

const codeDeadlineExceeded uint32 = 4

// failureOf tells callers what they may know of a fault: all of it when it is an error for callers, else only that there
// was one; the log has the rest.
func failureOf(err error) *Error {
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return &Error{Code: codeOf(e.Kind()), Reason: string(e.Reason()), Message: e.Message()}
	}
	return &Error{Code: CodeInternal, Reason: ReasonInternal, Message: "the worker met an internal error and gave the job up; its log has the cause"}
}

// codeOf is the google.rpc.Code of a kind.
func codeOf(k apierr.Kind) uint32 {
	switch k {
	case apierr.KindCanceled:
		return 1
	case apierr.KindInvalid:
		return 3
	case apierr.KindDeadlineExceeded:
		return 4
	case apierr.KindNotFound:
		return 5
	case apierr.KindAlreadyExists:
		return 6
	case apierr.KindPermissionDenied:
		return 7
	case apierr.KindResourceExhausted:
		return 8
	case apierr.KindPrecondition:
		return 9
	case apierr.KindAborted:
		return 10
	case apierr.KindOutOfRange:
		return 11
	case apierr.KindUnimplemented:
		return 12
	case apierr.KindInternal:
		return CodeInternal
	case apierr.KindUnavailable:
		return 14
	case apierr.KindUnauthenticated:
		return 16
	}
	return CodeInternal
}
