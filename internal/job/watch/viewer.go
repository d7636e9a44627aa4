package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"witan.dev/internal/job"
)

const (
	// batch is how many events a viewer takes at once.
	batch = 128
	// viewerBytes bounds their payloads, give or take the last one, where they are the viewer's alone: what one holds
	// that does not read is bounded so. Whoever sends them holds two such batches, one that is written and one that waits.
	viewerBytes = 512 << 10
)

// Viewer is one position in one log. For one goroutine at a time, except Close.
type Viewer struct {
	hub   *Hub
	tail  *tail
	job   job.Job // as it was when the viewer was opened
	after int64
	// away: the store could not be read the last time.
	away bool
	once sync.Once
}

// After is the number of the last event that was returned, a place to come back to.
func (v *Viewer) After() int64 { return v.after }

// Snapshot returns the job as it is now, moves the viewer to its last event, and returns what its log amounts to up to
// exactly that event, so that nothing falls between the two. begin makes an empty fold; nil, or a job that had ended when
// the viewer was opened, means that no fold is needed, and none is returned.
func (v *Viewer) Snapshot(ctx context.Context, begin func() Fold) (job.Job, Fold, error) {
	var fold Fold
	var seq int64
	if begin != nil && !v.job.State.Terminal() {
		var err error
		if fold, seq, err = v.tail.snapshot(ctx, begin); err != nil {
			return job.Job{}, nil, fmt.Errorf("fold the log of job %s: %w", v.tail.id, err)
		}
	}
	// The row is read after the fold was copied: row and events commit together, so it is never behind.
	j, err := v.hub.store.Get(ctx, v.tail.id)
	if err != nil {
		return job.Job{}, nil, err
	}
	for fold != nil && seq < j.LastSeq {
		read, err := v.read(ctx, seq, j.LastSeq)
		if err != nil {
			return job.Job{}, nil, err
		}
		for _, e := range read {
			if err := fold.Add(e.Event); err != nil {
				return job.Job{}, nil, fmt.Errorf("fold the log of job %s: %w", v.tail.id, err)
			}
			seq = e.Seq
		}
	}
	v.tail.reached(j.LastSeq)
	v.after = j.LastSeq
	return j, fold, nil
}

// read returns some events behind a position, at least one, and none behind last.
func (v *Viewer) read(ctx context.Context, after, last int64) ([]*Entry, error) {
	limit := int(min(batch, last-after))
	if w := v.tail.from(after, limit); len(w.entries) > 0 {
		return w.entries, nil
	}
	events, err := v.hub.store.Events(ctx, v.tail.id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the log of job %s after %d: %w", v.tail.id, after, err)
	}
	if len(events) == 0 || events[0].Seq != after+1 {
		return nil, job.ErrHistoryExpired
	}
	return entries(events), nil
}

// Poll returns the next events without waiting for new ones; after some, there may be more at once. Without any, it
// returns a channel that is closed when there may be some. A store that cannot be read makes the viewer wait as well.
// io.EOF: the final event has been returned, nothing follows in this attempt. Other errors are final: ErrStopped,
// job.ErrHistoryExpired, job.ErrNotFound for a job that is no more, or the end of ctx.
func (v *Viewer) Poll(ctx context.Context) (events []*Entry, changed <-chan struct{}, err error) {
	if v.hub.ctx.Err() != nil {
		return nil, nil, ErrStopped
	}
	w := v.tail.from(v.after, batch)
	switch {
	case w.gone:
		return nil, nil, job.ErrNotFound
	case w.ended:
		return nil, nil, io.EOF
	case w.older:
		if events, changed, err = v.older(ctx); err != nil || len(events) == 0 {
			return nil, changed, err
		}
	case len(w.entries) == 0:
		return nil, w.changed, nil
	default:
		events = w.entries
	}
	v.after = events[len(events)-1].Seq
	return events, nil, nil
}

// older reads what no longer lies in the ring.
func (v *Viewer) older(ctx context.Context) ([]*Entry, <-chan struct{}, error) {
	polled := v.hub.nextPoll()
	events, err := v.hub.store.Events(ctx, v.tail.id, v.after, batch)
	if err == nil && (len(events) == 0 || events[0].Seq != v.after+1) {
		if _, err = v.hub.store.Get(ctx, v.tail.id); err == nil {
			return nil, nil, job.ErrHistoryExpired
		}
	}
	switch {
	case err == nil:
		v.away = false
		return entries(head(events)), nil, nil
	case ctx.Err() != nil:
		return nil, nil, context.Cause(ctx)
	case errors.Is(err, job.ErrNotFound):
		return nil, nil, job.ErrNotFound
	case !v.away:
		v.away = true
		v.hub.logger.WarnContext(ctx, "a viewer's part of a log could not be read; it tries again with each poll", "job_id", v.tail.id, "error", err)
	}
	return nil, polled, nil
}

// head is as much of events as a viewer may hold.
func head(events []job.Event) []job.Event {
	bytes := 0
	for i, e := range events {
		if bytes += len(e.Payload); bytes >= viewerBytes {
			return events[:i+1]
		}
	}
	return events
}

// Next returns the next events, at least one, and waits for them until ctx ends. io.EOF: nothing follows. ErrStopped:
// the hub has stopped.
func (v *Viewer) Next(ctx context.Context) ([]*Entry, error) {
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
