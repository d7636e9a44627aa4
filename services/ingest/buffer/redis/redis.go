// Package redis is the buffer of a cluster: one stream of accepted deliveries with one consumer group, and a second stream
// of dead letters. What was put outlives the end of Redis where it has an append-only file; what else a promise to the sender is
// worth depends on its settings, and Durability says so.
package redis

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"witan.dev/internal/secret"
	"witan.dev/services/ingest"
)

const (
	group = "intake"
	// putConns bounds the connections on which deliveries are stored, and takeConns those of the intake.
	putConns, takeConns = 64, 16
	// dialTimeout bounds a connection's begin on the webhook path, callTimeout a call of the intake.
	dialTimeout = 60 * time.Millisecond
	callTimeout = 5 * time.Second
	// goneAfter is how long a consumer may be silent before it is forgotten. Its entries were claimed long before.
	goneAfter = time.Hour
	cleanPage = 1000
)

// Config says where Redis is.
type Config struct {
	// URL is redis://, or rediss:// for TLS, with user and password where there are some.
	URL secret.Text
	// Prefix begins the names of the streams; default "witan:".
	Prefix string
	// Lease is how long an entry stays with whoever took it; default ingest.Lease.
	Lease time.Duration
	// Wait is how long Take waits for an entry; default 500 ms.
	Wait time.Duration
}

// Buffer is an ingest.Buffer and an ingest.Queue on Redis. Whether Redis answers shows with the calls. Safe for concurrent
// use, by any number of processes.
type Buffer struct {
	cfg          Config
	puts, takes  *goredis.Client
	stream, dead string
	takers       string // a sorted set: who takes, by when they last did
	consumer     string
	shown        atomic.Int64 // when this one last showed there, in Unix ms of its own clock
	batches      batches
}

var (
	_ ingest.Buffer = (*Buffer)(nil)
	_ ingest.Queue  = (*Buffer)(nil)
)

// New prepares a buffer; only a URL that cannot be one is an error. The caller closes it.
func New(cfg Config) (*Buffer, error) {
	options, err := goredis.ParseURL(cfg.URL.Reveal())
	if err != nil {
		return nil, errors.New("the URL of Redis cannot be read") // the cause repeats it, password and all
	}
	logging.Disable() // it writes to standard error; what matters is in the errors
	options.Protocol = 2
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.ContextTimeoutEnabled = true
	options.DialerRetries = 1
	cfg.Prefix, cfg.Lease, cfg.Wait = cmp.Or(cfg.Prefix, "witan:"), cmp.Or(cfg.Lease, ingest.Lease), cmp.Or(cfg.Wait, 500*time.Millisecond)
	puts, takes := *options, *options
	// A delivery that is written twice does no harm, and a connection that broke meanwhile is no reason to refuse one.
	puts.MaxRetries, puts.MinRetryBackoff, puts.MaxRetryBackoff = 1, time.Millisecond, 4*time.Millisecond
	puts.PoolSize, puts.MinIdleConns, puts.DialTimeout = putConns, 2, dialTimeout
	takes.MaxRetries, takes.PoolSize, takes.DialTimeout = -1, takeConns, callTimeout
	takes.ReadTimeout, takes.WriteTimeout = callTimeout, callTimeout
	b := &Buffer{
		cfg: cfg, puts: goredis.NewClient(&puts), takes: goredis.NewClient(&takes),
		stream: cfg.Prefix + "ingest", dead: cfg.Prefix + "ingest:dead", takers: cfg.Prefix + "ingest:takers", consumer: rand.Text(),
	}
	b.batches.store = b.store
	return b, nil
}

// Close waits for what is being stored, and ends the connections.
func (b *Buffer) Close() error {
	b.batches.flights.Wait()
	return errors.Join(b.puts.Close(), b.takes.Close())
}

// fields are those of an entry, with its body as pack left it.
func fields(e ingest.Entry, packed []byte) []any {
	return []any{
		"delivery", e.ID, "event", e.Event, "action", e.Action, "sha256", e.SHA256,
		"received", strconv.FormatInt(e.ReceivedAt.UnixMicro(), 10), "s2", packed,
	}
}

// Take implements ingest.Queue: first what others left behind, then what is new.
func (b *Buffer) Take(ctx context.Context, n int) ([]ingest.Entry, error) {
	if err := b.show(ctx); err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	entries, err := b.take(ctx, n)
	if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") {
		if err := b.makeGroup(ctx); err != nil {
			return nil, err
		}
		entries, err = b.take(ctx, n)
	}
	if err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	return entries, nil
}

