package watch_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/job/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ticks is a clock that the test turns.
type ticks chan time.Time

func (c ticks) after(time.Duration) <-chan time.Time { return c }

type fixture struct {
	store job.Store
	bus   bus.Bus
	hub   *watch.Hub
	tick  ticks
	fence job.Fence
}

// setup opens a store with one job that has begun, two events long.
func setup(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{store: jobsqlite.New(sqlitetest.Open(t), nil), bus: inprocess.New(), tick: make(ticks)}
	f.hub = watch.NewHub(f.store, f.bus, f.tick.after, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, f.hub.Stop(context.Background())) })
	f.begin(t)
	return f
}

// begin creates the job and begins it.
func (f *fixture) begin(t testing.TB) {
	t.Helper()
	j, _, err := f.store.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindCouncil, Owner: "local"},
		func(context.Context, job.Tx) error { return nil })
	require.NoError(t, err)
	j, _, err = f.store.Begin(t.Context(), job.Attempt{ID: j.ID, Number: 1}, 10)
	require.NoError(t, err)
	f.fence = job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt}
}

// silently appends n events of the given size and publishes nothing.
func (f *fixture) silently(t testing.TB, n, bytes int) job.Written {
	t.Helper()
	events := make([]job.NewEvent, n)
	for i := range events {
		events[i] = job.NewEvent{Key: fmt.Sprintf("%d/%s", i, job.NewID()), Type: "council.member_delta", Payload: make([]byte, bytes)}
	}
	w, err := f.store.Apply(t.Context(), f.fence, job.Change{Update: job.Update{Events: events}})
	require.NoError(t, err)
	return w
}

func (f *fixture) append(t testing.TB, n, bytes int) {
	t.Helper()
	w := f.silently(t, n, bytes)
	f.bus.Publish(t.Context(), job.SeqTopic(w.ID), w.LastSeq)
}

func (f *fixture) finish(t testing.TB) {
	t.Helper()
	w, err := f.store.Finish(t.Context(), f.fence, job.Outcome{State: job.StateSucceeded})
	require.NoError(t, err)
	f.bus.Publish(t.Context(), job.SeqTopic(w.ID), w.LastSeq)
}

func (f *fixture) open(t testing.TB, after int64) *watch.Viewer {
	t.Helper()
	v, err := f.hub.Open(t.Context(), f.fence.ID, after)
	require.NoError(t, err)
	t.Cleanup(v.Close)
	return v
}

func next(t testing.TB, v *watch.Viewer) []*watch.Entry {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events, err := v.Next(ctx)
	require.NoError(t, err)
	return events
}

// drain reads to the end and requires that nothing is missing or double.
func drain(t testing.TB, v *watch.Viewer) int64 {
	t.Helper()
	for {
		after := v.After()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		events, err := v.Next(ctx)
		cancel()
		if err == io.EOF { //nolint:errorlint // Next returns it bare, as Read does
			return after
		}
		require.NoError(t, err)
		for i, e := range events {
			require.Equal(t, after+int64(i)+1, e.Seq)
		}
	}
}

func TestAViewerSeesTheLogFromWhereItBeganToItsEnd(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.append(t, 700, 10)
	from := map[string]*watch.Viewer{"beginning": f.open(t, 0), "middle": f.open(t, 300), "now": f.open(t, 702)}
	f.append(t, 5, 10)
	f.finish(t)
	for name, v := range from {
		require.Equal(t, int64(708), drain(t, v), name)
	}
	require.Equal(t, int64(708), drain(t, f.open(t, 0)), "opened after the end")
	_, err := f.open(t, 708).Next(t.Context())
	require.ErrorIs(t, err, io.EOF, "caught up with a job that has ended")
}

func TestG06_PositionsThatDoNotExistAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.hub.Open(t.Context(), f.fence.ID, 3)
	require.ErrorIs(t, err, job.ErrSequenceAhead)
	_, err = f.hub.Open(t.Context(), "unknown", 0)
	require.ErrorIs(t, err, job.ErrNotFound)
	f.finish(t)
	_, err = f.store.ExpireHistory(t.Context(), time.Now().Add(365*24*time.Hour), 10)
	require.NoError(t, err)
	_, err = f.hub.Open(t.Context(), f.fence.ID, 0)
	require.ErrorIs(t, err, job.ErrHistoryExpired)
	_, err = f.open(t, 3).Next(t.Context())
	require.ErrorIs(t, err, io.EOF)
}

func TestG16_AHintWakesTheViewerAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t) // the safety poll never comes: the hub is not started
	v := f.open(t, 2)
	events, changed, err := v.Poll(t.Context())
	require.NoError(t, err)
	require.Empty(t, events)
	f.append(t, 1, 10)
	select {
	case <-changed:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "not woken")
	}
	require.Len(t, next(t, v), 1)
}

