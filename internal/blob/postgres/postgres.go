// Package postgres keeps blobs in the cluster's database, in chunks of 1 MiB.
package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/blobsql"
	"witan.dev/internal/blob"
	"witan.dev/internal/database/postgres"
)

// chunk bounds one row, so that reading a large blob needs no single huge row.
const chunk = 1 << 20

// Store is the blob store of one database. Safe for concurrent use by any number of processes.
type Store struct {
	db  *postgres.DB
	now func() time.Time
}

var _ blob.Store = (*Store)(nil)

// New returns the store in db. now gives the time of creation; nil means time.Now.
func New(db *postgres.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: db, now: now}
}

func in(tx blob.Tx) *blobsql.Queries { return blobsql.New(postgres.Unwrap(tx)) }

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, owner, resource string, r io.Reader) (blob.Ref, error) {
	return s.write(ctx, owner, r, func(ctx context.Context, q *blobsql.Queries, content []byte) (blob.Ref, error) {
		return s.put(ctx, q, owner, resource, content)
	})
}

// PutTx implements blob.Store.
func (s *Store) PutTx(ctx context.Context, tx blob.Tx, owner, resource string, content []byte) (blob.Ref, error) {
	if len(content) > blob.MaxSize {
		return blob.Ref{}, blob.ErrTooLarge
	}
	return s.put(ctx, in(tx), owner, resource, content)
}

// Upload implements blob.Store.
func (s *Store) Upload(ctx context.Context, owner string, r io.Reader, expire time.Time) (blob.Ref, error) {
	return s.write(ctx, owner, r, func(ctx context.Context, q *blobsql.Queries, content []byte) (blob.Ref, error) {
		ref, err := s.store(ctx, q, owner, content)
		if err != nil {
			return blob.Ref{}, err
		}
		if err := q.KeepUntil(ctx, blobsql.KeepUntilParams{Owner: owner, Sha256: ref.SHA256[:], ExpireTime: expire}); err != nil {
			return blob.Ref{}, fmt.Errorf("keep blob %s: %w", ref.SHA256, err)
		}
		return ref, nil
	})
}

func (s *Store) write(ctx context.Context, owner string, r io.Reader,
	store func(ctx context.Context, q *blobsql.Queries, content []byte) (blob.Ref, error),
) (blob.Ref, error) {
	content, err := blob.Read(r)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("read a blob of %s: %w", owner, err)
	}
	var ref blob.Ref
	err = s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		ref, err = store(ctx, blobsql.New(tx), content)
		return err
	})
	return ref, err
}

func (s *Store) put(ctx context.Context, q *blobsql.Queries, owner, resource string, content []byte) (blob.Ref, error) {
	ref, err := s.store(ctx, q, owner, content)
	if err != nil {
		return blob.Ref{}, err
	}
	return ref, refer(ctx, q, owner, resource, ref.SHA256)
}

// store writes row and chunks unless they are there, and keeps the blob from being removed until the transaction ends.
func (s *Store) store(ctx context.Context, q *blobsql.Queries, owner string, content []byte) (blob.Ref, error) {
	ref := blob.Ref{SHA256: sha256.Sum256(content), Size: int64(len(content))}
	for {
		fresh, err := q.InsertBlob(ctx, blobsql.InsertBlobParams{Owner: owner, Sha256: ref.SHA256[:], Size: ref.Size, CreateTime: s.now()})
		if err != nil {
			return blob.Ref{}, fmt.Errorf("store blob %s: %w", ref.SHA256, err)
		}
		if fresh == 1 {
			return ref, chunks(ctx, q, owner, ref.SHA256, content)
		}
		if _, err := hold(ctx, q, owner, ref.SHA256); !errors.Is(err, blob.ErrNotFound) {
			return ref, err
		} // it was removed in between
	}
}

func chunks(ctx context.Context, q *blobsql.Queries, owner string, sum blob.SHA256, content []byte) error {
	for ordinal := int32(0); len(content) > 0; ordinal++ {
		n := min(len(content), chunk)
		if err := q.InsertChunk(ctx, blobsql.InsertChunkParams{Owner: owner, Sha256: sum[:], Ordinal: ordinal, Data: content[:n]}); err != nil {
			return fmt.Errorf("store blob %s: %w", sum, err)
		}
		content = content[n:]
	}
	return nil
}

