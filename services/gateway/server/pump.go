package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr/httpstatus"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/rpc"
)

// pump copies one job's events to one viewer: from a stream of the viewer's own, and from a feed that it shares once it has
// what was before. It belongs to one request.
type pump struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	frames  frames
	lastSeq int64
	ended   bool // the viewer has everything that will ever come
	begun   bool // headers are out
	// patient: an answer may take long, and until it is there an error keeps its own status.
	patient bool

	own  *source
	with *sharing // nil: nobody else is shown the same
}

// sharing is a viewer's part in an audience.
type sharing struct {
	audience *audience
	// ctx and req are what the viewer's own streams are made of.
	ctx context.Context //nolint:containedctx // it belongs to the request, as the pump does
	req *jobsv1.WatchJobRequest
	// live is where the job was when the viewer came: before that there is nothing to share.
	live int64
	feed *feed // nil: the viewer follows its own stream
	next int   // index of the next frame in the feed
	news <-chan struct{}
}

// source is one viewer's own stream.
type source struct {
	cancel   context.CancelFunc
	events   chan received
	accepted chan struct{}
	left     chan struct{}
	helpers  sync.WaitGroup
}

type received struct {
	event *shown
	err   error
}

func (s *Server) newPump(w http.ResponseWriter, r *http.Request) *pump {
	return &pump{s: s, w: w, r: r, control: http.NewResponseController(w), frames: format(r)}
}

// serve runs until the stream ends, breaks, or the viewer leaves. Until the job service has accepted the viewer nothing
// is written, so that a refusal has its own status code. cancel ends the stream.
func (p *pump) serve(stream eventStream, cancel context.CancelFunc, after int64) {
	p.lastSeq = after
	p.own = p.s.newSource(stream, cancel)
	p.copy()
	p.own.close()
}

func (s *Server) newSource(stream eventStream, cancel context.CancelFunc) *source {
	o := &source{cancel: cancel, events: make(chan received, burst), accepted: make(chan struct{}), left: make(chan struct{})}
	o.helpers.Go(func() { s.receive(stream, o.events, o.left) })
	o.helpers.Go(func() {
		// The job service sends headers when it accepts a viewer; a refused stream has none, and its error comes from Recv.
		if header, err := stream.Header(); err == nil && header != nil {
			close(o.accepted)
		}
	})
	return o
}

// close ends the stream; nothing comes from the source any more. A nil source is closed.
func (o *source) close() {
	if o == nil {
		return
	}
	o.cancel()
	close(o.left)
	o.helpers.Wait()
}

// copy is the loop of the writing side.
func (p *pump) copy() {
	silence := time.NewTimer(attachWait)
	defer silence.Stop()
	accepted := p.own.accepted
	for {
		var (
			ok     bool
			events <-chan received
			news   <-chan struct{}
		)
		if p.own != nil {
			events = p.own.events
		}
		if p.with != nil {
			news = p.with.news
		}
		select {
		case got := <-events:
			ok = p.handleAll(got, events) && p.share()
		case <-news:
			ok = p.takeShared()
		case <-accepted:
			accepted = nil
			ok = p.begin()
		case <-silence.C:
			ok = p.stayAlive()
		case <-p.s.draining:
			if p.patient && !p.begun {
				p.fail(errStopping)
				return
			}
			p.begin() // browsers come back to a stream that ended, not to an answer that was none
			return    // a clean end without `done`: the viewer comes back with its position
		case <-p.r.Context().Done():
			return
		}
		if !ok {
			return
		}
		silence.Reset(p.s.cfg.Heartbeat)
	}
}

// share leaves the viewer's own stream for the feed of its audience, where that has all that the viewer still needs.
func (p *pump) share() bool {
	w := p.with
	if w == nil || p.ended || p.lastSeq < max(w.live, 1) {
		return true
	}
	w.feed, w.next = w.audience.share(p.lastSeq, func() *feed { return p.s.newFeed(w.ctx, w.req, p.lastSeq) })
	if w.feed == nil {
		return true
	}
	p.own.close()
	p.own = nil
	return p.takeShared()
}

// takeShared writes what the feed has, and says whether to go on.
func (p *pump) takeShared() bool {
	w := p.with
	got := w.feed.from(w.next)
	if got.lost {
		return p.alone()
	}
	w.next += len(got.frames)
	w.news = got.news
	for _, frame := range got.frames {
		if frame.resume > 0 && frame.resume <= p.lastSeq {
			continue // it came by the stream before
		}
		if !p.handle(received{event: frame.shown}) {
			return false
		}
	}
	return p.flush() && (got.err == nil || p.handle(received{err: got.err}))
}

