package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"

	"witan.dev/internal/apierr/rpcstatus"
)

// logCall writes one line for each call: at error where the fault is ours, with the cause that the caller does not see;
// at debug otherwise.
func (s *Server) logCall(ctx context.Context, c call, next func(context.Context) error) error {
	start := time.Now()
	err := next(ctx)
	st := rpcstatus.From(err)
	attrs := []slog.Attr{
		slog.String("request_id", RequestID(ctx)),
		slog.String("method", c.method),
		slog.String("code", st.Code().String()),
		slog.Duration("duration", time.Since(start)),
	}
	level := slog.LevelDebug
	if err != nil {
		attrs = append(attrs, slog.String("reason", rpcstatus.Info(st).GetReason()))
	}
	switch st.Code() {
	case codes.Internal, codes.Unknown, codes.DataLoss:
		level = slog.LevelError
		attrs = append(attrs, slog.Any("cause", cause(err)))
	default:
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", p.stack))
	}
	s.deps.Logger.LogAttrs(ctx, level, "rpc call", attrs...)
	return err
}

// cause is what was mapped away.
func cause(err error) error {
	if m, ok := errors.AsType[*mappedError](err); ok {
		return m.cause
	}
	return err
}
