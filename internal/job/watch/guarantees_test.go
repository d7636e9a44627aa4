package watch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
)

func (ticks) zero() time.Time { return time.Time{} }

// numbers is the fold that shows everything that was added.
type numbers struct{ seqs []int64 }

func begin() watch.Fold { return &numbers{} }

func (n *numbers) Add(e job.Event) error {
	n.seqs = append(n.seqs, e.Seq)
	return nil
}

func (n *numbers) Copy() watch.Fold { return &numbers{append([]int64(nil), n.seqs...)} }

func upTo(n int64) []int64 {
	var all []int64
	for i := range n {
		all = append(all, i+1)
	}
	return all
}

func seqsOf(f watch.Fold) []int64 { return f.(*numbers).seqs } //nolint:errcheck,forcetypeassert // it is nothing else

// until reads to an error, checks that nothing is missing or double, and returns the error.
func until(t *testing.T, v *watch.Viewer) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		after := v.After()
		events, err := v.Next(ctx)
		if err != nil {
			return err
		}
		for i, e := range events {
			require.Equal(t, after+int64(i)+1, e.Seq)
		}
	}
}

func TestG02_AHintBeforeTheCommitShowsNothing(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	v := f.open(t, 2)
	for want := int64(3); want < 20; want++ {
		f.bus.Publish(t.Context(), job.SeqTopic(f.job.ID), want+5)
		events, changed, err := v.Poll(t.Context())
		require.NoError(t, err)
		require.Empty(t, events)
		f.add(1)
		f.hint(t)
		<-changed
		events, _, err = v.Poll(t.Context())
		require.NoError(t, err)
		require.Len(t, events, 1)
		require.Equal(t, want, events[0].Seq)
	}
}

// Random scripts against the log as it is: whoever comes in the middle gets all up to S in the snapshot, and S+1, S+2, …
func TestG07_ASnapshotIsTheFoldOfAllUpToItsNumberAndNothingFallsBehindIt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			f := place(t, newMemory(), nil)
			rng := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // a repeatable test
			var wg sync.WaitGroup
			for range 40 {
				switch f.add(rng.IntN(200)); rng.IntN(3) {
				case 0:
					f.hint(t)
				case 1:
					f.poll()
				}
				if rng.IntN(4) == 0 {
					f.finish()
					f.retry()
				}
				wg.Go(func() { f.attach(t) })
			}
			f.finish()
			f.hint(t)
			wg.Wait()
			f.attach(t)
		})
	}
}

// attach opens a viewer with a snapshot and reads to the end of the log, where there is one by then.
func (f *bench) attach(t *testing.T) {
	j, err := f.Get(t.Context(), f.job.ID)
	if err != nil {
		t.Error(err)
		return
	}
	v, err := f.hub.Open(t.Context(), f.job.ID, j.LastSeq)
	if err != nil {
		t.Error(err)
		return
	}
	defer v.Close()
	now, fold, err := v.Snapshot(t.Context(), begin)
	if err != nil {
		t.Error(err)
		return
	}
	if fold != nil {
		if got := seqsOf(fold); len(got) != int(now.LastSeq) || got[len(got)-1] != now.LastSeq {
			t.Errorf("the snapshot as of %d holds %d events up to %d", now.LastSeq, len(got), got[len(got)-1])
		}
	}
	if v.After() != now.LastSeq || now.LastSeq < j.LastSeq {
		t.Errorf("the viewer stands at %d behind a snapshot of %d", v.After(), now.LastSeq)
	}
	for {
		after := v.After()
		events, err := v.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		for i, e := range events {
			if e.Seq != after+int64(i)+1 {
				t.Errorf("event %d after %d", e.Seq, after+int64(i))
			}
		}
	}
}

func TestG07_SnapshotsReadTheLogOnceForAll(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.add(5000)
	f := place(t, m, nil)
	first := f.open(t, 5002)
	_, fold, err := first.Snapshot(t.Context(), begin)
	require.NoError(t, err)
	require.Equal(t, upTo(5002), seqsOf(fold))
	before := 0
	m.set(func() { before = m.reads })
	for range 100 {
		_, fold, err := f.open(t, 5002).Snapshot(t.Context(), begin)
		require.NoError(t, err)
		require.Equal(t, upTo(5002), seqsOf(fold))
	}
	m.set(func() {
		require.LessOrEqual(t, m.reads, before+2, "the fold is there already; the tail itself may still look")
	})
	j, fold, err := first.Snapshot(t.Context(), nil)
	require.NoError(t, err)
	require.Nil(t, fold)
	require.Equal(t, int64(5002), j.LastSeq)
}

func TestG07_AFoldThatFailsIsNoSnapshot(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	_, _, err := f.open(t, 2).Snapshot(t.Context(), func() watch.Fold { return broken{} })
	require.ErrorIs(t, err, errAway)
}

type broken struct{}

func (broken) Add(job.Event) error { return errAway }
func (broken) Copy() watch.Fold    { return broken{} }

// A retry goes on with the log: whoever stands at the old end gets what is new, also from a tail that has not noticed.
func TestG08_ARetriedJobGoesOnForViewersWhoComeBack(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	stays := f.open(t, 0) // keeps the tail
	f.finish()
	f.hint(t)
	require.ErrorIs(t, until(t, f.open(t, 2)), io.EOF)
	require.ErrorIs(t, until(t, f.open(t, 3)), io.EOF, "finished and caught up")

	f.retry() // and every hint of it is lost
	back, snapshot := f.open(t, 3), f.open(t, 4)
	require.Equal(t, int64(4), next(t, back)[0].Seq)
	j, _, err := snapshot.Snapshot(t.Context(), begin)
	require.NoError(t, err)
	require.Equal(t, job.StateQueued, j.State)
	_, changed, err := snapshot.Poll(t.Context())
	require.NoError(t, err, "the attempt that it shows is not over")
	require.NotNil(t, changed)

	f.add(3)
	f.finish()
	f.hint(t)
	for _, v := range []*watch.Viewer{back, snapshot, stays} {
		require.ErrorIs(t, until(t, v), io.EOF)
		require.Equal(t, int64(8), v.After())
	}
}

