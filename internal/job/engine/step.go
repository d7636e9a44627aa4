package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Class groups failures by what can be done about them. Packages add their own.
type Class string

// The classes that the engine and the job layer themselves give.
const (
	// ClassCancelled: the job was cancelled while the step ran.
	ClassCancelled Class = "CANCELLED"
	// ClassDeadline: the job's deadline passed while the step ran.
	ClassDeadline Class = "DEADLINE"
)

// Failure is the bad end of a step as a value: it is stored like a result, so a body may branch on it and decides the
// same in each execution.
type Failure struct {
	Class Class `json:"class"`
	// Reason in UPPER_SNAKE, for programs.
	Reason string `json:"reason,omitempty"`
	// Message is for people.
	Message string `json:"message,omitempty"`
}

// String is for logs.
func (f *Failure) String() string {
	if f == nil {
		return "no failure"
	}
	return fmt.Sprintf("%s/%s: %s", f.Class, f.Reason, f.Message)
}

// Policy says how often a step is tried. The zero value is one try.
type Policy struct {
	// Tries is the number of tries in one execution; less than 1 means 1.
	Tries int
	// Backoff is the pause before the second try; it doubles with each further one up to MaxBackoff.
	Backoff time.Duration
	// MaxBackoff bounds the pause; 0 means 30 s.
	MaxBackoff time.Duration
	// Retry lists the classes that are tried again. The last try's failure is returned as a value.
	Retry []Class
}

const maxBackoff = 30 * time.Second

// pause is how long to wait after the n-th try, n from 1.
func (p Policy) pause(n int) time.Duration {
	limit := p.MaxBackoff
	if limit <= 0 {
		limit = maxBackoff
	}
	d := p.Backoff
	for range n - 1 {
		if d >= limit/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}

func (p Policy) again(f *Failure, n int) bool {
	return f != nil && n < p.Tries && slices.Contains(p.Retry, f.Class)
}

// outcome is what is stored of a step.
type outcome struct {
	Value   json.RawMessage `json:"value,omitempty"`
	Failure *Failure        `json:"failure,omitempty"`
}

// Step runs fn once and stores what it returned; a replay returns the stored value without running fn. T and the failure
// travel as JSON both ways, so the first run and a replay see the same. An error of fn means "not recorded, stop here":
// the body returns it, and the step runs again in the next execution. So does an error of Step.
func Step[T any](run Run, name string, p Policy, fn func(ctx context.Context) (T, *Failure, error)) (T, *Failure, error) {
	var value T
	raw, err := run.Checkpoint(name, func(ctx context.Context) (json.RawMessage, error) {
		return attempt(ctx, run.Draining(), p, fn)
	})
	if err != nil {
		return value, nil, fmt.Errorf("step %s: %w", name, err)
	}
	var o outcome
	if err := json.Unmarshal(raw, &o); err != nil {
		return value, nil, fmt.Errorf("step %s: read its stored result: %w", name, err)
	}
	if len(o.Value) > 0 {
		if err := json.Unmarshal(o.Value, &value); err != nil {
			return value, nil, fmt.Errorf("step %s: read its stored value: %w", name, err)
		}
	}
	return value, o.Failure, nil
}

func attempt[T any](ctx context.Context, draining <-chan struct{}, p Policy, fn func(ctx context.Context) (T, *Failure, error)) (json.RawMessage, error) {
	for n := 1; ; n++ {
		value, failure, err := fn(ctx)
		if err != nil {
			return nil, err
		}
		if p.again(failure, n) {
			cut := wait(ctx, draining, p.pause(n))
			if cut == nil {
				continue
			}
			if errors.Is(cut, ErrDraining) {
				return nil, cut
			}
		}
		if cause := context.Cause(ctx); Interrupted(cause) {
			return nil, cause // what the end of the process made of the step is not its result
		}
		return encode(value, failure)
	}
}

func encode(value any, failure *Failure) (json.RawMessage, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("store the step's value: %w", err)
	}
	return json.Marshal(outcome{Value: raw, Failure: failure})
}

// wait returns nil when d has passed, and why it was cut short else.
func wait(ctx context.Context, draining <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-draining:
		return ErrDraining
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Sleep waits until d has passed since it was first called in any execution of this job; a restart does not begin the
// wait anew. It is a step and needs a name of its own. It returns early without error when ctx ends, since the next step
// says why, and an error only when the body must return.
func Sleep(ctx context.Context, run Run, name string, d time.Duration) error {
	until, _, err := Step(run, name, Policy{}, func(context.Context) (time.Time, *Failure, error) {
		return time.Now().Add(d), nil, nil
	})
	if err != nil {
		return err
	}
	if cut := wait(ctx, run.Draining(), time.Until(until)); errors.Is(cut, ErrDraining) {
		return cut
	} else if cut != nil && run.Context().Err() != nil {
		return context.Cause(run.Context())
	}
	return nil
}
