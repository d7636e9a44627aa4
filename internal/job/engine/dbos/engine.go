// Package dbos puts DBOS Transact behind the engine port. It is the only package that imports DBOS; what that library
// does that one would not expect is listed in docs/jobs.md.
package dbos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite" // lets DBOS use the database's driver

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job/engine"
)

const (
	appName = "witan"
	// version stays: the library takes up only jobs of its own version, so another one would strand those of the last
	// release. A body that changes its steps becomes a new kind.
	version = "engine-1"
	// executor is constant because the data folder's lock proves that only one process has this database open.
	executor = "local"
	// recoveries is out of reach: the library also counts clean restarts, and the job layer has its own limit.
	recoveries         = 1000
	defaultConcurrency = 32
	defaultPoll        = 50 * time.Millisecond
	defaultDrain       = 20 * time.Second
	// unstarted is how long a claimed job may be without a body here before it is put back.
	unstarted = 10 * time.Second
)

// Engine runs bodies in this process with their state in the embedded database.
type Engine struct {
	root   dbos.Context
	logger *slog.Logger

	mu       sync.Mutex
	flows    []*workflow
	queues   map[string]engine.Queue
	running  map[engine.ID]int
	idle     map[engine.ID]time.Time
	launched bool

	stop     context.CancelCauseFunc
	stopping context.Context //nolint:containedctx // ends every run of this engine
	once     sync.Once
	stopErr  error
}

var _ engine.Engine = (*Engine)(nil)

// NewSQLite brings the engine's tables in db up to date. Stop closes db's writer, so it comes after everything else that
// writes and before db.Close. It refuses to work when a variable DBOS__… is in the environment, because the library
// would let it override the identity that keeps two processes apart.
func NewSQLite(ctx context.Context, db *sqlite.DB, logger *slog.Logger) (*Engine, error) {
	if err := refuse(os.Environ()); err != nil {
		return nil, err
	}
	// The library writes "cancelled" into every running job when this context ends; only Stop may end it.
	stopping, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	root, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, SQLiteSystemDB: db.Writer(), ApplicationVersion: version, ExecutorID: executor,
		Logger: slog.New(warnings{logger.Handler(), stopping.Done()}).With("component", "dbos"),
	})
	if err != nil {
		stop(nil)
		return nil, fmt.Errorf("open the job engine: %w", err)
	}
	return &Engine{
		root: root, logger: logger, queues: make(map[string]engine.Queue),
		running: make(map[engine.ID]int), idle: make(map[engine.ID]time.Time), stop: stop, stopping: stopping,
	}, nil
}

// refuse finds variables that the library would obey.
func refuse(environ []string) error {
	for _, v := range environ {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "DBOS__") {
			return fmt.Errorf("the environment variable %s would change which jobs this process owns; unset it", name)
		}
	}
	return nil
}

// Handle implements engine.Engine.
func (e *Engine) Handle(kind engine.Kind, q engine.Queue, b engine.Body) {
	e.mu.Lock()
	defer e.mu.Unlock()
	name := cmp.Or(q.Name, string(kind))
	if _, known := e.queues[name]; !known {
		e.queues[name] = engine.Queue{
			Name: name, WorkerConcurrency: cmp.Or(q.WorkerConcurrency, defaultConcurrency), Poll: cmp.Or(q.Poll, defaultPoll),
		}
	}
	w := &workflow{engine: e, kind: kind, queue: name, body: b}
	dbos.RegisterWorkflow(e.root, w.run, dbos.WithInstance(w), dbos.WithWorkflowName(string(kind)),
		dbos.WithMaxRecoveryAttempts(recoveries))
	e.flows = append(e.flows, w)
}

// Start implements engine.Engine.
func (e *Engine) Start(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.launched {
		return errors.New("the job engine was started before")
	}
	if len(e.flows) == 0 {
		return nil
	}
	names := make([]string, 0, len(e.queues))
	for _, q := range e.queues {
		if _, err := dbos.RegisterQueue(e.root, q.Name, dbos.WithWorkerConcurrency(q.WorkerConcurrency),
			dbos.WithQueueBasePollingInterval(q.Poll)); err != nil {
			return fmt.Errorf("register queue %s: %w", q.Name, err)
		}
		names = append(names, q.Name)
	}
	dbos.ListenQueues(e.root, names...)
	e.launched = true
	if err := dbos.Launch(e.root); err != nil {
		return fmt.Errorf("launch: %w", err)
	}
	return nil
}

