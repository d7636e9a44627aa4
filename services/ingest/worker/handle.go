package worker

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"

	"witan.dev/internal/apierr"
	"witan.dev/internal/crashpoint"
	"witan.dev/services/ingest"
)

// maxFailures is how often a failure of ours, which may pass or not, is tried again.
const maxFailures = 5

// namespace is that of the request IDs that are derived from deliveries.
var namespace = uuid.MustParse("6d1c8a0e-7a0b-5c39-9d2f-3f1d6f0b8e55") //nolint:gochecknoglobals // a constant

// RequestID is the request ID of a delivery's nth call, from 0: the same in every process and at every try.
func RequestID(delivery string, n int) string {
	name := delivery
	if n > 0 {
		name += "/" + strconv.Itoa(n)
	}
	return uuid.NewSHA1(namespace, []byte(name)).String()
}

// handle brings a delivery to its end, or to the intake's.
func (i *Intake) handle(ctx context.Context, e ingest.Entry) {
	pause, failures := firstPause, 0
	for {
		err := i.once(ctx, e, failures >= maxFailures)
		if err == nil {
			i.end(e)
			return
		}
		if ctx.Err() != nil {
			return // Stop gives it back
		}
		if !passes(err) {
			failures++
		}
		if pause == firstPause {
			i.p.Logger.WarnContext(ctx, "a delivery waits; it is tried again", "delivery", e.ID, "event", e.Event, "error", err)
		}
		pause = wait(ctx, pause)
	}
}

// once tries to settle a delivery. last says that a failure of ours makes it a dead letter.
func (i *Intake) once(ctx context.Context, e ingest.Entry, last bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	kept, err := i.p.Store.Keep(ctx, e)
	if err != nil {
		return err
	}
	if kept.State.Settled() { // before: repeated by the sender, or by a crash between settling and the next line
		return i.done(ctx, e.Receipt)
	}
	outcome, err := i.outcome(ctx, e, kept.ReceivedAt, last)
	if err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.BeforeSettle)
	if err := i.p.Store.Settle(ctx, e.ID, outcome); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.AfterSettle)
	i.p.Observe(outcome)
	if outcome.State == ingest.Handled {
		i.p.Logger.InfoContext(ctx, "a delivery was handed over", "delivery", e.ID, "event", e.Event, "action", e.Action, "resource", outcome.Resource)
	}
	if outcome.State == ingest.Dead {
		return i.p.Queue.Bury(ctx, e, outcome.Reason)
	}
	return i.done(ctx, e.Receipt)
}

// done takes a settled delivery out of the queue.
func (i *Intake) done(ctx context.Context, receipt string) error {
	crashpoint.Hit(crashpoint.BeforeDone)
	err := i.p.Queue.Done(ctx, receipt)
	crashpoint.Hit(crashpoint.AfterDone)
	return err
}

// outcome does what a delivery means. An error may pass, or is one of ours that is worth another try.
func (i *Intake) outcome(ctx context.Context, e ingest.Entry, received time.Time, last bool) (ingest.Outcome, error) {
	if e.Takes > ingest.MaxTakes {
		i.p.Logger.ErrorContext(ctx, "a delivery was given up: whoever took it ended", "delivery", e.ID, "event", e.Event, "takes", e.Takes)
		return ingest.Outcome{State: ingest.Dead, Reason: ingest.ReasonTakenTooOften}, nil
	}
	decision, err := ingest.Route(e.Event, e.Body, i.p.Self)
	switch {
	case err != nil:
		i.p.Logger.WarnContext(ctx, "a delivery cannot be read", "delivery", e.ID, "event", e.Event, "error", err)
		return ingest.Outcome{State: ingest.Unparsed, Reason: ingest.ReasonUnreadable}, nil
	case decision.Ignored != "":
		return ingest.Outcome{State: ingest.Ignored, Reason: decision.Ignored}, nil
	}
	outcome, err := i.handOver(ctx, e.ID, received, decision)
	if err == nil {
		return outcome, nil
	}
	if passes(err) || !last && !refuses(err) {
		return ingest.Outcome{}, err
	}
	i.p.Logger.ErrorContext(ctx, "a delivery was given up: the review service refuses it", "delivery", e.ID, "event", e.Event, "error", err)
	return ingest.Outcome{State: ingest.Dead, Reason: reason(err)}, nil
}

// handOver makes the calls of a decision. The first resource stands for all.
func (i *Intake) handOver(ctx context.Context, delivery string, received time.Time, d ingest.Decision) (ingest.Outcome, error) {
	outcome := ingest.Outcome{State: ingest.Handled}
	n, ignored, told := 0, "", len(d.Reviews) > 0
	for _, r := range d.Reviews {
		resource, err := i.p.Reviews.Start(ctx, r, RequestID(delivery, n))
		if err != nil {
			return ingest.Outcome{}, err
		}
		note(&outcome, resource)
		n++
	}
	for _, e := range d.Events {
		resource, why, err := i.p.Reviews.Tell(ctx, delivery, received, e, RequestID(delivery, n))
		if err != nil {
			return ingest.Outcome{}, err
		}
		note(&outcome, resource)
		if why == "" {
			told = true
		} else {
			ignored = why
		}
		n++
	}
	if !told {
		return ingest.Outcome{State: ingest.Ignored, Reason: ignored}, nil
	}
	return outcome, nil
}

func note(o *ingest.Outcome, resource string) {
	if o.Resource == "" {
		o.Resource = resource
	}
}

// passes says that a failure is one of the moment: somebody is away, slow, or not yet told a new secret. Such a delivery
// waits for as long as it takes.
func passes(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return false
	}
	switch e.Kind() {
	case apierr.KindUnavailable, apierr.KindDeadlineExceeded, apierr.KindCanceled, apierr.KindAborted, apierr.KindUnauthenticated:
		return true
	case apierr.KindResourceExhausted:
		return e.Reason() != apierr.ReasonMessageTooLarge && e.Reason() != apierr.ReasonBodyTooLarge
	default:
		return false
	}
}

// refuses says that the same call would be refused again.
func refuses(err error) bool {
	e, ok := errors.AsType[*apierr.Error](err)
	return ok && e.Kind() != apierr.KindInternal
}

func reason(err error) string {
	if e, ok := errors.AsType[*apierr.Error](err); ok && e.Reason() != apierr.ReasonInternal {
		return string(e.Reason())
	}
	return ingest.ReasonHandlingFailed
}
