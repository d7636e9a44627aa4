package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/status"

	"witan.dev/client"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// exitInterrupted follows the shells' convention for a program ended by Ctrl-C: the job goes on, or pauses.
const exitInterrupted = 130

// awayLimit is how long a server may be away: longer than the restart of one that drains its work.
const awayLimit = time.Minute

// viewer takes the events of a followed job, in order, each once.
type viewer struct {
	event func(*jobsv1.JobEvent)
	// council takes those of the deliberation that a review waits for, while it waits; nil: they are not read.
	council func(*jobsv1.JobEvent)
}

// follow watches a job to the end of its attempt and hands every event of the log to the viewer, however often the
// stream is cut. Ctrl-C leaves the job alone; a second one cancels it.
func (a *app) follow(ctx context.Context, s *session, job string, after int64, v viewer) (*jobsv1.Job, error) {
	c := a.client(s)
	watching, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	follower, ended := c.Follow(job, client.Start{After: after}), make(chan error, 1)
	go func() { ended <- a.gone(a.show(watching, c, follower, v), job, s) }()
	for interrupted := false; ; {
		select {
		case err := <-ended:
			if err != nil {
				return nil, err
			}
			if j := follower.Job(); j != nil {
				return j, nil
			}
			return c.Get(ctx, job) // it was deleted meanwhile: the server says so
		case <-a.interrupts:
			if s.inside {
				a.say("\n%s pauses here and goes on at the next start; follow it with: witan attach %s%s", job, job, s.attach)
				return nil, exit(exitInterrupted, nil)
			}
			if interrupted {
				return a.cancelled(ctx, c, job)
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

func (a *app) cancelled(ctx context.Context, c *client.Client, job string) (*jobsv1.Job, error) {
	a.say("cancelling %s", job)
	if _, err := c.Cancel(ctx, job); err != nil {
		return nil, err
	}
	return c.Wait(ctx, job)
}

// client follows jobs over a session's connection.
func (a *app) client(s *session) *client.Client {
	return client.New(s.conn, client.Config{AwayLimit: awayLimit, OnAway: func(error) {
		a.say("  the server does not answer; trying again for %s", awayLimit)
	}})
}

// show hands the events of a job to its viewer, up to the end.
func (a *app) show(ctx context.Context, c *client.Client, f *client.Follower, v viewer) error {
	for event, err := range f.Events(ctx) {
		if err != nil {
			return err
		}
		v.event(event)
		if child := event.GetReview().GetDeliberationStarted().GetJob(); child != "" && v.council != nil {
			inner := viewer{event: v.council}
			_ = a.show(ctx, c, c.Follow(child, client.Start{}), inner) // what it would say, the review's own log says as well
		}
	}
	return nil
}

// gone tells how to come back to a job whose server went away. With a command that ran the system inside itself goes
// the server of all commands that had joined it.
func (a *app) gone(err error, job string, s *session) error {
	if _, away := errors.AsType[*client.AwayError](err); !away {
		return err
	}
	return exit(exitUnreachable, fmt.Errorf("%w; what is stored is kept, and %s goes on at the next start; follow it with: witan attach %s%s", errServerGone, job, job, s.attach))
}

var errServerGone = errors.New("the server is gone")

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
