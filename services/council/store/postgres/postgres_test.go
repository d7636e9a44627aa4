package postgres_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	jobs "witan.dev/internal/job/postgres"
	"witan.dev/internal/secret"
	"witan.dev/services/council"
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

// TestTogetherOnOneConnection would wait for ever where a transaction waits for a second one.
func TestTogetherOnOneConnection(t *testing.T) {
	t.Parallel()
	storetest.Together(t, func(t *testing.T) (council.Store, job.Store) {
		db, err := database.Open(t.Context(), database.Params{
			URL: secret.New(postgrestest.URL(t)), MaxConns: 1, Logger: slog.New(slog.DiscardHandler),
		})
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return postgres.New(db), jobs.New(db, nil, nil)
	})
}
