package watch

import (
	"context"
	"sync"
	"sync/atomic"

	"witan.dev/internal/job"
)

// tail reads the end of one log once for all its viewers.
type tail struct {
	hub  *Hub
	id   job.ID
	poke chan struct{}
	// deaf: the bus is not subscribed to, so that only the poll tells of new events; muted: that was logged.
	deaf, muted atomic.Bool
	ctx         context.Context //nolint:containedctx // ends with the last viewer or the hub
	end         context.CancelFunc
	viewers     int // guarded by hub.mu
	// first is the number of the oldest event that was kept when the tail began.
	first int64
	// folding is held by the one who reads the log for the first snapshot.
	folding chan struct{}

	mu sync.RWMutex
	// ring holds the newest events; the one before it has the number base. Viewers share its array: what lies in it is
	// never written again.
	ring  []*Entry
	base  int64
	bytes int
	// known is a number that the log has reached, whether or not it was read that far.
	known int64
	// final: the newest event ends its attempt.
	final bool
	// gone: the job is no more.
	gone    bool
	running running
	// changed is closed and replaced whenever there is something new to say.
	changed chan struct{}
}

func newTail(h *Hub, j job.Job) *tail {
	ctx, end := context.WithCancel(h.ctx)
	t := &tail{
		hub: h, id: j.ID, poke: make(chan struct{}, 1), ctx: ctx, end: end, viewers: 1, first: j.FirstAvailableSeq,
		folding: make(chan struct{}, 1),
		base:    j.LastSeq, known: j.LastSeq, final: j.State.Terminal(), changed: make(chan struct{}),
	}
	t.deaf.Store(true)
	return t
}

// last is the number of the newest event that was read. The caller holds mu.
func (t *tail) last() int64 { return t.base + int64(len(t.ring)) }

// run reads what is new at each hint until the last viewer leaves. It reads once more when it has begun to listen, so
// nothing falls between; until then, and where it cannot listen, the poll is enough.
func (t *tail) run() {
	hints := listenTo(t.ctx, t.hub.bus, job.SeqTopic(t.id), t.mute)
	defer hints.close()
	for {
		hints.open()
		if err := t.catchUp(); err != nil && t.ctx.Err() == nil {
			t.hub.logger.WarnContext(t.ctx, "a watched log could not be read; the next poll tries again", "job_id", t.id, "error", err)
		}
		select {
		case <-t.ctx.Done():
			return
		case sub := <-hints.subscribed:
			if hints.accept(sub) {
				t.deaf.Store(false)
			}
		case <-hints.wake:
		case <-t.poke:
		}
	}
}

// mute says once for a row of failures that there are no hints.
func (t *tail) mute(err error) {
	if !t.muted.Swap(true) && t.ctx.Err() == nil {
		t.hub.logger.WarnContext(t.ctx, "no hints of a watched job; it is looked at once a second", "job_id", t.id, "error", err)
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
	for _, e := range entries(events) {
		t.ring = append(t.ring, e)
		t.bytes += e.size()
		t.running.add(e)
	}
	drop := 0
	for left := len(t.ring); left > 0 && (left > ringEvents || t.bytes > ringBytes); left-- {
		t.bytes -= t.ring[drop].size()
		drop++
	}
	if drop > 0 {
		t.base += int64(drop)
		t.ring = append(make([]*Entry, 0, ringEvents), t.ring[drop:]...)
	}
	t.known = max(t.known, t.last())
	t.final = events[len(events)-1].Final
	t.announce()
}

// announce wakes the viewers. The caller holds mu.
func (t *tail) announce() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// reached wakes the reader when the log is known to be longer than what was read.
func (t *tail) reached(seq int64) {
	t.mu.Lock()
	t.known = max(t.known, seq)
	behind := t.known > t.last()
	t.mu.Unlock()
	if behind {
		t.wake()
	}
}

func (t *tail) wake() {
	select {
	case t.poke <- struct{}{}:
	default:
	}
}

// lost ends the viewers of a job that is no more.
func (t *tail) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone {
		t.gone = true
		t.announce()
	}
}

// window is what the tail knows behind a position.
type window struct {
	entries []*Entry
	// older: the position lies before the ring, so the store has to be read.
	older bool
	// ended: the position is the log's end, and the attempt is over.
	ended bool
	// gone: the job is no more.
	gone    bool
	changed <-chan struct{}
}

// from returns at most limit events behind a position.
func (t *tail) from(after int64, limit int) window {
	t.mu.RLock()
	defer t.mu.RUnlock()
	w := window{changed: t.changed, gone: t.gone}
	switch {
	case after < t.base:
		w.older = true
	case after < t.last():
		begin := int(after - t.base)
		end := min(begin+limit, len(t.ring))
		w.entries = t.ring[begin:end:end]
	default:
		// What was read last ended an attempt; a retry may have gone on since then, and the log be longer.
		w.ended = t.final && t.last() >= t.known
	}
	return w
}
