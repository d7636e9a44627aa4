// Package enginetest is the suite that every adapter of the engine port passes.
package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job/engine"
)

// Instance is one life of an engine in its database.
type Instance struct {
	Engine engine.Engine
	// Write runs fn in a transaction of the database and commits it when fn returns nil.
	Write func(ctx context.Context, fn func(ctx context.Context, tx engine.Tx) error) error
	// Close ends what Engine.Stop leaves open.
	Close func() error
}

// Open begins a life in a database. Called again, it is the next life in the same database; one at a time.
type Open func(t *testing.T) Instance

// patience bounds every wait; only a failing test waits that long.
const patience = 20 * time.Second

const kind engine.Kind = "council"

// Run runs the suite. newDatabase gives each test an empty database.
func Run(t *testing.T, newDatabase func(t *testing.T) Open) {
	t.Helper()
	tests := map[string]func(t *testing.T, open Open){
		"a committed job runs, one rolled back does not": committed,
		"the same ID again does nothing":                 again,
		"a finished step is not run again":               restart,
		"a body that returned an error runs again":       bodyError,
		"an error in a step is not recorded":             stepError,
		"a failure is a value, the same in a replay":     failure,
		"what stopping does to a step is not its result": stopping,
		"a stop lets a step end and begins none":         draining,
		"a sleep does not hold up a stop":                drainedSleep,
		"large names and arguments are refused":          tooLarge,
		"calls from within a body are no steps":          callsFromABody,
		"tries follow the policy":                        policy,
		"a queue goes by priority, then age":             priority,
		"kinds share a queue":                            sharedQueue,
		"a forgotten job does not run":                   forget,
		"lost jobs are told from waiting ones":           lost,
		"a sleep goes on after a restart":                sleep,
		"stop works twice and before start":              stopTwice,
		"without a body nothing is claimed":              clientOnly,
		"purge removes finished executions only":         purge,
		"remove forgets what is named":                   remove,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newDatabase(t))
		})
	}
}

// life is a started engine that the test's end stops.
type life struct {
	Instance

	once sync.Once
}

func begin(t *testing.T, open Open, handle func(e engine.Engine)) *life {
	t.Helper()
	l := &life{Instance: open(t)}
	handle(l.Engine)
	require.NoError(t, l.Engine.Start(t.Context()))
	t.Cleanup(func() { l.end(t) })
	return l
}

func (l *life) end(t *testing.T) {
	t.Helper()
	l.once.Do(func() {
		require.NoError(t, l.Engine.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, l.Close())
	})
}

func enqueue(t *testing.T, i Instance, requests ...engine.Request) {
	t.Helper()
	require.NoError(t, i.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
		for _, r := range requests {
			if err := i.Engine.EnqueueTx(ctx, tx, r); err != nil {
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

func committed(t *testing.T, open Open) {
	ran := make(chan engine.ID, 8)
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error { ran <- r.Job(); return nil })
	})
	refused := errors.New("refused")
	require.ErrorIs(t, l.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
		if err := l.Engine.EnqueueTx(ctx, tx, engine.Request{ID: "rolled-back", Kind: kind}); err != nil {
			return err
		}
		return refused
	}), refused)
	enqueue(t, l.Instance, engine.Request{ID: "committed", Kind: kind})
	require.Equal(t, engine.ID("committed"), receive(t, ran))
	gone, err := l.Engine.Lost(t.Context(), []engine.ID{"rolled-back"})
	require.NoError(t, err)
	require.Equal(t, []engine.ID{"rolled-back"}, gone)
}

func again(t *testing.T, open Open) {
	ran := make(chan engine.ID, 8)
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{WorkerConcurrency: 1}, func(r engine.Run) error { ran <- r.Job(); return nil })
	})
	one := engine.Request{ID: "one", Kind: kind, Priority: 1}
	enqueue(t, l.Instance, one, one)
	require.Equal(t, engine.ID("one"), receive(t, ran))
	enqueue(t, l.Instance, one)
	enqueue(t, l.Instance, engine.Request{ID: "two", Kind: kind, Priority: 9})
	require.Equal(t, engine.ID("two"), receive(t, ran), "one did not run again before two")
}

