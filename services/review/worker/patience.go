package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"witan.dev/internal/apierr"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
)

// classPause marks a step that the forge keeps waiting. Its message is for how many milliseconds, where the forge said so.
const classPause engine.Class = "PAUSE"

const (
	// firstPause and maxPause bound the time between two tries with a forge that does not answer (own choice).
	firstPause = 2 * time.Second
	maxPause   = time.Minute
	// slack is added to the time that a forge names, whose clock is another one.
	slack = time.Second
)

// again runs a step, and once more under the next name each time when the forge kept it waiting, after a durable sleep. When
// the review has no patience left, the failure says so.
func again(s *session, name string, run func(name string) (*engine.Failure, error)) (*engine.Failure, error) {
	for n := 1; ; n++ {
		current := name
		if n > 1 {
			current = fmt.Sprintf("%s/again/%d", name, n)
		}
		f, err := run(current)
		if err != nil || f == nil || f.Class != classPause {
			return f, err
		}
		d, err := pauseOf(f, n)
		if err != nil {
			return nil, err
		}
		if s.paused += d; s.paused > s.p.Patience {
			return &engine.Failure{
				Class: classUnavailable, Reason: string(apierr.ReasonForgeUnavailable),
				Message: fmt.Sprintf("the forge did not answer, or asked for pauses, for longer than %s", s.p.Patience),
			}, nil
		}
		if err := s.run.Sleep(current+"/pause", d); err != nil {
			return nil, err
		}
	}
}

// pauseOf is how long the step waits after its n-th try. It follows from what was stored, so that each execution counts the
// same.
func pauseOf(f *engine.Failure, n int) (time.Duration, error) {
	if f.Message == "" {
		return min(firstPause<<min(n-1, 10), maxPause), nil
	}
	ms, err := strconv.ParseInt(f.Message, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the pause of a step: %w", err)
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// failureOf is the failure that an error makes of a step: a pause where the forge asks for one or does not answer. Errors of
// other services are handled where they happen.
func (s *session) failureOf(ctx context.Context, err error) *engine.Failure {
	if err == nil || s.review.Pinned.Source.Kind != review.SourcePull || fatal(ctx, err) {
		return failureOf(ctx, err)
	}
	if limit, ok := errors.AsType[*review.LimitError](err); ok {
		d := max(limit.Until.Sub(s.p.Clock()), 0) + slack
		return &engine.Failure{Class: classPause, Reason: "FORGE_LIMIT", Message: strconv.FormatInt(d.Milliseconds(), 10)}
	}
	if errors.Is(err, review.ErrUnavailable) {
		s.p.Logger.WarnContext(ctx, "the forge does not answer", "review", string(s.review.ID), "error", err)
		return &engine.Failure{Class: classPause, Reason: "FORGE_UNAVAILABLE"}
	}
	return failureOf(ctx, err)
}
