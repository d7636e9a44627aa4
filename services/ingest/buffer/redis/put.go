package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"witan.dev/services/ingest"
)

const (
	// flights is how many round trips store at once; batchEntries and batchBytes bound what one of them carries. A body that is
	// larger than alone has a round trip of its own, since others would wait for it.
	flights                  = 2
	batchEntries, batchBytes = 64, 1 << 20
	alone                    = 128 << 10
	// flightTimeout bounds a round trip whose callers have more time.
	flightTimeout = 2 * time.Second
	// lookAgain is between two looks at what Redis has written.
	lookAgain = time.Millisecond
)

// errOtherRedis is a Redis that ended, or gave its place to another, before it was seen to have written a delivery.
var errOtherRedis = errors.New("another Redis answers than the one that took the delivery")

// waiting is a delivery that waits to be stored. done receives exactly one value.
type waiting struct {
	ctx    context.Context //nolint:containedctx // travels with the delivery to the round trip that stores it, and ends there
	values []any
	size   int
	done   chan error
}

// batches gathers deliveries that wait at the same time, so that they share a round trip: with one for each, system calls
// and wake-ups took longer than the rest.
type batches struct {
	store func(ctx context.Context, batch []*waiting)

	mu      sync.Mutex
	waiting []*waiting
	flying  int
	flights sync.WaitGroup
}

// add puts a delivery into the next batch.
func (b *batches) add(w *waiting) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, w)
	if b.flying < flights {
		b.flying++
		b.flights.Go(b.fly)
	}
}

// fly stores until nothing waits.
func (b *batches) fly() {
	for {
		batch := b.next()
		if len(batch) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience(batch))
		b.store(ctx, batch)
		cancel()
	}
}

// next takes what waits; nothing ends the flight.
func (b *batches) next() []*waiting {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for size := 0; n < min(len(b.waiting), batchEntries) && size < batchBytes; n++ {
		size += b.waiting[n].size
	}
	batch := make([]*waiting, n)
	copy(batch, b.waiting)
	rest := copy(b.waiting, b.waiting[n:])
	clear(b.waiting[rest:])
	b.waiting = b.waiting[:rest]
	if n == 0 {
		b.flying--
	}
	return batch
}

// patience is how long somebody waits for a batch.
func patience(batch []*waiting) (longest time.Duration) {
	for _, w := range batch {
		left := flightTimeout
		if until, ok := w.ctx.Deadline(); ok {
			left = min(left, time.Until(until))
		}
		longest = max(longest, left)
	}
	return longest
}

// Put implements ingest.Buffer.
func (b *Buffer) Put(ctx context.Context, e ingest.Entry) error {
	body := pack(e.Body)
	w := &waiting{ctx: ctx, values: fields(e, body), size: len(body), done: make(chan error, 1)}
	if w.size > alone {
		b.store(ctx, []*waiting{w})
	} else {
		b.batches.add(w)
	}
	var err error
	select {
	case err = <-w.done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("store delivery %s: %w", e.ID, err)
	}
	return nil
}

// store stores a batch in one round trip, sees that Redis has written it, and answers each delivery of it.
func (b *Buffer) store(ctx context.Context, batch []*waiting) {
	var live []*waiting
	var added []*goredis.StringCmd
	pipe := b.puts.Pipeline()
	for _, w := range batch {
		if w.ctx.Err() != nil {
			w.done <- context.Cause(w.ctx)
			continue
		}
		live = append(live, w)
		added = append(added, pipe.XAdd(ctx, &goredis.XAddArgs{Stream: b.stream, Values: w.values}))
	}
	if len(live) == 0 {
		return
	}
	asked := askLog(ctx, pipe)
	_, _ = pipe.Exec(ctx) // each command has its own error
	written := b.written(ctx, asked.log())
	for i, w := range live {
		if err := added[i].Err(); err != nil {
			w.done <- err
			continue
		}
		w.done <- written
	}
}

// written waits until Redis has handed everything up to the end of a log to the operating system, which keeps it when Redis
// is killed. Redis answers before that when its disk is slow: with appendfsync everysec it holds back what it has to write
// for up to two seconds while an earlier fsync is under way.
func (b *Buffer) written(ctx context.Context, end appendLog) error {
	for until := end; ; {
		if !until.on {
			return nil
		}
		pipe := b.puts.Pipeline()
		asked := askLog(ctx, pipe)
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		now := asked.log()
		switch {
		case !now.on:
			return nil
		case now.run != until.run:
			return errOtherRedis
		case now.base != until.base || now.written < until.written: // the log was rewritten: what was held back still is
			until = now
			if now.held == 0 {
				return nil
			}
		case now.written >= until.written+until.held:
			return nil
		}
		if err := pause(ctx, lookAgain); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// appendLog is how far a Redis has written its append-only file.
type appendLog struct {
	// on is false where there is no such file, or where this client may not know.
	on bool
	// run names the process.
	run string
	// base is the size of what the last rewrite left, written that of all, held what is not written yet; in bytes.
	base, written, held int64
}

// askedLog is a question after an appendLog that a pipeline carries.
type askedLog struct{ server, persistence *goredis.StringCmd }

func askLog(ctx context.Context, pipe goredis.Pipeliner) askedLog {
	return askedLog{server: pipe.Info(ctx, "server"), persistence: pipe.Info(ctx, "persistence")}
}

func (a askedLog) log() appendLog {
	persistence := a.persistence.Val()
	l := appendLog{on: field(persistence, "aof_enabled") == "1", run: field(a.server.Val(), "run_id")}
	for name, into := range map[string]*int64{"aof_base_size": &l.base, "aof_current_size": &l.written, "aof_buffer_length": &l.held} {
		*into, _ = strconv.ParseInt(field(persistence, name), 10, 64) // ours to read, or absent
	}
	return l
}

// field is a line's value in what INFO answers; empty without that line.
func field(info, name string) string {
	_, rest, found := strings.Cut(info, "\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}