// counted runs a step that says how often it really ran.
func counted(r engine.Run, name string, runs map[string]int, mu *sync.Mutex, fn func(ctx context.Context, n int) error) (int, error) {
	v, _, err := engine.Step(r, name, engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
		mu.Lock()
		runs[name]++
		n := runs[name]
		mu.Unlock()
		return n, nil, fn(ctx, n)
	})
	return v, err
}

func nothing(context.Context, int) error { return nil }

func restart(t *testing.T, open Open) {
	var mu sync.Mutex
	runs := make(map[string]int)
	inSecond, done := make(chan struct{}, 8), make(chan [2]int, 8)
	handle := func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			first, err := counted(r, "first", runs, &mu, nothing)
			if err != nil {
				return err
			}
			second, err := counted(r, "second", runs, &mu, func(ctx context.Context, n int) error {
				if n > 1 {
					return nil
				}
				inSecond <- struct{}{}
				<-ctx.Done()
				return context.Cause(ctx)
			})
			if err == nil {
				done <- [2]int{first, second}
			}
			return err
		})
	}
	l := begin(t, open, handle)
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	receive(t, inSecond)
	l.end(t)
	begin(t, open, handle)
	require.Equal(t, [2]int{1, 2}, receive(t, done), "the first step's stored value, the second step's second run")
}

func bodyError(t *testing.T, open Open) {
	var mu sync.Mutex
	runs := make(map[string]int)
	bodies := 0
	done := make(chan int, 8)
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			bodies++ // one execution after the other
			v, err := counted(r, "only", runs, &mu, nothing)
			if err != nil {
				return err
			}
			if bodies < 3 {
				return fmt.Errorf("not yet")
			}
			done <- v
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	require.Equal(t, 1, receive(t, done))
	require.Equal(t, 3, bodies)
}

func stepError(t *testing.T, open Open) {
	var mu sync.Mutex
	runs := make(map[string]int)
	seen, done := make(chan error, 8), make(chan int, 8)
	broken := errors.New("broken")
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			v, err := counted(r, "only", runs, &mu, func(_ context.Context, n int) error {
				if n == 1 {
					return broken
				}
				return nil
			})
			if err != nil {
				seen <- err
				return err
			}
			done <- v
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	require.Error(t, receive(t, seen))
	require.Equal(t, 2, receive(t, done))
}

// answer has a field that JSON leaves out, so a value that did not travel as JSON shows.
type answer struct {
	Text   string `json:"text"`
	Hidden string `json:"-"`
}

func failure(t *testing.T, open Open) {
	type result struct {
		value   answer
		failure *engine.Failure
	}
	got := make(chan result, 8)
	first := true
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			v, f, err := engine.Step(r, "fails", engine.Policy{}, func(context.Context) (answer, *engine.Failure, error) {
				return answer{Text: "half", Hidden: "x"}, &engine.Failure{Class: "TIMEOUT", Reason: "R", Message: "m"}, nil
			})
			if err != nil {
				return err
			}
			got <- result{v, f}
			if first {
				first = false
				return errors.New("once more")
			}
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	want := result{answer{Text: "half"}, &engine.Failure{Class: "TIMEOUT", Reason: "R", Message: "m"}}
	require.Equal(t, want, receive(t, got))
	require.Equal(t, want, receive(t, got))
}

func stopping(t *testing.T, open Open) {
	inStep, done := make(chan struct{}, 8), make(chan *engine.Failure, 8)
	handle := func(life int) func(e engine.Engine) {
		return func(e engine.Engine) {
			e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
				_, f, err := engine.Step(r, "only", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
					if life > 1 {
						return 0, nil, nil
					}
					inStep <- struct{}{}
					<-ctx.Done()
					return 0, &engine.Failure{Class: "TRANSPORT", Message: context.Cause(ctx).Error()}, nil
				})
				if err == nil {
					done <- f
				}
				return err
			})
		}
	}
	l := begin(t, open, handle(1))
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	receive(t, inStep)
	l.end(t)
	begin(t, open, handle(2))
	require.Nil(t, receive(t, done))
	require.Empty(t, done, "the first life recorded nothing")
}

