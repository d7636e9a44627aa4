package postgres

import (
	"context"
	"fmt"
)

// PlaceholderKey is the key that all processes of the cluster share for what stands in place of secrets: 32 bytes that were
// drawn when the database was made.
func (db *DB) PlaceholderKey(ctx context.Context) ([]byte, error) {
	var key []byte
	if err := db.pool.QueryRow(ctx, `SELECT value FROM cluster WHERE name = 'placeholder_key'`).Scan(&key); err != nil {
		return nil, Error(fmt.Errorf("read the cluster's key: %w", err))
	}
	return key, nil
}
