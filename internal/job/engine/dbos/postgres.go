package dbos

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	"github.com/dbos-inc/dbos-transact-golang/dbos/internals"
	"github.com/jackc/pgx/v5/pgxpool"

	"witan.dev/internal/database"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/secret"
)

const (
	clusterPoll = 200 * time.Millisecond
	// Connections: clientConns for everything but bodies, pulseConns for signs of life, which wait for nobody.
	clientConns, pulseConns = 4, 2
	// startTimeout bounds how long the library may take to look at the schema, stopTimeout each statement of a stop.
	startTimeout, stopTimeout = 30 * time.Second, 5 * time.Second
)

// Params say how an engine takes part in a cluster.
type Params struct {
	// URL of the database in which the job store lies as well.
	URL secret.Text
	// MaxConns bounds the connections for running bodies; 0 means 16. Six more are for the rest.
	MaxConns int32
	// Liveness holds the periods by which workers know of each other's end.
	Liveness Liveness
	Logger   *slog.Logger
}

// cluster is an engine's place among others that share the database.
type cluster struct {
	params Params
	host   string
	pulse  *pgxpool.Pool
}

// NewPostgres connects to a database that was migrated with MigratePostgres and postgres.Migrate; database.ErrSchema says
// that it was not, database.ErrAway that it does not answer. Bodies run under an identity that is new for each life, see
// Liveness. Like NewSQLite it refuses a foreign identity in the environment.
func NewPostgres(ctx context.Context, p Params) (*Engine, error) {
	if err := refuse(os.Environ()); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("name this process: %w", err)
	}
	e := newEngine(ctx, p.Logger, clusterPoll)
	e.cluster = &cluster{params: p, host: host}
	e.cluster.params.Liveness = p.Liveness.withDefaults()
	if e.cluster.pulse, err = e.cluster.pool(ctx, "witan pulse", pulseConns, nil); err != nil {
		return nil, err
	}
	pool, err := e.cluster.pool(ctx, "witan engine client", clientConns, nil)
	if err != nil {
		e.cluster.pulse.Close()
		return nil, err
	}
	e.back = onPostgres{pool}
	chatter := slog.New(warnings{p.Logger.Handler(), e.halting.Done()}).With("component", "dbos") // the library tells the URL, too
	if e.client, err = e.cluster.open(ctx, pool, "client", chatter); err != nil {
		e.cluster.pulse.Close()
		pool.Close()
		return nil, err
	}
	return e, nil
}

func (c *cluster) pool(ctx context.Context, name string, conns int32, lines *lines) (*pgxpool.Pool, error) {
	p := postgres.Params{URL: c.params.URL, MaxConns: conns, Name: name}
	if lines != nil {
		p.Dial = lines.dial
	}
	return postgres.NewPool(context.WithoutCancel(ctx), p)
}

// open makes a handle of the library that owns pool from then on.
func (c *cluster) open(ctx context.Context, pool *pgxpool.Pool, executor string, logger *slog.Logger) (dbos.Context, error) {
	if err := pool.Ping(ctx); err != nil {
		return nil, fmt.Errorf("open the job engine: %w", postgres.Error(err))
	}
	root, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{
		AppName: appName, SystemDBPool: pool, DatabaseSchema: schema, ApplicationVersion: version, ExecutorID: executor,
		SkipMigrations: true, SystemDBStartupTimeout: startTimeout, Logger: logger,
	})
	if err == nil {
		return root, nil
	}
	if e := pool.Ping(ctx); e != nil {
		return nil, fmt.Errorf("open the job engine: %w", postgres.Error(e))
	}
	return nil, fmt.Errorf("open the job engine: %w", database.ErrSchema.Wrap(err))
}

// begin begins a life: its row is there before it claims anything.
func (c *cluster) begin(ctx context.Context, e *Engine) (_ *life, err error) {
	l := newLife(e, fmt.Sprintf("%s-%d-%d", c.host, os.Getpid(), time.Now().UnixNano()))
	lines := newLines()
	l.cut = lines.cut
	pool, err := c.pool(ctx, l.id, cmp.Or(c.params.MaxConns, 16), lines)
	if err != nil {
		return nil, err
	}
	if l.root, err = c.open(ctx, pool, l.id, l.logger()); err != nil {
		pool.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			l.end(engine.ErrStopping)
			err = errors.Join(err, l.close())
		}
	}()
	// The library tries for ever to begin while the database is away.
	defer context.AfterFunc(ctx, func() {
		l.end(engine.ErrStopping)
		_ = dbos.Shutdown(l.root, stopTimeout)
	})()
	if err := c.enter(ctx, l); err != nil {
		return nil, err
	}
	if err := c.raise(ctx, e, true); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.life = l
	e.mu.Unlock()
	return l, l.launch()
}

