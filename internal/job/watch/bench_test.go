package watch_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job/watch"
)

// BenchmarkCommitToViewer measures from the return of the commit to the return of Next, for 100 viewers of one job.
func BenchmarkCommitToViewer(b *testing.B) {
	const viewers = 100
	f := setup(b)
	var committed time.Time
	times := make([]time.Duration, 0, b.N*viewers)
	var mu sync.Mutex
	watching := make([]*watch.Viewer, viewers)
	for i := range watching {
		watching[i] = f.open(b, 2)
	}
	b.ResetTimer()
	for range b.N {
		w := f.silently(b, 1, 600)
		var wg sync.WaitGroup
		for _, v := range watching {
			wg.Go(func() {
				_, err := v.Next(b.Context())
				seen := time.Now()
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					b.Error(err)
				}
				times = append(times, seen.Sub(committed))
			})
		}
		committed = time.Now()
		f.bus.Publish(b.Context(), "job/"+string(w.ID)+"/seq", w.LastSeq)
		wg.Wait()
	}
	b.StopTimer()
	require.Len(b, times, b.N*viewers)
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkAttach measures opening a viewer at the beginning of a log of 10,000 events and reading it to its last event.
func BenchmarkAttach(b *testing.B) {
	f := setup(b)
	for range 20 {
		f.append(b, 500, 200)
	}
	f.finish(b)
	b.ResetTimer()
	for range b.N {
		v := f.open(b, 0)
		require.Equal(b, int64(10_003), drain(b, v))
		v.Close()
	}
}
