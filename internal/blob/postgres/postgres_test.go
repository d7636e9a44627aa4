package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"witan.dev/internal/blob"
	"witan.dev/internal/blob/blobtest"
	"witan.dev/internal/blob/postgres"
	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blobtest.Fixture {
		db := postgrestest.Open(t)
		return blobtest.Fixture{
			Store: postgres.New(db, nil),
			Write: func(ctx context.Context, fn func(ctx context.Context, tx blob.Tx) error) error {
				return db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, database.Wrap(tx)) })
			},
		}
	})
}
