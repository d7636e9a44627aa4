package peers

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/services/review"
)

// callError says which call failed and, where the service cannot be reached, that it is review.ErrUnavailable. The end
// of the caller's own context stays what it is.
func callError(ctx context.Context, call string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%s: %w", call, cause)
	}
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
		return fmt.Errorf("%s: %w: %w", call, review.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", call, errors.Join(rpcstatus.Parse(err)))
}
