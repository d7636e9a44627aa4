package job

import (
	"errors"

	"witan.dev/internal/apierr"
)

// What callers outside may see.
//
//nolint:gochecknoglobals // sentinels
var (
	// ErrNotFound is the answer for a job that does not exist, and for a foreign one.
	ErrNotFound = apierr.NotFound("JOB_NOT_FOUND", "there is no such job")
	// ErrRequestIDReused: the request ID was used before with another body.
	ErrRequestIDReused = apierr.AlreadyExists("REQUEST_ID_REUSED", "this request_id was used before for another request; take a new one")
	// ErrHistoryExpired: the events asked for are no longer kept.
	ErrHistoryExpired = apierr.OutOfRange("HISTORY_EXPIRED", "the job's history has expired; GetJob still answers")
	// ErrSequenceAhead: the position lies beyond the log.
	ErrSequenceAhead = apierr.OutOfRange("SEQUENCE_AHEAD", "after_seq lies beyond the job's last event")
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
	ReasonRecoveryAttempts = "RECOVERY_ATTEMPTS_EXCEEDED"
	// ReasonInternal: a fault of the program.
	ReasonInternal = "INTERNAL"
	// ReasonCancelled: CancelJob.
	ReasonCancelled = "CANCELLED"
	// ReasonDeadline: the job's deadline passed.
	ReasonDeadline = "DEADLINE_EXCEEDED"
)

// CodeInternal is google.rpc.Code INTERNAL.
const CodeInternal uint32 = 13

// failureOf tells callers what they may know of a fault; the log has the rest.
func failureOf(error) *Error {
	return &Error{Code: CodeInternal, Reason: ReasonInternal, Message: "the worker met an internal error and gave the job up; its log has the cause"}
}
