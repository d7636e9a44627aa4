package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxPause bounds how long one answer can silence a provider for the whole process.
const maxPause = 15 * time.Minute

// Limiter holds calls back while a provider has asked for a pause: a RATE_LIMIT with Retry-After delays the calls of all
// jobs. A call whose deadline lies before the end of the pause fails at once, without being made. Safe for concurrent use.
type Limiter struct {
	now func() time.Time

	mu     sync.Mutex
	resume time.Time
}

// NewLimiter makes a limiter that reads the time from now. Waiting itself uses timers.
func NewLimiter(now func() time.Time) *Limiter { return &Limiter{now: now} }

// Wrap puts the limiter around m. The models of one provider share one.
func (l *Limiter) Wrap(m Model) Model { return &limited{Model: m, limiter: l} }

type limited struct {
	Model
	limiter *Limiter
}

// Generate waits for the end of the provider's pause and asks the model.
func (m *limited) Generate(ctx context.Context, req Request, sink func(string) error) (Response, error) {
	if err := m.limiter.wait(ctx); err != nil {
		return Response{}, err
	}
	resp, err := m.Model.Generate(ctx, req, sink)
	if e, ok := errors.AsType[*Error](err); ok && e.Class == ClassRateLimit {
		m.limiter.pause(e.RetryAfter)
	}
	return resp, err
}

func (l *Limiter) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.now().Add(min(d, maxPause)); until.After(l.resume) {
		l.resume = until
	}
}

func (l *Limiter) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.resume.Sub(l.now())
}

func (l *Limiter) wait(ctx context.Context) error {
	for left := l.left(); left > 0; left = l.left() {
		if deadline, ok := ctx.Deadline(); ok && deadline.Sub(l.now()) < left {
			return &Error{
				Class: ClassRateLimit, RetryAfter: left,
				Detail: fmt.Sprintf("not asked: the provider wants a pause of %s more, which is beyond this call's deadline", left.Round(time.Millisecond)),
			}
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return Interrupted(ctx)
		}
	}
	return nil
}
