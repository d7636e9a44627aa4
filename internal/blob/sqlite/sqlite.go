// Package sqlite keeps blobs in the embedded database, in chunks of 1 MiB.
package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"witan.dev/internal/blob"
	"witan.dev/internal/database/sqlite"
)

// chunk bounds one row, so that reading a large blob needs no single huge row.
const chunk = 1 << 20

// Store is the blob store of one database. Safe for concurrent use.
type Store struct {
	db  *sqlite.DB
	now func() time.Time
}

var _ blob.Store = (*Store)(nil)

// New returns the store in db. now gives the time of creation; nil means time.Now.
func New(db *sqlite.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: db, now: now}
}

// Put implements blob.Store.
func (s *Store) Put(ctx context.Context, owner, resource string, r io.Reader) (blob.Ref, error) {
	return s.write(ctx, owner, r, func(ctx context.Context, tx *sql.Tx, content []byte) (blob.Ref, error) {
		return s.put(ctx, tx, owner, resource, content)
	})
}

// PutTx implements blob.Store.
func (s *Store) PutTx(ctx context.Context, tx blob.Tx, owner, resource string, content []byte) (blob.Ref, error) {
	if len(content) > blob.MaxSize {
		return blob.Ref{}, blob.ErrTooLarge
	}
	return s.put(ctx, sqlite.Unwrap(tx), owner, resource, content)
}

// Upload implements blob.Store.
func (s *Store) Upload(ctx context.Context, owner string, r io.Reader, expire time.Time) (blob.Ref, error) {
	return s.write(ctx, owner, r, func(ctx context.Context, tx *sql.Tx, content []byte) (blob.Ref, error) {
		ref, err := s.store(ctx, tx, owner, content)
		if err != nil {
			return blob.Ref{}, err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE blobs SET expire_time = MAX(COALESCE(expire_time, 0), ?) WHERE owner = ? AND sha256 = ?`,
			expire.UnixMicro(), owner, ref.SHA256[:]); err != nil {
			return blob.Ref{}, fmt.Errorf("keep blob %s: %w", ref.SHA256, err)
		}
		return ref, nil
	})
}

func (s *Store) write(ctx context.Context, owner string, r io.Reader,
	store func(ctx context.Context, tx *sql.Tx, content []byte) (blob.Ref, error),
) (blob.Ref, error) {
	content, err := blob.Read(r)
	if err != nil {
		return blob.Ref{}, fmt.Errorf("read a blob of %s: %w", owner, err)
	}
	var ref blob.Ref
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		ref, err = store(ctx, tx, content)
		return err
	})
	return ref, err
}

func (s *Store) put(ctx context.Context, tx *sql.Tx, owner, resource string, content []byte) (blob.Ref, error) {
	ref, err := s.store(ctx, tx, owner, content)
	if err != nil {
		return blob.Ref{}, err
	}
	return ref, refer(ctx, tx, owner, resource, ref.SHA256)
}

// store writes row and chunks unless they are there.
func (s *Store) store(ctx context.Context, tx *sql.Tx, owner string, content []byte) (blob.Ref, error) {
	ref := blob.Ref{SHA256: sha256.Sum256(content), Size: int64(len(content))}
	res, err := tx.ExecContext(ctx, `INSERT INTO blobs (owner, sha256, size, create_time) VALUES (?, ?, ?, ?)
		ON CONFLICT (owner, sha256) DO NOTHING`, owner, ref.SHA256[:], ref.Size, s.now().UnixMicro())
	if err != nil {
		return blob.Ref{}, fmt.Errorf("store blob %s: %w", ref.SHA256, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return ref, err
	}
	for ordinal := 0; len(content) > 0; ordinal++ {
		n := min(len(content), chunk)
		if _, err := tx.ExecContext(ctx, `INSERT INTO blob_chunks (owner, sha256, ordinal, data) VALUES (?, ?, ?, ?)`,
			owner, ref.SHA256[:], ordinal, content[:n]); err != nil {
			return blob.Ref{}, fmt.Errorf("store blob %s: %w", ref.SHA256, err)
		}
		content = content[n:]
	}
	return ref, nil
}

func refer(ctx context.Context, tx *sql.Tx, owner, resource string, sum blob.SHA256) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO blob_refs (resource, owner, sha256) VALUES (?, ?, ?)
		ON CONFLICT (resource, owner, sha256) DO NOTHING`, resource, owner, sum[:]); err != nil {
		return fmt.Errorf("note that %s names blob %s: %w", resource, sum, err)
	}
	return nil
}

// Stat implements blob.Store.
func (s *Store) Stat(ctx context.Context, owner string, sum blob.SHA256) (blob.Ref, error) {
	return stat(ctx, s.db.Reader().QueryRowContext(ctx, sizeOf, owner, sum[:]), sum)
}

const sizeOf = `SELECT size FROM blobs WHERE owner = ? AND sha256 = ?`

func stat(_ context.Context, row *sql.Row, sum blob.SHA256) (blob.Ref, error) {
	ref := blob.Ref{SHA256: sum}
	err := row.Scan(&ref.Size)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return blob.Ref{}, blob.ErrNotFound
	case err != nil:
		return blob.Ref{}, fmt.Errorf("look for blob %s: %w", sum, err)
	}
	return ref, nil
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, owner string, sum blob.SHA256) ([]byte, error) {
	ref, err := s.Stat(ctx, owner, sum)
	if err != nil {
		return nil, err
	}
	var content bytes.Buffer
	content.Grow(int(ref.Size))
	if err := s.chunks(ctx, owner, sum, &content); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", sum, err)
	}
	if got := blob.SHA256(sha256.Sum256(content.Bytes())); got != sum {
		return nil, blob.ErrNotFound // removed between the two reads
	}
	return content.Bytes(), nil
}

