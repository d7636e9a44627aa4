package sqlite

import (
	"context"
	"database/sql"

	"witan.dev/services/retrieval"
)

// BeginParsing writes down that a build is parsing contents and returns what it wrote down before.
func (s *Store) BeginParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, err
	}
	before := map[retrieval.BlobKey]int{}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		clear(before)
		for _, k := range keys {
			var starts int
			err := tx.QueryRowContext(ctx, `INSERT INTO code_attempts (blob, hint, version, index_number, starts) VALUES (?,?,?,?,0)
				ON CONFLICT DO UPDATE SET starts = starts RETURNING starts`, k.Blob, k.Hint, version, number).Scan(&starts)
			if err != nil {
				return err
			}
			if starts > 0 {
				before[k] = starts
				continue
			}
			if _, err := tx.ExecContext(ctx, `UPDATE code_attempts SET starts = 1 WHERE blob = ? AND hint = ? AND version = ? AND index_number = ?`,
				k.Blob, k.Hint, version, number); err != nil {
				return err
			}
		}
		return nil
	})
	return before, err
}

// BeginAlone writes down that a content is parsed by itself.
func (s *Store) BeginAlone(ctx context.Context, id retrieval.ID, version string, key retrieval.BlobKey) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, exec(`INSERT INTO code_attempts (blob, hint, version, index_number, starts) VALUES (?,?,?,?,2)
		ON CONFLICT DO UPDATE SET starts = 2`, key.Blob, key.Hint, version, number))
}

// EndParsing takes back what was written down.
func (s *Store) EndParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	return s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, k := range keys {
			if _, err := tx.ExecContext(ctx, `DELETE FROM code_attempts WHERE blob = ? AND hint = ? AND version = ? AND index_number = ?`,
				k.Blob, k.Hint, version, number); err != nil {
				return err
			}
		}
		return nil
	})
}
