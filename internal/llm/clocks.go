package llm

import (
	"context"
	"fmt"
	"time"
)

// WithClocks enforces Request.FirstToken and Request.Attempt around m: the call that runs out of one is ended with TIMEOUT.
// Adapters may call sink with an empty text as a sign of life (a reasoning model thinks before it writes); it stops the
// first clock and goes no further.
func WithClocks(m Model) Model { return &clocked{Model: m} }

type clocked struct{ Model }

// Generate asks the model within the request's clocks.
func (c *clocked) Generate(ctx context.Context, req Request, sink func(string) error) (Response, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	alive := func() {}
	if req.FirstToken > 0 && c.Info().Streaming {
		t := expire(end, req.FirstToken, "no sign of an answer within %s")
		defer t.Stop()
		alive = func() { t.Stop() }
	}
	if req.Attempt > 0 {
		defer expire(end, req.Attempt, "no complete answer within %s").Stop()
	}
	return c.Model.Generate(ctx, req, func(text string) error {
		alive()
		if text == "" || sink == nil {
			return nil
		}
		return sink(text)
	})
}

func expire(end context.CancelCauseFunc, d time.Duration, format string) *time.Timer {
	return time.AfterFunc(d, func() { end(&Error{Class: ClassTimeout, Detail: fmt.Sprintf(format, d)}) })
}
