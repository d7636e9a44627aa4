// Package storetest is the suite that every adapter of ingest.Store passes.
package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
)

// Run runs the suite. newStore returns an empty store, whose end is the test's.
func Run(t *testing.T, newStore func(t *testing.T) ingest.Store) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s ingest.Store){
		"what was kept first stays":                   keep,
		"what ended badly is handled again":           again,
		"what is settled stays so":                    settle,
		"missing":                                     missing,
		"pages":                                       pages,
		"redelivered":                                 redelivered,
		"many redeliveries at once":                   redeliveredTogether,
		"a redelivery whose row was lost":             lostRedelivery,
		"old ones are removed unless they still wait": expire,
		"history":                                     history,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

func entry(id string, second int64) ingest.Entry {
	return ingest.Entry{Delivery: ingest.Delivery{
		ID: id, Event: "pull_request", Action: "opened", SHA256: "00ff", ReceivedAt: time.Unix(second, 1000).UTC(), State: ingest.Stored,
	}, Body: []byte("{\"a\":\"\x00\xff\"}")}
}

func kept(t *testing.T, s ingest.Store, e ingest.Entry) ingest.Delivery {
	t.Helper()
	d, err := s.Keep(t.Context(), e)
	require.NoError(t, err)
	return d
}

func settled(t *testing.T, s ingest.Store, id string, o ingest.Outcome) ingest.Delivery {
	t.Helper()
	require.NoError(t, s.Settle(t.Context(), id, o))
	d, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	return d
}

func keep(t *testing.T, s ingest.Store) {
	first := entry("a", 10)
	require.Equal(t, first.Delivery, kept(t, s, first))
	later := entry("a", 20)
	later.Action, later.Body = "closed", nil
	require.Equal(t, first.Delivery, kept(t, s, later))
	d, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, first.Delivery, d)
	empty := entry("empty", 10)
	empty.Body, empty.Action = nil, ""
	require.Equal(t, empty.Delivery, kept(t, s, empty))
}

func again(t *testing.T, s ingest.Store) {
	for _, o := range []ingest.Outcome{{State: ingest.Dead, Reason: "NOT_IMPLEMENTED"}, {State: ingest.Unparsed, Reason: "PAYLOAD_UNREADABLE"}} {
		e := entry(fmt.Sprint("bad-", int(o.State)), 10)
		kept(t, s, e)
		d := settled(t, s, e.ID, o)
		require.Equal(t, ingest.Outcome{State: d.State, Reason: d.Reason, Resource: d.Resource}, o)
		e.ReceivedAt = time.Unix(99, 0)
		d = kept(t, s, e)
		require.Equal(t, entry(e.ID, 10).Delivery, d, "it waits again, and was received when it was")
		require.Equal(t, ingest.Handled, settled(t, s, e.ID, ingest.Outcome{State: ingest.Handled, Resource: "reviews/x"}).State)
	}
}

func settle(t *testing.T, s ingest.Store) {
	for _, o := range []ingest.Outcome{{State: ingest.Handled, Resource: "reviews/x"}, {State: ingest.Ignored, Reason: "PING"}} {
		e := entry(fmt.Sprint("done-", int(o.State)), 10)
		kept(t, s, e)
		d := settled(t, s, e.ID, o)
		require.Equal(t, ingest.Outcome{State: d.State, Reason: d.Reason, Resource: d.Resource}, o)
		require.Equal(t, d, kept(t, s, e))
		require.Equal(t, d, settled(t, s, e.ID, ingest.Outcome{State: ingest.Dead, Reason: "LATE"}))
		require.Equal(t, d, settled(t, s, e.ID, ingest.Outcome{State: ingest.Handled}), "whoever comes late knows less")
	}
}

func missing(t *testing.T, s ingest.Store) {
	_, err := s.Get(t.Context(), "nobody")
	require.ErrorIs(t, err, ingest.ErrNotFound)
	_, err = s.Redeliver(t.Context(), "nobody", "", time.Unix(1, 0))
	require.ErrorIs(t, err, ingest.ErrNotFound)
	require.NoError(t, s.Settle(t.Context(), "nobody", ingest.Outcome{State: ingest.Handled}))
}

