package redis

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

const (
	// pingEvery is how often Redis is asked whether it is there, and deadAfter the silence after which it is not.
	pingEvery = 3 * time.Second
	deadAfter = 10 * time.Second
	// firstRetry and lastRetry bound the wait before the next connection.
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

var errSilent = errors.New("redis has been silent for too long")

// listen holds one connection for all topics, and opens the next one when it breaks.
func (b *Bus) listen(ctx context.Context) {
	retry, away := firstRetry, false
	for ctx.Err() == nil {
		confirmed, err := b.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if confirmed {
			retry, away = firstRetry, false
		}
		if !away {
			b.logger.WarnContext(ctx, "no hints come from other processes until Redis is back", "error", err)
			away = true
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
		retry = min(2*retry, lastRetry)
	}
}

// session is one connection's life. answered says that Redis was there.
func (b *Bus) session(ctx context.Context) (answered bool, err error) {
	pubsub := b.client.Subscribe(ctx)
	reader := &reader{bus: b, pubsub: pubsub, failed: make(chan error, 1), done: make(chan struct{})}
	reader.last.Store(time.Now().UnixNano())
	if err := pubsub.Ping(ctx); err != nil {
		return false, errors.Join(err, pubsub.Close())
	}
	go reader.run(ctx)
	defer func() {
		err = errors.Join(err, pubsub.Close())
		<-reader.done
		b.offline()
	}()
	if err := b.subscribeAll(ctx, pubsub); err != nil {
		return reader.answered.Load(), err
	}
	err = b.keep(ctx, pubsub, reader)
	return reader.answered.Load(), err
}

// keep follows the topics of this process until the connection breaks.
func (b *Bus) keep(ctx context.Context, pubsub *goredis.PubSub, r *reader) error {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err = <-r.failed:
		case <-b.changes:
			err = b.applyChanges(ctx, pubsub)
		case <-ticker.C:
			if time.Since(time.Unix(0, r.last.Load())) > deadAfter {
				return errSilent
			}
			err = pubsub.Ping(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (b *Bus) subscribeAll(ctx context.Context, pubsub *goredis.PubSub) error {
	b.mu.Lock()
	clear(b.changed)
	channels := make([]string, 0, len(b.topics))
	for name := range b.topics {
		channels = append(channels, b.prefix+name)
	}
	b.online = true
	b.mu.Unlock()
	if len(channels) == 0 {
		return nil
	}
	return pubsub.Subscribe(ctx, channels...)
}

func (b *Bus) applyChanges(ctx context.Context, pubsub *goredis.PubSub) error {
	var began, ended []string
	b.mu.Lock()
	for name := range b.changed {
		if b.topics[name] != nil {
			began = append(began, b.prefix+name)
		} else {
			ended = append(ended, b.prefix+name)
		}
	}
	clear(b.changed)
	b.mu.Unlock()
	var err error
	if len(began) > 0 {
		err = pubsub.Subscribe(ctx, began...)
	}
	if len(ended) > 0 && err == nil {
		err = pubsub.Unsubscribe(ctx, ended...)
	}
	return err
}

// confirm notes that Redis listens for a topic, and wakes those who may have missed something until now.
func (b *Bus) confirm(ctx context.Context, name string) {
	b.mu.Lock()
	t := b.topics[name]
	if t == nil {
		b.mu.Unlock()
		return
	}
	wake := t.early || t.confirmed
	t.early = false
	if !t.confirmed {
		t.confirmed = true
		close(t.live)
	}
	b.mu.Unlock()
	if wake {
		b.local.Publish(ctx, name, 0)
	}
}

// offline notes that nothing is heard any more.
func (b *Bus) offline() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.online = false
	for _, t := range b.topics {
		t.early = true
		if t.confirmed {
			t.confirmed, t.live = false, make(chan struct{})
		}
	}
}

// reader reads a connection until it breaks or is closed.
type reader struct {
	bus      *Bus
	pubsub   *goredis.PubSub
	last     atomic.Int64 // when anything came, in Unix nanoseconds
	answered atomic.Bool
	failed   chan error
	done     chan struct{}
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	for {
		message, err := r.pubsub.Receive(ctx)
		if err != nil {
			r.failed <- err
			return
		}
		r.last.Store(time.Now().UnixNano())
		r.answered.Store(true)
		switch m := message.(type) {
		case *goredis.Message:
			r.bus.heard(ctx, m)
		case *goredis.Subscription:
			if m.Kind == "subscribe" {
				r.bus.confirm(ctx, strings.TrimPrefix(m.Channel, r.bus.prefix))
			}
		}
	}
}