// show says from time to time that there is somebody who takes, by the clock of Redis: before its version 7.2 a consumer that
// finds nothing leaves no trace.
func (b *Buffer) show(ctx context.Context) error {
	last, now := b.shown.Load(), time.Now()
	if now.Sub(time.UnixMilli(last)) < b.cfg.Lease/3 || !b.shown.CompareAndSwap(last, now.UnixMilli()) {
		return nil
	}
	at, err := b.takes.Time(ctx).Result()
	if err != nil {
		return err
	}
	_, err = b.takes.Pipelined(ctx, func(p goredis.Pipeliner) error {
		p.ZAdd(ctx, b.takers, goredis.Z{Score: float64(at.UnixMilli()), Member: b.consumer})
		p.ZRemRangeByScore(ctx, b.takers, "-inf", strconv.FormatInt(at.Add(-goneAfter).UnixMilli(), 10))
		return nil
	})
	return err
}

// makeGroup makes the stream and its group. The group begins with the oldest entry: what was accepted before there was
// an intake waits for it.
func (b *Buffer) makeGroup(ctx context.Context) error {
	err := b.takes.XGroupCreateMkStream(ctx, b.stream, group, "0").Err()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return fmt.Errorf("make the group of the intake: %w", err)
	}
	return nil
}

func (b *Buffer) take(ctx context.Context, n int) ([]ingest.Entry, error) {
	claimed, err := b.claim(ctx, n)
	if err != nil || len(claimed) > 0 {
		return claimed, err
	}
	streams, err := b.takes.XReadGroup(ctx, &goredis.XReadGroupArgs{
		Group: group, Consumer: b.consumer, Streams: []string{b.stream, ">"}, Count: int64(n), Block: b.cfg.Wait,
	}).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var entries []ingest.Entry
	for _, stream := range streams {
		for _, m := range stream.Messages {
			entries = append(entries, entryOf(m, 1))
		}
	}
	return entries, nil
}

// claim takes entries whose takers were silent for the lease.
func (b *Buffer) claim(ctx context.Context, n int) ([]ingest.Entry, error) {
	messages, err := b.autoClaim(ctx, n)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	pending := make([]*goredis.XPendingExtCmd, len(messages))
	_, err = b.takes.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, m := range messages {
			pending[i] = p.XPendingExt(ctx, &goredis.XPendingExtArgs{Stream: b.stream, Group: group, Start: m.ID, End: m.ID, Count: 1})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var entries []ingest.Entry
	for i, m := range messages {
		if found := pending[i].Val(); len(found) == 1 { // else it was acknowledged meanwhile
			entries = append(entries, entryOf(m, int(found[0].RetryCount)))
		}
	}
	return entries, nil
}

// autoClaim looks through all entries in hand: Redis looks at ten times n of them in one call, which may all be held.
func (b *Buffer) autoClaim(ctx context.Context, n int) ([]goredis.XMessage, error) {
	const begin = "0-0"
	for start := begin; ; {
		messages, next, err := b.takes.XAutoClaim(ctx, &goredis.XAutoClaimArgs{
			Stream: b.stream, Group: group, Consumer: b.consumer, MinIdle: b.cfg.Lease, Start: start, Count: int64(n),
		}).Result()
		if err != nil || len(messages) > 0 || next == begin {
			return messages, err
		}
		start = next
	}
}

func entryOf(m goredis.XMessage, takes int) ingest.Entry {
	text := func(field string) string { s, _ := m.Values[field].(string); return s }
	received, _ := strconv.ParseInt(text("received"), 10, 64) // ours; whatever else it is, the delivery is handled
	e := ingest.Entry{
		Delivery: ingest.Delivery{
			ID: text("delivery"), Event: text("event"), Action: text("action"), SHA256: text("sha256"),
			ReceivedAt: time.UnixMicro(received).UTC(), State: ingest.Stored,
		},
		Body: unpack([]byte(text("s2"))), Receipt: m.ID, Takes: takes,
	}
	e.SHA256 = e.Digest()
	return e
}

// Hold implements ingest.Queue.
func (b *Buffer) Hold(ctx context.Context, receipts []string) error {
	if len(receipts) == 0 {
		return nil
	}
	claim := []any{"XCLAIM", b.stream, group, b.consumer, 0}
	for _, receipt := range receipts {
		claim = append(claim, receipt)
	}
	if err := b.takes.Do(ctx, append(claim, "RETRYCOUNT", 0, "JUSTID")...).Err(); err != nil {
		return fmt.Errorf("hold deliveries: %w", err)
	}
	return nil
}

// Release implements ingest.Queue: the entries are idle for longer than a lease at once.
func (b *Buffer) Release(ctx context.Context, entries []ingest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	idle := (2 * b.cfg.Lease).Milliseconds()
	_, err := b.takes.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for _, e := range entries {
			p.Do(ctx, "XCLAIM", b.stream, group, b.consumer, 0, e.Receipt, "IDLE", idle, "RETRYCOUNT", max(e.Takes-1, 0), "JUSTID")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("give deliveries back: %w", err)
	}
	return nil
}

// Done implements ingest.Queue.
func (b *Buffer) Done(ctx context.Context, receipt string) error {
	_, err := b.takes.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.XAck(ctx, b.stream, group, receipt)
		p.XDel(ctx, b.stream, receipt)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove delivery: %w", err)
	}
	return nil
}

