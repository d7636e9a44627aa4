package watch

import (
	"context"

	"witan.dev/internal/job"
)

// Fold is what the events of a log amount to, kept by the tail so that nobody has to read the log for it again.
type Fold interface {
	// Add takes the next event. It may keep the payload, but not change it.
	Add(e job.Event) error
	// Copy returns a fold of its own with the same content. It changes nothing and may run several times at once.
	Copy() Fold
}

// running is a fold that the tail carries on. The zero value has not begun.
type running struct {
	fold Fold
	err  error
}

func (r *running) add(e *Entry) {
	if r.fold != nil && r.err == nil {
		r.err = r.fold.Add(e.Event)
	}
}

// snapshot returns a copy of the tail's fold and the number of the last event in it. The first caller reads the log for
// it; others wait for that one, and from then on the tail carries the fold on.
func (t *tail) snapshot(ctx context.Context, begin func() Fold) (Fold, int64, error) {
	if fold, seq, err := t.copyFold(); fold != nil || err != nil {
		return fold, seq, err
	}
	select {
	case t.folding <- struct{}{}:
		defer func() { <-t.folding }()
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	if fold, seq, err := t.copyFold(); fold != nil || err != nil {
		return fold, seq, err
	}
	if err := t.beginFold(ctx, begin()); err != nil {
		return nil, 0, err
	}
	return t.copyFold()
}

// copyFold returns nil where no fold was begun.
func (t *tail) copyFold() (Fold, int64, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.running.fold == nil || t.running.err != nil {
		return nil, 0, t.running.err
	}
	return t.running.fold.Copy(), t.last(), nil
}

// beginFold adds the log up to where the ring begins, then the ring, and hands the fold to the tail.
func (t *tail) beginFold(ctx context.Context, fold Fold) error {
	for after := t.first - 1; ; {
		base, adopted := t.adopt(fold, after)
		if adopted {
			return nil
		}
		events, err := t.hub.store.Events(ctx, t.id, after, int(min(page, base-after)))
		if err != nil {
			return err
		}
		if len(events) == 0 { // removed meanwhile: nothing of it is being written
			after = base
		}
		for _, e := range events {
			if err := fold.Add(e); err != nil {
				return err
			}
			after = e.Seq
		}
	}
}

// adopt takes a fold of all events up to after, unless the ring begins behind that; then it says where.
func (t *tail) adopt(fold Fold, after int64) (base int64, adopted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.base {
		return t.base, false
	}
	t.running.fold = fold
	for _, e := range t.ring[after-t.base:] {
		t.running.add(e)
	}
	return t.base, true
}
