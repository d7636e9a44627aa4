package watch

import (
	"context"

	"witan.dev/internal/bus"
)

// listener subscribes beside the work of whoever listens, because a bus that is far away may take its time to say that it
// is gone. It belongs to one goroutine.
type listener struct {
	ctx    context.Context //nolint:containedctx // that of who listens
	bus    bus.Bus
	topic  string
	failed func(error)
	// subscribed carries the outcome of one attempt; nil: it failed.
	subscribed chan bus.Subscription
	trying     bool
	sub        bus.Subscription
	wake       <-chan struct{}
}

func listenTo(ctx context.Context, b bus.Bus, topic string, failed func(error)) *listener {
	return &listener{ctx: ctx, bus: b, topic: topic, failed: failed, subscribed: make(chan bus.Subscription, 1)}
}

// open begins an attempt, unless one is under way or has succeeded.
func (l *listener) open() {
	if l.trying || l.sub != nil {
		return
	}
	l.trying = true
	go func() {
		sub, err := l.bus.Subscribe(l.ctx, l.topic)
		if err != nil {
			l.failed(err)
			sub = nil
		}
		l.subscribed <- sub
	}()
}

// accept takes the outcome of an attempt and says whether it succeeded.
func (l *listener) accept(sub bus.Subscription) bool {
	l.trying = false
	if sub == nil {
		return false
	}
	l.sub, l.wake = sub, sub.Wake()
	return true
}

// close waits for the attempt that is under way; the context has ended.
func (l *listener) close() {
	if l.trying {
		l.accept(<-l.subscribed)
	}
	if l.sub != nil {
		l.sub.Close()
	}
}
