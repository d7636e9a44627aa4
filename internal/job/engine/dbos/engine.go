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
	// local is the embedded identity. It is constant because the data folder's lock proves that only one process has
	// this database open.
	local = "local"
	// recoveries is out of reach: the library also counts clean restarts, and the job layer has its own limit.
	recoveries         = 1000
	defaultConcurrency = 32
	embeddedPoll       = 50 * time.Millisecond
	// shutdown bounds how long the library may take over each part of its end, when all bodies have been told.
	shutdown = 10 * time.Second
	// unstarted is how long a claimed job may be without a body here before it is put back.
	unstarted = 10 * time.Second
)

// Engine runs bodies in this process with their state in the embedded database, or in one that many processes share.
type Engine struct {
	logger *slog.Logger
	back   backend
	// client is the library's handle for everything but running bodies. Embedded it is that of the only life.
	client dbos.Context
	poll   time.Duration
	// cluster is nil in the embedded mode.
	cluster *cluster

	// flows and queues do not change after Start.
	flows  []flow
	queues map[string]engine.Queue

	mu   sync.Mutex
	life *life

	// halting is the end of what runs beside the bodies.
	halting context.Context //nolint:containedctx // this engine's
	halt    context.CancelFunc
	work    sync.WaitGroup
	once    sync.Once
	stopErr error
}

var _ engine.Engine = (*Engine)(nil)

// flow is what Handle registers.
type flow struct {
	kind  engine.Kind
	queue string
	body  engine.Body
}

// NewSQLite brings the engine's tables in db up to date. Stop closes db's writer, so it comes after everything else that
// writes and before db.Close. It refuses to work when a variable DBOS__… is in the environment, because the library
// would let it override the identity that keeps two processes apart.
func NewSQLite(ctx context.Context, db *sqlite.DB, logger *slog.Logger) (*Engine, error) {
	if err := refuse(os.Environ()); err != nil {
		return nil, err
	}
	e := newEngine(ctx, logger, embeddedPoll)
	e.back = onSQLite{db}
	l := newLife(e, local)
	var err error
	// The library writes "cancelled" into every running job when this context ends; only Stop may end it.
	l.root, err = dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, SQLiteSystemDB: db.Writer(), ApplicationVersion: version, ExecutorID: local, Logger: l.logger(),
	})
	if err != nil {
		return nil, fmt.Errorf("open the job engine: %w", err)
	}
	e.life, e.client = l, l.root
	return e, nil
}

func newEngine(ctx context.Context, logger *slog.Logger, poll time.Duration) *Engine {
	e := &Engine{logger: logger, poll: poll, queues: make(map[string]engine.Queue)}
	e.halting, e.halt = context.WithCancel(context.WithoutCancel(ctx))
	return e
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
	name := cmp.Or(q.Name, string(kind))
	if _, known := e.queues[name]; !known {
		e.queues[name] = engine.Queue{
			Name: name, WorkerConcurrency: cmp.Or(q.WorkerConcurrency, defaultConcurrency), AtWork: q.AtWork, Poll: cmp.Or(q.Poll, e.poll),
		}
	}
	e.flows = append(e.flows, flow{kind: kind, queue: name, body: b})
}

// Start implements engine.Engine.
func (e *Engine) Start(ctx context.Context) error {
	l := e.current()
	switch {
	case len(e.flows) == 0:
		return nil
	case l != nil && l.launched():
		return errors.New("the job engine was started before")
	case e.cluster == nil:
		return l.launch()
	}
	l, err := e.cluster.begin(ctx, e)
	if err != nil {
		return err
	}
	e.work.Go(func() { e.cluster.live(e.halting, e, l) })
	return nil
}

// Identity implements engine.Engine.
func (e *Engine) Identity() string {
	if l := e.current(); e.cluster != nil && l != nil {
		return l.id
	}
	return ""
}

func (e *Engine) current() *life {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.life
}

// Stop implements engine.Engine. In the embedded mode it closes the database's writer.
func (e *Engine) Stop(ctx context.Context) error {
	e.once.Do(func() {
		if l := e.current(); l != nil {
			l.drain(ctx)
		}
		e.halt()
		e.work.Wait()
		l := e.current() // it may have been replaced meanwhile
		if e.cluster != nil {
			e.stopErr = e.cluster.stop(context.WithoutCancel(ctx), e, l)
		} else {
			e.stopErr = l.close()
		}
	})
	return e.stopErr
}

