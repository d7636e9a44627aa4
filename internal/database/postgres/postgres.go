// Package postgres opens the cluster's database: one pool that all stores of a process share, transactions that are run
// again where the database asks for it, and the migration of the schema. Which table belongs to whom is said in
// docs/ARCHITECTURE.md.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"witan.dev/internal/apierr"
	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database"
	"witan.dev/internal/secret"
)

const (
	defaultConns   = 16
	connectTimeout = 5 * time.Second // bounds one attempt to connect
	// idleInTx bounds how long a process that stands still may hold locks: for less than its neighbours wait before they
	// take its jobs, which they could not begin.
	idleInTx = "5000" // milliseconds
	// tries bounds how often a transaction is run that collides with others.
	tries = 20
)

// Params say how to reach the database.
type Params struct {
	// URL is postgres://user:password@host:port/name?options.
	URL secret.Text
	// MaxConns bounds the connections of the pool; 0 means 16.
	MaxConns int32
	// Name is shown by the server for the process's connections; "" means witan.
	Name string
	// Dial makes the connections; nil means the network.
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	Logger *slog.Logger
}

// DB is a pool of connections to one database. Safe for concurrent use.
type DB struct {
	pool   *pgxpool.Pool
	logger *slog.Logger
}

// Open connects and makes sure that the schema is one that this program knows: database.ErrSchema where `witan migrate`
// has to be run, database.ErrAway where nobody answers. The caller closes the DB.
func Open(ctx context.Context, p Params) (*DB, error) {
	pool, err := NewPool(ctx, p)
	if err != nil {
		return nil, err
	}
	db := &DB{pool: pool, logger: p.Logger}
	if err := checkSchema(ctx, db); err != nil {
		pool.Close()
		return nil, located(err, pool.Config().ConnConfig)
	}
	return db, nil
}

// located says of a database that is away where it was looked for, and why it was not reached. pgx's own words may show
// user and database names, so only the deepest cause is told.
func located(err error, c *pgx.ConnConfig) error {
	away, ok := errors.AsType[*apierr.Error](err)
	if !ok || !errors.Is(err, database.ErrAway) {
		return err
	}
	away = away.With("address", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if op, ok := errors.AsType[*net.OpError](err); ok {
		away = away.With("detail", op.Err.Error())
	}
	return away
}

// NewPool makes a pool with this package's settings. It does not connect yet.
func NewPool(ctx context.Context, p Params) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(p.URL.Reveal())
	if err != nil {
		return nil, errors.New("the database URL cannot be read: it is postgres://user:password@host:port/name") // pgx's error shows the URL
	}
	cfg.MaxConns = defaultConns
	if p.MaxConns > 0 {
		cfg.MaxConns = p.MaxConns
	}
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = idleInTx
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["application_name"] = "witan"
	if p.Name != "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = p.Name
	}
	if p.Dial != nil {
		cfg.ConnConfig.DialFunc = p.Dial
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// Close waits for the connections in use and closes the pool.
func (db *DB) Close() { db.pool.Close() }

// Pool is the pool itself, for queries that need no transaction; their errors go through Error.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping says whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return Error(db.pool.Ping(ctx)) }

// Write runs fn in a transaction (read committed) and commits it when fn returns nil. Where the transaction collides with
// another one (deadlock, serialization, a unique key that appeared meanwhile and that fn reports with Again) it is run
// again, so fn has no effect but on tx and assigns its results anew in each run. When the database is away, the error is
// database.ErrAway; whether a commit that was under way took place is then unknown, so what fn writes must do no harm
// when it is written again.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	for n := 1; ; n++ {
		err := db.once(ctx, fn)
		if err == nil || n >= tries || !collides(err) {
			return Error(err)
		}
		if err := pause(ctx, n); err != nil {
			return err
		}
	}
}

func (db *DB) once(ctx context.Context, fn func(ctx context.Context, tx pgx.Tx) error) error {
	tx, err := db.pool.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit this does nothing
	if err := fn(ctx, tx); err != nil {
		return err
	}
	crashpoint.Hit(crashpoint.BeforeCommit)
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	crashpoint.Hit(crashpoint.AfterCommit)
	return nil
}

// WriteAlone runs fn with what sends each statement as a transaction of its own; fn sends one, and one that does no harm when
// it is sent again.
func (db *DB) WriteAlone(ctx context.Context, fn func(ctx context.Context, pool *pgxpool.Pool) error) error {
	crashpoint.Hit(crashpoint.BeforeCommit)
	if err := fn(ctx, db.pool); err != nil {
		return Error(err)
	}
	crashpoint.Hit(crashpoint.AfterCommit)
	return nil
}

// Read runs fn on one connection outside of a transaction, so that all its queries see the same server.
func (db *DB) Read(ctx context.Context, fn func(ctx context.Context, conn *pgxpool.Conn) error) error {
	return Error(db.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return fn(ctx, conn) }))
}

// Tx is a transaction that one package opens and another one's adapter joins: what must be true together commits
// together although no package knows the other's tables.
type Tx struct{ tx pgx.Tx }

// Wrap makes tx opaque.
func Wrap(tx pgx.Tx) Tx { return Tx{tx: tx} }

// JobTx marks Tx as a transaction of the job store (job.Tx).
func (Tx) JobTx() {}

// Unwrap returns the transaction behind an opaque one. It panics when tx does not come from this package: stores of two
// technologies were wired together, which is a fault of the program.
func Unwrap(tx interface{ JobTx() }) pgx.Tx {
	t, ok := tx.(Tx)
	if !ok {
		panic(fmt.Sprintf("postgres: transaction of type %T belongs to another store", tx))
	}
	return t.tx
}
