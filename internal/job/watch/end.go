package watch

import (
	"context"
	"maps"
	"slices"
	"time"

	"witan.dev/internal/job"
)

// awaited is one who waits for the end of a job.
type awaited struct {
	id job.ID
	// poke receives when the safety poll has found the job ended.
	poke chan struct{}
}

// AwaitEnd returns nil when the job has ended or is no more, when over receives, or when the hub stops; the end of ctx is
// its error. It reads no log, only the job's state: when it has begun to listen, at each hint of an end, and where the
// safety poll finds one whose hint was lost. While the store cannot be read it waits on. A job that is retried before its
// end was looked at is waited for on.
func (h *Hub) AwaitEnd(ctx context.Context, id job.ID, over <-chan time.Time) error {
	a := &awaited{id: id, poke: make(chan struct{}, 1)}
	h.expect(a)
	defer h.forget(a)
	listening, stop := context.WithCancel(ctx)
	hints := listenTo(listening, h.bus, job.EndTopic(id), func(err error) {
		if ctx.Err() == nil {
			h.logger.WarnContext(ctx, "no hint of the end of a job that is waited for; it is looked at once a second", "job_id", id, "error", err)
		}
	})
	defer func() { stop(); hints.close() }()
	hints.open()
	for {
		select {
		case sub := <-hints.subscribed:
			hints.accept(sub)
		case <-hints.wake:
		case <-a.poke:
		case <-over:
			return nil
		case <-h.ctx.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		states, err := h.store.States(ctx, []job.ID{id})
		if err != nil && ctx.Err() == nil {
			h.logger.WarnContext(ctx, "a job that is waited for could not be read; the next poll tries again", "job_id", id, "error", err)
		}
		if err == nil && isOver(states, id) {
			return nil
		}
	}
}

// isOver says that a job has ended or is no more.
func isOver(states map[job.ID]job.State, id job.ID) bool {
	state, known := states[id]
	return !known || state.Terminal()
}

func (h *Hub) expect(a *awaited) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.awaited[a] = struct{}{}
}

func (h *Hub) forget(a *awaited) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.awaited, a)
}

// pollEnds asks for the states of all jobs that are waited for, in one query, and wakes who waits for one that has ended.
func (h *Hub) pollEnds() error {
	h.mu.Lock()
	waiting := slices.Collect(maps.Keys(h.awaited))
	h.mu.Unlock()
	if len(waiting) == 0 {
		return nil
	}
	ids := make(map[job.ID]struct{}, len(waiting))
	for _, a := range waiting {
		ids[a.id] = struct{}{}
	}
	states, err := h.store.States(h.ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return err
	}
	for _, a := range waiting {
		if isOver(states, a.id) {
			select {
			case a.poke <- struct{}{}:
			default:
			}
		}
	}
	return nil
}
