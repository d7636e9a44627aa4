package sqlite_test

import (
	"context"
	"database/sql"
	"testing"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	reviewsqlite "witan.dev/services/review/store/sqlite"
	"witan.dev/services/review/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
	storetest.RunLedger(t, open)
}

func open(t *testing.T) storetest.Fixture {
	t.Helper()
	db := sqlitetest.Open(t)
	return storetest.Fixture{
		Store: reviewsqlite.NewStore(db),
		Write: func(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, sqlite.Wrap(tx)) })
		},
	}
}
