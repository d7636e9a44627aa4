// Package worker hands stored deliveries over to the review service.
package worker

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"witan.dev/internal/auth"
	"witan.dev/internal/crashpoint"
	"witan.dev/services/ingest"
)

const (
	// callTimeout bounds one call of the review service or the store.
	callTimeout = 30 * time.Second
	// firstPause and maxPause are between two tries of what failed for a reason that may pass.
	firstPause, maxPause = 100 * time.Millisecond, 5 * time.Second
	// cleanEvery is between two looks for what is old; cleanPage is what one transaction removes.
	cleanEvery = time.Hour
	cleanPage  = 500
	// stopTimeout is what giving entries back may take.
	stopTimeout = 2 * time.Second
)

// Params are what an Intake works with.
type Params struct {
	Queue   ingest.Queue
	Store   ingest.Store
	Reviews ingest.Reviews
	// Self is how GitHub knows us.
	Self ingest.Self
	// Owner owns what deliveries start.
	Owner string
	// Concurrency is how many deliveries are handled at once; default 16.
	Concurrency int
	// Keep is how long deliveries are kept; default 30 days.
	Keep time.Duration
	// Lease is that of the queue; default ingest.Lease.
	Lease time.Duration
	// Observe is told what became of a delivery; nil: nobody is.
	Observe func(o ingest.Outcome)
	Logger  *slog.Logger
}

// Intake takes deliveries, finds out what they mean, hands that over and settles them, in this order, so that a crash
// anywhere repeats calls which then change nothing. Stop may come before Start, and twice.
type Intake struct {
	p     Params
	slots chan struct{}

	mu      sync.Mutex
	started bool
	halt    context.CancelFunc
	work    sync.WaitGroup
	inHand  map[string]ingest.Entry // by receipt
}

// New prepares an intake.
func New(p Params) *Intake {
	p.Concurrency, p.Keep, p.Lease = cmp.Or(p.Concurrency, 16), cmp.Or(p.Keep, 30*24*time.Hour), cmp.Or(p.Lease, ingest.Lease)
	if p.Observe == nil {
		p.Observe = func(ingest.Outcome) {}
	}
	return &Intake{p: p, slots: make(chan struct{}, p.Concurrency), inHand: map[string]ingest.Entry{}}
}

// Start begins to take. It waits neither for the queue nor for the store to be there.
func (i *Intake) Start(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.started {
		return errors.New("intake: it was started before")
	}
	i.started = true
	ctx, i.halt = context.WithCancel(context.WithoutCancel(ctx))
	ctx = auth.With(ctx, auth.Principal{Owner: i.p.Owner})
	i.work.Go(func() { i.take(ctx) })
	i.work.Go(func() { i.every(ctx, i.p.Lease/3, i.hold) })
	i.work.Go(func() { i.clean(ctx); i.every(ctx, cleanEvery, i.clean) })
	return nil
}

// Stop takes nothing more and gives back what is not settled: calls are repeated elsewhere, and act once.
func (i *Intake) Stop(ctx context.Context) error {
	i.mu.Lock()
	i.started = true // not to be started any more
	halt := i.halt
	i.halt = nil
	i.mu.Unlock()
	if halt == nil {
		return nil
	}
	halt()
	i.work.Wait()
	var entries []ingest.Entry
	for _, e := range i.inHand {
		entries = append(entries, e)
	}
	clear(i.inHand)
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return i.p.Queue.Release(ctx, entries)
}

func (i *Intake) every(ctx context.Context, pause time.Duration, do func(context.Context)) {
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			do(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// take fills free slots with deliveries until the context ends.
func (i *Intake) take(ctx context.Context) {
	pause := firstPause
	for ctx.Err() == nil {
		free := i.reserve(ctx)
		if free == 0 {
			return
		}
		entries, err := i.p.Queue.Take(ctx, free)
		if len(entries) > 0 {
			crashpoint.Hit(crashpoint.AfterTake)
		}
		i.free(free - len(entries))
		for _, e := range entries {
			i.begin(e)
			i.work.Go(func() { defer i.free(1); i.handle(ctx, e) })
		}
		if err == nil {
			pause = firstPause
			continue
		}
		if ctx.Err() == nil {
			i.p.Logger.WarnContext(ctx, "deliveries cannot be taken at the moment", "error", err)
		}
		pause = wait(ctx, pause)
	}
}

// reserve waits for a free slot and takes all that are; 0 when the context has ended.
func (i *Intake) reserve(ctx context.Context) int {
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n := 1; ; n++ {
		select {
		case i.slots <- struct{}{}:
		default:
			return n
		}
	}
}

func (i *Intake) free(n int) {
	for range n {
		<-i.slots
	}
}

func (i *Intake) begin(e ingest.Entry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.inHand[e.Receipt] = e
}

func (i *Intake) end(e ingest.Entry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.inHand, e.Receipt)
}

// hold tells the queue what is still in hand, such as all that waits for a review service that is away.
func (i *Intake) hold(ctx context.Context) {
	i.mu.Lock()
	var receipts []string
	for receipt := range i.inHand {
		receipts = append(receipts, receipt)
	}
	i.mu.Unlock()
	if err := i.p.Queue.Hold(ctx, receipts); err != nil && ctx.Err() == nil {
		i.p.Logger.WarnContext(ctx, "deliveries in hand may be taken by others too", "error", err)
	}
}

// wait pauses and returns the next pause.
func wait(ctx context.Context, pause time.Duration) time.Duration {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return min(2*pause, maxPause)
}

// clean removes what was kept for long enough.
func (i *Intake) clean(ctx context.Context) {
	before := time.Now().Add(-i.p.Keep)
	for {
		n, err := i.p.Store.Expire(ctx, before, cleanPage)
		if err != nil {
			i.complain(ctx, err)
			return
		}
		if n < cleanPage {
			break
		}
	}
	if err := i.p.Queue.Clean(ctx, before); err != nil {
		i.complain(ctx, err)
	}
}

func (i *Intake) complain(ctx context.Context, err error) {
	if ctx.Err() == nil {
		i.p.Logger.WarnContext(ctx, "old deliveries were not removed; that is tried again", "error", err)
	}
}
