package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/job"
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

// sseBroadcaster is the least that could serve viewers by server-sent events: a channel for each connection, nothing
// stored, the frame made once.
type sseBroadcaster struct {
	mu      sync.Mutex
	viewers []chan []byte
}

// ServeHTTP writes what is published until it is closed.
func (s *sseBroadcaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	frames := make(chan []byte, 16)
	s.mu.Lock()
	s.viewers = append(s.viewers, frames)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	_, err := io.WriteString(w, ": connected\n\n")
	for err == nil {
		if err = control.Flush(); err != nil {
			return
		}
		select {
		case frame := <-frames:
			_, err = w.Write(frame)
		case <-r.Context().Done():
			return
		}
	}
}

func (s *sseBroadcaster) publish(frame []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.viewers {
		c <- frame
	}
}

// serveBare starts a bare broadcaster on loopback.
func serveBare(b *testing.B) (*sseBroadcaster, string) {
	b.Helper()
	s := &sseBroadcaster{}
	server := httptest.NewServer(s)
	b.Cleanup(server.Close)
	return s, server.URL
}

// follow attaches a viewer by server-sent events; what it returns waits for the next event.
func follow(ctx context.Context, b *testing.B, client *http.Client, url string) func() bool {
	b.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(b, err)
	req.Header.Set("Accept", "text/event-stream")
	res, err := client.Do(req) //nolint:bodyclose // closed when the stream ends
	require.NoError(b, err)
	require.Equal(b, http.StatusOK, res.StatusCode)
	body := bufio.NewReader(res.Body)
	return func() bool {
		for data := false; ; {
			line, err := body.ReadSlice('\n')
			if err != nil {
				_ = res.Body.Close()
				return false
			}
			if bytes.HasPrefix(line, []byte("data:")) {
				data = true
			}
			if data && len(line) == 1 { // a frame with data, not a comment
				return true
			}
		}
	}
}

// BenchmarkCommitToViewer measures how long after its commit an event of about 600 bytes reaches the viewers of a job: by
// WatchJob over the in-memory connection, by server-sent events through the gateway and a loopback connection each, and by
// the reader of the log within the process. Beside them two broadcasters that store nothing: channels, and server-sent
// events over loopback. All take turns, event by event.
func BenchmarkCommitToViewer(b *testing.B) {
	for _, viewers := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("viewers=%d", viewers), func(b *testing.B) { commitToViewer(b, viewers) })
	}
}

func commitToViewer(b *testing.B, viewers int) {
	hints := &committed{Bus: inprocess.New()}
	s, runs, release := jobsThatWrite(b, 3, params{bus: hints, http: true})
	defer release()
	ctx, leave := context.WithCancel(b.Context())
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	bare := &broadcaster{}
	bareSSE, bareURL := serveBare(b)
	crowds := []struct {
		name string
		open func(i int) func() bool
		// cause lets event n happen; then is called at its commit.
		cause func(n int64, then func())
	}{
		{"rpc", func(int) func() bool { return s.watch(ctx, b, jobName(runs[0])) }, appendTo(b, hints, runs[0])},
		{"sse", func(int) func() bool { return follow(ctx, b, client, s.url+"/v1/"+jobName(runs[1])+":watch?from=NOW") }, appendTo(b, hints, runs[1])},
		{"log", func(int) func() bool { return s.read(ctx, b, runs[2]) }, appendTo(b, hints, runs[2])},
		{"bare", bare.open, func(n int64, then func()) { then(); bare.publish(piece(b, n).Payload) }},
		{"bare-sse", func(int) func() bool { return follow(ctx, b, client, bareURL) }, func(n int64, then func()) {
			frame := fmt.Appendf(nil, "id: %d\nevent: council.member_delta\ndata: {%q}\n\n", n, strings.Repeat("a line of an answer ", 40))
			then()
			bareSSE.publish(frame)
		}},
	}
	watching := make([]*crowd, len(crowds))
	for i, c := range crowds {
		watching[i] = newCrowd(viewers, c.open)
	}
	n := int64(0)
	for b.Loop() {
		n++
		for i, c := range crowds {
			watching[i].see(func() { c.cause(n, watching[i].now) })
		}
	}
	leave()
	bare.close()
	b.ReportMetric(0, "ns/op")
	for i, c := range crowds {
		watching[i].report(b, c.name)
	}
}

func jobName(r *job.Run) string { return "jobs/" + string(r.Job().ID) }

// appendTo appends events to a job's log; then is called when the commit is announced.
func appendTo(b *testing.B, hints *committed, r *job.Run) func(n int64, then func()) {
	return func(n int64, then func()) {
		event := piece(b, n)
		hints.then.Store(&then)
		require.NoError(b, r.Append(b.Context(), event))
	}
}

// read attaches a viewer within the process.
func (s *system) read(ctx context.Context, b *testing.B, r *job.Run) func() bool {
	b.Helper()
	v, err := s.hub.Open(ctx, r.Job().ID, r.Job().LastSeq)
	require.NoError(b, err)
	return func() bool {
		_, err := v.Next(ctx)
		if err != nil {
			v.Close()
		}
		return err == nil
	}
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

// BenchmarkStalledViewers appends events by turns to a job with one viewer and to one that has beside it ten that do not
// read, and reports how much longer the second takes.
func BenchmarkStalledViewers(b *testing.B) {
	const stalled = 10
	s, runs, release := jobsThatWrite(b, 2, params{})
	defer release()
	ctx, leave := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	defer reading.Wait()
	defer leave()
	for _, r := range runs {
		next := s.watch(ctx, b, jobName(r))
		reading.Go(func() {
			for next() { //nolint:revive // it only reads
			}
		})
	}
	for range stalled {
		s.watch(ctx, b, jobName(runs[1])) // and nobody asks it for the next event
	}
	var times [2][]time.Duration
	n := int64(0)
	for b.Loop() {
		n++
		for i := range runs {
			i = (i + int(n)) % len(runs) // neither is always the first
			event, start := piece(b, n), time.Now()
			require.NoError(b, runs[i].Append(b.Context(), event))
			times[i] = append(times[i], time.Since(start))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(percentile(times[1], 0.5).Seconds()/percentile(times[0], 0.5).Seconds(), "stalled/free-p50")
	reportTimes(b, "free", times[0])
	reportTimes(b, "stalled", times[1])
}
