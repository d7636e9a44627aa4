package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

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
			frame := bareFrame(n)
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
	return s.watchAfter(ctx, b, name, nil)
}

// watchAfter is watch from behind an event; nil: from now on.
func (s *system) watchAfter(ctx context.Context, b *testing.B, name string, after *int64) func() bool {
	b.Helper()
	req := &jobsv1.WatchJobRequest{Name: name, AfterSeq: after}
	if after == nil {
		req.From = jobsv1.WatchJobRequest_NOW
	}
	stream, err := s.watched.WatchJob(ctx, req)
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

// BenchmarkViewersOfManyJobs is BenchmarkCommitToViewer for 1,000 jobs with one viewer each, by server-sent events: one event
// at a time, each to the next job. Beside it a bare broadcaster of as many connections, by turns.
func BenchmarkViewersOfManyJobs(b *testing.B) {
	const jobs = 1000
	hints := &committed{Bus: inprocess.New()}
	s, runs, release := jobsThatWrite(b, jobs, params{bus: hints, http: true})
	defer release()
	ctx, leave := context.WithCancel(b.Context())
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	bare := make([]*sseBroadcaster, jobs)
	var logged, unlogged []*crowd
	for i, r := range runs {
		var url string
		bare[i], url = serveBare(b)
		logged = append(logged, newCrowd(1, func(int) func() bool { return follow(ctx, b, client, s.url+"/v1/"+jobName(r)+":watch?from=NOW") }))
		unlogged = append(unlogged, newCrowd(1, func(int) func() bool { return follow(ctx, b, client, url) }))
	}
	n := int64(0)
	for b.Loop() {
		n++
		i := int(n) % jobs
		event := appendTo(b, hints, runs[i])
		logged[i].see(func() { event(n, logged[i].now) })
		frame := bareFrame(n)
		unlogged[i].see(func() { unlogged[i].now(); bare[i].publish(frame) })
	}
	leave()
	b.ReportMetric(0, "ns/op")
	times := [2][]time.Duration{gather(logged), gather(unlogged)}
	reportTimes(b, "sse", times[0])
	reportTimes(b, "bare-sse", times[1])
	b.ReportMetric(percentile(times[0], 0.5).Seconds()/percentile(times[1], 0.5).Seconds(), "sse/bare-p50")
}

// gather returns the times of all viewers, after they have left.
func gather(crowds []*crowd) (all []time.Duration) {
	for _, c := range crowds {
		c.viewers.Wait()
		for _, t := range c.times {
			all = append(all, t...)
		}
	}
	return all
}

// bareFrame is about as long as an event of the log.
func bareFrame(n int64) []byte {
	return fmt.Appendf(nil, "id: %d\nevent: council.member_delta\ndata: {%q}\n\n", n, strings.Repeat("a line of an answer ", 40))
}

// BenchmarkIdleViewers reports the memory of the process for each of 1,000 viewers of a job in which nothing happens: by
// WatchJob over one connection, by server-sent events, and for each connection of a bare broadcaster. All include their client.
func BenchmarkIdleViewers(b *testing.B) {
	const viewers = 1000
	for range b.N {
		s, runs, release := jobsThatWrite(b, 1, params{http: true})
		ctx, leave := context.WithCancel(b.Context())
		client := &http.Client{Transport: &http.Transport{}}
		_, bare := serveBare(b)
		var crowds []*crowd
		for _, kind := range []struct {
			name string
			open func(int) func() bool
		}{
			{"rpc", func(int) func() bool { return s.watch(ctx, b, jobName(runs[0])) }},
			{"sse", func(int) func() bool { return follow(ctx, b, client, s.url+"/v1/"+jobName(runs[0])+":watch?from=NOW") }},
			{"bare-sse", func(int) func() bool { return follow(ctx, b, client, bare) }},
		} {
			before := memory()
			crowds = append(crowds, newCrowd(viewers, kind.open))
			b.ReportMetric((memory()-before)/viewers/1024, kind.name+"-KiB/viewer")
		}
		leave()
		gather(crowds)
		client.CloseIdleConnections()
		release()
	}
	b.ReportMetric(0, "ns/op")
}

// memory is what heap and stacks of this process hold, in bytes.
func memory() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkAttach comes to a job with 10,000 events and reads them all: until the first one, and until the last.
func BenchmarkAttach(b *testing.B) {
	const events = 10_000
	s, runs, release := jobsThatWrite(b, 1, params{http: true})
	defer release()
	for n := int64(0); n < events; n += 100 {
		var batch []job.NewEvent
		for i := range int64(100) {
			batch = append(batch, piece(b, n+i))
		}
		require.NoError(b, runs[0].Append(b.Context(), batch...))
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for name, open := range map[string]func(ctx context.Context) func() bool{
		"rpc": func(ctx context.Context) func() bool { return s.watchAfter(ctx, b, jobName(runs[0]), new(int64)) },
		"sse": func(ctx context.Context) func() bool {
			return follow(ctx, b, client, s.url+"/v1/"+jobName(runs[0])+":watch?after_seq=0")
		},
	} {
		b.Run(name, func(b *testing.B) {
			var first, whole []time.Duration
			for b.Loop() {
				ctx, leave := context.WithCancel(b.Context())
				begun := time.Now()
				next := open(ctx)
				require.True(b, next())
				first = append(first, time.Since(begun))
				for range events - 1 {
					require.True(b, next())
				}
				whole = append(whole, time.Since(begun))
				leave()
				require.False(b, drained(next))
			}
			b.ReportMetric(0, "ns/op")
			reportTimes(b, "first", first)
			reportTimes(b, "whole", whole)
		})
	}
}

// drained reads a stream that is cut to its end.
func drained(next func() bool) (more bool) {
	for next() { //nolint:revive // it only reads
	}
	return false
}

// BenchmarkStalledViewers appends blocks of events to a job with one viewer, by turns alone and while a second viewer is
// attached that came to the long log before it and reads nothing of it: what that costs, in processor time too, falls on its
// own blocks. What it reports of 20 pairs is the mean change of throughput in percent, with its 95 % interval (Student's t):
// below 0 the stalled viewer costs something.
func BenchmarkStalledViewers(b *testing.B) {
	const (
		pairs = 20
		block = 500
		t975  = 2.093 // of 19 degrees of freedom
	)
	for range b.N {
		s, runs, release := jobsThatWrite(b, 1, params{})
		ctx, leave := context.WithCancel(b.Context())
		var reading sync.WaitGroup
		next := s.watch(ctx, b, jobName(runs[0]))
		reading.Go(func() { drained(next) })
		n := int64(0)
		write := func() time.Duration {
			start := time.Now()
			for range block {
				n++
				require.NoError(b, runs[0].Append(b.Context(), piece(b, n)))
			}
			return time.Since(start)
		}
		write() // the log that a stalled viewer comes to
		write()
		var changes []float64
		for pair := range pairs {
			var alone, stalled time.Duration
			for turn := range 2 {
				if (pair+turn)%2 == 0 { // neither is always the first
					alone = write()
					continue
				}
				end := s.stall(b, jobName(runs[0]))
				stalled = write()
				end()
			}
			changes = append(changes, 100*(alone.Seconds()/stalled.Seconds()-1))
		}
		mean, half := meanInterval(changes, t975)
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(mean, "change-%")
		b.ReportMetric(mean-half, "change-low-%")
		b.ReportMetric(mean+half, "change-high-%")
		leave()
		reading.Wait()
		release()
	}
}

// stall attaches a viewer to the beginning of a log which reads one event and no more. end takes it away, and requires that
// it was attached until then.
func (s *system) stall(b *testing.B, name string) (end func()) {
	b.Helper()
	ctx, leave := context.WithCancel(b.Context())
	stream, err := s.watched.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: name, AfterSeq: new(int64)})
	require.NoError(b, err)
	_, err = stream.Recv()
	require.NoError(b, err)
	return func() {
		leave()
		for err == nil {
			_, err = stream.Recv()
		}
		require.Equal(b, codes.Canceled, status.Code(err), "%v", err)
	}
}

// meanInterval is the mean of values and half the width of its interval, t standard errors.
func meanInterval(values []float64, t float64) (mean, half float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	sum := 0.0
	for _, v := range values {
		sum += (v - mean) * (v - mean)
	}
	return mean, t * math.Sqrt(sum/float64(len(values)-1)/float64(len(values)))
}