// stopWithin stops a life that has a time for what is under way.
func (l *life) stopWithin(t *testing.T, d time.Duration) <-chan time.Duration {
	t.Helper()
	took := make(chan time.Duration, 1)
	go l.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
		defer cancel()
		start := time.Now()
		if err := errors.Join(l.Engine.Stop(ctx), l.Close()); err != nil {
			t.Error(err)
		}
		took <- time.Since(start)
	})
	return took
}

func draining(t *testing.T, open Open) {
	var mu sync.Mutex
	runs := make(map[string]int)
	inFirst, release := make(chan struct{}, 8), make(chan struct{})
	drains, refused := make(chan struct{}, 8), make(chan error, 8)
	done := make(chan [2]int, 8)
	handle := func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			first, err := counted(r, "first", runs, &mu, func(ctx context.Context, _ int) error {
				inFirst <- struct{}{}
				<-r.Draining()
				drains <- struct{}{}
				<-release
				return ctx.Err()
			})
			if err != nil {
				return err
			}
			second, err := counted(r, "second", runs, &mu, nothing)
			if err != nil {
				refused <- err
				return err
			}
			done <- [2]int{first, second}
			return nil
		})
	}
	l := begin(t, open, handle)
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	receive(t, inFirst)
	took := l.stopWithin(t, patience)
	receive(t, drains)
	close(release)
	require.ErrorIs(t, receive(t, refused), engine.ErrDraining)
	require.Less(t, receive(t, took), patience/2, "a stop waits for nothing but what runs")
	begin(t, open, handle)
	require.Equal(t, [2]int{1, 1}, receive(t, done), "what ended in the first life is not repeated, the next step ran once")
}

func drainedSleep(t *testing.T, open Open) {
	asleep := make(chan struct{}, 8)
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			asleep <- struct{}{}
			return engine.Sleep(r.Context(), r, "nap", time.Hour)
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	receive(t, asleep)
	require.Less(t, receive(t, l.stopWithin(t, patience)), patience/2)
}

