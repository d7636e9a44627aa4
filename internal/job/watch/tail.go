package watch

import (
	"context"
	"sync"

	"witan.dev/internal/bus"
	"witan.dev/internal/job"
)

// tail reads the end of one log once for all its viewers.
type tail struct {
	hub     *Hub
	id      job.ID
	sub     bus.Subscription
	poke    chan struct{}
	ctx     context.Context //nolint:containedctx // ends with the last viewer or the hub
	end     context.CancelFunc
	viewers int // guarded by hub.mu

	mu sync.RWMutex
	// ring holds the newest events; the one before it has the number base.
	ring  []job.Event
	base  int64
	bytes int
	// final: the newest event ends its attempt.
	final bool
	// changed is closed and replaced whenever the ring has grown.
	changed chan struct{}
}

func newTail(h *Hub, j job.Job, sub bus.Subscription) *tail {
	ctx, end := context.WithCancel(h.ctx)
	return &tail{
		hub: h, id: j.ID, sub: sub, poke: make(chan struct{}, 1), ctx: ctx, end: end, viewers: 1,
		base: j.LastSeq, final: j.State.Terminal(), changed: make(chan struct{}),
	}
}

// last is the number of the newest event known. The caller holds mu.
func (t *tail) last() int64 { return t.base + int64(len(t.ring)) }

// run reads what is new at each hint until the last viewer leaves.
func (t *tail) run() {
	defer t.sub.Close()
	for {
		if err := t.catchUp(); err != nil && t.ctx.Err() == nil {
			t.hub.logger.WarnContext(t.ctx, "a watched log could not be read; the next poll tries again", "job_id", t.id, "error", err)
		}
		select {
		case <-t.ctx.Done():
			return
		case <-t.sub.Wake():
		case <-t.poke:
		}
	}
}

func (t *tail) catchUp() error {
	for {
		t.mu.RLock()
		after := t.last()
		t.mu.RUnlock()
		events, err := t.hub.store.Events(t.ctx, t.id, after, page)
		if err != nil || len(events) == 0 {
			return err
		}
		t.grow(events)
		if whole(events) {
			return nil
		}
	}
}

// whole says that a read ended with the log, not at one of its bounds.
func whole(events []job.Event) bool {
	bytes := 0
	for _, e := range events {
		bytes += len(e.Payload)
	}
	return len(events) < page && bytes < job.EventsBytes
}

// grow appends events, drops the oldest beyond the bounds, and wakes the viewers.
func (t *tail) grow(events []job.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring = append(t.ring, events...)
	for _, e := range events {
		t.bytes += size(e)
	}
	drop := 0
	for left := len(t.ring); left > 0 && (left > ringEvents || t.bytes > ringBytes); left-- {
		t.bytes -= size(t.ring[drop])
		drop++
	}
	if drop > 0 {
		t.base += int64(drop)
		t.ring = append(make([]job.Event, 0, ringEvents), t.ring[drop:]...)
	}
	t.final = events[len(events)-1].Final
	close(t.changed)
	t.changed = make(chan struct{})
}

// overhead is about what an event costs in memory beside its payload.
const overhead = 200

func size(e job.Event) int { return overhead + len(e.Payload) + len(e.Key) }

// behind wakes the reader when the log is known to be longer.
func (t *tail) behind(seq int64) {
	t.mu.RLock()
	last := t.last()
	t.mu.RUnlock()
	if seq <= last {
		return
	}
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// window is what the tail knows behind a position.
type window struct {
	events []job.Event
	// older: the position lies before the ring, so the store has to be read.
	older bool
	// ended: the position is the log's end, and the attempt is over.
	ended   bool
	changed <-chan struct{}
}

// from returns at most limit events behind a position.
func (t *tail) from(after int64, limit int) window {
	t.mu.RLock()
	defer t.mu.RUnlock()
	w := window{changed: t.changed}
	switch {
	case after < t.base:
		w.older = true
	case after < t.last():
		rest := t.ring[after-t.base:]
		w.events = append([]job.Event(nil), rest[:min(limit, len(rest))]...)
	default:
		w.ended = t.final
	}
	return w
}
