package sqlite_test

import (
	"context"
	"database/sql"
	"testing"

	"go.uber.org/goleak"

	database "witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	jobs "witan.dev/internal/job/sqlite"
	"witan.dev/services/council"
	"witan.dev/services/council/store/sqlite"
	"witan.dev/services/council/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		db := sqlitetest.Open(t)
		return storetest.Subject{Store: sqlite.New(db), InTx: func(fn func(ctx context.Context, tx job.Tx) error) error {
			return db.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, database.Wrap(tx)) })
		}}
	})
}

func TestTogether(t *testing.T) {
	t.Parallel()
	storetest.Together(t, func(t *testing.T) (council.Store, job.Store) {
		db := sqlitetest.Open(t)
		return sqlite.New(db), jobs.New(db, nil)
	})
}
