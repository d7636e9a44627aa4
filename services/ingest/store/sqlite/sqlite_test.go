package sqlite_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/buffer/buffertest"
	"witan.dev/services/ingest/store/sqlite"
	"witan.dev/services/ingest/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) ingest.Store {
		t.Helper()
		return sqlite.New(sqlitetest.Open(t), sqlite.Options{})
	})
}

func TestBuffer(t *testing.T) {
	t.Parallel()
	buffertest.Run(t, func(t *testing.T) buffertest.Fixture {
		t.Helper()
		var later atomic.Int64
		s := sqlite.New(sqlitetest.Open(t), sqlite.Options{
			Wait: 5 * time.Millisecond, Now: func() time.Time { return time.Unix(1000, 0).Add(time.Duration(later.Load())) },
		})
		return buffertest.Fixture{
			Buffer: s, Queue: s, Other: s, Expire: func() { later.Add(int64(ingest.Lease)) },
			Settle: func(t *testing.T, id string, state ingest.State) {
				t.Helper()
				require.NoError(t, s.Settle(t.Context(), id, ingest.Outcome{State: state}))
			},
		}
	})
}

func TestTheSameDeliveryAgainIsOneRow(t *testing.T) {
	t.Parallel()
	s := sqlite.New(sqlitetest.Open(t), sqlite.Options{Wait: time.Millisecond})
	e := ingest.Entry{Delivery: ingest.Delivery{ID: "a", Event: "push", ReceivedAt: time.Unix(1, 0).UTC()}, Body: []byte("{}")}
	for range 3 {
		require.NoError(t, s.Put(t.Context(), e))
	}
	entries, err := s.Take(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, s.Put(t.Context(), e))
	entries, err = s.Take(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, entries, "it is in hand")
}

func TestPutGivesUpWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	s := sqlite.New(sqlitetest.Open(t), sqlite.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Put(ctx, ingest.Entry{Delivery: ingest.Delivery{ID: "a", Event: "push"}}), context.Canceled)
}

func TestTakeIsWokenByPut(t *testing.T) {
	t.Parallel()
	s := sqlite.New(sqlitetest.Open(t), sqlite.Options{Wait: time.Minute})
	took := make(chan []ingest.Entry, 1)
	go func() {
		entries, _ := s.Take(context.WithoutCancel(t.Context()), 1)
		took <- entries
	}()
	require.NoError(t, s.Put(t.Context(), ingest.Entry{Delivery: ingest.Delivery{ID: "a", Event: "push"}}))
	require.Len(t, <-took, 1)
}
