package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/internal/apierr"
	"witan.dev/internal/apierr/rpcstatus"
)

var (
	errRPCUnknown = apierr.Unimplemented(apierr.ReasonRPCUnknown, "there is no such RPC")
	errStopping   = apierr.Unavailable(apierr.ReasonServerStopping,
		"the server is stopping; connect again and resume from the last seq")
	errDeadlineTooShort = apierr.DeadlineExceeded(apierr.ReasonDeadlineTooShort, "the call arrived with too little time left")
	errMessageTooLarge  = apierr.ResourceExhausted(apierr.ReasonMessageTooLarge, "a message is larger than the server takes")
	errInvalidRequest   = apierr.Invalid(apierr.ReasonInvalidRequest, "the request breaks a rule")
)

// mappedError is what leaves the chain: the status for the caller, the cause for the log.
type mappedError struct {
	status *status.Status
	cause  error
}

// Error is the cause's text; callers see the status only.
func (e *mappedError) Error() string { return e.cause.Error() }

// GRPCStatus is what the caller sees.
func (e *mappedError) GRPCStatus() *status.Status { return e.status }

// Unwrap is the cause.
func (e *mappedError) Unwrap() error { return e.cause }

// mapErrors is the one place where errors become statuses. While the server is going down, parts that calls need close
// under them: what would be a failure of ours at any other time is then the stop, and the caller may ask elsewhere.
func (s *Server) mapErrors(ctx context.Context, _ call, next func(context.Context) error) error {
	err := next(ctx)
	if err == nil {
		return nil
	}
	mapped := rpcstatus.From(err)
	var panicked *panicError
	if mapped.Code() == codes.Internal && s.draining.Load() && !errors.As(err, &panicked) {
		mapped = rpcstatus.From(errStopping)
	}
	return &mappedError{status: mapped, cause: err}
}

// panicError is a panic of a handler. It is a bug of ours; the process goes on.
type panicError struct {
	value any
	stack string
}

// Error names the panic's value; the stack is for the log.
func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func recoverPanic(ctx context.Context, _ call, next func(context.Context) error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: string(debug.Stack())}
		}
	}()
	return next(ctx)
}
