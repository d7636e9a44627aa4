package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	database "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/postgres"
	"witan.dev/services/retrieval/store/storetest"
	"witan.dev/services/retrieval/vek"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// transact is a fence that holds always.
func transact(db *database.DB) retrieval.Fence {
	return func(ctx context.Context, fn func(context.Context, job.Tx) error) error {
		return db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, database.Wrap(tx)) })
	}
}

func open(t *testing.T) storetest.Params {
	t.Helper()
	db := postgrestest.Open(t)
	return storetest.Params{Store: postgres.New(db), Transact: transact(db)}
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, open)
}

func TestRankings(t *testing.T) {
	t.Parallel()
	storetest.RunRankings(t, func(t *testing.T) storetest.RankingParams {
		t.Helper()
		p := open(t)
		return storetest.RankingParams{Params: p, Rankings: retrieval.NewStored(p.Store, vek.Products)}
	})
}
