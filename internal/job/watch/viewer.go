package watch

import (
	"context"
	"fmt"
	"io"
	"sync"

	"witan.dev/internal/job"
)

// batch is how many events a viewer takes at once.
const batch = 256

// Viewer is one position in one log. For one goroutine at a time, except Close.
type Viewer struct {
	hub   *Hub
	tail  *tail
	after int64
	once  sync.Once
}

// After is the number of the last event that was returned, a place to come back to.
func (v *Viewer) After() int64 { return v.after }

// Poll returns the next events without waiting for new ones; after some, there may be more at once. Without any, it
// returns a channel that is closed when there may be some. io.EOF: the final event has been returned, nothing follows in
// this attempt.
func (v *Viewer) Poll(ctx context.Context) (events []job.Event, changed <-chan struct{}, err error) {
	if v.hub.ctx.Err() != nil {
		return nil, nil, ErrStopped
	}
	w := v.tail.from(v.after, batch)
	events = w.events
	if w.older {
		if events, err = v.hub.store.Events(ctx, v.tail.id, v.after, batch); err != nil {
			return nil, nil, fmt.Errorf("read the log of job %s after %d: %w", v.tail.id, v.after, err)
		}
		if len(events) == 0 || events[0].Seq != v.after+1 {
			return nil, nil, job.ErrHistoryExpired
		}
	}
	if w.ended {
		return nil, nil, io.EOF
	}
	if len(events) > 0 {
		v.after = events[len(events)-1].Seq
		return events, nil, nil
	}
	return nil, w.changed, nil
}

// Next returns the next events, at least one, and waits for them until ctx ends. io.EOF: nothing follows. ErrStopped:
// the hub has stopped.
func (v *Viewer) Next(ctx context.Context) ([]job.Event, error) {
	for {
		events, changed, err := v.Poll(ctx)
		if err != nil || len(events) > 0 {
			return events, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-v.hub.ctx.Done():
		}
	}
}

// Done is closed when the hub stops.
func (v *Viewer) Done() <-chan struct{} { return v.hub.ctx.Done() }

// Close gives the viewer up. It may be called twice.
func (v *Viewer) Close() { v.once.Do(func() { v.hub.leave(v.tail) }) }
