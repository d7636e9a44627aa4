package blob

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	collectEvery = time.Hour
	collectBatch = 1000
)

// Collector removes blobs whose time is over, now and then. Stop may come before Start, and twice.
type Collector struct {
	store  Store
	now    func() time.Time
	after  func(time.Duration) <-chan time.Time
	logger *slog.Logger

	ctx  context.Context //nolint:containedctx // ends with the collector, and a collection that hangs with it
	stop context.CancelFunc
	work sync.WaitGroup
}

// NewCollector returns a collector of the store's blobs. now and after are its clock; nil means the real one.
func NewCollector(store Store, now func() time.Time, after func(time.Duration) <-chan time.Time, logger *slog.Logger) *Collector {
	if now == nil {
		now = time.Now
	}
	if after == nil {
		after = time.After
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Collector{store: store, now: now, after: after, logger: logger, ctx: ctx, stop: stop}
}

// Start begins to collect, at once and then every hour.
func (c *Collector) Start(context.Context) error {
	c.work.Go(func() {
		for {
			c.collect(c.ctx)
			select {
			case <-c.ctx.Done():
				return
			case <-c.after(collectEvery):
			}
		}
	})
	return nil
}

// Stop ends the collector and a collection that is under way.
func (c *Collector) Stop(context.Context) error {
	c.stop()
	c.work.Wait()
	return nil
}

func (c *Collector) collect(ctx context.Context) {
	for {
		n, err := c.store.Collect(ctx, c.now(), collectBatch)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.logger.WarnContext(ctx, "expired blobs were not removed", "error", err)
			return
		}
		if n < collectBatch {
			return
		}
	}
}
