// Package buffertest is the suite that every pair of an ingest.Buffer and its ingest.Queue passes.
package buffertest

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
)

// Fixture is an empty buffer of a test.
type Fixture struct {
	Buffer ingest.Buffer
	// Queue is the buffer's other end, and Other that of another process where the buffer knows several; else the same.
	Queue, Other ingest.Queue
	// Settle settles a delivery where that is what takes it out of the buffer; nil: Done and Bury do.
	Settle func(t *testing.T, id string, state ingest.State)
	// Expire lets the lease of everything in hand end.
	Expire func()
}

// Run runs the suite.
func Run(t *testing.T, setup func(t *testing.T) Fixture) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, f Fixture){
		"what was put is taken once, in its order": taken,
		"nothing to take":                          nothing,
		"no more than was asked for":               bounded,
		"what nobody settles is taken again":       leased,
		"what is held stays":                       held,
		"what was given back is as it was":         released,
		"what is free behind much that is held":    hidden,
		"dead letters":                             buried,
		"a large body":                             large,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

func entry(id string) ingest.Entry {
	return ingest.Entry{Delivery: ingest.Delivery{
		ID: id, Event: "push", Action: "", SHA256: "00ff", ReceivedAt: time.Unix(100, 1000).UTC(), State: ingest.Stored,
	}, Body: []byte("{\"a\":\"\x00\xff\"}")}
}

func put(t *testing.T, f Fixture, ids ...string) {
	t.Helper()
	for i, id := range ids {
		e := entry(id)
		e.ReceivedAt = e.ReceivedAt.Add(time.Duration(i) * time.Second)
		require.NoError(t, f.Buffer.Put(t.Context(), e))
	}
}

// take takes until n entries are there.
func take(t *testing.T, q ingest.Queue, n int) (entries []ingest.Entry) {
	t.Helper()
	for tries := 0; len(entries) < n; tries++ {
		require.Less(t, tries, 50, "only %d of %d entries come", len(entries), n)
		more, err := q.Take(t.Context(), n-len(entries))
		require.NoError(t, err)
		entries = append(entries, more...)
	}
	return entries
}

func none(t *testing.T, q ingest.Queue) {
	t.Helper()
	more, err := q.Take(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, more)
}

func ids(entries []ingest.Entry) (out []string) {
	for _, e := range entries {
		out = append(out, e.ID)
	}
	return out
}

func finish(t *testing.T, f Fixture, e ingest.Entry) {
	t.Helper()
	if f.Settle != nil {
		f.Settle(t, e.ID, ingest.Handled)
	}
	require.NoError(t, f.Queue.Done(t.Context(), e.Receipt))
}

func taken(t *testing.T, f Fixture) {
	put(t, f, "a", "b", "c")
	entries := take(t, f.Queue, 3)
	require.Equal(t, []string{"a", "b", "c"}, ids(entries))
	want := entry("a")
	want.Receipt, want.Takes = entries[0].Receipt, 1
	require.Equal(t, want, entries[0])
	none(t, f.Queue)
	none(t, f.Other)
	stats, err := f.Queue.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(3), stats.Waiting)
	require.GreaterOrEqual(t, stats.Takers, 1)
	for _, e := range entries {
		finish(t, f, e)
		require.NoError(t, f.Queue.Done(t.Context(), e.Receipt), "twice is once")
	}
	f.Expire()
	none(t, f.Other)
	stats, err = f.Queue.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.Waiting)
	require.Zero(t, stats.Dead)
}

func nothing(t *testing.T, f Fixture) {
	stats, err := f.Queue.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, ingest.QueueStats{}, stats)
	require.NoError(t, f.Queue.Clean(t.Context(), time.Now()))
	require.NoError(t, f.Queue.Hold(t.Context(), nil))
	require.NoError(t, f.Queue.Release(t.Context(), nil))
	none(t, f.Queue)
	stats, err = f.Queue.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, ingest.QueueStats{Takers: 1}, stats, "whoever finds nothing is there all the same")
}

func bounded(t *testing.T, f Fixture) {
	var all []string
	for n := range 20 {
		all = append(all, fmt.Sprintf("d%02d", n))
	}
	put(t, f, all...)
	var got []string
	for len(got) < len(all) {
		entries, err := f.Queue.Take(t.Context(), 3)
		require.NoError(t, err)
		require.LessOrEqual(t, len(entries), 3)
		require.NotEmpty(t, entries)
		got = append(got, ids(entries)...)
	}
	require.Equal(t, all, got)
}

func leased(t *testing.T, f Fixture) {
	put(t, f, "a")
	for n := 1; n < 4; n++ {
		entries := take(t, []ingest.Queue{f.Queue, f.Other}[n%2], 1)
		require.Equal(t, n, entries[0].Takes)
		require.Equal(t, entry("a").Body, entries[0].Body)
		none(t, f.Other)
		f.Expire()
	}
}

func held(t *testing.T, f Fixture) {
	put(t, f, "a", "b")
	entries := take(t, f.Queue, 2)
	f.Expire()
	require.NoError(t, f.Queue.Hold(t.Context(), []string{entries[0].Receipt}))
	again := take(t, f.Other, 1)
	require.Equal(t, []string{"b"}, ids(again))
	none(t, f.Other)
	f.Expire()
	again = take(t, f.Other, 2)
	slices.SortFunc(again, func(a, b ingest.Entry) int { return a.Takes - b.Takes })
	require.Equal(t, []string{"a", "b"}, ids(again))
	require.Equal(t, 1, again[0].Takes, "whoever held it did not die of it")
	require.Equal(t, 3, again[1].Takes)
}

// hidden: what is free lies behind much that is held.
func hidden(t *testing.T, f Fixture) {
	const many = 250
	for i := range many {
		put(t, f, fmt.Sprintf("%03d", i))
	}
	entries := take(t, f.Queue, many)
	require.NoError(t, f.Queue.Release(t.Context(), entries[many-1:]))
	require.Equal(t, []string{entries[many-1].ID}, ids(take(t, f.Other, 1)))
	none(t, f.Other)
}

func released(t *testing.T, f Fixture) {
	put(t, f, "a", "b")
	entries := take(t, f.Queue, 2)
	require.NoError(t, f.Queue.Release(t.Context(), entries[:1]))
	again := take(t, f.Other, 1)
	require.Equal(t, "a", again[0].ID)
	require.Equal(t, 1, again[0].Takes)
	none(t, f.Other)
}

func buried(t *testing.T, f Fixture) {
	put(t, f, "a", "b")
	entries := take(t, f.Queue, 2)
	if f.Settle != nil {
		f.Settle(t, "a", ingest.Dead)
	}
	require.NoError(t, f.Queue.Bury(t.Context(), entries[0], "POISON"))
	finish(t, f, entries[1])
	f.Expire()
	none(t, f.Queue)
	stats, err := f.Queue.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats.Waiting)
	require.Equal(t, int64(1), stats.Dead)
	put(t, f, "a") // the sender delivers it again
	require.Equal(t, 1, take(t, f.Queue, 1)[0].Takes)
}

func large(t *testing.T, f Fixture) {
	e := entry("large")
	e.Body = bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	require.NoError(t, f.Buffer.Put(t.Context(), e))
	got := take(t, f.Queue, 1)
	require.True(t, bytes.Equal(e.Body, got[0].Body))
}