func callsFromABody(t *testing.T, open Open) {
	var mu sync.Mutex
	runs := make(map[string]int)
	bodies := 0
	done := make(chan int, 8)
	var e engine.Engine
	l := begin(t, open, func(handled engine.Engine) {
		e = handled
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			if bodies++; bodies == 1 { // the next execution does not, as it may
				_, err := e.Lost(r.Context(), []engine.ID{"unknown"})
				if err = errors.Join(err, e.Forget(r.Context(), []engine.ID{"unknown"}), e.Remove(r.Context(), []engine.ID{"unknown"})); err != nil {
					return err
				}
			}
			v, err := counted(r, "only", runs, &mu, nothing)
			if err == nil && bodies == 1 {
				err = errors.New("not yet")
			}
			if err != nil {
				return err
			}
			done <- v
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	require.Equal(t, 1, receive(t, done))
}

func tooLarge(t *testing.T, open Open) {
	l := begin(t, open, func(engine.Engine) {})
	long := strings.Repeat("x", engine.MaxArgs+1)
	for _, r := range []engine.Request{{ID: engine.ID(long), Kind: kind}, {ID: "one", Kind: kind, Args: json.RawMessage(`"` + long + `"`)}} {
		require.ErrorIs(t, l.Write(t.Context(), func(ctx context.Context, tx engine.Tx) error {
			return l.Engine.EnqueueTx(ctx, tx, r)
		}), engine.ErrTooLarge)
	}
}

func policy(t *testing.T, open Open) {
	type end struct {
		tries int
		class engine.Class
	}
	done := make(chan end, 8)
	p := engine.Policy{Tries: 3, Backoff: time.Millisecond, Retry: []engine.Class{"RATE_LIMIT"}}
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			for step, class := range map[string]engine.Class{"again": "RATE_LIMIT"} {
				tries, f, err := engine.Step(r, step, p, failing(class))
				if err != nil {
					return err
				}
				done <- end{tries, f.Class}
			}
			tries, f, err := engine.Step(r, "never", p, failing("AUTH"))
			if err != nil {
				return err
			}
			done <- end{tries, f.Class}
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	require.Equal(t, end{3, "RATE_LIMIT"}, receive(t, done))
	require.Equal(t, end{1, "AUTH"}, receive(t, done))
}

// failing returns a step that fails with class and the number of its tries.
func failing(class engine.Class) func(context.Context) (int, *engine.Failure, error) {
	tries := 0
	return func(context.Context) (int, *engine.Failure, error) {
		tries++
		return tries, &engine.Failure{Class: class}, nil
	}
}

func priority(t *testing.T, open Open) {
	order := make(chan engine.ID, 8)
	body := func(r engine.Run) error { order <- r.Job(); return nil }
	i := open(t)
	i.Engine.Handle(kind, engine.Queue{WorkerConcurrency: 1}, body)
	for _, r := range []engine.Request{
		{ID: "late", Kind: kind, Priority: 30}, {ID: "first", Kind: kind, Priority: 10}, {ID: "middle", Kind: kind, Priority: 20},
	} {
		enqueue(t, i, r)
	}
	l := &life{Instance: i}
	t.Cleanup(func() { l.end(t) })
	require.NoError(t, i.Engine.Start(t.Context()))
	for _, want := range []engine.ID{"first", "middle", "late"} {
		require.Equal(t, want, receive(t, order))
	}
}

func sharedQueue(t *testing.T, open Open) {
	ran := make(chan string, 8)
	l := begin(t, open, func(e engine.Engine) {
		for _, k := range []engine.Kind{"review", "delivery"} {
			e.Handle(k, engine.Queue{Name: "review"}, func(r engine.Run) error { ran <- string(k) + " " + string(r.Job()); return nil })
		}
	})
	enqueue(t, l.Instance,
		engine.Request{ID: "a", Kind: "review", Queue: "review"}, engine.Request{ID: "b", Kind: "delivery", Queue: "review"})
	require.ElementsMatch(t, []string{"review a", "delivery b"}, []string{receive(t, ran), receive(t, ran)})
}

func forget(t *testing.T, open Open) {
	ran, release := make(chan engine.ID, 8), make(chan struct{})
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{WorkerConcurrency: 1}, func(r engine.Run) error {
			ran <- r.Job()
			<-release
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "blocks", Kind: kind})
	require.Equal(t, engine.ID("blocks"), receive(t, ran))
	enqueue(t, l.Instance, engine.Request{ID: "forgotten", Kind: kind, Priority: 1}, engine.Request{ID: "runs", Kind: kind, Priority: 2})
	require.NoError(t, l.Engine.Forget(t.Context(), []engine.ID{"forgotten"}))
	require.NoError(t, l.Engine.Forget(t.Context(), nil))
	close(release)
	require.Equal(t, engine.ID("runs"), receive(t, ran))
}

func lost(t *testing.T, open Open) {
	ran, release := make(chan engine.ID, 8), make(chan struct{})
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{WorkerConcurrency: 1}, func(r engine.Run) error {
			ran <- r.Job()
			<-release
			return nil
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "running", Kind: kind})
	receive(t, ran)
	enqueue(t, l.Instance, engine.Request{ID: "queued", Kind: kind}, engine.Request{ID: "forgotten", Kind: kind})
	require.NoError(t, l.Engine.Forget(t.Context(), []engine.ID{"forgotten"}))
	got, err := l.Engine.Lost(t.Context(), []engine.ID{"running", "queued", "forgotten", "unknown"})
	require.NoError(t, err)
	require.ElementsMatch(t, []engine.ID{"forgotten", "unknown"}, got)
	close(release)
	receive(t, ran)
}

