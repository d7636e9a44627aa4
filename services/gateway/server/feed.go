package server

import (
	"context"
	"crypto/sha256"
	"net/http"
	"sync"

	"google.golang.org/protobuf/proto"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/rpc"
)

const (
	// feedFrames and feedBytes bound what a feed keeps for viewers that are not quite as fast as the job.
	feedFrames = 512
	feedBytes  = 2 << 20
)

// audiences are the viewers of jobs, by what they are shown. Safe for concurrent use.
type audiences struct {
	mu  sync.Mutex
	all map[audienceKey]*audience
}

// audienceKey names those who are shown the same frames for the same reason: one job, one filter, one set of credentials.
type audienceKey struct {
	filter      string // the job's name is in it
	credentials [sha256.Size]byte
}

// audience is the viewers of one key. The job service streams to each of them until there are two; then what is new comes
// in one stream for all.
type audience struct {
	of      *audiences
	key     audienceKey
	viewers int   // guarded by of.mu
	feed    *feed // guarded by of.mu; nil: nobody has needed one
}

func newAudiences() *audiences { return &audiences{all: make(map[audienceKey]*audience)} }

// join adds a viewer, which has to leave. It returns nil for one whose stream is its own affair: with a deadline.
func (s *Server) join(ctx context.Context, r *http.Request, req *jobsv1.WatchJobRequest) *audience {
	if _, limited := ctx.Deadline(); limited {
		return nil
	}
	filter := proto.CloneOf(req)
	filter.AfterSeq, filter.From = nil, jobsv1.WatchJobRequest_FROM_UNSPECIFIED
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(filter)
	if err != nil {
		return nil // the job service says what is wrong with it
	}
	all := s.audiences
	key := audienceKey{filter: string(raw), credentials: sha256.Sum256([]byte(r.Header.Get("Authorization")))}
	all.mu.Lock()
	defer all.mu.Unlock()
	a, ok := all.all[key]
	if !ok {
		a = &audience{of: all, key: key}
		all.all[key] = a
	}
	a.viewers++
	return a
}

// leave takes a viewer out; the feed ends with the last one.
func (a *audience) leave() {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if a.viewers--; a.viewers > 0 {
		return
	}
	delete(a.of.all, a.key)
	if a.feed != nil {
		a.feed.cancel()
	}
}

// share returns the feed and the index of its oldest frame for a viewer who has all up to seq; nil where that is alone or
// too far behind.
// start makes a new feed from behind seq.
func (a *audience) share(seq int64, start func() *feed) (*feed, int) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	if a.viewers < 2 {
		return nil, 0
	}
	if a.feed == nil || a.feed.overBefore(seq) {
		a.feed = start()
	}
	first, ok := a.feed.covers(seq)
	if !ok {
		return nil, 0
	}
	return a.feed, first
}

// feed is one stream of a job's frames for many viewers. It reads as fast as the job service sends and keeps the newest
// frames: a viewer that falls behind these goes back to a stream of its own. Safe for concurrent use.
type feed struct {
	cancel context.CancelFunc

	mu     sync.Mutex
	frames []feedFrame
	first  int   // index of frames[0] among all that there were
	floor  int64 // where a viewer has to stand to miss nothing by beginning with frames[0]
	bytes  int
	err    error         // why the stream is over
	news   chan struct{} // closed when there is more
}

type feedFrame struct {
	*shown

	resume int64
}

// newFeed follows a job from behind seq, with the credentials of ctx, until the stream ends or it is cancelled.
func (s *Server) newFeed(ctx context.Context, filter *jobsv1.WatchJobRequest, seq int64) *feed {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &feed{cancel: cancel, floor: seq, news: make(chan struct{})}
	req := proto.CloneOf(filter)
	req.AfterSeq, req.From = &seq, jobsv1.WatchJobRequest_FROM_UNSPECIFIED
	s.feeding.Go(func() {
		defer cancel()
		f.end(s.feed(ctx, req, f))
	})
	return f
}

// feed hands what a stream gives to f and returns why it ended.
func (s *Server) feed(ctx context.Context, req *jobsv1.WatchJobRequest, f *feed) error {
	stream, err := s.jobs.WatchJob(ctx, req, rpc.EncodedMessages())
	if err != nil {
		return err
	}
	var raw rpc.Encoded
	for {
		if err := stream.RecvMsg(&raw); err != nil {
			return err
		}
		e := s.memo.of(raw)
		at, _, err := e.line()
		if err != nil {
			return err
		}
		f.add(feedFrame{e, at.resume}, at.beat)
		if cap(raw) > bufferKept {
			raw = nil
		}
	}
}

// add appends a frame and drops what is too old. A heartbeat that says nothing new is left out: each viewer has its own.
func (f *feed) add(frame feedFrame, beat bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if beat && frame.resume <= f.last() {
		return
	}
	f.frames = append(f.frames, frame)
	f.bytes += len(frame.raw)
	for len(f.frames) > feedFrames || (f.bytes > feedBytes && len(f.frames) > 1) {
		f.floor = max(f.floor, f.frames[0].resume)
		f.bytes -= len(f.frames[0].raw)
		f.frames[0] = feedFrame{}
		f.frames = f.frames[1:]
		f.first++
	}
	f.wake()
}

// end says that nothing more comes, and why.
func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.wake()
}

// wake tells who waits. The caller holds mu.
func (f *feed) wake() {
	close(f.news)
	f.news = make(chan struct{})
}

// overBefore says whether the feed ended before a viewer who stands at seq: the job has gone on since, with a retry.
func (f *feed) overBefore(seq int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err != nil && seq > f.last()
}

// last is where the newest frame stands. The caller holds mu.
func (f *feed) last() int64 {
	if n := len(f.frames); n > 0 {
		return max(f.floor, f.frames[n-1].resume)
	}
	return f.floor
}

// covers says whether all that is behind seq is there or to come, and the index of the oldest frame.
func (f *feed) covers(seq int64) (first int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first, seq >= f.floor && f.err == nil
}

// portion is what a feed has for a viewer.
type portion struct {
	frames []feedFrame
	// lost: the viewer was too slow, and what it needs next is no longer there.
	lost bool
	// err is why nothing comes after frames; nil: more is to come.
	err error
	// news is closed when there is more.
	news <-chan struct{}
}

// from is what there is from an index on.
func (f *feed) from(index int) portion {
	f.mu.Lock()
	defer f.mu.Unlock()
	if index < f.first {
		return portion{lost: true}
	}
	return portion{frames: append([]feedFrame(nil), f.frames[index-f.first:]...), err: f.err, news: f.news}
}
