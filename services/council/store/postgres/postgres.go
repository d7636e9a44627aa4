// Package postgres keeps the council's rows in the cluster's database. A conversation's row is the lock of what is written
// in it; it is taken after those of jobs.
package postgres

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"witan.dev/gen/sql/councilsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// Store implements council.Store. Safe for concurrent use by any number of processes.
type Store struct{ db *postgres.DB }

var _ council.Store = (*Store)(nil)

// New returns a store over a migrated database.
func New(db *postgres.DB) *Store { return &Store{db: db} }

func (s *Store) read() *councilsql.Queries { return councilsql.New(s.db.Pool()) }

func in(tx job.Tx) *councilsql.Queries { return councilsql.New(postgres.Unwrap(tx)) }

// place is where a list begins: behind a position, or at a time later than any other.
func place(p council.Position) (time.Time, string) {
	if p.ID == "" {
		return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC), ""
	}
	return p.CreatedAt, p.ID
}

func limit(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

func null(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func encode(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return raw, nil
}

func decode(raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode %T: %w", into, err)
	}
	return nil
}
