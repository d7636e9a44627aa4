package dbos

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine"
)

// Liveness holds the periods by which workers know of each other's end. The zero value is what production uses: a killed
// worker's jobs run elsewhere in less than ten seconds. All workers of a database should have the same.
type Liveness struct {
	// Beat is how often a worker gives a sign of life; 0 means 2 s.
	Beat time.Duration
	// TTL is how long a worker may be silent before the others take it for dead; 0 means 6 s. At least three beats.
	TTL time.Duration
	// Sweep is how often, give or take a quarter, a worker looks for dead ones; 0 means 2 s.
	Sweep time.Duration
}

func (v Liveness) withDefaults() Liveness {
	beat := cmp.Or(v.Beat, 2*time.Second)
	return Liveness{Beat: beat, TTL: max(cmp.Or(v.TTL, 3*beat), 3*beat), Sweep: cmp.Or(v.Sweep, 2*time.Second)}
}

// forgetDead is how long dead identities stay listed.
const forgetDead = 24 * time.Hour

// pulse is what a life knows about its own signs of life, and so whether it may judge others. The database's clock tells how
// long they were silent, whoever asks; but after an outage that all shared they are all late, and only need time to say so.
type pulse struct {
	gap, ttl time.Duration

	mu sync.Mutex
	// last is the last sign that the database took; since, from when on there was no gap between them.
	last, since time.Time
	// wait is how long there must have been no gap.
	wait time.Duration
}

// newPulse begins with the sign of life by which a life is listed. The first life of a process need not have missed anything:
// it waits for one beat, in which all who live give theirs, should it have been started just after an outage. Otherwise jobs
// would lie for as long as all workers are killed again before they may judge. A life after one that was taken for dead waits
// as after a gap.
func newPulse(v Liveness, now time.Time, first bool) *pulse {
	p := &pulse{gap: 2 * v.Beat, ttl: v.TTL, last: now, since: now, wait: v.TTL}
	if first {
		p.wait = v.Beat
	}
	return p
}

// took notes a sign of life. One may be late, none may be missing.
func (p *pulse) took(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.last) > p.gap {
		p.since, p.wait = now, p.ttl
	}
	p.last = now
}

// steady says whether the signs came without a gap for long enough to judge others.
func (p *pulse) steady(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) <= p.gap && now.Sub(p.since) >= p.wait
}

// silence is how long the last sign of life lies back.
func (p *pulse) silence(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last)
}

// attend gives signs of life and buries the dead until ctx ends. It returns true when this life was taken for dead. first says
// that this process had no life before.
func (c *cluster) attend(ctx context.Context, e *Engine, l *life, first bool) bool {
	p := newPulse(c.params.Liveness, time.Now(), first)
	ctx, cancel := context.WithCancel(ctx)
	var sweeps sync.WaitGroup
	defer sweeps.Wait()
	defer cancel()
	wait := p.wait
	sweeps.Go(func() { c.sweepRegularly(ctx, e, l, p, wait) })
	tick := time.NewTicker(c.params.Liveness.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		alive, err := c.beat(ctx, l)
		switch {
		case err == nil && !alive:
			return true
		case err == nil:
			p.took(time.Now())
		case ctx.Err() == nil:
			e.logger.WarnContext(ctx, "no sign of life could be given", "error", err)
			if p.silence(time.Now()) > c.params.Liveness.TTL {
				l.cut() // connections may hang on which the answer never comes; new ones say what is the matter
			}
		}
	}
}

// atWork follows the name of a queue in an entry of its own, which other versions take for one of a queue that they do not know.
const atWork = " at work"

// enter lists a life before it claims anything.
func (c *cluster) enter(ctx context.Context, l *life) error {
	var queues []string
	for _, q := range l.engine.queues {
		queues = append(queues, q.Name+":"+strconv.Itoa(q.WorkerConcurrency))
		if q.AtWork > 0 {
			queues = append(queues, q.Name+atWork+":"+strconv.Itoa(q.AtWork))
		}
	}
	slices.Sort(queues)
	_, err := c.pulse.Exec(ctx, `INSERT INTO executors (id, host, pid, queues) VALUES ($1, $2, $3, $4)`,
		l.id, c.host, os.Getpid(), strings.Join(queues, ","))
	if err != nil {
		return fmt.Errorf("enter the list of workers: %w", postgres.Error(err))
	}
	return nil
}

// beat says whether this life is still taken for alive.
func (c *cluster) beat(ctx context.Context, l *life) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, c.params.Liveness.Beat)
	defer cancel()
	tag, err := c.pulse.Exec(ctx, `UPDATE executors SET beat_time = clock_timestamp() WHERE id = $1 AND dead_time IS NULL`, l.id)
	return tag.RowsAffected() > 0, err
}

// die marks this life dead, leave takes it from the list.
func (c *cluster) die(ctx context.Context, l *life) error {
	_, err := c.pulse.Exec(ctx, `UPDATE executors SET dead_time = clock_timestamp() WHERE id = $1 AND dead_time IS NULL`, l.id)
	return err
}

