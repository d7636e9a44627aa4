package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/services/review/store/postgres"
	"witan.dev/services/review/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
	storetest.RunLedger(t, open)
}

func open(t *testing.T) storetest.Fixture {
	t.Helper()
	db := postgrestest.Open(t)
	return storetest.Fixture{
		Store: postgres.NewStore(db),
		Write: func(ctx context.Context, fn func(ctx context.Context, tx job.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, database.Wrap(tx)) })
		},
	}
}
