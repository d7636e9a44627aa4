package rpc

import (
	"context"

	"witan.dev/internal/auth"
)

func (s *Server) authenticate(ctx context.Context, _ call, next func(context.Context) error) error {
	principal, err := s.deps.Auth.Authenticate(ctx, header(ctx, "authorization"))
	if err != nil {
		return err
	}
	return next(auth.With(ctx, principal))
}
