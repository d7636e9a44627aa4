package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/rpc"
	"witan.dev/services/jobs"
)

// WatchJob implements JobService.
func (s *Server) WatchJob(req *jobsv1.WatchJobRequest, stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	j, err := s.own(stream.Context(), req.GetName())
	if err != nil {
		return err
	}
	after, snapshot := start(req, j)
	return s.stream(stream, j, view{
		after: after, snapshot: snapshot, filter: jobs.Filter{OmitDeltas: req.GetOmitDeltas(), Types: req.GetTypes()},
	})
}

// view is what a viewer wants to see of a job.
type view struct {
	after    int64
	snapshot bool
	filter   jobs.Filter
}

// stream shows a job to a viewer who may see it. Headers come at once, since the first event may be far, but not before
// the viewer has its place: they are the sign that it was accepted.
func (s *Server) stream(stream grpc.ServerStreamingServer[jobsv1.JobEvent], j job.Job, w view) error {
	ctx := stream.Context()
	v, err := s.watcher.Open(ctx, j.ID, w.after)
	if err != nil {
		return away(ctx, err)
	}
	defer v.Close()
	var first *jobsv1.JobEvent
	if w.snapshot {
		if first, err = s.snapshot(ctx, v, w.filter.OmitDeltas); err != nil {
			return err
		}
	}
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	out := newSender(stream, s.cfg)
	defer out.close()
	if first != nil {
		if err := out.send(ctx, frame{message: first}); err != nil {
			return err
		}
	}
	return s.follow(ctx, v, w.filter, out)
}

// start is the position that a request begins behind, and whether a snapshot comes first.
func start(req *jobsv1.WatchJobRequest, j job.Job) (after int64, snapshot bool) {
	if req.AfterSeq != nil { // absent and 0 differ
		return req.GetAfterSeq(), false
	}
	switch req.GetFrom() {
	case jobsv1.WatchJobRequest_BEGINNING:
		return 0, false
	case jobsv1.WatchJobRequest_NOW:
		return j.LastSeq, false
	case jobsv1.WatchJobRequest_SNAPSHOT, jobsv1.WatchJobRequest_FROM_UNSPECIFIED:
		return j.LastSeq, true
	}
	return j.LastSeq, true
}

// snapshot is the job as of its last event, with the texts that are being written; the viewer goes on behind it. One who
// wants no texts makes nobody fold the log for them.
func (s *Server) snapshot(ctx context.Context, v *watch.Viewer, omitTexts bool) (*jobsv1.JobEvent, error) {
	begin := newPartial
	if omitTexts {
		begin = nil
	}
	j, fold, err := v.Snapshot(ctx, begin)
	if err != nil {
		return nil, away(ctx, err)
	}
	m, err := encodeWhole(j)
	if err != nil {
		return nil, err
	}
	m.AsOfSeq = j.LastSeq
	if texts, ok := fold.(*partial); ok {
		m.PartialTexts = texts.list()
	}
	return &jobsv1.JobEvent{Epoch: m.GetEpoch(), Event: &jobsv1.JobEvent_Snapshot{Snapshot: m}}, nil
}

