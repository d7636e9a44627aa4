// Package sqlite keeps the council's rows in the embedded database.
package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/services/council"
)

// Store implements council.Store. Safe for concurrent use.
type Store struct{ db *sqlite.DB }

var _ council.Store = (*Store)(nil)

// New returns a store over a migrated database.
func New(db *sqlite.DB) *Store { return &Store{db: db} }

type scanner interface{ Scan(dest ...any) error }

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// each calls scan for every row.
func each(ctx context.Context, q querier, scan func(row scanner) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func micros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func encode(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(raw), nil
}

func decode(raw string, into any) error {
	if err := json.Unmarshal([]byte(raw), into); err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	return nil
}

// before is the part of a list's condition that begins behind a position.
func before(p council.Position) (string, []any) {
	if p.ID == "" {
		return "", nil
	}
	at := p.CreatedAt.UnixMicro()
	return ` AND (create_time < ? OR (create_time = ? AND id < ?))`, []any{at, at, p.ID}
}
