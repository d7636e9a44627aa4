package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/services/council/store/postgres"
	"witan.dev/services/council/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Subject {
		db := postgrestest.Open(t)
		return storetest.Subject{Store: postgres.New(db), InTx: func(fn func(ctx context.Context, tx job.Tx) error) error {
			return db.Write(context.WithoutCancel(t.Context()), func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, database.Wrap(tx)) })
		}}
	})
}
