// Package bus carries hints between the parts of a system: "job J has reached event n", "job J is to end". A hint may be
// lost, repeated or late and several may arrive as one, so whoever listens also looks for itself from time to time.
// Adapters live in folders named for their technology; bustest is the suite that each of them passes.
package bus

import "context"

// Bus delivers hints. Safe for concurrent use.
type Bus interface {
	// Publish tells the subscribers of topic that a value was reached. It does not wait for them and reports no loss.
	Publish(ctx context.Context, topic string, value int64)
	// Subscribe begins to listen. What is published after it has returned reaches the subscription.
	Subscribe(ctx context.Context, topic string) (Subscription, error)
}

// Subscription is one listener.
type Subscription interface {
	// Wake receives after a publication that nobody has looked at yet. Several publications may be one receive. It also
	// receives, without a new value, where hints may have been lost.
	Wake() <-chan struct{}
	// Value is the largest value published since the subscription began, 0 before the first.
	Value() int64
	// Close ends it. It may be called twice. Wake is not closed.
	Close()
}