func pages(t *testing.T, s ingest.Store) {
	var want, dead []string
	for i := range 7 {
		e := entry(fmt.Sprint("d", i), int64(100-i/2)) // several at one time
		kept(t, s, e)
		if i%2 == 0 {
			settled(t, s, e.ID, ingest.Outcome{State: ingest.Dead, Reason: "X"})
			dead = append(dead, e.ID)
		}
	}
	want = []string{"d1", "d0", "d3", "d2", "d5", "d4", "d6"}
	list := func(state ingest.State, limit int) (ids []string) {
		q := ingest.ListQuery{State: state, Limit: limit}
		for {
			page, err := s.List(t.Context(), q)
			require.NoError(t, err)
			require.LessOrEqual(t, len(page), limit)
			if len(page) == 0 {
				return ids
			}
			for _, d := range page {
				ids = append(ids, d.ID)
			}
			q.Before, q.BeforeID = page[len(page)-1].ReceivedAt, page[len(page)-1].ID
		}
	}
	for _, limit := range []int{1, 2, 100} {
		require.Equal(t, want, list(0, limit))
		require.Equal(t, dead, list(ingest.Dead, limit))
		require.Empty(t, list(ingest.Handled, limit))
	}
}

func redelivered(t *testing.T, s ingest.Store) {
	const request, another = "7c7c8a3e-0000-4000-8000-000000000001", "7c7c8a3e-0000-4000-8000-000000000002"
	kept(t, s, entry("a", 10))
	first, err := s.Redeliver(t.Context(), "a", request, time.Unix(50, 2000))
	require.NoError(t, err)
	want := entry("a~1", 0)
	want.ReceivedAt = time.Unix(50, 2000).UTC()
	require.Equal(t, want, first)
	same, err := s.Redeliver(t.Context(), "a", request, time.Unix(60, 0))
	require.NoError(t, err)
	require.Equal(t, first, same)
	settled(t, s, "a~1", ingest.Outcome{State: ingest.Handled, Resource: "reviews/x"})
	same, err = s.Redeliver(t.Context(), "a~1", request, time.Unix(60, 0))
	require.NoError(t, err)
	require.Equal(t, ingest.Handled, same.State)
	require.Equal(t, "reviews/x", same.Resource)
	second, err := s.Redeliver(t.Context(), "a~1", another, time.Unix(60, 0))
	require.NoError(t, err)
	require.Equal(t, "a~2", second.ID)
	for n := 3; n < 5; n++ {
		e, err := s.Redeliver(t.Context(), "a", "", time.Unix(60, 0))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint("a~", n), e.ID)
		d, err := s.Get(t.Context(), e.ID)
		require.NoError(t, err)
		require.Equal(t, e.Delivery, d)
	}
}

func redeliveredTogether(t *testing.T, s ingest.Store) {
	kept(t, s, entry("a", 10))
	var mu sync.Mutex
	var work sync.WaitGroup
	ids := map[string]bool{}
	for range 10 {
		work.Go(func() {
			e, err := s.Redeliver(t.Context(), "a", "", time.Unix(60, 0))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				ids[e.ID] = true
			}
		})
	}
	work.Wait()
	require.Len(t, ids, 10, "each has a number of its own")
}

func lostRedelivery(t *testing.T, s ingest.Store) {
	kept(t, s, entry("a", 10))
	kept(t, s, entry("a~2", 10))
	e, err := s.Redeliver(t.Context(), "a", "", time.Unix(60, 0))
	require.NoError(t, err)
	require.Equal(t, "a~3", e.ID)
}

func expire(t *testing.T, s ingest.Store) {
	for i, state := range []ingest.State{ingest.Stored, ingest.Handled, ingest.Ignored, ingest.Unparsed, ingest.Dead} {
		for second := range int64(2) {
			e := entry(fmt.Sprintf("d%d%d", i, second), second)
			kept(t, s, e)
			settled(t, s, e.ID, ingest.Outcome{State: state})
		}
	}
	before := time.Unix(1, 0)
	n, err := s.Expire(t.Context(), before, 3)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, err = s.Expire(t.Context(), before, 100)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	left, err := s.List(t.Context(), ingest.ListQuery{Limit: 100})
	require.NoError(t, err)
	require.Len(t, left, 6)
	require.Equal(t, "d00", left[5].ID, "what waits is not too old")
}

func history(t *testing.T, s ingest.Store) {
	h, err := s.History(t.Context())
	require.NoError(t, err)
	require.Empty(t, h.States)
	require.True(t, h.HookDeletedAt.IsZero())
	require.True(t, h.LastReceivedAt.IsZero())
	kept(t, s, entry("a", 10))
	kept(t, s, entry("b", 20))
	settled(t, s, "b", ingest.Outcome{State: ingest.Dead})
	gone := entry("c", 30)
	gone.Event, gone.Action = "meta", "deleted"
	kept(t, s, gone)
	h, err = s.History(t.Context())
	require.NoError(t, err)
	require.Equal(t, ingest.History{
		States: map[ingest.State]int64{ingest.Stored: 2, ingest.Dead: 1}, HookDeletedAt: gone.ReceivedAt, LastReceivedAt: entry("b", 20).ReceivedAt,
	}, h)
}
