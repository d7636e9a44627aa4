// Package patience lets the steps of a job wait for a forge that does not answer or wants a pause: durably, with what is
// waited for in the job's own record, and not for ever.
package patience

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
)

// ClassPause marks a step that the forge keeps waiting. Its message is "<milliseconds>@<when it failed>", the first one empty
// where the forge did not say for how long, the second one in milliseconds of Unix time.
const ClassPause engine.Class = "PAUSE"

// ClassUnavailable marks the end of all patience.
const ClassUnavailable engine.Class = "UNAVAILABLE"

const (
	// firstPause and maxPause bound the time between two tries with a forge that does not answer, if nobody says otherwise (own
	// choice).
	firstPause = 2 * time.Second
	maxPause   = time.Minute
	// slack is added to the time that a forge names, whose clock is another one.
	slack = time.Second
)

// Patience is that of one execution. For the body's own goroutine.
type Patience struct {
	Run *job.Run
	// Limit bounds the pauses of a job together.
	Limit time.Duration
	// MaxPause bounds the time between two tries with a forge that does not answer; 0: a minute.
	MaxPause time.Duration
	// Clock is the time; nil: time.Now.
	Clock func() time.Time
	// Tell, where it is set, says that a pause begins. Each execution that comes to it before its end says the same, under the
	// same key.
	Tell func(ctx context.Context, key string, w Waiting) error

	waited time.Duration
}

// Waiting is why a step is tried again, and when.
type Waiting struct {
	Reason string // ReasonLimit or ReasonUnavailable
	Until  time.Time
}

// Again runs a step, and once more under the next name each time when the forge kept it waiting, after a durable sleep. When
// no patience is left, the failure says so. run names its step as it is told.
func (p *Patience) Again(name string, run func(name string) (*engine.Failure, error)) (*engine.Failure, error) {
	for n := 1; ; n++ {
		current := name
		if n > 1 {
			current = fmt.Sprintf("%s/again/%d", name, n)
		}
		f, err := run(current)
		if err != nil || f == nil || f.Class != ClassPause {
			return f, err
		}
		until, over, err := p.spend(f, n)
		if over != nil || err != nil {
			return over, err
		}
		pause := current + "/pause"
		if err := p.tell(p.Run.Context(), pause, f, until); err != nil {
			return nil, err
		}
		if err := p.Run.Sleep(pause, p.left(until)); err != nil {
			return nil, err
		}
	}
}

// Within is Again for what leaves nothing that a step could keep: it pauses within this execution, and counts and tells only
// what this one waited. name is its own in the job. It goes on when the job is cancelled, but waits no more. The error is
// why the execution ends.
func (p *Patience) Within(name string, run func(ctx context.Context) (*engine.Failure, error)) (*engine.Failure, error) {
	ctx, stop := p.Run.UntilDraining(context.WithoutCancel(p.Run.Context()))
	defer stop()
	for n := 1; ; n++ {
		f, err := run(ctx)
		if cause := context.Cause(ctx); cause != nil && (err != nil || f != nil) {
			return nil, cause
		}
		if err != nil || f == nil || f.Class != ClassPause {
			return f, err
		}
		until, over, err := p.spend(f, n)
		if over != nil || err != nil {
			return over, err
		}
		if err := p.tell(ctx, fmt.Sprintf("%s/pause/%d/%d", name, p.Run.Epoch(), n), f, until); err != nil {
			return nil, err
		}
		if over, err := p.pause(ctx, p.left(until)); over != nil || err != nil {
			return over, err
		}
	}
}

// Plenty says whether half of the patience or more is left: for what the job can do without.
func (p *Patience) Plenty() bool { return p.waited <= p.Limit/2 }

// tell says until when the job waits: not when that is over, which a later execution finds, nor when the job is.
func (p *Patience) tell(ctx context.Context, key string, f *engine.Failure, until time.Time) error {
	over := p.left(until) <= 0 || p.Run.Context().Err() != nil
	if p.Tell == nil || over {
		return nil
	}
	return p.Tell(ctx, key, Waiting{Reason: f.Reason, Until: until})
}

// left is how long it is until then.
func (p *Patience) left(until time.Time) time.Duration { return max(until.Sub(p.now()), 0) }

func (p *Patience) now() time.Time {
	if p.Clock == nil {
		return time.Now()
	}
	return p.Clock()
}

// pause waits on the clock.
func (p *Patience) pause(ctx context.Context, d time.Duration) (*engine.Failure, error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil, nil //nolint:nilnil // no failure
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-p.Run.Context().Done():
	}
	if cause := context.Cause(p.Run.Context()); engine.Interrupted(cause) {
		return nil, cause
	}
	return Over(), nil
}

// Over is the failure of what would have to wait for the forge when the job was cancelled or its deadline has passed.
func Over() *engine.Failure {
	return &engine.Failure{
		Class: ClassUnavailable, Reason: string(apierr.ReasonForgeUnavailable), Message: "the forge did not answer, and the job was over",
	}
}

// spend takes the n-th pause from what patience is left, and returns its end. The failure is that none is.
func (p *Patience) spend(f *engine.Failure, n int) (time.Time, *engine.Failure, error) {
	d, begun, err := lengthOf(f, n, cmp.Or(p.MaxPause, maxPause))
	if err != nil {
		return time.Time{}, nil, err
	}
	if p.waited += d; p.waited > p.Limit {
		return time.Time{}, &engine.Failure{
			Class: ClassUnavailable, Reason: string(apierr.ReasonForgeUnavailable),
			Message: fmt.Sprintf("the forge did not answer, or asked for pauses, for longer than %s", p.Limit),
		}, nil
	}
	if begun.IsZero() {
		begun = p.now()
	}
	return begun.Add(d), nil, nil
}

// lengthOf is how long a step waits after its n-th try, and from when on: zero where an older build stored no time. It follows
// from what was stored, so that each execution counts the same.
func lengthOf(f *engine.Failure, n int, longest time.Duration) (d time.Duration, begun time.Time, err error) {
	length, at, timed := strings.Cut(f.Message, "@")
	if timed {
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return 0, time.Time{}, fmt.Errorf("read when a step paused: %w", err)
		}
		begun = time.UnixMilli(ms)
	}
	if length == "" {
		return min(firstPause<<min(n-1, 10), longest), begun, nil
	}
	ms, err := strconv.ParseInt(length, 10, 64)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("read the pause of a step: %w", err)
	}
	return time.Duration(ms) * time.Millisecond, begun, nil
}

// Why the forge keeps a step waiting.
const (
	ReasonLimit       = "FORGE_LIMIT"
	ReasonUnavailable = string(apierr.ReasonForgeUnavailable)
)

// Pause is the failure that makes Again wait for what an error of the forge asks for; nil for every other error.
func Pause(err error, now time.Time) *engine.Failure {
	if limit, ok := errors.AsType[*review.LimitError](err); ok {
		d := max(limit.Until.Sub(now), 0) + slack
		return &engine.Failure{Class: ClassPause, Reason: ReasonLimit, Message: fmt.Sprintf("%d@%d", d.Milliseconds(), now.UnixMilli())}
	}
	if errors.Is(err, review.ErrUnavailable) {
		return &engine.Failure{Class: ClassPause, Reason: ReasonUnavailable, Message: fmt.Sprintf("@%d", now.UnixMilli())}
	}
	return nil
}
