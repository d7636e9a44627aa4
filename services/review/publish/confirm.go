package publish

import (
	"context"
	"fmt"
	"time"

	"witan.dev/services/review"
)

// maxHeld is how old a confirmation may be when what it is for is sent: no other process takes a job from a worker that gave a
// sign of life so short a time ago (own choice; workers are taken for dead after six seconds of silence).
const maxHeld = 2 * time.Second

type confirming struct{}

// Confirming has every write at the forge under the context confirmed directly before it is sent, behind all queues: still fails
// where another process has the job by now. Its writes would come beside that one's.
func Confirming(ctx context.Context, still func(context.Context) error) context.Context {
	return context.WithValue(ctx, confirming{}, still)
}

// Confirm asks whether what was begun under the context is still to be done. The function that it returns is called when nothing
// is left but to send, and fails where the process stood still since. Its error is review.ErrUnavailable: to be tried again, by
// whoever has the job then.
func Confirm(ctx context.Context, clock func() time.Time) (fresh func() error, err error) {
	still, ok := ctx.Value(confirming{}).(func(context.Context) error)
	if !ok {
		return func() error { return nil }, nil
	}
	begun := clock()
	if err := still(ctx); err != nil {
		return nil, err
	}
	return func() error {
		if held := clock().Sub(begun); held > maxHeld {
			return fmt.Errorf("nothing was sent, since the process stood still for %s: %w", held.Round(time.Millisecond), review.ErrUnavailable)
		}
		return nil
	}, nil
}
