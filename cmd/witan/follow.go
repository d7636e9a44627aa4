package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// exitInterrupted follows the shells' convention for a program ended by Ctrl-C: the job goes on, or pauses.
const exitInterrupted = 130

const (
	// reconnectPause is how long a follower waits before it asks again for a stream that was cut.
	reconnectPause = 500 * time.Millisecond
	// reconnectLimit is how long a server may be away: longer than the restart of one that drains its work.
	reconnectLimit = time.Minute
)

// viewer takes the events of a followed job, in order, each once.
type viewer struct {
	event func(*jobsv1.JobEvent)
	// council takes those of the deliberation that a review waits for, while it waits; nil: they are not read.
	council func(*jobsv1.JobEvent)
}

// follow watches a job to the end of its attempt and hands every event of the log to the viewer, however often the
// stream is cut. Ctrl-C leaves the job alone; a second one cancels it.
func (a *app) follow(ctx context.Context, s *session, job string, after int64, v viewer) (*jobsv1.Job, error) {
	jobs := jobsv1.NewJobServiceClient(s.conn)
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 1)
	reader := logFollower{jobs: jobs, job: job, after: after, onEvent: v.event, pause: reconnectPause, limit: reconnectLimit, say: a.say}
	if v.council != nil {
		reader.onEvent = func(e *jobsv1.JobEvent) {
			v.event(e)
			if child := e.GetReview().GetDeliberationStarted().GetJob(); child != "" {
				inner := reader
				inner.job, inner.after, inner.onEvent = child, 0, v.council
				_ = inner.follow(watching) // what it would say, the review's own log says as well
			}
		}
	}
	go func() { ended <- a.gone(reader.follow(watching), job, s) }()
	for interrupted := false; ; {
		select {
		case err := <-ended:
			if err != nil {
				return nil, err
			}
			return jobs.GetJob(ctx, &jobsv1.GetJobRequest{Name: job})
		case <-a.interrupts:
			if s.inside {
				a.say("\n%s pauses here and goes on at the next start; follow it with: witan attach %s%s", job, job, s.attach)
				return nil, exit(exitInterrupted, nil)
			}
			if interrupted {
				return a.cancelled(ctx, jobs, job)
			}
			interrupted = true
			stop(errDetached)
			if err := <-ended; err != nil && !errors.Is(err, errDetached) {
				return nil, err
			}
			a.say("\n%s goes on without you; follow it with: witan attach %s%s\nCtrl-C once more within 3 s cancels it.", job, job, s.attach)
			ended = a.graceForCancel()
		}
	}
}

var errDetached = errors.New("detached")

// graceForCancel gives the user a moment for the second Ctrl-C.
func (a *app) graceForCancel() chan error {
	over := make(chan error, 1)
	time.AfterFunc(3*time.Second, func() { over <- exit(exitInterrupted, nil) })
	return over
}

func (a *app) cancelled(ctx context.Context, jobs jobsv1.JobServiceClient, job string) (*jobsv1.Job, error) {
	a.say("cancelling %s", job)
	if _, err := jobs.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: job}); err != nil {
		return nil, err
	}
	return jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: job})
}

// gone tells how to come back to a job whose server went away. With a command that ran the system inside itself goes
// the server of all commands that had joined it.
func (a *app) gone(err error, job string, s *session) error {
	if !errors.Is(err, errServerGone) {
		return err
	}
	return exit(exitUnreachable, fmt.Errorf("%w; what is stored is kept, and %s goes on at the next start; follow it with: witan attach %s%s", err, job, job, s.attach))
}

var errServerGone = errors.New("the server is gone")

// logFollower reads the log of one job behind the event after.
type logFollower struct {
	jobs    jobsv1.JobServiceClient
	job     string
	after   int64
	onEvent func(*jobsv1.JobEvent)
	// pause before each new try, and how long all tries in a row may fail.
	pause, limit time.Duration
	say          func(format string, args ...any)
}

// follow reads until the final event. A server that stays away is errServerGone.
func (f *logFollower) follow(ctx context.Context) error {
	var away time.Time
	for {
		before := f.after
		final, err := followOnce(ctx, f.jobs, f.job, &f.after, f.onEvent)
		switch {
		case final:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && status.Code(err) != codes.Unavailable:
			return err
		case err == nil || f.after > before:
			away = time.Time{}
		case away.IsZero():
			away = time.Now()
			f.say("  the server does not answer; trying again for %s", f.limit)
		case time.Since(away) > f.limit:
			return errServerGone
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(f.pause):
		}
	}
}

func followOnce(ctx context.Context, jobs jobsv1.JobServiceClient, job string, after *int64, onEvent func(*jobsv1.JobEvent)) (final bool, err error) {
	stream, err := jobs.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: job, AfterSeq: after})
	if err != nil {
		return false, err
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return final, nil
		}
		if err != nil {
			return final, err
		}
		if event.GetSeq() == 0 {
			continue // a heartbeat
		}
		*after = event.GetSeq()
		onEvent(event)
		final = event.GetFinal()
	}
}

// outcome turns a finished job into the exit code that api and README promise. partial is not a failure of the command,
// but no success either.
func outcome(job *jobsv1.Job) error {
	switch job.GetState() {
	case jobsv1.Job_SUCCEEDED:
		return nil
	case jobsv1.Job_PARTIALLY_SUCCEEDED:
		return exit(exitPartial, nil)
	case jobsv1.Job_CANCELLED:
		return exit(exitCancelled, errors.New("the job was cancelled"))
	default:
		return exit(exitFailed, fmt.Errorf("the job ended %s: %s", job.GetState(), failure(job)))
	}
}

func failure(job *jobsv1.Job) string {
	switch {
	case job.GetError().GetMessage() != "":
		return explain(status.FromProto(job.GetError()).Err())
	case job.GetStateReason() != "":
		return job.GetStateReason()
	default:
		return "no reason was recorded"
	}
}
