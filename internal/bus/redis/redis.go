// Package redis is the bus between the processes of a cluster, over Redis' publish and subscribe. Redis may be away: hints
// within the process go on, those between processes are lost until it is back, and then every subscriber is woken once,
// since nobody knows what it has missed.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/secret"
)

const (
	// pause is the shortest time between two messages of a topic.
	pause = 5 * time.Millisecond
	// awayPause is how long to wait before Redis is tried again.
	awayPause = 200 * time.Millisecond
	// maxPending bounds the topics whose hints wait to be sent; more are lost.
	maxPending = 16 << 10
	// sendTimeout bounds the sending of what waits, and dialTimeout a connection's begin.
	sendTimeout = time.Second
	dialTimeout = time.Second
	// confirmWait is how long Subscribe waits for Redis to say that it listens.
	confirmWait = 250 * time.Millisecond
)

// Config says where Redis is.
type Config struct {
	// URL is redis://, or rediss:// for TLS, with user and password where there are some.
	URL secret.Text
	// Prefix begins the names of channels; default "witan:". Processes with different ones do not hear each other.
	Prefix string
}

// Bus delivers hints between processes. Make it with New. Within the process it works before Start and after Stop too.
// Safe for concurrent use.
type Bus struct {
	local  *inprocess.Bus
	client *goredis.Client
	prefix string
	self   string // marks the own messages, which come back from Redis
	logger *slog.Logger

	mu      sync.Mutex
	pending map[string]int64 // largest values not sent yet, by topic
	topics  map[string]*topic
	changed map[string]struct{} // topics that began or ended since the session last looked
	online  bool                // a session takes subscriptions
	state   state
	halt    context.CancelFunc
	work    sync.WaitGroup

	unsent  chan struct{}
	changes chan struct{}
}

type state int

const (
	idle state = iota
	running
	stopped
)

// topic is one that this process listens to.
type topic struct {
	refs int
	// live is closed when Redis has confirmed the subscription.
	live      chan struct{}
	confirmed bool
	// early says that somebody listens since before the confirmation and may have missed something.
	early bool
}

var _ bus.Bus = (*Bus)(nil)

// New prepares a bus. Whether Redis answers shows later: only a URL that cannot be one is an error.
func New(cfg Config, logger *slog.Logger) (*Bus, error) {
	options, err := goredis.ParseURL(cfg.URL.Reveal())
	if err != nil {
		return nil, errors.New("the URL of Redis cannot be read") // the cause repeats it, password and all
	}
	logging.Disable() // it writes to standard error; what matters is told to our logger
	options.Protocol = 2
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.MaxRetries, options.DialerRetries = -1, 1
	options.DialTimeout, options.WriteTimeout = dialTimeout, sendTimeout
	options.PoolSize = 2
	options.ContextTimeoutEnabled = true
	return &Bus{
		local: inprocess.New(), client: goredis.NewClient(options), prefix: cmp.Or(cfg.Prefix, "witan:"), self: rand.Text(), logger: logger,
		pending: map[string]int64{}, topics: map[string]*topic{}, changed: map[string]struct{}{},
		unsent: make(chan struct{}, 1), changes: make(chan struct{}, 1),
	}, nil
}

// Start begins to send and to listen. It does not wait for Redis.
func (b *Bus) Start(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != idle {
		return errors.New("bus: it was started before")
	}
	b.state = running
	ctx, b.halt = context.WithCancel(context.WithoutCancel(ctx))
	b.work.Go(func() { b.send(ctx) })
	b.work.Go(func() { b.listen(ctx) })
	return nil
}

// Stop sends what waits and ends the connections.
func (b *Bus) Stop(ctx context.Context) error {
	b.mu.Lock()
	before := b.state
	b.state = stopped
	if b.halt != nil {
		b.halt()
	}
	b.mu.Unlock()
	if before == stopped {
		return nil
	}
	b.work.Wait()
	if batch := b.take(); len(batch) > 0 {
		_ = b.flush(ctx, batch) // hints: a loss is allowed
	}
	return b.client.Close()
}

