package dbos

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/enginetest"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

const (
	kind = engine.Kind("council")
	// patience bounds every wait; only a failing test waits that long.
	patience = 30 * time.Second
)

// quick is a liveness with which tests need not wait long, and which a loaded machine still keeps.
func quick() Liveness {
	return Liveness{Beat: 200 * time.Millisecond, TTL: 1500 * time.Millisecond, Sweep: 200 * time.Millisecond}
}

// worker joins a cluster and works with body until the test ends or stop is called.
func worker(t *testing.T, database string, concurrency int, body engine.Body) (i enginetest.Instance, stop func(drain time.Duration)) {
	t.Helper()
	i = join(t, database, Params{Liveness: quick()})
	if body != nil {
		i.Engine.Handle(kind, engine.Queue{WorkerConcurrency: concurrency, Poll: 50 * time.Millisecond}, body)
	}
	require.NoError(t, i.Engine.Start(t.Context()))
	var once sync.Once
	stop = func(drain time.Duration) {
		once.Do(func() {
			ctx := context.WithoutCancel(t.Context())
			if drain > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, drain)
				defer cancel()
			}
			if err := i.Engine.Stop(ctx); err != nil {
				t.Error(err)
			}
			if err := i.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(0) })
	return i, stop
}

func enqueue(t *testing.T, i enginetest.Instance, ids ...engine.ID) {
	t.Helper()
	require.NoError(t, i.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
		for _, id := range ids {
			if err := i.Engine.EnqueueTx(ctx, tx, engine.Request{ID: id, Kind: kind}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// numbered runs a step and returns what it stored.
func numbered(r engine.Run, name string, fn func(ctx context.Context) (int, error)) (int, error) {
	v, _, err := engine.Step(r, name, engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
		v, err := fn(ctx)
		return v, nil, err
	})
	return v, err
}

// came says who began a body.
type came struct {
	who  string
	id   engine.ID
	when time.Time
}

func TestG10_AStoppingWorkersJobsGoToItsNeighbourAtOnce(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	inStep, release := make(chan struct{}, 8), make(chan struct{})
	began := make(chan came, 64)
	body := func(who string) engine.Body {
		return func(r engine.Run) error {
			began <- came{who, r.Job(), time.Now()}
			if _, err := numbered(r, "first", func(context.Context) (int, error) {
				inStep <- struct{}{}
				<-release
				return 1, nil
			}); err != nil {
				return err
			}
			_, err := numbered(r, "second", func(ctx context.Context) (int, error) {
				if who == "a" {
					<-ctx.Done()
					return 0, ctx.Err()
				}
				return 2, nil
			})
			return err
		}
	}
	a, stopA := worker(t, database, 8, body("a"))
	enqueue(t, a, "one", "two")
	receive(t, began)
	receive(t, began)
	receive(t, inStep)
	receive(t, inStep)
	worker(t, database, 8, body("b"))
	stopped := make(chan time.Time, 1)
	go func() {
		stopA(patience)
		stopped <- time.Now()
	}()
	close(release) // the first steps end and are stored; each body stops at the next
	for range 2 {
		next := receive(t, began)
		require.Equal(t, "b", next.who)
	}
	require.Empty(t, inStep, "the first steps are not repeated")
	receive(t, stopped)
}

func TestG10_ASilentWorkersJobsGoToOthersAndItGoesOnUnderANewIdentity(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	p := testserver.StartProxy(t, database)
	began, ended := make(chan came, 64), make(chan error, 8)
	body := func(who string) engine.Body {
		return func(r engine.Run) error {
			began <- came{who, r.Job(), time.Now()}
			if who == "a" && r.Job() == "one" {
				<-r.Context().Done()
				ended <- context.Cause(r.Context())
				return r.Context().Err()
			}
			return nil
		}
	}
	a, _ := worker(t, p.URL, 8, body("a"))
	enqueue(t, a, "one")
	require.Equal(t, "a", receive(t, began).who)
	old := a.Engine.Identity()
	b, stopB := worker(t, database, 8, body("b"))
	p.Freeze()
	require.Equal(t, "b", receive(t, began).who, "the silent worker's job is run by the other")
	require.Eventually(t, func() bool { // its end is stored
		over, err := b.Engine.Lost(t.Context(), []engine.ID{"one"})
		require.NoError(t, err)
		return len(over) == 1
	}, patience, 10*time.Millisecond)
	stopB(0)
	p.Thaw()
	require.ErrorIs(t, receive(t, ended), engine.ErrIdentityLost)
	require.Eventually(t, func() bool { return a.Engine.Identity() != old }, patience, 10*time.Millisecond)
	c := join(t, database, Params{Liveness: quick()})
	defer func() { require.NoError(t, c.Engine.Stop(t.Context())); require.NoError(t, c.Close()) }()
	enqueue(t, c, "two")
	next := receive(t, began)
	require.Equal(t, "a", next.who)
	require.Equal(t, engine.ID("two"), next.id, "it takes new jobs under its new identity, and the old one only once")
}

func TestG10_ALateExecutionDoesNotTakeTheJobFromItsSuccessor(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	p := testserver.StartProxy(t, database)
	began := make(chan came, 64)
	late, inSuccessor, release := make(chan struct{}), make(chan struct{}, 8), make(chan struct{})
	done := make(chan struct{}, 8)
	body := func(who string) engine.Body {
		return func(r engine.Run) error {
			began <- came{who, r.Job(), time.Now()}
			if who == "a" {
				<-late // whatever happens to its context: a body that does not listen
				return context.Canceled
			}
			if _, err := numbered(r, "only", func(context.Context) (int, error) {
				inSuccessor <- struct{}{}
				<-release
				return 1, nil
			}); err != nil {
				return err
			}
			done <- struct{}{}
			return nil
		}
	}
	a, _ := worker(t, p.URL, 8, body("a"))
	enqueue(t, a, "one")
	require.Equal(t, "a", receive(t, began).who)
	worker(t, database, 8, body("b"))
	p.Freeze()
	require.Equal(t, "b", receive(t, began).who)
	receive(t, inSuccessor)
	p.Thaw()
	close(late)
	require.Never(t, func() bool { return len(began) > 0 }, 2*quick().TTL, 50*time.Millisecond, "nobody begins it once more")
	close(release)
	receive(t, done)
	require.Empty(t, began)
}

func TestEachProcessKeepsToItsOwnConcurrencyAndASmallOneDoesNotStarveTheQueue(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	const small, large = 2, 12
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := map[string]int{}, map[string]int{}
	began := make(chan came, 256)
	body := func(who string) engine.Body {
		return func(r engine.Run) error {
			mu.Lock()
			now[who]++
			most[who] = max(most[who], now[who])
			mu.Unlock()
			began <- came{who, r.Job(), time.Now()}
			<-release
			mu.Lock()
			now[who]--
			mu.Unlock()
			return nil
		}
	}
	worker(t, database, large, body("large"))
	a, _ := worker(t, database, small, body("small")) // the newest row does not win
	var ids []engine.ID
	for i := range small + large {
		ids = append(ids, engine.ID("job-"+string(rune('a'+i))))
	}
	start := time.Now()
	enqueue(t, a, ids...)
	for range ids {
		receive(t, began)
	}
	t.Logf("%d jobs began on %d and %d places in %s", len(ids), small, large, time.Since(start))
	close(release)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]int{"small": small, "large": large}, most)
}

// claimed enqueues a job as if the executor had claimed it and then nothing had come of it.
func claimed(t *testing.T, i enginetest.Instance, id engine.ID, executor string) {
	t.Helper()
	require.NoError(t, i.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
		if err := i.Engine.EnqueueTx(ctx, tx, engine.Request{ID: id, Kind: kind}); err != nil {
			return err
		}
		_, err := postgres.Unwrap(tx).Exec(ctx, `UPDATE dbos.workflow_status SET status = 'PENDING', executor_id = $2,
			owner_xid = 'nobody', application_version = $3 WHERE workflow_uuid = $1`, string(id), executor, version)
		return err
	}))
}

