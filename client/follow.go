package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// Start says where following a job begins. The zero value is the beginning of its log.
type Start struct {
	// After is the number of the last event that the caller has; 0: none. Not together with Snapshot.
	After int64
	// Snapshot begins with the job as it is now: the first event is the snapshot (seq 0, its place is as_of_seq), then
	// comes what follows it. If a follower is cut before it got the snapshot, it asks for a newer one.
	Snapshot bool
}

// Follower is one reader of one job's log and knows its place in it. Its methods are safe for concurrent use.
type Follower struct {
	c   *Client
	job string

	after atomic.Int64

	mu sync.Mutex // held while events are read, since there is one place
	// placed is false until a snapshot that was asked for has said where the log goes on.
	placed bool
	ended  atomic.Pointer[jobsv1.Job]
}

// Follow returns a follower of a job (`jobs/{job}`). Nothing is sent before Events is ranged over.
func (c *Client) Follow(job string, start Start) *Follower {
	f := &Follower{c: c, job: job, placed: !start.Snapshot}
	if !start.Snapshot {
		f.after.Store(start.After)
	}
	return f
}

// Name is the job's name.
func (f *Follower) Name() string { return f.job }

// After is the number of the newest event that was handed over, or of the start: what Start.After of another follower
// needs to go on here. Inside the loop it is the number of the event at hand.
func (f *Follower) After() int64 { return f.after.Load() }

// Job is the job as it was when Events came to its end; nil before.
func (f *Follower) Job() *jobsv1.Job { return f.ended.Load() }

// Events returns every event of the job's log behind the follower's place, each once and in order, as it is committed, up
// to the event that ends the newest attempt. Heartbeats are not handed over. Cuts, restarts of the server, clean ends at
// a stream's maximum age and VIEWER_TOO_SLOW are bridged.
//
// A pair has either an event or an error, and an error is the last one: a [*SequenceError], an [*AwayError], the cause of
// ctx's end, or a status that no further try would change, such as NOT_FOUND (JOB_NOT_FOUND) or OUT_OF_RANGE
// (HISTORY_EXPIRED: the log is gone, while the job can be read). Leaving the loop touches nothing in the job; another
// range goes on behind the last event that was handed over. Two ranges at once wait for each other.
func (f *Follower) Events(ctx context.Context) iter.Seq2[*jobsv1.JobEvent, error] {
	return func(yield func(*jobsv1.JobEvent, error) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		err := f.follow(ctx, func(e *jobsv1.JobEvent) bool { return yield(e, nil) })
		if err != nil && !errors.Is(err, errLeft) {
			yield(nil, err)
		}
	}
}

// errLeft says that the caller has left the loop.
var errLeft = errors.New("the loop was left")

func (f *Follower) follow(ctx context.Context, yield func(*jobsv1.JobEvent) bool) error {
	p := f.c.pace()
	for {
		w := f.watch(ctx, yield)
		if w.err == nil && !f.placed {
			w.err = errUnplaced
		}
		switch {
		case errors.Is(w.err, errLeft):
			return errLeft
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case w.err != nil && !isCut(w.err):
			return w.err
		case w.frames > 0:
			p.progressed()
		}
		switch {
		case w.err == nil || w.final:
			over, err := f.over(ctx, w.final)
			if over || err != nil && !isCut(err) {
				return err
			}
			if w.err = err; err == nil {
				p.answered()
			}
		case w.frames > 0:
			w.err = nil // a stream that lived was cut; whether the server is away shows at the next try
		}
		if err := p.pause(ctx, w.err); err != nil {
			return err
		}
	}
}

// watched is what one stream brought.
type watched struct {
	frames int
	final  bool  // the last event that came ends an attempt
	err    error // nil: the server ended the stream
}

// watch reads one stream.
func (f *Follower) watch(ctx context.Context, yield func(*jobsv1.JobEvent) bool) watched {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(f.c.cfg.Silence, func() { cancel(errSilent) })
	defer silence.Stop()
	stream, err := f.c.jobs.WatchJob(ctx, f.request())
	if err != nil {
		return watched{err: f.cause(ctx, err)}
	}
	var w watched
	for {
		event, err := stream.Recv()
		silence.Stop() // the caller takes its time with an event
		if errors.Is(err, io.EOF) {
			return w
		}
		if err != nil {
			w.err = f.cause(ctx, err)
			return w
		}
		w.frames++
		passes, err := f.admit(event)
		if err != nil {
			w.err = err
			return w
		}
		if passes {
			w.final = event.GetFinal()
			if !yield(event) {
				w.err = errLeft
				return w
			}
		}
		silence.Reset(f.c.cfg.Silence)
	}
}

// cause tells a stream that was silent from one that was cut.
func (f *Follower) cause(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSilent) {
		return errSilent
	}
	return err
}

func (f *Follower) request() *jobsv1.WatchJobRequest {
	req := &jobsv1.WatchJobRequest{Name: f.job}
	if !f.placed {
		req.From = jobsv1.WatchJobRequest_SNAPSHOT
		return req
	}
	after := f.after.Load()
	req.AfterSeq = &after
	return req
}

// admit moves the place on by one event, and says whether it is the caller's.
func (f *Follower) admit(e *jobsv1.JobEvent) (bool, error) {
	after := f.after.Load()
	switch {
	case e.GetSeq() == 0 && e.GetSnapshot() != nil:
		if f.placed {
			return false, nil // nobody asked for it; what it might skip shows at the next event
		}
		f.placed = true
		f.after.Store(e.GetSnapshot().GetAsOfSeq())
		return true, nil
	case e.GetSeq() == 0:
		// A stream sends all events, so a heartbeat can name none that did not come before it.
		if last := e.GetHeartbeat().GetLastSeq(); f.placed && last > after {
			return false, &SequenceError{Job: f.job, Want: after + 1, Got: last}
		}
		return false, nil
	case !f.placed:
		return false, &SequenceError{Job: f.job, Got: e.GetSeq()}
	case e.GetSeq() != after+1:
		return false, &SequenceError{Job: f.job, Want: after + 1, Got: e.GetSeq()}
	}
	f.after.Store(e.GetSeq())
	return true, nil
}

// over says whether the job has ended here. A stream's end alone does not say it: at its maximum age and from a server
// that stops it ends as well, and the final event of an attempt is followed by those of the next.
func (f *Follower) over(ctx context.Context, final bool) (bool, error) {
	job, err := tryOnce(ctx, callTimeout, func(ctx context.Context) (*jobsv1.Job, error) {
		return f.c.jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: f.job})
	})
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case final && status.Code(err) == codes.NotFound: // deleted since
		return true, nil
	case err != nil || !Ended(job) || job.GetLastSeq() != f.after.Load():
		return false, err
	}
	f.ended.Store(job)
	return true, nil
}
