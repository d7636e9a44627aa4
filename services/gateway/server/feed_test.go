package server_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/testing/protocmp"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/services/gateway/server"
)

// requireStreams waits until the job service has n viewers.
func (f fixture) requireStreams(n int) {
	f.t.Helper()
	require.Eventually(f.t, func() bool {
		f.jobs.mu.Lock()
		defer f.jobs.mu.Unlock()
		return f.jobs.viewers == n
	}, time.Minute, time.Millisecond)
}

func TestG16_ViewersOfAJobShareOneStream(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	accepts := []string{acceptSSE, "application/json"}
	viewers := make([]*viewer, 20)
	for i := range viewers {
		viewers[i] = f.view("?after_seq=0", "Accept", accepts[i%2])
	}
	f.jobs.add(false, "two")
	f.requireStreams(1)
	f.jobs.add(false, "three")
	viewers[0].stop() // and be it the one that the stream began with
	f.jobs.add(true, "four", "end")
	for i, v := range viewers[1:] {
		require.Empty(t, cmp.Diff(f.pages(), rest(v, accepts[(i+1)%2]), protocmp.Transform()))
	}
	f.requireStreams(0)
}

func TestG14_ViewersShareOnlyWithThoseWhoShowTheSame(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	for _, headers := range [][]string{{}, {"Authorization", "Bearer " + folderToken}, {"Grpc-Timeout", "1H"}} {
		f.view("?after_seq=0", headers...)
	}
	f.view("?after_seq=0&omit_deltas=true")
	f.requireStreams(4)
	f.jobs.add(false, "two")
	v := f.view("?after_seq=0", "Authorization", "Bearer "+folderToken)
	v.line()
	v.line()
	f.jobs.add(false, "three")
	f.requireStreams(4) // two of the five share one
	f.jobs.add(true, "end")
}

// TestG03_WhoFallsBehindAFeedMissesNothing: a viewer that does not read while the others are shown more than a feed keeps.
func TestG03_WhoFallsBehindAFeedMissesNothing(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{WriteTimeout: time.Hour}) // the slow one is not to be cut off
	f.jobs.add(false, "one")
	slow, fast := f.view("?after_seq=0", "Accept", acceptSSE), f.view("?after_seq=0", "Accept", acceptSSE)
	for _, v := range []*viewer{slow, fast} {
		nextEvent(v, acceptSSE)
	}
	f.jobs.add(false, "two")
	nextEvent(slow, acceptSSE)
	nextEvent(fast, acceptSSE)
	f.requireStreams(1)
	const more = 300
	for range more {
		f.jobs.add(false, strings.Repeat("x", 64<<10)) // more than sockets hold
		nextEvent(fast, acceptSSE)
	}
	var got []*jobsv1.JobEvent
	for range more {
		got = append(got, nextEvent(slow, acceptSSE))
	}
	f.requireStreams(1) // it is back
	f.jobs.add(true, "end")
	got = append(got, rest(slow, acceptSSE)...)
	require.Len(t, rest(fast, acceptSSE), 1)
	f.jobs.mu.Lock()
	defer f.jobs.mu.Unlock()
	require.Empty(t, cmp.Diff(f.jobs.log[2:], got, protocmp.Transform()))
}

// TestG03_SharedOrNotThePiecesAreTheLog: viewers come, are cut and come back, while events come in bursts.
func TestG03_SharedOrNotThePiecesAreTheLog(t *testing.T) {
	t.Parallel()
	const total, crowd = 3000, 8
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := setup(t, server.Config{})
	f.jobs.add(false, "first")
	var (
		viewers sync.WaitGroup
		newest  atomic.Int64 // that a viewer has
	)
	pieces := make([][]*jobsv1.JobEvent, crowd)
	for i := range crowd {
		random := rand.New(rand.NewPCG(seed, uint64(i))) //nolint:gosec // it is repeatable on purpose
		accept := []string{acceptSSE, "application/json"}[i%2]
		viewers.Go(func() {
			for {
				v := f.view(fmt.Sprintf("?after_seq=%d", len(pieces[i])), "Accept", accept)
				for range random.IntN(total / 4) {
					e := nextEvent(v, accept)
					pieces[i] = append(pieces[i], e)
					for had := newest.Load(); had < e.GetSeq() && !newest.CompareAndSwap(had, e.GetSeq()); had = newest.Load() {
					}
					if e.GetFinal() {
						return
					}
				}
				v.stop()
			}
		})
	}
	random := rand.New(rand.NewPCG(seed, crowd)) //nolint:gosec // it is repeatable on purpose
	for left := total; left > 0; {
		n := min(left, 1+random.IntN(40))
		f.jobs.add(false, texts(n)...)
		left -= n
		if random.IntN(8) == 0 { // somebody gets to the end of the log
			require.Eventually(t, func() bool { return newest.Load() == f.jobs.last() }, time.Minute, time.Millisecond)
		}
	}
	f.jobs.add(true, "end")
	viewers.Wait()
	f.jobs.mu.Lock()
	defer f.jobs.mu.Unlock()
	for i := range pieces {
		require.Empty(t, cmp.Diff(f.jobs.log, pieces[i], protocmp.Transform()), "viewer %d", i)
	}
}
