// Package sqlitetest gives tests a database of their own.
package sqlitetest

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/sqlite"
)

// Open opens a new, migrated database file in a folder that goes away with the test, and closes it at the test's end.
func Open(t testing.TB) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