func TestG16_ALostHintCostsOnePoll(t *testing.T) {
	t.Parallel()
	f := setup(t)
	require.NoError(t, f.hub.Start(t.Context()))
	require.Error(t, f.hub.Start(t.Context()))
	v := f.open(t, 2)
	f.silently(t, 3, 10)
	events, changed, err := v.Poll(t.Context())
	require.NoError(t, err)
	if len(events) == 0 { // the tail may have read them when it began
		f.tick <- time.Time{}
		<-changed
		events = next(t, v)
	}
	require.Len(t, events, 3)
}

func TestG09_AViewerBehindTheRingReadsTheStore(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]int{"too many": 0, "too large": 4000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			stalled := f.open(t, 0)
			quick := f.open(t, 2)
			for range 4 {
				f.append(t, 400, bytes)
				for quick.After() < 2 {
					next(t, quick)
				}
			}
			f.finish(t)
			require.Equal(t, int64(1603), drain(t, quick))
			require.Equal(t, int64(1603), drain(t, stalled))
		})
	}
}

func TestStoppingTheHubEndsViewersWithAPositionToComeBackTo(t *testing.T) {
	t.Parallel()
	f := setup(t)
	v := f.open(t, 0)
	next(t, v)
	done := make(chan error, 1)
	go func() {
		_, err := v.Next(t.Context())
		done <- err
	}()
	require.NoError(t, f.hub.Stop(t.Context()))
	require.NoError(t, f.hub.Stop(t.Context()))
	require.ErrorIs(t, <-done, watch.ErrStopped)
	require.Equal(t, int64(2), v.After())
	_, err := f.hub.Open(t.Context(), f.fence.ID, 0)
	require.ErrorIs(t, err, watch.ErrStopped)
}

func TestAViewerThatGoesAwayEndsItsWait(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.open(t, 2).Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestG03_CutsAtRandomPlacesPutTogetherAreTheLog(t *testing.T) {
	t.Parallel()
	cutAtRandom(t, setup(t))
}

func cutAtRandom(t *testing.T, f *fixture) {
	t.Helper()
	require.NoError(t, f.hub.Start(t.Context()))
	stop := make(chan struct{})
	go func() { // the safety poll goes on all the time
		for {
			select {
			case f.tick <- time.Time{}:
			case <-stop:
				return
			}
		}
	}()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() { cutViewer(t, f, rand.New(rand.NewPCG(uint64(n), 2))) }) //nolint:gosec // a repeatable test
	}
	rng := rand.New(rand.NewPCG(99, 2)) //nolint:gosec // a repeatable test
	for range 100 {
		if rng.IntN(3) == 0 {
			f.silently(t, 1+rng.IntN(40), rng.IntN(300))
		} else {
			f.append(t, 1+rng.IntN(40), rng.IntN(300))
		}
	}
	f.finish(t)
	wg.Wait()
	close(stop)
}

// cutViewer reads the log, goes away after a few events, and comes back where it was.
func cutViewer(t *testing.T, f *fixture, rng *rand.Rand) {
	var after int64
	for {
		v, err := f.hub.Open(t.Context(), f.fence.ID, after)
		if err != nil {
			t.Error(err)
			return
		}
		for range rng.IntN(4) {
			events, err := v.Next(t.Context())
			if err != nil {
				v.Close()
				if err != io.EOF { //nolint:errorlint // Next returns it bare, as Read does
					t.Error(err)
				}
				return
			}
			keep := events[:1+rng.IntN(len(events))] // the connection is cut in the middle
			for _, e := range keep {
				if after++; e.Seq != after {
					t.Errorf("event %d where %d was expected", e.Seq, after)
				}
			}
			if len(keep) < len(events) {
				break
			}
		}
		v.Close()
	}
}

// A hint for a log that is longer than one read may hold brings all of it.
func TestLargeEventsReachTheViewerInPieces(t *testing.T) {
	t.Parallel()
	f := setup(t)
	live, err := f.hub.Open(t.Context(), f.fence.ID, 2)
	require.NoError(t, err)
	defer live.Close()
	late, err := f.hub.Open(t.Context(), f.fence.ID, 0)
	require.NoError(t, err)
	defer late.Close()
	const large, bytes = 12, 1 << 20
	f.append(t, large, bytes)
	for _, v := range []*watch.Viewer{live, late} {
		for v.After() < 2+large {
			before := v.After()
			events, err := v.Next(t.Context())
			require.NoError(t, err)
			require.LessOrEqual(t, len(events), 2+job.EventsBytes/bytes)
			for i, e := range events {
				require.Equal(t, before+int64(i)+1, e.Seq)
			}
		}
	}
}