func TestG10_JobsThatWereClaimedAndNeverBegunAreFound(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	began := make(chan came, 8)
	a, _ := worker(t, database, 8, func(r engine.Run) error {
		began <- came{"a", r.Job(), time.Now()}
		return nil
	})
	start := time.Now()
	claimed(t, a, "own", a.Engine.Identity())
	claimed(t, a, "orphaned", "a process that nobody has heard of")
	require.Equal(t, engine.ID("orphaned"), receive(t, began).id)
	next := receive(t, began)
	require.Equal(t, engine.ID("own"), next.id)
	require.GreaterOrEqual(t, next.when.Sub(start), unstarted, "it might have begun still")
}

func TestG10_AFreshWorkerTakesWhatDeadOnesHadWithoutWaitingForItsOwnTTL(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	live := quick()
	live.TTL = 4 * patience
	client := join(t, database, Params{Liveness: live})
	defer func() { require.NoError(t, client.Engine.Stop(t.Context())); require.NoError(t, client.Close()) }()
	claimed(t, client, "one", "dead")
	require.NoError(t, client.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
		_, err := postgres.Unwrap(tx).Exec(ctx, `INSERT INTO executors (id, host, pid, queues, beat_time)
			VALUES ('dead', 'here', 1, '', clock_timestamp() - $1::interval), ('alive', 'here', 2, '', clock_timestamp())`, live.TTL)
		return err
	}))
	claimed(t, client, "two", "alive")
	began := make(chan came, 8)
	a := join(t, database, Params{Liveness: live})
	a.Engine.Handle(kind, engine.Queue{Poll: 50 * time.Millisecond}, func(r engine.Run) error {
		began <- came{"a", r.Job(), time.Now()}
		return nil
	})
	require.NoError(t, a.Engine.Start(t.Context()))
	defer func() { require.NoError(t, a.Engine.Stop(t.Context())); require.NoError(t, a.Close()) }()
	require.Equal(t, engine.ID("one"), receive(t, began).id)
	require.Never(t, func() bool { return len(began) > 0 }, 4*live.Sweep, 10*time.Millisecond, "who lives keeps its jobs")
}

func TestAWorkerTellsHowManyOfItsJobsDoSomethingAtOnce(t *testing.T) {
	t.Parallel()
	database := emptyDatabase(t)
	a := join(t, database, Params{Liveness: quick()})
	a.Engine.Handle(kind, engine.Queue{WorkerConcurrency: 32, AtWork: 2}, func(engine.Run) error { return nil })
	require.NoError(t, a.Engine.Start(t.Context()))
	defer func() { require.NoError(t, a.Engine.Stop(t.Context())); require.NoError(t, a.Close()) }()
	db, err := postgres.Open(t.Context(), postgres.Params{URL: secret.New(database), MaxConns: 1, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Pool().Exec(t.Context(), `INSERT INTO executors (id, host, pid, queues, beat_time) VALUES ('older build', 'here', 2, 'council:7', clock_timestamp())`)
	require.NoError(t, err)
	workers, err := Workers(t.Context(), db)
	require.NoError(t, err)
	told := map[int]int{}
	for _, w := range workers {
		require.Len(t, w.Queues, 1)
		told[w.Queues[string(kind)]] = w.AtWork[string(kind)]
	}
	require.Equal(t, map[int]int{32: 2, 7: 0}, told)
}