// Publish implements bus.Bus. Subscribers of this process are woken at once; other processes get at most one message in
// 5 ms for each topic, with the largest value.
func (b *Bus) Publish(ctx context.Context, name string, value int64) {
	b.local.Publish(ctx, name, value)
	b.mu.Lock()
	before, waits := b.pending[name]
	if b.state == stopped || !waits && len(b.pending) >= maxPending {
		b.mu.Unlock()
		return
	}
	b.pending[name] = max(before, value)
	b.mu.Unlock()
	signal(b.unsent)
}

// Subscribe implements bus.Bus. It waits a moment for Redis to confirm that it listens. Where that comes later, and each
// time that Redis was away, the subscription is woken once without a new value. It never fails.
func (b *Bus) Subscribe(ctx context.Context, name string) (bus.Subscription, error) {
	inner, err := b.local.Subscribe(ctx, name)
	if err != nil {
		return nil, err
	}
	s := &subscription{Subscription: inner, bus: b, topic: name}
	live := b.hold(name)
	if live == nil {
		return s, nil
	}
	timer := time.NewTimer(confirmWait)
	defer timer.Stop()
	select {
	case <-live:
	case <-timer.C:
		b.markEarly(name, live)
	case <-ctx.Done():
		b.markEarly(name, live)
	}
	return s, nil
}

// hold counts a subscriber and returns what to wait for; nil: nothing.
func (b *Bus) hold(name string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[name]
	if t == nil {
		t = &topic{live: make(chan struct{})}
		b.topics[name] = t
		b.change(name)
	}
	t.refs++
	switch {
	case t.confirmed:
		return nil
	case !b.online:
		t.early = true
		return nil
	default:
		return t.live
	}
}

func (b *Bus) markEarly(name string, live <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[name]; t != nil && t.live == live {
		t.early = true
	}
}

func (b *Bus) release(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.topics[name]
	if t == nil {
		return
	}
	if t.refs--; t.refs == 0 {
		delete(b.topics, name)
		b.change(name)
	}
}

// change notes for the session that a topic began or ended. b.mu is held.
func (b *Bus) change(name string) {
	b.changed[name] = struct{}{}
	signal(b.changes)
}

// subscription takes its topic off the connection with the last of its subscribers.
type subscription struct {
	bus.Subscription

	bus   *Bus
	topic string
	once  sync.Once
}

// Close implements bus.Subscription.
func (s *subscription) Close() {
	s.Subscription.Close()
	s.once.Do(func() { s.bus.release(s.topic) })
}

// send sends what waits, and then pauses, until the context ends.
func (b *Bus) send(ctx context.Context) {
	away := false
	for {
		select {
		case <-b.unsent:
		case <-ctx.Done():
			return
		}
		err := b.flush(ctx, b.take())
		if err != nil && !away && ctx.Err() == nil {
			b.logger.WarnContext(ctx, "hints to other processes are lost while Redis is away", "error", err)
		}
		away = err != nil
		wait := pause
		if away {
			wait = awayPause
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (b *Bus) take() map[string]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.pending
	b.pending = make(map[string]int64, len(batch))
	return batch
}

func (b *Bus) flush(ctx context.Context, batch map[string]int64) error {
	if len(batch) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	_, err := b.client.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for name, value := range batch {
			p.Publish(ctx, b.prefix+name, b.self+" "+strconv.FormatInt(value, 10))
		}
		return nil
	})
	return err
}

// heard delivers a message of another process. Everything else on the channel is left alone.
func (b *Bus) heard(ctx context.Context, m *goredis.Message) {
	from, text, found := strings.Cut(m.Payload, " ")
	if !found || from == b.self {
		return
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	b.local.Publish(ctx, strings.TrimPrefix(m.Channel, b.prefix), value)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // the earlier signal has not been looked at and covers this one
	}
}
