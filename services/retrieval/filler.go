package retrieval

import (
	"context"
	"log/slog"
	"sync"
)

// maxFills is how many views wait to be filled; further ones are asked for again by the next search.
const maxFills = 8

// Filler puts views into rankings that lack them, one after the other: those that were indexed before there were such
// rankings, or before they were lost. Stop may come before Start, and twice.
type Filler struct {
	rankings Rankings
	logger   *slog.Logger
	views    chan *View

	ctx  context.Context //nolint:containedctx // ends with the filler
	stop context.CancelFunc
	work sync.WaitGroup
}

// NewFiller returns a filler of rankings.
func NewFiller(rankings Rankings, logger *slog.Logger) *Filler {
	ctx, stop := context.WithCancel(context.Background())
	return &Filler{rankings: rankings, logger: logger, views: make(chan *View, maxFills), ctx: ctx, stop: stop}
}

// Start begins to fill.
func (f *Filler) Start(context.Context) error {
	f.work.Go(func() {
		for {
			select {
			case <-f.ctx.Done():
				return
			case v := <-f.views:
				f.fill(v)
			}
		}
	})
	return nil
}

// Stop ends the filler; a view that is being filled is given up.
func (f *Filler) Stop(context.Context) error {
	f.stop()
	f.work.Wait()
	return nil
}

// ask wants a view to be filled, unless it waits already.
func (f *Filler) ask(v *View) {
	if !v.filling.CompareAndSwap(false, true) {
		return
	}
	select {
	case f.views <- v:
	default:
		v.filling.Store(false)
	}
}

func (f *Filler) fill(v *View) {
	defer v.filling.Store(false)
	written, err := f.rankings.Put(f.ctx, v.Scope(), v.files)
	switch {
	case f.ctx.Err() != nil:
	case err != nil:
		f.logger.WarnContext(f.ctx, "the search index was not filled; the next search asks again", "index", string(v.index.ID), "error", err)
	default:
		f.logger.InfoContext(f.ctx, "the search index was filled", "index", string(v.index.ID), "chunks", written)
	}
}
