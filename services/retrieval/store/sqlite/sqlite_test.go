package sqlite_test

import (
	"context"
	"database/sql"
	"testing"

	"go.uber.org/goleak"

	database "witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/sqlite"
	"witan.dev/services/retrieval/store/storetest"
	"witan.dev/services/retrieval/vek"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T) storetest.Params {
	t.Helper()
	db := sqlitetest.Open(t)
	return storetest.Params{
		Store: sqlite.New(db),
		Transact: func(ctx context.Context, fn func(context.Context, job.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, database.Wrap(tx)) })
		},
	}
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
