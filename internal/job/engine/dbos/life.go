package dbos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"

	"witan.dev/internal/job/engine"
)

const (
	// nothing is a queue that does not exist: a set of none would mean all.
	nothing = "none"
	// reconcile is how long the library may go on claiming after it was told to listen to nothing: it looks once a
	// second, and after each poll.
	reconcile = time.Second + 300*time.Millisecond
)

// life is one identity of this process with everything that it claimed. A process that was taken for dead begins another
// one.
type life struct {
	engine *Engine
	id     string
	root   dbos.Context
	// cut closes the connections of root, so that nothing waits for an answer that never comes; nil: there are none.
	cut func()

	// ctx ends every run of this life, with the reason as its cause.
	ctx context.Context //nolint:containedctx // this life's
	end context.CancelCauseFunc
	// draining is closed when nothing new may begin, quiet when nothing is claimed any more; idle when no body works.
	draining, quiet, idle chan struct{}

	mu      sync.Mutex
	up      bool
	running map[engine.ID]int
	slots   map[string]int // bodies by queue
	seen    map[engine.ID]time.Time
	busy    int
}

func newLife(e *Engine, id string) *life {
	l := &life{
		engine: e, id: id, draining: make(chan struct{}), quiet: make(chan struct{}), idle: make(chan struct{}),
		running: make(map[engine.ID]int), slots: make(map[string]int), seen: make(map[engine.ID]time.Time),
	}
	l.ctx, l.end = context.WithCancelCause(context.WithoutCancel(e.halting))
	return l
}

func (l *life) logger() *slog.Logger {
	return slog.New(warnings{l.engine.logger.Handler(), l.ctx.Done()}).With("component", "dbos")
}

func (l *life) launched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// launch registers everything and begins to claim.
func (l *life) launch() error {
	e := l.engine
	for _, f := range e.flows {
		w := &workflow{life: l, flow: f}
		dbos.RegisterWorkflow(l.root, w.run, dbos.WithInstance(w), dbos.WithWorkflowName(string(f.kind)),
			dbos.WithMaxRecoveryAttempts(recoveries))
	}
	names := make([]string, 0, len(e.queues))
	for _, q := range e.queues {
		if e.cluster == nil {
			if err := register(l.root, q); err != nil {
				return err
			}
		}
		names = append(names, q.Name)
	}
	dbos.ListenQueues(l.root, names...)
	l.mu.Lock()
	l.up = true
	l.mu.Unlock()
	if err := dbos.Launch(l.root); err != nil {
		return fmt.Errorf("launch the job engine: %w", err)
	}
	return nil
}

// register writes a queue's row, which all its workers read.
func register(c dbos.Client, q engine.Queue) error {
	if _, err := dbos.RegisterQueue(c, q.Name, dbos.WithWorkerConcurrency(q.WorkerConcurrency),
		dbos.WithQueueBasePollingInterval(q.Poll)); err != nil {
		return fmt.Errorf("register queue %s: %w", q.Name, err)
	}
	return nil
}

// drain lets steps that run end until ctx's deadline, and begins nothing. Without a deadline it does not wait.
func (l *life) drain(ctx context.Context) {
	if _, limited := ctx.Deadline(); limited && l.launched() {
		dbos.ListenQueues(l.root, nothing)
		l.mu.Lock()
		close(l.draining)
		if l.busy == 0 {
			close(l.idle)
		}
		l.mu.Unlock()
		claimed := time.NewTimer(reconcile + l.longestPoll())
		defer claimed.Stop()
		for over := false; !over; {
			select {
			case <-l.idle:
				over = true
			case <-ctx.Done():
				over = true
			case <-l.ctx.Done(): // taken for dead meanwhile
				over = true
			case <-claimed.C:
				if l.engine.cluster != nil {
					close(l.quiet)
				} // else nobody waits for them, and the next start takes them up
			}
		}
	}
	l.end(engine.ErrStopping)
}

func (l *life) longestPoll() (d time.Duration) {
	for _, q := range l.engine.queues {
		d = max(d, q.Poll)
	}
	return d
}

// close ends the library's part. All runs have been told before. What does not return in time is cut off from the
// database; its writes are refused by the fences.
func (l *life) close() error {
	l.end(engine.ErrStopping)
	patience := shutdown
	if l.cut != nil {
		stop := time.AfterFunc(shutdown/2, l.cut)
		defer stop.Stop()
	}
	if err := dbos.Shutdown(l.root, patience); err != nil {
		return fmt.Errorf("stop the job engine: %w", err)
	}
	return nil
}

// begun counts a body that runs here; what it returns must be called once when it works no more. There is no place for
// it when as many as this process takes from the queue are running.
func (l *life) begun(id engine.ID, queue string) (done func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[id]++
	l.slots[queue]++
	l.busy++
	delete(l.seen, id) // what was seen between two bodies says nothing about the next pause
	ok = l.slots[queue] <= l.engine.queues[queue].WorkerConcurrency
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.slots[queue]--
		if l.running[id]--; l.running[id] == 0 {
			delete(l.running, id)
		}
	}, ok
}

// rests says that a body that was begun will do nothing more than return.
func (l *life) rests() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy--; l.busy > 0 {
		return
	}
	select {
	case <-l.draining:
		select {
		case <-l.idle:
		default:
			close(l.idle)
		}
	default:
	}
}

// revive returns a claimed job of this life to its queue that has had no body for a while: its row could not be read
// after the claim.
func (l *life) revive(ctx context.Context, id engine.ID) {
	l.mu.Lock()
	since, seen := l.seen[id]
	switch {
	case !l.up || l.running[id] > 0:
		delete(l.seen, id)
		seen = false
	case !seen:
		l.seen[id] = time.Now()
	}
	due := seen && time.Since(since) >= unstarted
	if due {
		delete(l.seen, id)
	}
	l.mu.Unlock()
	if !due {
		return
	}
	owner, err := l.engine.back.owner(ctx, id, l.id)
	if err == nil && owner != "" && !l.has(id) {
		_, err = l.engine.back.release(ctx, id, owner)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		l.engine.logger.WarnContext(ctx, "a job that was claimed and never started could not be put back", "job_id", id, "error", err)
	}
}

func (l *life) has(id engine.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running[id] > 0
}
