// Package sqlite keeps indexes in the embedded database: views, graph, chunks and the text index in one file, in the
// transaction of whoever asks where that matters.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// Store implements the ports of package retrieval on the embedded database. Safe for concurrent use.
type Store struct{ db *sqlite.DB }

// New returns a store in db.
func New(db *sqlite.DB) *Store { return &Store{db: db} }

var (
	_ retrieval.Catalog   = (*Store)(nil)
	_ retrieval.Builds    = (*Store)(nil)
	_ retrieval.Codes     = (*Store)(nil)
	_ retrieval.Views     = (*Store)(nil)
	_ retrieval.TextIndex = (*Store)(nil)
)

const indexColumns = `id, owner, repository, source, tree, base_index, version, state, counts, partial, labels, created_at, activated_at`

// Insert adds an index in the transaction that creates its job.
func (s *Store) Insert(ctx context.Context, tx job.Tx, index retrieval.Index) error {
	documents, err := encode(index.Source, index.Counts, index.Labels)
	if err != nil {
		return err
	}
	_, err = sqlite.Unwrap(tx).ExecContext(ctx, `INSERT INTO indexes (`+indexColumns+`) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		string(index.ID), index.Owner, index.Repository, documents[0], index.Tree, string(index.Base), index.Version, string(index.State),
		documents[1], index.Partial, documents[2], micros(index.CreatedAt), micros(index.ActivatedAt))
	if err != nil {
		return fmt.Errorf("insert index %s: %w", index.ID, err)
	}
	return nil
}

// Get returns retrieval.ErrIndexNotFound for an unknown index.
func (s *Store) Get(ctx context.Context, id retrieval.ID) (retrieval.Index, error) {
	row := s.db.Reader().QueryRowContext(ctx, `SELECT `+indexColumns+` FROM indexes WHERE id = ?`, string(id))
	index, err := scanIndex(row)
	if errors.Is(err, sql.ErrNoRows) {
		return retrieval.Index{}, fmt.Errorf("index %s: %w", id, retrieval.ErrIndexNotFound)
	}
	return index, err
}

// List returns a page of an owner's indexes, newest first.
func (s *Store) List(ctx context.Context, q retrieval.ListQuery) ([]retrieval.Index, error) {
	before := int64(1<<63 - 1)
	if !q.BeforeTime.IsZero() {
		before = micros(q.BeforeTime)
	}
	return s.indexes(ctx, `SELECT `+indexColumns+` FROM indexes WHERE owner = ? AND (? = '' OR repository = ?)
		AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
		q.Owner, q.Repository, q.Repository, before, string(q.BeforeID), q.Limit)
}

// Same returns the owner's indexes of a tree under a version, ready ones first, then newest first.
func (s *Store) Same(ctx context.Context, owner, tree, version string) ([]retrieval.Index, error) {
	return s.indexes(ctx, `SELECT `+indexColumns+` FROM indexes WHERE owner = ? AND tree = ? AND version = ?
		ORDER BY state = 'READY' DESC, created_at DESC, id DESC LIMIT 10`, owner, tree, version)
}

func (s *Store) indexes(ctx context.Context, query string, args ...any) ([]retrieval.Index, error) {
	return collect(ctx, s.db.Reader(), scanIndex, query, args...)
}

// scanner is a row.
type scanner interface{ Scan(into ...any) error }

func scanIndex(row scanner) (retrieval.Index, error) {
	var (
		index                  retrieval.Index
		source, counts, labels []byte
		created, activated     int64
	)
	err := row.Scan(&index.ID, &index.Owner, &index.Repository, &source, &index.Tree, &index.Base, &index.Version, &index.State,
		&counts, &index.Partial, &labels, &created, &activated)
	if err != nil {
		return retrieval.Index{}, err
	}
	index.CreatedAt, index.ActivatedAt = fromMicros(created), fromMicros(activated)
	return index, errors.Join(json.Unmarshal(source, &index.Source), json.Unmarshal(counts, &index.Counts), json.Unmarshal(labels, &index.Labels))
}

func encode(values ...any) ([]string, error) {
	texts := make([]string, len(values))
	for i, v := range values {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		texts[i] = string(b)
	}
	return texts, nil
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// querier is a database handle or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := each(ctx, q, func(row scanner) error {
		v, err := scan(row)
		all = append(all, v)
		return err
	}, query, args...)
	return all, err
}

// errStop ends each early without an error.
var errStop = errors.New("enough rows")

// each calls fn with every row of a query, until fn returns an error.
func each(ctx context.Context, q querier, fn func(row scanner) error, query string, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
	return rows.Err()
}

// number returns what the large tables call an index.
func (s *Store) number(ctx context.Context, id retrieval.ID) (int64, error) {
	var n int64
	err := s.db.Reader().QueryRowContext(ctx, `SELECT number FROM indexes WHERE id = ?`, string(id)).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("index %s: %w", id, retrieval.ErrIndexNotFound)
	}
	return n, err
}
