package client

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// domain is that of all reasons of a Witan.
const domain = "witan.dev"

var (
	errSilent   = errors.New("the stream was silent for too long")
	errUnplaced = errors.New("the stream ended before its snapshot")
)

// SequenceError says that a server did not keep its promise of an exact log: an event is missing, or came twice. What was
// handed over before it is right; nothing of it was handed over.
type SequenceError struct {
	// Job is the job's name.
	Job string
	// Want is the number that should have come; 0: a snapshot should have.
	Want int64
	// Got is the number that came, or that a heartbeat named as sent.
	Got int64
}

// Error implements error.
func (e *SequenceError) Error() string {
	switch {
	case e.Want == 0:
		return fmt.Sprintf("the log of %s: event %d came before the snapshot that was asked for", e.Job, e.Got)
	case e.Got < e.Want:
		return fmt.Sprintf("the log of %s: event %d came again where %d was due", e.Job, e.Got, e.Want)
	default:
		return fmt.Sprintf("the log of %s: event %d came where %d was due; what is between them is missing", e.Job, e.Got, e.Want)
	}
}

// AwayError says that a server stayed away for longer than Config.AwayLimit. Jobs go on where they run; come back later.
type AwayError struct {
	// For is how long it was waited for.
	For time.Duration
	// Err is what the last try said.
	Err error
}

// Error implements error.
func (e *AwayError) Error() string {
	return fmt.Sprintf("no server answered for %s: %v", e.For.Round(time.Second), e.Err)
}

// Unwrap returns what the last try said.
func (e *AwayError) Unwrap() error { return e.Err }

// Reason is why a server refused, in UPPER_SNAKE, such as HISTORY_EXPIRED or JOB_NOT_FOUND; empty where the error does not
// come from one. docs/errors.md of the server lists them.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == domain {
			return info.GetReason()
		}
	}
	return ""
}

// isCut says whether an error is a connection's end and no answer: the call may be made again. A server names the reason
// of all that it says itself; what lacks one and has such a code comes from the transport or something in between.
func isCut(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable:
		return true
	case codes.Canceled, codes.Internal:
		return Reason(err) == ""
	default:
		return errors.Is(err, errSilent) || errors.Is(err, errUnplaced)
	}
}
