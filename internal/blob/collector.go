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

	stop chan struct{}
	once sync.Once
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
	return &Collector{store: store, now: now, after: after, logger: logger, stop: make(chan struct{})}
}

// Start begins to collect, at once and then every hour.
func (c *Collector) Start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	c.work.Go(func() {
		for {
			c.collect(ctx)
			select {
			case <-c.stop:
				return
			case <-c.after(collectEvery):
			}
		}
	})
	return nil
}

// Stop ends the collection and waits for one that is under way.
func (c *Collector) Stop(context.Context) error {
	c.once.Do(func() { close(c.stop) })
	c.work.Wait()
	return nil
}

func (c *Collector) collect(ctx context.Context) {
	for {
		n, err := c.store.Collect(ctx, c.now(), collectBatch)
		if err != nil {
			c.logger.WarnContext(ctx, "expired blobs were not removed", "error", err)
			return
		}
		if n < collectBatch {
			return
		}
		select {
		case <-c.stop:
			return
		default:
		}
	}
}
