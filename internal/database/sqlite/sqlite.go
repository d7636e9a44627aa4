// Package sqlite opens the embedded database: one file, one writer connection whose commits are shared, and a pool of
// read-only connections beside it. Everything that the embedded system keeps lies in this file; which table belongs to
// whom is said in docs/ARCHITECTURE.md.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"witan.dev/internal/database/migrations"
)

const (
	// readers bounds the connections for queries. Readers never wait for the writer in WAL mode; more than a few only
	// compete for the processor.
	readers = 8
	// maxBatch is how many waiting writes share one commit at most (measured: batches of 16 on average at 32 writers).
	maxBatch = 128
)

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("sqlite: database is closed")

// DB is one open database file. Safe for concurrent use. Two processes must not open the same file; the lock of the
// data folder sees to that.
type DB struct {
	path     string
	writer   *sql.DB
	reader   *sql.DB
	logger   *slog.Logger
	requests chan *request
	stop     chan struct{}
	stopped  chan struct{}
	close    sync.Once
}

// Open opens the file at path, creates it where it is missing, brings its schema up to date and starts the writer.
// Commits are durable against power loss (WAL with synchronous FULL). The caller closes the DB.
func Open(ctx context.Context, path string, logger *slog.Logger) (*DB, error) {
	writer, err := openPool(dsn(path, "_txlock=immediate", "_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)", "_pragma=foreign_keys(1)"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", filepath.Base(path), err)
	}
	writer.SetMaxOpenConns(1)
	writer.SetMaxIdleConns(1)
	writer.SetConnMaxLifetime(0)
	if err := migrate(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the schema of %s up to date: %w", filepath.Base(path), err), writer.Close())
	}
	reader, err := openPool(dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s for reading: %w", filepath.Base(path), err), writer.Close())
	}
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	db := &DB{
		path: path, writer: writer, reader: reader, logger: logger,
		requests: make(chan *request, maxBatch), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go db.serve()
	return db, nil
}

func dsn(path string, options ...string) string {
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	var query strings.Builder
	query.WriteString("_pragma=busy_timeout(10000)")
	for _, o := range options {
		query.WriteString("&" + o)
	}
	u.RawQuery = query.String()
	return u.String()
}

func migrate(ctx context.Context, writer *sql.DB) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, writer, migrations.SQLite())
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Path is the file that Open was given.
func (db *DB) Path() string { return db.path }

// Reader is the pool for queries. It refuses writes.
func (db *DB) Reader() *sql.DB { return db.reader }

// Writer is the one connection that can write. It is for the job engine, which manages its own transactions; stores use
// Write, which shares commits.
func (db *DB) Writer() *sql.DB { return db.writer }

// Close waits for the writes that have begun, refuses later ones and closes both handles. It may be called twice, and
// after the engine has closed the writer's handle.
func (db *DB) Close() error {
	var err error
	db.close.Do(func() {
		close(db.stop)
		<-db.stopped
		err = errors.Join(db.reader.Close(), db.writer.Close())
	})
	return err
}