func sleep(t *testing.T, open Open) {
	const nap = 400 * time.Millisecond
	asleep, done := make(chan time.Time, 8), make(chan time.Time, 8)
	handle := func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error {
			asleep <- time.Now()
			if err := engine.Sleep(r.Context(), r, "nap", nap); err != nil {
				return err
			}
			done <- time.Now()
			return nil
		})
	}
	l := begin(t, open, handle)
	enqueue(t, l.Instance, engine.Request{ID: "one", Kind: kind})
	began := receive(t, asleep)
	l.end(t)
	begin(t, open, handle)
	woke := receive(t, done)
	require.GreaterOrEqual(t, woke.Sub(began), nap-10*time.Millisecond)
}

func stopTwice(t *testing.T, open Open) {
	i := open(t)
	i.Engine.Handle(kind, engine.Queue{}, func(engine.Run) error { return nil })
	require.NoError(t, i.Engine.Stop(t.Context()))
	require.NoError(t, i.Engine.Stop(t.Context()))
	require.NoError(t, i.Close())
}

func clientOnly(t *testing.T, open Open) {
	first := begin(t, open, func(engine.Engine) {})
	enqueue(t, first.Instance, engine.Request{ID: "one", Kind: kind, Args: json.RawMessage(`{"a":1}`)})
	got, err := first.Engine.Lost(t.Context(), []engine.ID{"one"})
	require.NoError(t, err)
	require.Empty(t, got)
	first.end(t)
	ran := make(chan engine.ID, 8)
	begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{}, func(r engine.Run) error { ran <- r.Job(); return nil })
	})
	require.Equal(t, engine.ID("one"), receive(t, ran))
}

func remove(t *testing.T, open Open) {
	ran, release := make(chan engine.ID, 8), make(chan struct{})
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{WorkerConcurrency: 1}, func(r engine.Run) error {
			_, err := r.Checkpoint("step", func(context.Context) (json.RawMessage, error) { return json.RawMessage(`1`), nil })
			ran <- r.Job()
			if r.Job() == "blocks" {
				<-release
			}
			return err
		})
	})
	enqueue(t, l.Instance, engine.Request{ID: "done", Kind: kind, Priority: 1}, engine.Request{ID: "blocks", Kind: kind, Priority: 2})
	receive(t, ran)
	receive(t, ran) // the first one's end was recorded before the only slot was free again
	enqueue(t, l.Instance, engine.Request{ID: "waits", Kind: kind})
	require.NoError(t, l.Engine.Remove(t.Context(), nil))
	require.NoError(t, l.Engine.Remove(t.Context(), []engine.ID{"done", "unknown"}))
	got, err := l.Engine.Lost(t.Context(), []engine.ID{"done", "blocks", "waits"})
	require.NoError(t, err)
	require.Equal(t, []engine.ID{"done"}, got)
	enqueue(t, l.Instance, engine.Request{ID: "done", Kind: kind})
	close(release)
	require.ElementsMatch(t, []engine.ID{"waits", "done"}, []engine.ID{receive(t, ran), receive(t, ran)}, "what was removed is new")
}

func purge(t *testing.T, open Open) {
	ran, release := make(chan engine.ID, 8), make(chan struct{})
	l := begin(t, open, func(e engine.Engine) {
		e.Handle(kind, engine.Queue{WorkerConcurrency: 1}, func(r engine.Run) error {
			ran <- r.Job()
			if r.Job() == "blocks" {
				<-release
			}
			return nil
		})
	})
	defer close(release)
	enqueue(t, l.Instance, engine.Request{ID: "done", Kind: kind, Priority: 1}, engine.Request{ID: "blocks", Kind: kind, Priority: 2})
	receive(t, ran)
	receive(t, ran) // the first one's end was recorded before the only slot was free again
	require.NoError(t, l.Engine.Purge(t.Context(), time.Now().Add(time.Hour), 10))
	enqueue(t, l.Instance, engine.Request{ID: "waits", Kind: kind})
	got, err := l.Engine.Lost(t.Context(), []engine.ID{"done", "blocks", "waits"})
	require.NoError(t, err)
	require.Equal(t, []engine.ID{"done"}, got)
}
