package rpc

import (
	"context"
	"errors"
	"strings"

	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"witan.dev/internal/auth"
)

// authenticate puts the caller into the context. Health checks are open to all: who asks for them has no token. The
// caller of a stream is looked at again and again, so that a token that was withdrawn ends it.
func (s *Server) authenticate(ctx context.Context, c call, next func(context.Context) error) error {
	if strings.HasPrefix(c.method, "/"+healthgrpc.Health_ServiceDesc.ServiceName+"/") {
		return next(ctx)
	}
	shown := auth.Credentials{Authorization: header(ctx, "authorization"), Owner: header(ctx, auth.OwnerKey)}
	principal, err := s.deps.Auth.Authenticate(ctx, shown)
	if err != nil {
		return err
	}
	ctx = auth.With(ctx, principal)
	if !c.stream {
		return next(ctx)
	}
	return s.whileKnown(ctx, shown, principal, next)
}

// whileKnown runs a stream until its end, or until its caller is not who it was any more.
func (s *Server) whileKnown(ctx context.Context, shown auth.Credentials, principal auth.Principal, next func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for {
			select {
			case <-s.cfg.After(s.cfg.Recheck):
			case <-ctx.Done():
				return
			}
			now, err := s.deps.Auth.Authenticate(ctx, shown)
			if err == nil && now != principal {
				err = auth.ErrTokenInvalid
			}
			if err != nil {
				cancel(&withdrawnError{err})
				return
			}
		}
	}()
	defer func() { cancel(nil); <-watching }()
	err := next(ctx)
	if withdrawn, ok := errors.AsType[*withdrawnError](context.Cause(ctx)); ok && err != nil {
		return withdrawn.refusal
	}
	return err
}

// withdrawnError ends a stream whose caller is not known any more.
type withdrawnError struct{ refusal error }

// Error is the refusal's text.
func (e *withdrawnError) Error() string { return e.refusal.Error() }

// Unwrap is the refusal.
func (e *withdrawnError) Unwrap() error { return e.refusal }
