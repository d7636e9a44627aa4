// Package rpcstatus turns apierr values into gRPC statuses and back. The error interceptor of internal/rpc is the one
// place that maps outwards; clients of other services map inwards.
package rpcstatus

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"witan.dev/internal/apierr"
)

// Domain is the domain of every ErrorInfo.
const Domain = "witan.dev"

type statusError interface {
	error
	GRPCStatus() *status.Status
}

// From maps any error to a status with an ErrorInfo, and with a BadRequest where fields are bad. A status of another
// Witan service passes unchanged. What is not known becomes INTERNAL with a fixed text, so that nothing leaks; nil is OK.
func From(err error) *status.Status {
	if err == nil {
		return status.New(codes.OK, "")
	}
	if e, ok := errors.AsType[*apierr.Error](err); ok {
		return encode(e)
	}
	if s, ok := errors.AsType[statusError](err); ok {
		return fromStatus(s.GRPCStatus())
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return encode(apierr.DeadlineExceeded(apierr.ReasonDeadlineExceeded, "the call took longer than its deadline"))
	case errors.Is(err, context.Canceled):
		return encode(apierr.Canceled(apierr.ReasonCanceled, "the caller gave the call up"))
	default:
		return encode(apierr.Internal(apierr.ReasonInternal, "internal error; report it with the request ID"))
	}
}

// Parse maps the error of a gRPC call back to an *apierr.Error, so that callers can use errors.Is with sentinels. The
// original error is its cause. An error that carries no status of ours gets the reason of its code. nil stays nil.
func Parse(err error) *apierr.Error {
	if err == nil {
		return nil
	}
	s := From(err)
	info := Info(s)
	e := apierr.New(kindOf(s.Code()), apierr.Reason(info.GetReason()), s.Message())
	for k, v := range info.GetMetadata() {
		e = e.With(k, v)
	}
	for _, detail := range s.Details() {
		bad, ok := detail.(*errdetails.BadRequest)
		if !ok {
			continue
		}
		for _, v := range bad.GetFieldViolations() {
			e = e.Field(v.GetField(), v.GetDescription())
		}
	}
	return e.Wrap(err)
}

// Info is the status's ErrorInfo of our domain, nil without one.
func Info(s *status.Status) *errdetails.ErrorInfo {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == Domain {
			return info
		}
	}
	return nil
}

// fromStatus completes a status that some other code made: transport, generated stubs, a foreign server.
func fromStatus(s *status.Status) *status.Status {
	if s.Code() == codes.OK || Info(s) != nil {
		return s
	}
	switch s.Code() {
	case codes.Unimplemented:
		return encode(apierr.Unimplemented(apierr.ReasonNotImplemented, "this version does not have it"))
	case codes.Unavailable:
		return encode(apierr.Unavailable(apierr.ReasonUnavailable, "a part of the system cannot be reached; try again"))
	case codes.DeadlineExceeded:
		return encode(apierr.DeadlineExceeded(apierr.ReasonDeadlineExceeded, "the call took longer than its deadline"))
	case codes.Canceled:
		return encode(apierr.Canceled(apierr.ReasonCanceled, "the caller gave the call up"))
	case codes.ResourceExhausted:
		return encode(apierr.ResourceExhausted(apierr.ReasonMessageTooLarge, "a message is larger than the transport takes"))
	case codes.InvalidArgument:
		return encode(apierr.Invalid(apierr.ReasonInvalidRequest, s.Message()))
	default:
		return encode(apierr.Internal(apierr.ReasonInternal, "internal error; report it with the request ID"))
	}
}

func encode(e *apierr.Error) *status.Status {
	s := status.New(codeOf(e.Kind()), valid(e.Message()))
	metadata := e.Metadata()
	for k, v := range metadata {
		metadata[k] = valid(v)
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(e.Reason()), Domain: Domain, Metadata: metadata}}
	if fields := e.Fields(); len(fields) > 0 {
		bad := &errdetails.BadRequest{}
		for _, f := range fields {
			bad.FieldViolations = append(bad.FieldViolations,
				&errdetails.BadRequest_FieldViolation{Field: valid(f.Path), Description: valid(f.Description)})
		}
		details = append(details, bad)
	}
	full, err := s.WithDetails(details...)
	if err != nil { // only for OK or texts that are not UTF-8, and both are excluded
		return s
	}
	return full
}

// valid keeps hostile bytes (a path, a revision) from making the whole status unencodable.
func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func codeOf(k apierr.Kind) codes.Code {
	switch k {
	case apierr.KindInvalid:
		return codes.InvalidArgument
	case apierr.KindNotFound:
		return codes.NotFound
	case apierr.KindAlreadyExists:
		return codes.AlreadyExists
	case apierr.KindPrecondition:
		return codes.FailedPrecondition
	case apierr.KindAborted:
		return codes.Aborted
	case apierr.KindOutOfRange:
		return codes.OutOfRange
	case apierr.KindUnavailable:
		return codes.Unavailable
	case apierr.KindDeadlineExceeded:
		return codes.DeadlineExceeded
	case apierr.KindCanceled:
		return codes.Canceled
	case apierr.KindPermissionDenied:
		return codes.PermissionDenied
	case apierr.KindUnauthenticated:
		return codes.Unauthenticated
	case apierr.KindResourceExhausted:
		return codes.ResourceExhausted
	case apierr.KindUnimplemented:
		return codes.Unimplemented
	case apierr.KindInternal:
		return codes.Internal
	default:
		return codes.Internal
	}
}

func kindOf(c codes.Code) apierr.Kind {
	for k := apierr.KindInternal; k <= apierr.KindUnimplemented; k++ {
		if codeOf(k) == c {
			return k
		}
	}
	return apierr.KindInternal
}
