package dbos

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/database"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/enginetest"
	"witan.dev/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, func(t *testing.T) enginetest.Open {
		path := filepath.Join(t.TempDir(), "witan.db")
		content, err := migrated()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return func(t *testing.T) enginetest.Instance { return open(t, path) }
	})
}

// migrated is a database file that is up to date, made once: migrating takes longer than most of the tests.
//
//nolint:gochecknoglobals // made once for all tests
var migrated = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "witan-engine-test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path, ctx, logger := filepath.Join(folder, "witan.db"), context.Background(), slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, path, logger)
	if err != nil {
		return nil, err
	}
	e, err := NewSQLite(ctx, db, logger)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := errors.Join(e.Stop(ctx), db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // made above
})

func open(t *testing.T, path string) enginetest.Instance {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), path, logger)
	require.NoError(t, err)
	e, err := NewSQLite(t.Context(), db, logger)
	require.NoError(t, err)
	return enginetest.Instance{
		Engine: e,
		Close:  db.Close,
		Write: func(ctx context.Context, fn func(ctx context.Context, tx engine.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, sqlite.Wrap(tx)) })
		},
	}
}

func TestConformanceOnPostgres(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, func(t *testing.T) enginetest.Open {
		url := emptyDatabase(t)
		return func(t *testing.T) enginetest.Instance { return join(t, url, Params{}) }
	})
}

// emptyDatabase is an empty one with everything that an engine needs.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	return postgrestest.Prepared(t, "engine", MigratePostgres)
}

// join is one process of a cluster.
func join(t *testing.T, url string, p Params) enginetest.Instance {
	t.Helper()
	p.URL, p.Logger = secret.New(url), slog.New(slog.DiscardHandler)
	db, err := postgres.Open(t.Context(), postgres.Params{URL: p.URL, MaxConns: 4, Logger: p.Logger})
	require.NoError(t, err)
	e, err := NewPostgres(t.Context(), p)
	require.NoError(t, err)
	return enginetest.Instance{
		Engine: e,
		Close:  func() error { db.Close(); return nil },
		Write: func(ctx context.Context, fn func(ctx context.Context, tx engine.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, postgres.Wrap(tx)) })
		},
	}
}

func TestManyMayMigrateAtOnceAndAnUnmigratedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	url := secret.New(postgrestest.Empty(t))
	p := Params{URL: url, Logger: slog.New(slog.DiscardHandler)}
	_, err := NewPostgres(t.Context(), p)
	require.ErrorIs(t, err, database.ErrSchema)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() { errs <- MigratePostgres(t.Context(), url) }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	e, err := NewPostgres(t.Context(), p)
	require.NoError(t, err)
	require.NoError(t, e.Stop(t.Context()))
}

func TestAForeignIdentityInTheEnvironmentIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, refuse([]string{"PATH=/bin", "DBOS_DOMAIN=x"}))
	require.ErrorContains(t, refuse([]string{"PATH=/bin", "DBOS__VMID=other"}), "DBOS__VMID")
}
