package server

import (
	"context"
	"net/http"
	"sync"
	"time"

	"witan.dev/internal/apierr/httpstatus"
	"witan.dev/internal/apierr/rpcstatus"
	"witan.dev/internal/rpc"
)

// pump copies one stream of events to one viewer. It belongs to one request.
type pump struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	cancel  context.CancelFunc // ends the gRPC stream
	frames  frames
	lastSeq int64
	ended   bool // the viewer has everything that will ever come
	begun   bool // headers are out
	// patient: an answer may take long, and until it is there an error keeps its own status.
	patient bool
}

type received struct {
	event *shown
	err   error
}

func (s *Server) newPump(w http.ResponseWriter, r *http.Request, cancel context.CancelFunc) *pump {
	return &pump{s: s, w: w, r: r, control: http.NewResponseController(w), cancel: cancel, frames: format(r)}
}

// serve runs until the stream ends, breaks, or the viewer leaves. Until the job service has accepted the viewer nothing
// is written, so that a refusal has its own status code.
func (p *pump) serve(stream eventStream, after int64) {
	p.lastSeq = after
	events, accepted, left := make(chan received), make(chan struct{}), make(chan struct{})
	var helpers sync.WaitGroup
	helpers.Go(func() { p.receive(stream, events, left) })
	helpers.Go(func() {
		// The job service sends headers when it accepts a viewer; a refused stream has none, and its error comes from Recv.
		if header, err := stream.Header(); err == nil && header != nil {
			close(accepted)
		}
	})
	p.copy(events, accepted)
	p.cancel()
	close(left)
	helpers.Wait()
}

// copy is the loop of the writing side.
func (p *pump) copy(events <-chan received, accepted <-chan struct{}) {
	silence := time.NewTimer(attachWait)
	defer silence.Stop()
	for {
		var ok bool
		select {
		case got := <-events:
			ok = p.handle(got)
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

// handle writes what was received, and says whether to go on.
func (p *pump) handle(got received) bool {
	switch {
	case got.err == nil:
		at, _, err := got.event.line()
		if err != nil {
			return p.fail(err)
		}
		p.note(at)
		return p.begin() && p.write(p.frames.event(got.event))
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

// write sends one frame at once. A viewer that does not take it in time is cut off.
func (p *pump) write(frame []byte, err error) bool {
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
	return p.control.Flush() == nil
}

// bufferKept is how much memory a viewer keeps to receive into.
const bufferKept = 64 << 10

// receive hands on what the stream gives, until it ends or nobody is left to take it.
func (p *pump) receive(stream eventStream, events chan<- received, left <-chan struct{}) {
	var raw rpc.Encoded
	for {
		got := received{err: stream.RecvMsg(&raw)}
		if got.err == nil {
			got.event = p.s.memo.of(raw)
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