func (c *cluster) leave(ctx context.Context, l *life) error {
	_, err := c.pulse.Exec(ctx, `DELETE FROM executors WHERE id = $1`, l.id)
	return err
}

// sweepRegularly looks for dead workers after wait, and then regularly.
func (c *cluster) sweepRegularly(ctx context.Context, e *Engine, l *life, p *pulse, wait time.Duration) {
	period := c.params.Liveness.Sweep
	for next := wait + rand.N(period/4+1); ; next = period*3/4 + rand.N(period/2+1) { //nolint:gosec // spreads the sweeps of all workers
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if !p.steady(time.Now()) {
			continue
		}
		if err := c.sweep(ctx, e, l); err != nil && ctx.Err() == nil {
			e.logger.WarnContext(ctx, "dead workers could not be looked for", "error", err)
		}
	}
}

// sweep marks those dead that were silent for too long, and only then gives their jobs to others.
func (c *cluster) sweep(ctx context.Context, e *Engine, l *life) error {
	ctx, cancel := context.WithTimeout(ctx, max(c.params.Liveness.TTL, stopTimeout))
	defer cancel()
	dead, err := c.bury(ctx)
	if err != nil {
		return err
	}
	for _, id := range dead {
		e.logger.WarnContext(ctx, "a worker was silent for too long; its jobs go to others", "identity", id)
	}
	orphaned, err := c.texts(ctx, `SELECT DISTINCT executor_id FROM dbos.workflow_status AS w WHERE status = 'PENDING'
		AND NOT EXISTS (SELECT FROM executors AS x WHERE x.id = w.executor_id AND x.dead_time IS NULL)`)
	if err != nil {
		return fmt.Errorf("look for the jobs of dead workers: %w", err)
	}
	if len(orphaned) > 0 {
		if err := c.recover(ctx, e, orphaned...); err != nil {
			return err
		}
	}
	claimed, err := c.texts(ctx, `SELECT workflow_uuid FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = $1`, l.id)
	if err != nil {
		return fmt.Errorf("look for own jobs that were never started: %w", err)
	}
	for _, id := range claimed {
		l.revive(ctx, engine.ID(id))
	}
	return c.raise(ctx, e, false)
}

// bury marks late identities dead and commits. One that somebody works on at this moment is left to the next sweep: a
// stopped process may hold its row for a while.
func (c *cluster) bury(ctx context.Context) ([]string, error) {
	dead, err := c.texts(ctx, `UPDATE executors SET dead_time = clock_timestamp() WHERE id IN (
		SELECT id FROM executors WHERE dead_time IS NULL AND beat_time < clock_timestamp() - $1::interval FOR UPDATE SKIP LOCKED
	) RETURNING id`, c.params.Liveness.TTL)
	if err != nil {
		return nil, fmt.Errorf("mark the dead: %w", err)
	}
	if _, err := c.pulse.Exec(ctx, `DELETE FROM executors WHERE dead_time < clock_timestamp() - $1::interval`, forgetDead); err != nil {
		return nil, fmt.Errorf("forget the dead: %w", err)
	}
	return dead, nil
}

// raise makes the row of each queue large enough for all workers that live; each keeps to its own limit. In the library a
// queue's limit is one row for all processes, and the newest value wins. exact also lowers it.
func (c *cluster) raise(ctx context.Context, e *Engine, exact bool) error {
	lists, err := c.texts(ctx, `SELECT queues FROM executors WHERE dead_time IS NULL`)
	if err != nil {
		return fmt.Errorf("read the workers' limits: %w", err)
	}
	most := limits(strings.Join(lists, ","))
	rows, err := c.pulse.Query(ctx, `SELECT name, coalesce(worker_concurrency, 0) FROM dbos.queues`)
	if err != nil {
		return fmt.Errorf("read the queues: %w", err)
	}
	now := make(map[string]int)
	var name string
	var limit int
	if _, err := pgx.ForEachRow(rows, []any{&name, &limit}, func() error { now[name] = limit; return nil }); err != nil {
		return fmt.Errorf("read the queues: %w", err)
	}
	for _, q := range e.queues {
		want := max(most[q.Name], q.WorkerConcurrency)
		if have, known := now[q.Name]; known && (have == want || have > want && !exact) {
			continue
		}
		q.WorkerConcurrency = want
		if err := register(e.within(ctx), q); err != nil {
			return err
		}
	}
	return nil
}

// limits reads what enter wrote of one worker or more: the largest limit of each queue.
func limits(lists string) map[string]int {
	most := make(map[string]int)
	for entry := range strings.SplitSeq(lists, ",") {
		name, limit, _ := strings.Cut(entry, ":")
		n, _ := strconv.Atoi(limit) // another version's text counts as none
		most[name] = max(most[name], n)
	}
	return most
}

func (c *cluster) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := c.pulse.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
