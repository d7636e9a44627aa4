// Package bustest is the suite that every adapter of bus.Bus passes. A hint may be lost, so a test publishes until it is
// heard; what an adapter must never do is invent one, or block its publisher.
package bustest

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus"
)

// Run runs the suite. newBus returns a bus whose end is the test's.
func Run(t *testing.T, newBus func(t *testing.T) bus.Bus) {
	t.Helper()
	tests := map[string]func(t *testing.T, b bus.Bus){
		"a hint reaches every subscriber of its topic": reaches,
		"the largest value stays":                      largest,
		"several hints may be one":                     coalesced,
		"nobody listens, or somebody does not look":    unheard,
		"a closed subscription hears nothing":          closed,
		"many at once":                                 many,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBus(t))
		})
	}
}

func subscribe(t *testing.T, b bus.Bus, topic string) bus.Subscription {
	t.Helper()
	s, err := b.Subscribe(t.Context(), topic)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// hear publishes until the subscription has woken with the value or a larger one.
func hear(t *testing.T, b bus.Bus, s bus.Subscription, topic string, value int64) {
	t.Helper()
	for range 200 {
		b.Publish(t.Context(), topic, value)
		select {
		case <-s.Wake():
			if s.Value() >= value {
				return
			}
		case <-time.After(100 * time.Millisecond):
		}
	}
	require.FailNow(t, "no hint came")
}

func reaches(t *testing.T, b bus.Bus) {
	first, second, other := subscribe(t, b, "a"), subscribe(t, b, "a"), subscribe(t, b, "b")
	require.Zero(t, first.Value())
	hear(t, b, first, "a", 7)
	hear(t, b, second, "a", 7)
	require.Equal(t, int64(7), first.Value())
	require.Equal(t, int64(7), second.Value())
	hear(t, b, other, "b", 1)
	require.Equal(t, int64(1), other.Value(), "the other topic's hints did not come here")
}

func largest(t *testing.T, b bus.Bus) {
	s := subscribe(t, b, "a")
	hear(t, b, s, "a", 9)
	hear(t, b, s, "a", 3)
	require.Equal(t, int64(9), s.Value())
}

func coalesced(t *testing.T, b bus.Bus) {
	s := subscribe(t, b, "a")
	for i := range int64(1000) {
		b.Publish(t.Context(), "a", i)
	}
	hear(t, b, s, "a", 1000)
	require.Equal(t, int64(1000), s.Value())
}

func unheard(t *testing.T, b bus.Bus) {
	subscribe(t, b, "a")
	for i := range int64(1000) {
		b.Publish(t.Context(), "a", i)
		b.Publish(t.Context(), "nobody", i)
	}
}

func closed(t *testing.T, b bus.Bus) {
	s, stays := subscribe(t, b, "a"), subscribe(t, b, "a")
	s.Close()
	s.Close()
	hear(t, b, stays, "a", 5)
	require.Zero(t, s.Value())
	require.Empty(t, s.Wake())
}

func many(t *testing.T, b bus.Bus) {
	var wg sync.WaitGroup
	for i := range int64(8) {
		wg.Go(func() {
			for range 50 {
				s, err := b.Subscribe(t.Context(), "a")
				if err != nil {
					t.Error(err)
					return
				}
				b.Publish(t.Context(), "a", i)
				s.Close()
			}
		})
	}
	wg.Wait()
}