func (s *Store) chunks(ctx context.Context, owner string, sum blob.SHA256, w io.Writer) (err error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT data FROM blob_chunks WHERE owner = ? AND sha256 = ? ORDER BY ordinal`, owner, sum[:])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var data sql.RawBytes
		if err := rows.Scan(&data); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Refer implements blob.Store.
func (s *Store) Refer(ctx context.Context, owner, resource string, sum blob.SHA256) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return s.ReferTx(ctx, sqlite.Wrap(tx), owner, resource, sum)
	})
}

// ReferTx implements blob.Store.
func (s *Store) ReferTx(ctx context.Context, tx blob.Tx, owner, resource string, sum blob.SHA256) error {
	t := sqlite.Unwrap(tx)
	if _, err := stat(ctx, t.QueryRowContext(ctx, sizeOf, owner, sum[:]), sum); err != nil {
		return err
	}
	return refer(ctx, t, owner, resource, sum)
}

// ReleaseTx implements blob.Store.
func (s *Store) ReleaseTx(ctx context.Context, tx blob.Tx, resource string) error {
	if _, err := sqlite.Unwrap(tx).ExecContext(ctx, `DELETE FROM blob_refs WHERE resource = ?`, resource); err != nil {
		return fmt.Errorf("forget the blobs of %s: %w", resource, err)
	}
	return nil
}

// Collect implements blob.Store.
func (s *Store) Collect(ctx context.Context, now time.Time, n int) (int, error) {
	var removed int64
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM blobs WHERE (owner, sha256) IN (
			SELECT b.owner, b.sha256 FROM blobs AS b
			WHERE (b.expire_time IS NULL OR b.expire_time <= ?)
				AND NOT EXISTS (SELECT 1 FROM blob_refs AS r WHERE r.owner = b.owner AND r.sha256 = b.sha256) LIMIT ?)`,
			now.UnixMicro(), n)
		if err != nil {
			return fmt.Errorf("remove blobs that nothing names: %w", err)
		}
		if removed, err = res.RowsAffected(); err != nil || removed == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM blob_chunks WHERE NOT EXISTS (
			SELECT 1 FROM blobs AS b WHERE b.owner = blob_chunks.owner AND b.sha256 = blob_chunks.sha256)`); err != nil {
			return fmt.Errorf("remove the chunks of removed blobs: %w", err)
		}
		return nil
	})
	return int(removed), err
}
