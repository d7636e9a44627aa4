// Package postgres keeps indexes in the cluster's database: views, graph, chunks and the text index, in the transaction of
// whoever asks where that matters. Several processes build indexes over the same contents at the same time: what is
// addressed by content is inserted where it is missing and otherwise left as it is, always in one order, and the row of a
// content (code_parses) is the lock of all that is known of it.
package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// Store implements the ports of package retrieval. Safe for concurrent use by any number of processes.
type Store struct{ db *postgres.DB }

// New returns a store in db, which the caller closes.
func New(db *postgres.DB) *Store { return &Store{db: db} }

var (
	_ retrieval.Catalog   = (*Store)(nil)
	_ retrieval.Builds    = (*Store)(nil)
	_ retrieval.Codes     = (*Store)(nil)
	_ retrieval.Views     = (*Store)(nil)
	_ retrieval.TextIndex = (*Store)(nil)
)

// read is for queries of their own.
func (s *Store) read() *retrievalsql.Queries { return retrievalsql.New(s.db.Pool()) }

// write runs fn in a transaction; see postgres.DB.Write for when it runs again.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, q *retrievalsql.Queries) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, retrievalsql.New(tx)) })
}

// joined makes a write join the transaction of another package.
func joined(write func(ctx context.Context, q *retrievalsql.Queries) error) func(context.Context, job.Tx) error {
	return func(ctx context.Context, tx job.Tx) error { return write(ctx, in(tx)) }
}

func in(tx job.Tx) *retrievalsql.Queries { return retrievalsql.New(postgres.Unwrap(tx)) }

// Insert adds an index in the transaction that creates its job.
func (s *Store) Insert(ctx context.Context, tx job.Tx, index retrieval.Index) error {
	source, e1 := json.Marshal(index.Source)
	counts, e2 := json.Marshal(index.Counts)
	labels, e3 := json.Marshal(index.Labels)
	if err := errors.Join(e1, e2, e3); err != nil {
		return err
	}
	err := in(tx).InsertIndex(ctx, retrievalsql.InsertIndexParams{
		ID: string(index.ID), Owner: index.Owner, Repository: index.Repository, Source: string(source), Tree: index.Tree,
		BaseIndex: string(index.Base), Version: index.Version, State: string(index.State), Counts: string(counts),
		Partial: index.Partial, Labels: string(labels), CreateTime: index.CreatedAt, ActivateTime: null(index.ActivatedAt),
	})
	if err != nil {
		return fmt.Errorf("insert index %s: %w", index.ID, err)
	}
	return nil
}

// Get returns retrieval.ErrIndexNotFound for an unknown index.
func (s *Store) Get(ctx context.Context, id retrieval.ID) (retrieval.Index, error) {
	row, err := s.read().GetIndex(ctx, string(id))
	if err != nil {
		return retrieval.Index{}, found(id, err)
	}
	return decode(row)
}

// List returns a page of an owner's indexes, newest first.
func (s *Store) List(ctx context.Context, q retrieval.ListQuery) ([]retrieval.Index, error) {
	rows, err := s.read().ListIndexes(ctx, retrievalsql.ListIndexesParams{
		Owner: q.Owner, Repository: q.Repository, BeforeTime: null(q.BeforeTime), BeforeID: string(q.BeforeID), N: small(q.Limit),
	})
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("list indexes: %w", err))
	}
	return each(rows, func(r retrievalsql.ListIndexesRow) (retrieval.Index, error) {
		return decode(retrievalsql.GetIndexRow(r))
	})
}

// Same returns the owner's indexes of a tree under a version, ready ones first, then newest first.
func (s *Store) Same(ctx context.Context, owner, tree, version string) ([]retrieval.Index, error) {
	rows, err := s.read().SameIndexes(ctx, retrievalsql.SameIndexesParams{Owner: owner, Tree: tree, Version: version})
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("look for indexes of a tree: %w", err))
	}
	return each(rows, func(r retrievalsql.SameIndexesRow) (retrieval.Index, error) {
		return decode(retrievalsql.GetIndexRow(r))
	})
}

func decode(r retrievalsql.GetIndexRow) (retrieval.Index, error) {
	index := retrieval.Index{
		ID: retrieval.ID(r.ID), Owner: r.Owner, Repository: r.Repository, Tree: r.Tree, Base: retrieval.ID(r.BaseIndex),
		Version: r.Version, State: retrieval.State(r.State), Partial: r.Partial, CreatedAt: r.CreateTime.UTC(),
	}
	if r.ActivateTime != nil {
		index.ActivatedAt = r.ActivateTime.UTC()
	}
	err := errors.Join(json.Unmarshal([]byte(r.Source), &index.Source), json.Unmarshal([]byte(r.Counts), &index.Counts),
		json.Unmarshal([]byte(r.Labels), &index.Labels))
	if err != nil {
		return retrieval.Index{}, fmt.Errorf("read index %s: %w", r.ID, err)
	}
	return index, nil
}

// number returns what the large tables call an index.
func (s *Store) number(ctx context.Context, id retrieval.ID) (int64, error) {
	n, err := s.read().NumberOf(ctx, string(id))
	return n, found(id, err)
}

// found makes a row that is not there retrieval.ErrIndexNotFound.
func found(id retrieval.ID, err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		err = retrieval.ErrIndexNotFound
	}
	if err != nil {
		return postgres.Error(fmt.Errorf("index %s: %w", id, err))
	}
	return nil
}

// digestSize is how much of a SHA-256 stands for a key, a path or a name: too much for two to meet by chance or on purpose.
const digestSize = 20

// digest stands for strings, none of which but the last holds a NUL.
func digest(parts ...string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return sum[:digestSize]
}

// keyOf addresses a content under the version of a parser.
func keyOf(k retrieval.BlobKey, version string) []byte { return digest(k.Blob, version, k.Hint) }

// each converts rows.
func each[From, To any](rows []From, convert func(From) (To, error)) ([]To, error) {
	var all []To
	for _, r := range rows {
		v, err := convert(r)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// null is NULL for a time that has not come.
func null(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// small is a number that the database keeps in four bytes: lines, ordinals and counts within one file or build.
func small(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }
