package sqlite

import (
	"context"
	"database/sql"

	"witan.dev/services/retrieval"
)

// BeginParsing writes down that contents are being parsed and returns what was written down before.
func (s *Store) BeginParsing(ctx context.Context, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	before := map[retrieval.BlobKey]int{}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		clear(before)
		for _, k := range keys {
			var starts int
			err := tx.QueryRowContext(ctx, `INSERT INTO code_attempts (blob, hint, version, starts) VALUES (?,?,?,0)
				ON CONFLICT DO UPDATE SET starts = starts RETURNING starts`, k.Blob, k.Hint, version).Scan(&starts)
			if err != nil {
				return err
			}
			if starts > 0 {
				before[k] = starts
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE code_attempts SET starts = 1 WHERE blob = ? AND hint = ? AND version = ?`, k.Blob, k.Hint, version); err != nil {
				return err
			}
		}
		return nil
	})
	return before, err
}

// BeginAlone writes down that a content is parsed by itself.
func (s *Store) BeginAlone(ctx context.Context, version string, key retrieval.BlobKey) error {
	return s.db.Write(ctx, exec(`INSERT INTO code_attempts (blob, hint, version, starts) VALUES (?,?,?,2)
		ON CONFLICT DO UPDATE SET starts = 2`, key.Blob, key.Hint, version))
}

// EndParsing takes back what was written down.
func (s *Store) EndParsing(ctx context.Context, version string, keys []retrieval.BlobKey) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, k := range keys {
			if err := endParsing(ctx, tx, version, k); err != nil {
				return err
			}
		}
		return nil
	})
}

func endParsing(ctx context.Context, tx *sql.Tx, version string, k retrieval.BlobKey) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM code_attempts WHERE blob = ? AND hint = ? AND version = ?`, k.Blob, k.Hint, version)
	return err
}