// Stop implements engine.Engine. It closes the database's writer.
func (e *Engine) Stop(ctx context.Context) error {
	e.once.Do(func() {
		e.stop(engine.ErrStopping)
		drain := defaultDrain
		if deadline, ok := ctx.Deadline(); ok {
			drain = max(time.Until(deadline), time.Millisecond)
		}
		if err := dbos.Shutdown(e.root, drain); err != nil {
			e.stopErr = fmt.Errorf("stop the job engine: %w", err)
		}
	})
	return e.stopErr
}

// EnqueueTx implements engine.Engine.
func (e *Engine) EnqueueTx(_ context.Context, tx engine.Tx, r engine.Request) error {
	_, err := dbos.Enqueue[string](e.root, cmp.Or(r.Queue, string(r.Kind)), string(r.Kind), string(r.Args),
		dbos.WithEnqueueWorkflowID(string(r.ID)), dbos.WithEnqueueApplicationVersion(version),
		dbos.WithEnqueueConfigName(string(r.Kind)), dbos.WithEnqueueClassName(className),
		dbos.WithEnqueuePriority(r.Priority), dbos.WithEnqueueTransaction(sqlite.Unwrap(tx)))
	if err != nil {
		return fmt.Errorf("enqueue %s job %s: %w", r.Kind, r.ID, err)
	}
	return nil
}

// Forget implements engine.Engine.
func (e *Engine) Forget(_ context.Context, ids []engine.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := dbos.CancelWorkflows(e.root, texts(ids)); err != nil {
		return fmt.Errorf("drop jobs from their queue: %w", err)
	}
	return nil
}

// Lost implements engine.Engine. On the way it puts jobs back that this process claimed and never started.
func (e *Engine) Lost(_ context.Context, ids []engine.ID) ([]engine.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := dbos.ListWorkflows(e.root, dbos.WithFilterWorkflowIDs(texts(ids)...),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, fmt.Errorf("look for lost jobs: %w", err)
	}
	alive := make(map[engine.ID]bool, len(rows))
	for _, row := range rows {
		switch row.Status {
		case dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed:
			alive[engine.ID(row.ID)] = true
		case dbos.WorkflowStatusPending:
			alive[engine.ID(row.ID)] = true
			e.revive(engine.ID(row.ID), row.QueueName)
		case dbos.WorkflowStatusSuccess, dbos.WorkflowStatusError, dbos.WorkflowStatusCancelled,
			dbos.WorkflowStatusMaxRecoveryAttemptsExceeded:
		}
	}
	var lost []engine.ID
	for _, id := range ids {
		if !alive[id] {
			lost = append(lost, id)
		}
	}
	return lost, nil
}

// revive returns a claimed job to its queue that has had no body for a while: its row could not be read after the claim.
func (e *Engine) revive(id engine.ID, queue string) {
	e.mu.Lock()
	since, seen := e.idle[id]
	switch {
	case !e.launched || e.running[id] > 0:
		delete(e.idle, id)
		seen = false
	case !seen:
		e.idle[id] = time.Now()
	}
	due := seen && time.Since(since) >= unstarted
	if due {
		delete(e.idle, id)
	}
	e.mu.Unlock()
	if !due {
		return
	}
	if _, err := dbos.ResumeWorkflow[string](e.root, string(id), dbos.WithResumeQueue(queue)); err != nil {
		e.logger.Warn("a job that was claimed and never started could not be put back", "job_id", id, "error", err)
	}
}

// Remove implements engine.Engine.
func (e *Engine) Remove(_ context.Context, ids []engine.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := dbos.DeleteWorkflows(e.root, texts(ids)); err != nil {
		return fmt.Errorf("remove executions: %w", err)
	}
	return nil
}

// Purge implements engine.Engine.
func (e *Engine) Purge(_ context.Context, ended time.Time, n int) error {
	rows, err := dbos.ListWorkflows(e.root, dbos.WithFilterCompletedBefore(ended), dbos.WithFilterLimit(n),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return fmt.Errorf("look for old executions: %w", err)
	}
	if len(rows) == 0 {
		return nil
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	if err := dbos.DeleteWorkflows(e.root, ids); err != nil {
		return fmt.Errorf("remove old executions: %w", err)
	}
	return nil
}

func texts(ids []engine.ID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = string(id)
	}
	return out
}

// warnings keeps the library's chatter out of the log, and what it calls errors while it is being stopped: look-ups that
// were cut off.
type warnings struct {
	slog.Handler

	stopping <-chan struct{}
}

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	select {
	case <-w.stopping:
		return false
	default:
		return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
	}
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs), w.stopping}
}

func (w warnings) WithGroup(name string) slog.Handler {
	return warnings{w.Handler.WithGroup(name), w.stopping}
}