func TestG08_ASnapshotThatIsAheadOfTheTailDoesNotEndTheStream(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	v := f.open(t, 2)
	f.finish()
	f.hint(t)
	require.ErrorIs(t, until(t, f.open(t, 2)), io.EOF) // the tail knows the end
	f.retry()
	j, _, err := v.Snapshot(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, int64(4), j.LastSeq)
	_, _, err = v.Poll(t.Context())
	require.NoError(t, err, "the tail's end is that of the attempt before")
}

func TestG09_AnEventIsEncodedOnceForAllViewers(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	var viewers []*watch.Viewer
	for range 100 {
		viewers = append(viewers, f.open(t, 2))
	}
	f.add(50)
	f.finish()
	f.hint(t)
	var encoded atomic.Int64
	encode := func(e job.Event) ([]byte, error) {
		encoded.Add(1)
		if e.Final {
			return nil, errAway
		}
		return []byte(e.Key), nil
	}
	var wg sync.WaitGroup
	for _, v := range viewers {
		wg.Go(func() {
			for {
				events, err := v.Next(t.Context())
				if err != nil {
					return
				}
				for _, e := range events {
					raw, err := e.Frame(encode)
					if e.Final && !errors.Is(err, errAway) || !e.Final && (err != nil || string(raw) != fmt.Sprint(e.Seq)) {
						t.Errorf("event %d is %q, %v", e.Seq, raw, err)
					}
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(51), encoded.Load())
}

func TestG09_WhatAViewerHoldsIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory()
	m.add(3000)
	m.set(func() {
		for i := range m.events {
			m.events[i].Payload = make([]byte, 10_000)
		}
	})
	f := place(t, m, nil)
	v := f.open(t, 0)
	f.finish()
	f.hint(t)
	for {
		events, err := v.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		bytes := 0
		for _, e := range events {
			bytes += len(e.Payload)
		}
		require.LessOrEqual(t, bytes, 1<<20+10_000)
	}
	require.Equal(t, int64(3003), v.After())
}

func TestG15_TheRemovalOfAJobEndsItsViewers(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	live, behind := f.open(t, 2), f.open(t, 0)
	f.set(func() { f.gone = true })
	require.ErrorIs(t, until(t, behind), job.ErrNotFound, "behind the ring it sees it at once")
	_, changed, err := live.Poll(t.Context())
	require.NoError(t, err)
	f.poll()
	<-changed
	require.ErrorIs(t, until(t, live), job.ErrNotFound)
	_, err = f.hub.Open(t.Context(), f.job.ID, 2)
	require.ErrorIs(t, err, job.ErrNotFound)
}

func TestG06_AViewerThatIsBehindWhenTheHistoryExpiresIsToldSo(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	behind := f.open(t, 0)
	f.finish()
	f.expire()
	require.ErrorIs(t, until(t, behind), job.ErrHistoryExpired)
}

// TestAStoreThatIsAwayMakesViewersWait: nobody is sent away, and everybody goes on where they were.
func TestAStoreThatIsAwayMakesViewersWait(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	live, behind := f.open(t, 2), f.open(t, 0)
	f.set(func() { f.away = true })
	for _, v := range []*watch.Viewer{live, behind} {
		events, changed, err := v.Poll(t.Context())
		require.NoError(t, err)
		require.Empty(t, events)
		require.NotNil(t, changed)
	}
	_, err := f.hub.Open(t.Context(), f.job.ID, 0)
	require.ErrorIs(t, err, errAway)
	f.add(3)
	f.poll() // fails, and ends nobody
	f.finish()
	f.set(func() { f.away = false })
	f.poll()
	for _, v := range []*watch.Viewer{live, behind} {
		require.ErrorIs(t, until(t, v), io.EOF)
		require.Equal(t, int64(6), v.After())
	}
}

// deaf is a bus that cannot be subscribed to, until it can.
type deaf struct {
	inprocess.Bus

	mended atomic.Bool
}

func (d *deaf) Subscribe(ctx context.Context, topic string) (bus.Subscription, error) {
	if !d.mended.Load() {
		return nil, errAway
	}
	return d.Bus.Subscribe(ctx, topic)
}

func TestWithoutTheBusThePollIsEnough(t *testing.T) {
	t.Parallel()
	b := &deaf{}
	f := place(t, newMemory(), b)
	v := f.open(t, 2)
	for last := int64(3); last < 6; last++ {
		f.add(1)
		f.poll()
		require.Equal(t, last, next(t, v)[0].Seq)
	}
	b.mended.Store(true)
	f.poll()
	f.add(1)
	require.Eventually(t, func() bool { // it subscribes on its own time
		f.hint(t)
		events, _, err := v.Poll(t.Context())
		return err == nil && len(events) == 1
	}, 20*time.Second, time.Millisecond)
}

// hung is a bus that does not answer.
type hung struct{ inprocess.Bus }

func (*hung) Subscribe(ctx context.Context, _ string) (bus.Subscription, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestABusThatDoesNotAnswerKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), &hung{})
	v := f.open(t, 0)
	require.Len(t, next(t, v), 2)
	f.add(3)
	f.poll()
	require.Len(t, next(t, v), 3)
	v.Close()
	again := f.open(t, 5)
	f.finish()
	f.poll()
	require.ErrorIs(t, until(t, again), io.EOF)
}
