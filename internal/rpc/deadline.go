package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// reportReserve is taken off every deadline, so that the error that names the slow call still reaches the caller.
	reportReserve = 20 * time.Millisecond
	// leastTime is what a call needs to be worth starting.
	leastTime = 100 * time.Millisecond
)

// setDeadline gives a unary call a deadline of its own, a little before its caller's. One that waits on purpose ends when the
// server drains: a stop would wait with it.
func (s *Server) setDeadline(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		timeout, found := s.cfg.Timeouts[info.FullMethod]
		if !found {
			timeout = s.cfg.Timeout
		}
		deadline = time.Now().Add(timeout)
	case time.Until(deadline) < leastTime:
		return nil, errDeadlineTooShort
	default:
		deadline = deadline.Add(-reportReserve)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if _, waits := s.cfg.Timeouts[info.FullMethod]; !waits {
		return handler(ctx, req)
	}
	var resp any
	err := s.waits.run(ctx, func(ctx context.Context) error {
		var err error
		resp, err = handler(ctx, req)
		return err
	})
	return resp, err
}

// endAtStop ends a stream's context when the server stops. Streams have no deadline: without this a graceful stop would
// wait for a viewer for ever.
func (s *Server) endAtStop(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return s.streams.run(ss.Context(), func(ctx context.Context) error {
		return handler(srv, &contextStream{ServerStream: ss, context: func() context.Context { return ctx }})
	})
}

// openCalls ends all running calls of a kind at once. Safe for concurrent use.
type openCalls struct {
	mu      sync.Mutex
	next    uint64
	cancels map[uint64]context.CancelCauseFunc
	ended   bool
}

// run handles a call with a context that is ended with all others; it answers errStopping then.
func (o *openCalls) run(ctx context.Context, handle func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer o.add(cancel)()
	err := handle(ctx)
	if errors.Is(context.Cause(ctx), errStopping) &&
		(errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled) {
		return errStopping
	}
	return err
}

// add notes a call and returns what forgets it. A call that comes after the end is ended at once.
func (o *openCalls) add(cancel context.CancelCauseFunc) (done func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		cancel(errStopping)
		return func() {}
	}
	if o.cancels == nil {
		o.cancels = map[uint64]context.CancelCauseFunc{}
	}
	id := o.next
	o.next++
	o.cancels[id] = cancel
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.cancels, id)
	}
}

func (o *openCalls) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	for _, cancel := range o.cancels {
		cancel(errStopping)
	}
}