// EnqueueTx implements engine.Engine.
func (e *Engine) EnqueueTx(_ context.Context, tx engine.Tx, r engine.Request) error {
	if len(r.ID) > engine.MaxArgs || len(r.Args) > engine.MaxArgs {
		return fmt.Errorf("enqueue %s job: ID of %d bytes, arguments of %d: %w", r.Kind, len(r.ID), len(r.Args), engine.ErrTooLarge)
	}
	_, err := dbos.Enqueue[string](e.client, cmp.Or(r.Queue, string(r.Kind)), string(r.Kind), string(r.Args),
		dbos.WithEnqueueWorkflowID(string(r.ID)), dbos.WithEnqueueApplicationVersion(version),
		dbos.WithEnqueueConfigName(string(r.Kind)), dbos.WithEnqueueClassName(className),
		dbos.WithEnqueuePriority(r.Priority), dbos.WithEnqueueTransaction(e.back.transaction(tx)))
	if err != nil {
		return fmt.Errorf("enqueue %s job %s: %w", r.Kind, r.ID, err)
	}
	return nil
}

// Forget implements engine.Engine.
func (e *Engine) Forget(ctx context.Context, ids []engine.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := dbos.CancelWorkflows(e.within(ctx), texts(ids)); err != nil {
		return fmt.Errorf("drop jobs from their queue: %w", err)
	}
	return nil
}

// Lost implements engine.Engine. On the way it puts jobs back that this process claimed and never started.
func (e *Engine) Lost(ctx context.Context, ids []engine.ID) ([]engine.ID, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := dbos.ListWorkflows(e.within(ctx), dbos.WithFilterWorkflowIDs(texts(ids)...),
		dbos.WithFilterLoadInput(false), dbos.WithFilterLoadOutput(false))
	if err != nil {
		return nil, fmt.Errorf("look for lost jobs: %w", err)
	}
	l := e.current()
	alive := make(map[engine.ID]bool, len(rows))
	for _, row := range rows {
		switch row.Status {
		case dbos.WorkflowStatusEnqueued, dbos.WorkflowStatusDelayed:
			alive[engine.ID(row.ID)] = true
		case dbos.WorkflowStatusPending:
			alive[engine.ID(row.ID)] = true
			if l != nil && row.ExecutorID == l.id {
				l.revive(ctx, engine.ID(row.ID))
			}
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

// Remove implements engine.Engine.
func (e *Engine) Remove(ctx context.Context, ids []engine.ID) error {
	if len(ids) == 0 {
		return nil
	}
	if err := dbos.DeleteWorkflows(e.within(ctx), texts(ids)); err != nil {
		return fmt.Errorf("remove executions: %w", err)
	}
	return nil
}

// Purge implements engine.Engine.
func (e *Engine) Purge(ctx context.Context, ended time.Time, n int) error {
	rows, err := dbos.ListWorkflows(e.within(ctx), dbos.WithFilterCompletedBefore(ended), dbos.WithFilterLimit(n),
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
	if err := dbos.DeleteWorkflows(e.within(ctx), ids); err != nil {
		return fmt.Errorf("remove old executions: %w", err)
	}
	return nil
}

// within is the client with the end of ctx: without one the library tries for ever to reach a database that is away.
func (e *Engine) within(ctx context.Context) dbos.Context { return dbos.From(e.client, bare{ctx}) }

// bare is a context without its values: among those of a body is the one by which the library takes a call for a step.
type bare struct{ context.Context } //nolint:containedctx // a context itself

// Value implements context.Context.
func (bare) Value(any) any { return nil }

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

// Handle drops what the library says of an execution that ends without a record, as it is meant to.
func (w warnings) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "Failed to serialize workflow output" {
		return nil
	}
	return w.Handler.Handle(ctx, r)
}

func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs), w.stopping}
}

func (w warnings) WithGroup(name string) slog.Handler {
	return warnings{w.Handler.WithGroup(name), w.stopping}
}
