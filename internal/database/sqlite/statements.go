package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
)

const (
	// keptStatements bounds the compiled statements of one connection, and seenStatements what is remembered of queries
	// that came once: lists of changing length must not push out the statements that come with every job.
	keptStatements = 256
	seenStatements = 1024
)

// openPool opens a pool whose connections keep the statements that come again compiled. Compiling took half of the
// processor time of a job before; the engine and the stores both send their SQL as text each time.
func openPool(dsn string) (*sql.DB, error) {
	plain, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	c := &connector{driver: plain.Driver(), dsn: dsn}
	if err := plain.Close(); err != nil {
		return nil, err
	}
	return sql.OpenDB(c), nil
}

type connector struct {
	driver driver.Driver
	dsn    string
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return c.driver }

// Connect implements driver.Connector.
func (c *connector) Connect(context.Context) (driver.Conn, error) {
	plain, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := plain.(connection)
	if !ok {
		return nil, fmt.Errorf("sqlite: connections of type %T lack something that is needed", plain)
	}
	return &caching{connection: full, kept: make(map[string]*kept), seen: make(map[string]struct{})}, nil
}

// connection is what the driver's connections can do.
type connection interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// caching is one connection; database/sql lets one goroutine at a time use it.
type caching struct {
	connection

	kept map[string]*kept
	seen map[string]struct{}
}

// statement is what the driver's compiled statements can do.
type statement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// kept is one compiled statement. While its rows are read it is not free for the same query within.
type kept struct {
	statement

	busy bool
}

// ExecContext implements driver.ExecerContext.
func (c *caching) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.lookup(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.connection.ExecContext(ctx, query, args)
	}
	return s.ExecContext(ctx, args)
}

// QueryContext implements driver.QueryerContext.
func (c *caching) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.lookup(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.connection.QueryContext(ctx, query, args)
	}
	r, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rows{Rows: r, of: s}, nil
}

// rows frees its statement when it is closed.
type rows struct {
	driver.Rows

	of *kept
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}

// lookup returns the compiled statement of a query that came before, or nil when it is to be run as text.
func (c *caching) lookup(ctx context.Context, query string) (*kept, error) {
	if s, ok := c.kept[query]; ok {
		if s.busy {
			return nil, nil //nolint:nilnil // documented: nil means as text
		}
		return s, nil
	}
	if !c.worth(query) {
		return nil, nil //nolint:nilnil // documented: nil means as text
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(statement)
	if !ok {
		return nil, fmt.Errorf("sqlite: statements of type %T lack something that is needed", prepared)
	}
	k := &kept{statement: s}
	c.kept[query] = k
	return k, nil
}

// worth says whether to compile: at its second coming, and only one statement at a time.
func (c *caching) worth(query string) bool {
	if len(c.kept) >= keptStatements || strings.Contains(query, ";") {
		return false
	}
	if _, again := c.seen[query]; again {
		delete(c.seen, query)
		return true
	}
	if len(c.seen) < seenStatements {
		c.seen[query] = struct{}{}
	}
	return false
}

// Close implements driver.Conn.
func (c *caching) Close() error {
	for _, s := range c.kept {
		_ = s.Close() // the connection goes anyway
	}
	return c.connection.Close()
}
