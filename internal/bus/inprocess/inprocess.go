// Package inprocess is the bus within one process.
package inprocess

import (
	"context"
	"sync"

	"witan.dev/internal/bus"
)

// Bus delivers hints to the subscribers of this process at once. The zero value is ready. Safe for concurrent use.
type Bus struct {
	mu     sync.RWMutex
	topics map[string]map[*subscription]struct{}
}

var _ bus.Bus = (*Bus)(nil)

// New returns an empty bus.
func New() *Bus { return &Bus{} }

// Publish implements bus.Bus.
func (b *Bus) Publish(_ context.Context, topic string, value int64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for s := range b.topics[topic] {
		s.hint(value)
	}
}

// Subscribe implements bus.Bus. It never fails.
func (b *Bus) Subscribe(_ context.Context, topic string) (bus.Subscription, error) {
	s := &subscription{bus: b, topic: topic, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics == nil {
		b.topics = make(map[string]map[*subscription]struct{})
	}
	if b.topics[topic] == nil {
		b.topics[topic] = make(map[*subscription]struct{})
	}
	b.topics[topic][s] = struct{}{}
	return s, nil
}

func (b *Bus) drop(s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.topics[s.topic], s)
	if len(b.topics[s.topic]) == 0 {
		delete(b.topics, s.topic)
	}
}

type subscription struct {
	bus   *Bus
	topic string
	wake  chan struct{}

	mu    sync.Mutex
	value int64
}

func (s *subscription) hint(value int64) {
	s.mu.Lock()
	s.value = max(s.value, value)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // the earlier one has not been looked at and covers this one
	}
}

// Wake implements bus.Subscription.
func (s *subscription) Wake() <-chan struct{} { return s.wake }

// Value implements bus.Subscription.
func (s *subscription) Value() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}

// Close implements bus.Subscription.
func (s *subscription) Close() { s.bus.drop(s) }
