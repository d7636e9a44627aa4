package client

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// callTimeout bounds one unary call; a server that is there answers in a fraction of it.
	callTimeout = 20 * time.Second
)

// pace is the patience of one undertaking: how long it has waited for the server, and when it tries again.
type pace struct {
	c     *Client
	tries int       // in a row that brought nothing
	away  time.Time // since when the server does not answer; zero: it does
}

func (c *Client) pace() *pace { return &pace{c: c} }

// answered notes that the server is there.
func (p *pace) answered() { p.away = time.Time{} }

// progressed notes that the server is there and of use: the next pause is a short one.
func (p *pace) progressed() { p.tries, p.away = 0, time.Time{} }

// pause waits before the next try, longer each time, and gives up where the server stays away for too long. err is what
// the last try said; nil: the server is there, and ended a stream as it may. The end of ctx is its cause.
func (p *pace) pause(ctx context.Context, err error) error {
	if err != nil {
		switch {
		case p.away.IsZero():
			p.away = time.Now()
			if p.c.cfg.OnAway != nil {
				p.c.cfg.OnAway(err)
			}
		case p.c.cfg.AwayLimit >= 0 && time.Since(p.away) >= p.c.cfg.AwayLimit:
			return &AwayError{For: time.Since(p.away), Err: err}
		}
	}
	timer := time.NewTimer(jittered(min(firstPause<<min(p.tries, 10), longestPause)))
	defer timer.Stop()
	p.tries++
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
	}
	if conn, ok := p.c.conn.(interface{ ResetConnectBackoff() }); ok {
		conn.ResetConnectBackoff() // the pauses are ours; the connection's own ones come on top otherwise
	}
	return nil
}

// jittered spreads the returns of those that were cut together.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // a spread, no secret
}

// call makes a unary call that may be repeated, until the server answers.
func call[T any](ctx context.Context, c *Client, timeout time.Duration, once func(context.Context) (T, error)) (T, error) {
	p := c.pace()
	for {
		answer, err := tryOnce(ctx, timeout, once)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return answer, context.Cause(ctx)
		case !isCut(err):
			return answer, err
		}
		if err := p.pause(ctx, err); err != nil {
			return answer, err
		}
	}
}

// tryOnce makes a unary call whose server may be silent no longer than timeout.
func tryOnce[T any](ctx context.Context, timeout time.Duration, once func(context.Context) (T, error)) (T, error) {
	trying, cancel := context.WithTimeoutCause(ctx, timeout, errSilent)
	defer cancel()
	answer, err := once(trying)
	if err != nil && ctx.Err() == nil && trying.Err() != nil {
		err = errSilent
	}
	return answer, err
}
