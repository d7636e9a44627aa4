// Package watch follows the logs of jobs for any number of viewers: one reader per watched job, however many watch it.
// A viewer is a position in the log and nothing else, so one that stalls costs nobody anything.
package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"witan.dev/internal/bus"
	"witan.dev/internal/job"
)

const (
	// ringEvents and ringBytes bound what is kept in memory of one log, with the frames made of it. Whoever is further
	// behind reads the store.
	ringEvents = 1024
	ringBytes  = 2 << 20
	// page is how many events one read of the store returns.
	page = 500
	// safetyPoll is how long a lost hint delays an event at most.
	safetyPoll = time.Second
)

// ErrStopped ends viewers when the hub stops. The viewer's position is good for a later one.
var ErrStopped = errors.New("watch: the hub has stopped")

// Store is what a hub reads.
type Store interface {
	Get(ctx context.Context, id job.ID) (job.Job, error)
	Events(ctx context.Context, id job.ID, after int64, limit int) ([]job.Event, error)
	LastSeqs(ctx context.Context, ids []job.ID) (map[job.ID]int64, error)
	States(ctx context.Context, ids []job.ID) (map[job.ID]job.State, error)
}

// After returns a channel that receives once when d has passed, as time.After does.
type After func(d time.Duration) <-chan time.Time

// Hub holds the tails of the jobs that are watched at the moment. Safe for concurrent use.
type Hub struct {
	store  Store
	bus    bus.Bus
	after  After
	logger *slog.Logger

	ctx  context.Context //nolint:containedctx // ends every tail of this hub
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex
	tails   map[job.ID]*tail
	awaited map[*awaited]struct{}
	started bool
	// polled is closed and replaced after each safety poll.
	polled chan struct{}
}

// NewHub returns a hub that reads store and is woken by b. after is the clock of the safety poll; nil means time.After.
func NewHub(store Store, b bus.Bus, after After, logger *slog.Logger) *Hub {
	if after == nil {
		after = time.After
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Hub{
		store: store, bus: b, after: after, logger: logger, ctx: ctx, stop: stop,
		tails: make(map[job.ID]*tail), awaited: make(map[*awaited]struct{}), polled: make(chan struct{}),
	}
}

// Start begins the safety poll. Viewers may be opened before; until then only hints wake them.
func (h *Hub) Start(context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.ctx.Err() != nil {
		return errors.New("watch: the hub was started or stopped before")
	}
	h.started = true
	h.work.Go(h.poll)
	return nil
}

// Stop ends all viewers with ErrStopped and waits for the hub's goroutines. It may be called twice and before Start.
func (h *Hub) Stop(context.Context) error {
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	h.work.Wait()
	return nil
}

// poll asks where all watched logs are, in one query, and wakes the tails that are behind: their hint was lost.
func (h *Hub) poll() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.after(safetyPoll):
		}
		if err := errors.Join(h.pollOnce(), h.pollEnds()); err != nil && h.ctx.Err() == nil {
			h.logger.WarnContext(h.ctx, "watched jobs could not be looked up", "error", err)
		}
		h.mu.Lock()
		close(h.polled)
		h.polled = make(chan struct{})
		h.mu.Unlock()
	}
}

// nextPoll is closed after the next safety poll.
func (h *Hub) nextPoll() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.polled
}

func (h *Hub) pollOnce() error {
	h.mu.Lock()
	tails := maps.Clone(h.tails)
	h.mu.Unlock()
	if len(tails) == 0 {
		return nil
	}
	for _, t := range tails {
		if t.deaf.Load() {
			t.wake()
		}
	}
	seqs, err := h.store.LastSeqs(h.ctx, slices.Collect(maps.Keys(tails)))
	if err != nil {
		return err
	}
	for id, t := range tails {
		if seq, ok := seqs[id]; ok {
			t.reached(seq)
		} else {
			t.lost()
		}
	}
	return nil
}

// Open begins to view a job after a position: 0 is the beginning. It returns job.ErrNotFound, job.ErrSequenceAhead for a
// position beyond the log, and job.ErrHistoryExpired for one whose next event is no longer kept. The caller closes the
// viewer.
func (h *Hub) Open(ctx context.Context, id job.ID, after int64) (*Viewer, error) {
	j, err := h.store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := j.Follows(after, time.Now()); err != nil {
		return nil, err
	}
	t, err := h.join(j)
	if err != nil {
		return nil, err
	}
	return &Viewer{hub: h, tail: t, job: j, after: max(after, 0)}, nil
}

// join returns the job's tail with one more viewer, and starts it where there is none.
func (h *Hub) join(j job.Job) (*tail, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return nil, ErrStopped
	}
	if t, ok := h.tails[j.ID]; ok {
		t.viewers++
		t.reached(j.LastSeq)
		return t, nil
	}
	t := newTail(h, j)
	h.tails[j.ID] = t
	h.work.Go(t.run)
	return t, nil
}

// leave takes one viewer off; the last one ends the tail.
func (h *Hub) leave(t *tail) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.viewers--; t.viewers == 0 {
		delete(h.tails, t.id)
		t.end()
	}
}