// hold finds a blob and keeps it from being removed until the transaction ends.
func hold(ctx context.Context, q *blobsql.Queries, owner string, sum blob.SHA256) (blob.Ref, error) {
	size, err := q.HoldBlob(ctx, blobsql.HoldBlobParams{Owner: owner, Sha256: sum[:]})
	return found(sum, size, err)
}

func found(sum blob.SHA256, size int64, err error) (blob.Ref, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return blob.Ref{}, blob.ErrNotFound
	case err != nil:
		return blob.Ref{}, fmt.Errorf("look for blob %s: %w", sum, err)
	}
	return blob.Ref{SHA256: sum, Size: size}, nil
}

func refer(ctx context.Context, q *blobsql.Queries, owner, resource string, sum blob.SHA256) error {
	if err := q.InsertRef(ctx, blobsql.InsertRefParams{Resource: resource, Owner: owner, Sha256: sum[:]}); err != nil {
		return fmt.Errorf("note that %s names blob %s: %w", resource, sum, err)
	}
	return nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, owner string, sum blob.SHA256) (blob.Ref, error) {
	size, err := blobsql.New(s.db.Pool()).SizeOf(ctx, blobsql.SizeOfParams{Owner: owner, Sha256: sum[:]})
	return found(sum, size, postgres.Error(err))
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, owner string, sum blob.SHA256) ([]byte, error) {
	ref, err := s.Stat(ctx, owner, sum)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(ref.Size))
	if err := s.read(ctx, owner, sum, &content); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", sum, postgres.Error(err))
	}
	if got := blob.SHA256(sha256.Sum256(content.Bytes())); got != sum {
		return nil, blob.ErrNotFound // removed between the two reads
	}
	return content.Bytes(), nil
}

// read is by hand, since what is generated would hold all chunks beside the content.
func (s *Store) read(ctx context.Context, owner string, sum blob.SHA256, w io.Writer) error {
	rows, err := s.db.Pool().Query(ctx, `SELECT data FROM blob_chunks WHERE owner = $1 AND sha256 = $2 ORDER BY ordinal`, owner, sum[:])
	if err != nil {
		return err
	}
	var data []byte
	_, err = pgx.ForEachRow(rows, []any{&data}, func() error {
		_, err := w.Write(data)
		return err
	})
	return err
}

// Refer implements blob.Store.
func (s *Store) Refer(ctx context.Context, owner, resource string, sum blob.SHA256) error {
	return s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return s.ReferTx(ctx, postgres.Wrap(tx), owner, resource, sum)
	})
}

// ReferTx implements blob.Store.
func (s *Store) ReferTx(ctx context.Context, tx blob.Tx, owner, resource string, sum blob.SHA256) error {
	q := in(tx)
	if _, err := hold(ctx, q, owner, sum); err != nil {
		return err
	}
	return refer(ctx, q, owner, resource, sum)
}

// ReleaseTx implements blob.Store.
func (s *Store) ReleaseTx(ctx context.Context, tx blob.Tx, resource string) error {
	if err := in(tx).DeleteRefs(ctx, resource); err != nil {
		return fmt.Errorf("forget the blobs of %s: %w", resource, err)
	}
	return nil
}

// Collect implements blob.Store. Several processes may do it at once: each takes what no other has. The rows are locked
// before it looks for names again, so a blob that is being named meanwhile is either left or, for who names it, gone.
func (s *Store) Collect(ctx context.Context, now time.Time, n int) (int, error) {
	var removed int64
	err := s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		removed = 0
		q := blobsql.New(tx)
		rows, err := q.LockUnnamed(ctx, blobsql.LockUnnamedParams{Now: now, N: int32(min(max(n, 0), math.MaxInt32))})
		if err != nil {
			return fmt.Errorf("find blobs that nothing names: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		doomed := blobsql.DeleteUnnamedParams{Owners: make([]string, len(rows)), Sums: make([][]byte, len(rows))}
		for i, r := range rows {
			doomed.Owners[i], doomed.Sums[i] = r.Owner, r.Sha256
		}
		if removed, err = q.DeleteUnnamed(ctx, doomed); err != nil {
			return fmt.Errorf("remove blobs that nothing names: %w", err)
		}
		return nil
	})
	return int(removed), err
}