// alone goes back from the feed to a stream of the viewer's own, behind what it has.
func (p *pump) alone() bool {
	w := p.with
	w.feed, w.news = nil, nil
	req := proto.CloneOf(w.req)
	req.AfterSeq, req.From = new(p.lastSeq), jobsv1.WatchJobRequest_FROM_UNSPECIFIED
	ctx, cancel := context.WithCancel(w.ctx)
	stream, err := p.s.jobs.WatchJob(ctx, req, rpc.EncodedMessages())
	if err != nil {
		cancel()
		return p.fail(err)
	}
	p.own = p.s.newSource(stream, cancel)
	return true
}

// burst is how many frames go out together at most, where they come faster than a viewer takes them.
const burst = 32

// handleAll writes what was received and what is there already, at once, and says whether to go on.
func (p *pump) handleAll(got received, events <-chan received) bool {
	for range burst {
		if !p.handle(got) {
			return false
		}
		select {
		case got = <-events:
			continue
		default:
		}
		return p.flush()
	}
	return p.handle(got) && p.flush()
}

// handle writes what was received, without sending it yet where more may follow, and says whether to go on.
func (p *pump) handle(got received) bool {
	switch {
	case got.err == nil:
		at, _, err := got.event.line()
		if err != nil {
			return p.fail(err)
		}
		p.note(at)
		return p.begin() && p.put(p.frames.event(got.event))
	case isEnd(got.err):
		if p.begin() && p.ended {
			p.write(p.frames.done())
		}
	default:
		return p.fail(got.err)
	}
	return false
}

// fail says why the stream is over: with a status of its own where nothing was written yet.
func (p *pump) fail(err error) bool {
	if !p.begun {
		p.s.writeError(p.w, p.r, err)
		return false
	}
	st := rpcstatus.From(err)
	p.write(p.frames.failed(httpstatus.Encode(p.r.Context(), st, httpstatus.Of(st), p.s.deps.Logger)))
	return false
}

// note keeps where the viewer stands after a frame.
func (p *pump) note(at place) {
	p.lastSeq = max(p.lastSeq, at.resume)
	if at.inLog || at.snapshot {
		p.ended = at.ended // a retried job goes on
	}
}

// begin sends the headers, once.
func (p *pump) begin() bool {
	if p.begun {
		return true
	}
	p.begun = true
	h := p.w.Header()
	h.Set("Content-Type", p.frames.contentType())
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	p.w.WriteHeader(http.StatusOK)
	return p.write(p.frames.hello())
}

func (p *pump) stayAlive() bool {
	if !p.begun {
		return p.patient || p.begin()
	}
	return p.write(p.frames.alive(p.lastSeq))
}

// write sends one frame at once, with what was put before.
func (p *pump) write(frame []byte, err error) bool { return p.put(frame, err) && p.flush() }

// put writes one frame, which is sent by the next flush at the latest. A viewer that does not take it in time is cut off.
func (p *pump) put(frame []byte, err error) bool {
	ctx := p.r.Context()
	if err != nil {
		p.s.deps.Logger.ErrorContext(ctx, "event not encoded", "error", err)
		return false
	}
	if err := p.control.SetWriteDeadline(time.Now().Add(p.s.cfg.WriteTimeout)); err != nil {
		p.s.deps.Logger.DebugContext(ctx, "no write deadline", "error", err)
	}
	if len(frame) > 0 {
		if _, err := p.w.Write(frame); err != nil {
			p.s.deps.Logger.DebugContext(ctx, "viewer left", "error", err)
			return false
		}
	}
	return true
}

func (p *pump) flush() bool { return p.control.Flush() == nil }

// bufferKept is how much memory a viewer keeps to receive into.
const bufferKept = 64 << 10

// receive hands on what the stream gives, until it ends or nobody is left to take it.
func (s *Server) receive(stream eventStream, events chan<- received, left <-chan struct{}) {
	var raw rpc.Encoded
	for {
		got := received{err: stream.RecvMsg(&raw)}
		if got.err == nil {
			got.event = s.memo.of(raw)
		}
		if cap(raw) > bufferKept {
			raw = nil
		}
		select {
		case events <- got:
		case <-left:
			return
		}
		if got.err != nil {
			return
		}
	}
}
