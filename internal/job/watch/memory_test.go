package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
)

var errAway = errors.New("the store is away")

// memory is one job's log whose store can fail, and which can do to the log what no fixture of a real store reaches
// quickly: retry, expire, remove. It starts with two events, as a job that has begun.
type memory struct {
	mu     sync.Mutex
	job    job.Job
	events []job.Event
	away   bool
	gone   bool
	reads  int // of events
	// looked receives after each look at the job's state.
	looked chan struct{}
}

func newMemory() *memory {
	m := &memory{
		job:    job.Job{ID: job.NewID(), State: job.StateRunning, Attempt: 1, Epoch: 1, FirstAvailableSeq: 1},
		looked: make(chan struct{}, 100),
	}
	m.add(2)
	return m
}

// add appends events without telling anybody.
func (m *memory) add(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		m.append(false)
	}
}

func (m *memory) append(final bool) {
	m.job.LastSeq++
	m.events = append(m.events, job.Event{
		JobID: m.job.ID, Seq: m.job.LastSeq, Key: fmt.Sprint(m.job.LastSeq), Attempt: m.job.Attempt, Type: "test.event", Final: final,
	})
}

func (m *memory) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(true)
	m.job.State = job.StateFailed
}

// retry continues the log as RetryJob does.
func (m *memory) retry() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.job.State = job.StateQueued
	m.job.Attempt++
	m.append(false)
}

// expire forgets the log.
func (m *memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.job.FirstAvailableSeq = m.job.LastSeq + 1
	m.events = nil
}

func (m *memory) set(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

func (m *memory) Get(context.Context, job.ID) (job.Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.away:
		return job.Job{}, errAway
	case m.gone:
		return job.Job{}, job.ErrNotFound
	}
	return m.job, nil
}

func (m *memory) Events(_ context.Context, _ job.ID, after int64, limit int) ([]job.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.away {
		return nil, errAway
	}
	if m.gone {
		return nil, nil
	}
	begin := min(max(after-m.job.FirstAvailableSeq+1, 0), int64(len(m.events)))
	rest := m.events[begin:]
	return append([]job.Event(nil), rest[:min(limit, len(rest))]...), nil
}

func (m *memory) LastSeqs(_ context.Context, ids []job.ID) (map[job.ID]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.away:
		return nil, errAway
	case m.gone:
		return nil, nil
	}
	return map[job.ID]int64{ids[0]: m.job.LastSeq}, nil
}

func (m *memory) States(_ context.Context, ids []job.ID) (map[job.ID]job.State, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.looked <- struct{}{}
	switch {
	case m.away:
		return nil, errAway
	case m.gone:
		return nil, nil
	}
	return map[job.ID]job.State{ids[0]: m.job.State}, nil
}

// bench is a started hub over a memory. The test turns the clock of the safety poll.
type bench struct {
	*memory

	bus  bus.Bus
	hub  *watch.Hub
	tick ticks
}

func place(t *testing.T, m *memory, b bus.Bus) *bench {
	t.Helper()
	if b == nil {
		b = inprocess.New()
	}
	f := &bench{memory: m, bus: b, tick: make(ticks)}
	f.hub = watch.NewHub(m, b, f.tick.after, slog.New(slog.DiscardHandler))
	require.NoError(t, f.hub.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, f.hub.Stop(context.Background())) })
	return f
}

func (f *bench) open(t *testing.T, after int64) *watch.Viewer {
	t.Helper()
	v, err := f.hub.Open(t.Context(), f.job.ID, after)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

// hint tells of all that is there.
func (f *bench) hint(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	last := f.job.LastSeq
	f.mu.Unlock()
	f.bus.Publish(t.Context(), job.SeqTopic(f.job.ID), last)
}

// poll lets the safety poll run, at least once from its beginning to its end.
func (f *bench) poll() {
	f.tick <- ticks(nil).zero()
	f.tick <- ticks(nil).zero()
}
