package sqlite_test

import (
	"context"
	"database/sql"
	"testing"

	"go.uber.org/goleak"

	"witan.dev/internal/blob"
	"witan.dev/internal/blob/blobtest"
	"witan.dev/internal/blob/sqlite"
	database "witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blobtest.Fixture {
		db := sqlitetest.Open(t)
		return blobtest.Fixture{
			Store: sqlite.New(db, nil),
			Write: func(ctx context.Context, fn func(ctx context.Context, tx blob.Tx) error) error {
				return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, database.Wrap(tx)) })
			},
		}
	})
}
