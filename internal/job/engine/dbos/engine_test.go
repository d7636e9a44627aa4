package dbos

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, func(t *testing.T) enginetest.Open {
		path := filepath.Join(t.TempDir(), "witan.db")
		return func(t *testing.T) enginetest.Instance { return open(t, path) }
	})
}

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

func TestAForeignIdentityInTheEnvironmentIsRefused(t *testing.T) {
	t.Parallel()
	require.NoError(t, refuse([]string{"PATH=/bin", "DBOS_DOMAIN=x"}))
	require.ErrorContains(t, refuse([]string{"PATH=/bin", "DBOS__VMID=other"}), "DBOS__VMID")
}
