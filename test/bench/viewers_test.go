package bench_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
)

// crowd is a number of viewers who all wait for the same thing, and when it happened.
type crowd struct {
	happened atomic.Int64 // nanoseconds since base
	base     time.Time
	round    sync.WaitGroup
	viewers  sync.WaitGroup
	times    [][]time.Duration
}

// newCrowd starts n viewers; viewer i blocks in the function that open gives for it. A viewer leaves when that says false.
func newCrowd(n int, open func(i int) func() bool) *crowd {
	c := &crowd{base: time.Now(), times: make([][]time.Duration, n)}
	for i := range n {
		next := open(i)
		c.viewers.Go(func() {
			for next() {
				c.times[i] = append(c.times[i], time.Since(c.base)-time.Duration(c.happened.Load()))
				c.round.Done()
			}
		})
	}
	return c
}

// now says that it happens now.
func (c *crowd) now() { c.happened.Store(int64(time.Since(c.base))) }

// see lets something happen and waits until all have seen it. cause calls now.
func (c *crowd) see(cause func()) {
	c.round.Add(len(c.times))
	cause()
	c.round.Wait()
}

// report reports the times of all viewers, after they have left.
func (c *crowd) report(b *testing.B, name string) {
	b.Helper()
	c.viewers.Wait()
	var all []time.Duration
	for _, t := range c.times {
		all = append(all, t...)
	}
	reportTimes(b, name, all)
}

// broadcaster is the least that could serve viewers in one process: a channel for each, nothing stored.
type broadcaster struct{ viewers []chan []byte }

func (b *broadcaster) open(int) func() bool {
	c := make(chan []byte, 16)
	b.viewers = append(b.viewers, c)
	return func() bool { _, ok := <-c; return ok }
}

func (b *broadcaster) publish(payload []byte) {
	for _, c := range b.viewers {
		c <- payload
	}
}

func (b *broadcaster) close() {
	for _, c := range b.viewers {
		close(c)
	}
}

// committed calls then when a commit is announced, which is the first thing that happens after it.
type committed struct {
	bus.Bus

	then atomic.Pointer[func()]
}

// Publish implements bus.Bus.
func (c *committed) Publish(ctx context.Context, topic string, value int64) {
	if then := c.then.Load(); then != nil && strings.HasSuffix(topic, "/seq") {
		(*then)()
	}
	c.Bus.Publish(ctx, topic, value)
}

// BenchmarkCommitToViewer measures how long after its commit an event of about 600 bytes reaches the viewers of a job: by
// WatchJob over the in-memory connection, by the reader of the log within the process, and by a bare broadcaster that
// stores nothing. The three take turns, event by event.
func BenchmarkCommitToViewer(b *testing.B) {
	for _, viewers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("viewers=%d", viewers), func(b *testing.B) { commitToViewer(b, viewers) })
	}
}

func commitToViewer(b *testing.B, viewers int) {
	hints := &committed{Bus: inprocess.New()}
	s, runs, release := jobsThatWrite(b, 2, params{bus: hints})
	ctx, leave := context.WithCancel(b.Context())
	remote := newCrowd(viewers, func(int) func() bool { return s.watch(ctx, b, "jobs/"+string(runs[0].Job().ID)) })
	local := newCrowd(viewers, func(int) func() bool {
		v, err := s.hub.Open(ctx, runs[1].Job().ID, runs[1].Job().LastSeq)
		require.NoError(b, err)
		return func() bool {
			_, err := v.Next(ctx)
			if err != nil {
				v.Close()
			}
			return err == nil
		}
	})
	bare := &broadcaster{}
	listeners := newCrowd(viewers, bare.open)
	n := int64(0)
	for b.Loop() {
		n++
		event := piece(b, n)
		for i, c := range []*crowd{remote, local} {
			now := c.now
			hints.then.Store(&now)
			c.see(func() { require.NoError(b, runs[i].Append(ctx, event)) })
		}
		listeners.see(func() {
			listeners.now()
			bare.publish(event.Payload)
		})
	}
	leave()
	bare.close()
	b.ReportMetric(0, "ns/op")
	remote.report(b, "rpc")
	local.report(b, "log")
	listeners.report(b, "bare")
	release()
}

// watch attaches a viewer; what it returns waits for the next event of the job.
func (s *system) watch(ctx context.Context, b *testing.B, name string) func() bool {
	b.Helper()
	stream, err := s.watched.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: name, From: jobsv1.WatchJobRequest_NOW})
	require.NoError(b, err)
	_, err = stream.Header() // sent once the viewer has its position
	require.NoError(b, err)
	return func() bool {
		for {
			e, err := stream.Recv()
			if err != nil || e.GetSeq() > 0 { // a heartbeat has no number
				return err == nil
			}
		}
	}
}