// Bury implements ingest.Queue.
func (b *Buffer) Bury(ctx context.Context, e ingest.Entry, reason string) error {
	_, err := b.takes.TxPipelined(ctx, func(p goredis.Pipeliner) error {
		p.XAdd(ctx, &goredis.XAddArgs{Stream: b.dead, Values: append(fields(e, pack(e.Body)), "reason", reason)})
		p.XAck(ctx, b.stream, group, e.Receipt)
		p.XDel(ctx, b.stream, e.Receipt)
		return nil
	})
	if err != nil {
		return fmt.Errorf("bury delivery %s: %w", e.ID, err)
	}
	return nil
}

// Clean implements ingest.Queue.
func (b *Buffer) Clean(ctx context.Context, before time.Time) error {
	oldest := strconv.FormatInt(before.UnixMilli(), 10) + "-0"
	if err := b.takes.XTrimMinIDApprox(ctx, b.dead, oldest, cleanPage).Err(); err != nil {
		return fmt.Errorf("remove old dead letters: %w", err)
	}
	consumers, err := b.takes.XInfoConsumers(ctx, b.stream, group).Result()
	if noGroup(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the takers of deliveries: %w", err)
	}
	// Before version 7.2 of Redis one that lives is as silent as one that is gone while nothing comes. What it takes between the
	// look above and its removal nobody would ever claim.
	shown, err := b.takes.ZRange(ctx, b.takers, 0, -1).Result()
	if err != nil {
		return fmt.Errorf("list the takers of deliveries: %w", err)
	}
	for _, c := range consumers {
		if c.Pending == 0 && c.Idle > goneAfter && c.Name != b.consumer && !slices.Contains(shown, c.Name) {
			if err := b.takes.XGroupDelConsumer(ctx, b.stream, group, c.Name).Err(); err != nil {
				return fmt.Errorf("forget a taker of deliveries: %w", err)
			}
		}
	}
	return nil
}

// Stats implements ingest.Queue.
func (b *Buffer) Stats(ctx context.Context) (ingest.QueueStats, error) {
	var stats ingest.QueueStats
	var err error
	if stats.Waiting, err = b.takes.XLen(ctx, b.stream).Result(); err != nil {
		return stats, fmt.Errorf("count deliveries: %w", err)
	}
	if stats.Dead, err = b.takes.XLen(ctx, b.dead).Result(); err != nil {
		return stats, fmt.Errorf("count dead letters: %w", err)
	}
	now, err := b.takes.Time(ctx).Result()
	if err != nil {
		return stats, fmt.Errorf("count the takers of deliveries: %w", err)
	}
	takers, err := b.takes.ZCount(ctx, b.takers, strconv.FormatInt(now.Add(-b.cfg.Lease).UnixMilli(), 10), "+inf").Result()
	if err != nil {
		return stats, fmt.Errorf("count the takers of deliveries: %w", err)
	}
	stats.Takers = int(takers)
	return stats, nil
}

// noGroup says that nobody has taken or put anything yet.
func noGroup(err error) bool {
	return err != nil && (strings.HasPrefix(err.Error(), "NOGROUP") || strings.Contains(err.Error(), "no such key"))
}