// follow sends what is new until the final event. At the maximum age and when the server stops it ends as well, and the
// viewer comes back with the last seq.
func (s *Server) follow(ctx context.Context, v *watch.Viewer, filter jobs.Filter, out *sender) error {
	beat, age := s.cfg.After(s.cfg.Heartbeat), s.cfg.After(about(s.cfg.MaxAge))
	for {
		events, changed, err := v.Poll(ctx)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, watch.ErrStopped):
			return out.flush(ctx)
		case err != nil:
			return out.last(ctx, err)
		}
		if err := sendAll(ctx, events, filter, out); err != nil {
			return err
		}
		if len(events) > 0 {
			changed = ready()
		}
		select {
		case <-beat:
			beat = s.cfg.After(s.cfg.Heartbeat)
			if err := out.send(ctx, frame{message: heartbeat(v.After())}); err != nil {
				return err
			}
		case <-age:
			return out.flush(ctx)
		case <-changed:
		case <-v.Done():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ready is a channel that does not make anybody wait.
func ready() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// about spreads the ends of streams that began together.
func about(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // a spread, no secret
}

// sendAll sends those that the filter shows. Those before one that cannot be read are sent all the same.
func sendAll(ctx context.Context, events []*watch.Entry, filter jobs.Filter, out *sender) error {
	frames := make([]frame, 0, len(events))
	for _, e := range events {
		if !filter.Shows(e.Event) {
			continue
		}
		raw, err := e.Frame(encodeFrame)
		if err != nil {
			if away := out.send(ctx, frames...); away != nil {
				return away
			}
			return out.last(ctx, err)
		}
		frames = append(frames, frame{message: rpc.Encoded(raw), seq: e.Seq})
	}
	return out.send(ctx, frames...)
}

func heartbeat(last int64) *jobsv1.JobEvent {
	return &jobsv1.JobEvent{Event: &jobsv1.JobEvent_Heartbeat{Heartbeat: &jobsv1.Heartbeat{LastSeq: last}}}
}

// frame is one message to a viewer: a *jobsv1.JobEvent, or one in its wire form.
type frame struct {
	message any
	// seq is its number in the log; 0 where it is not in the log.
	seq int64
}

// sender writes to a stream from a goroutine of its own, because a write to a viewer that does not read blocks until
// the stream's handler has returned.
type sender struct {
	cfg    Config
	frames chan []frame
	failed chan error
	done   chan struct{}
	// written counts the frames that were written, and newest is the number of the last event among them.
	written, newest atomic.Int64
	// left: nobody is to be written to any more.
	left atomic.Bool
}

func newSender(stream grpc.ServerStreamingServer[jobsv1.JobEvent], cfg Config) *sender {
	frames := make(chan []frame)
	o := &sender{cfg: cfg, frames: frames, failed: make(chan error, 1), done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for some := range frames {
			for _, f := range some {
				if o.left.Load() {
					return
				}
				if err := stream.SendMsg(f.message); err != nil {
					o.failed <- err
					return
				}
				o.written.Add(1)
				if f.seq > 0 {
					o.newest.Store(f.seq)
				}
			}
		}
	}()
	return o
}

// send hands frames over when those before them were written.
func (o *sender) send(ctx context.Context, some ...frame) error {
	if len(some) == 0 {
		return nil
	}
	select {
	case o.frames <- some:
		return nil
	default:
	}
	for {
		written := o.written.Load()
		select {
		case o.frames <- some:
			return nil
		case err := <-o.failed:
			return err
		case <-o.cfg.After(o.cfg.Grace):
			if o.written.Load() == written {
				return o.tooSlow()
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flush waits until the last frame was written, for one grace in all. Nothing can be sent after it.
func (o *sender) flush(ctx context.Context) error {
	o.end()
	select {
	case <-o.done:
	case <-o.cfg.After(o.cfg.Grace):
		return o.tooSlow()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-o.failed:
		return err
	default:
		return nil
	}
}

// last is flush where the stream ends with an error, which the viewer gets behind all frames.
func (o *sender) last(ctx context.Context, err error) error {
	return cmp.Or(o.flush(ctx), err)
}

// tooSlow gives the viewer up. Nothing is written behind the place that the error names, but for a write under way.
func (o *sender) tooSlow() error {
	o.left.Store(true)
	return jobs.ErrViewerTooSlow.With("seq", strconv.FormatInt(o.newest.Load(), 10))
}

// close gives up what was not written yet. A write that blocks ends with the stream, when the handler has returned.
func (o *sender) close() {
	o.left.Store(true)
	o.end()
}

// end lets the goroutine end behind the frames that it has.
func (o *sender) end() {
	if o.frames != nil {
		close(o.frames)
		o.frames = nil
	}
}
