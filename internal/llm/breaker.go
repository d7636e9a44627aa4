package llm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	breakerFailures = 5                // PROVIDER or TIMEOUT in a row open the circuit
	breakerPause    = 30 * time.Second // before one trial call
)

// Breaker is a circuit breaker. It opens after five PROVIDER or TIMEOUT failures in a row, or after one of AUTH, and fails
// calls without making them; after 30 seconds one trial call goes through and decides. Such an error has the class of the
// failure that opened the circuit and ErrCircuitOpen in its chain. Safe for concurrent use.
type Breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	last     *Error    // what opened the circuit; nil: closed
	until    time.Time // when a trial is allowed
	trial    bool      // one is under way
}

// NewBreaker makes a closed breaker that reads the time from now.
func NewBreaker(now func() time.Time) *Breaker { return &Breaker{now: now} }

// Wrap puts the breaker around m. Several models may share one.
func (b *Breaker) Wrap(m Model) Model { return &guarded{Model: m, breaker: b} }

type guarded struct {
	Model
	breaker *Breaker
}

// Generate asks the model unless the circuit is open.
func (g *guarded) Generate(ctx context.Context, req Request, sink func(string) error) (Response, error) {
	trial, err := g.breaker.admit()
	if err != nil {
		return Response{}, err
	}
	defer func() { // a panic below is no verdict, but the trial is over
		if trial {
			g.breaker.release()
		}
	}()
	resp, err := g.Model.Generate(ctx, req, sink)
	g.breaker.report(err)
	return resp, err
}

func (b *Breaker) admit() (trial bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == nil {
		return false, nil
	}
	wait := b.until.Sub(b.now())
	if wait <= 0 && !b.trial {
		b.trial = true
		return true, nil
	}
	if wait <= 0 {
		wait = time.Second
	}
	return false, &Error{
		Class: b.last.Class, HTTPStatus: b.last.HTTPStatus, RetryAfter: wait,
		Detail: Redact(fmt.Sprintf("not asked: the circuit is open for %s more after repeated failures, the last one: %s",
			wait.Round(time.Second), b.last.Detail)),
		Err: ErrCircuitOpen,
	}
}

func (b *Breaker) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trial = false
}

func (b *Breaker) report(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch class := ClassOf(err); class {
	case ClassCancelled, ClassBudget: // says nothing about the provider
	case ClassProvider, ClassTimeout, ClassAuth:
		b.failures++
		if b.last == nil && b.failures < breakerFailures && class != ClassAuth {
			return
		}
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Class: ClassProvider, Detail: Redact(err.Error())}
		}
		b.last, b.until = e, b.now().Add(breakerPause)
	case "", ClassRateLimit, ClassRefusal, ClassEmpty, ClassTruncated, ClassInvalidRequest: // it answers
		b.failures, b.last = 0, nil
	}
}