// live keeps this process alive among the others until ctx ends: one life after the other.
func (c *cluster) live(ctx context.Context, e *Engine, l *life) {
	for first := true; c.attend(ctx, e, l, first); first = false {
		e.logger.WarnContext(ctx, "this process was taken for dead; it goes on under a new identity", "identity", l.id)
		lost := l
		lost.end(engine.ErrIdentityLost)
		e.work.Go(func() {
			if err := lost.close(); err != nil {
				e.logger.WarnContext(ctx, "what ran under the lost identity did not end in time", "identity", lost.id, "error", err)
			}
		})
		if l = c.again(ctx, e, lost); l == nil {
			return
		}
	}
}

// again begins the next life as soon as the database allows; nil when this process stops.
func (c *cluster) again(ctx context.Context, e *Engine, lost *life) *life {
	for {
		select {
		case <-lost.draining:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		l, err := c.begin(ctx, e)
		if err == nil {
			return l
		}
		if ctx.Err() == nil {
			e.logger.WarnContext(ctx, "a new identity could not be taken and is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(c.params.Liveness.Beat):
		}
	}
}

// stop hands everything over and closes. The identity is marked dead before its jobs are given to others.
func (c *cluster) stop(ctx context.Context, e *Engine, l *life) error {
	var failed error
	if l != nil {
		ctx, cancel := context.WithTimeout(ctx, stopTimeout)
		defer cancel()
		handOver := func() {
			if err := c.recover(ctx, e, l.id); err != nil {
				e.logger.WarnContext(ctx, "unfinished jobs are left to others, who take them when they miss this process", "error", err)
			}
		}
		if err := c.die(ctx, l); err != nil {
			e.logger.WarnContext(ctx, "this process could not take its leave", "error", err)
		} else {
			handOver()
		}
		failed = l.close()
		if ctx.Err() == nil {
			handOver() // what was claimed while it stopped
			if err := c.leave(ctx, l); err != nil {
				e.logger.WarnContext(ctx, "this process stays listed among the dead", "error", err)
			}
		}
	}
	if err := dbos.Shutdown(e.client, stopTimeout); err != nil {
		failed = errors.Join(failed, fmt.Errorf("close the job engine: %w", err))
	}
	c.pulse.Close()
	return failed
}

// recover returns what dead executors had claimed to its queues.
func (c *cluster) recover(ctx context.Context, e *Engine, executors ...string) error {
	runtime, err := internals.RuntimeOf(e.within(ctx))
	if err != nil {
		return err
	}
	handles, err := runtime.RecoverPendingWorkflows(executors)
	if err != nil {
		return fmt.Errorf("return jobs to their queues: %w", err)
	}
	if len(handles) > 0 {
		e.logger.InfoContext(ctx, "returned jobs to their queues", "jobs", len(handles), "identities", executors)
	}
	return nil
}

// migrationLock is the key of the advisory lock under which the engine's tables are migrated.
const migrationLock int64 = 0x77697461_6e646273

// MigratePostgres brings the engine's tables up to date. Several processes may do it at once: one works, the others wait.
func MigratePostgres(ctx context.Context, url secret.Text) (err error) {
	pool, err := postgres.NewPool(ctx, postgres.Params{URL: url, MaxConns: 1, Name: "witan migrate"})
	if err != nil {
		return err
	}
	defer pool.Close()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("migrate the job engine: %w", postgres.Error(err))
	}
	defer conn.Release()
	for locked := false; !locked; {
		// Asking again and again holds no snapshot, for which the concurrent building of an index would wait.
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, migrationLock).Scan(&locked); err != nil {
			return fmt.Errorf("migrate the job engine: %w", postgres.Error(err))
		}
		if !locked {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	defer func() {
		if _, e := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, migrationLock); e != nil {
			err = errors.Join(err, fmt.Errorf("unlock the job engine's tables: %w", e))
		}
	}()
	if err := dbos.Migrate(ctx, url.Reveal(), dbos.WithMigrateSchema(schema), dbos.WithMigrateLogger(slog.New(slog.DiscardHandler))); err != nil {
		return fmt.Errorf("migrate the job engine: %w", postgres.Error(err))
	}
	return nil
}

// lines are the connections of one life, which can be cut when nobody answers on them any more.
type lines struct {
	dialer net.Dialer

	mu   sync.Mutex
	open map[*line]struct{}
}

func newLines() *lines { return &lines{open: make(map[*line]struct{})} }

func (l *lines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &line{Conn: conn, of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	return c, nil
}

// cut closes all connections; whoever uses one meets an error and makes a new one.
func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		_ = c.Conn.Close()
	}
	clear(l.open)
}

type line struct {
	net.Conn

	of *lines
}

// Close forgets the connection.
func (c *line) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
