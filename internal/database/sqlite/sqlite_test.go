package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func setup(t *testing.T) *sqlite.DB {
	t.Helper()
	db := sqlitetest.Open(t)
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE t (n INTEGER PRIMARY KEY)")
		return err
	}))
	return db
}

func insert(n int, fail error) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO t (n) VALUES (?)", n); err != nil {
			return err
		}
		return fail
	}
}

func count(t *testing.T, db *sqlite.DB) int {
	t.Helper()
	var n int
	require.NoError(t, db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	return n
}

func TestWritesThatFailLeaveTheOthersOfTheirCommitAlone(t *testing.T) {
	t.Parallel()
	db := setup(t)
	refused := errors.New("refused")
	var wg sync.WaitGroup
	errs := make([]error, 400)
	for i := range errs {
		wg.Go(func() {
			var fail error
			if i%4 == 0 {
				fail = refused
			}
			errs[i] = db.Write(t.Context(), insert(i, fail))
		})
	}
	wg.Wait()
	for i, err := range errs {
		if i%4 == 0 {
			require.Equal(t, refused, err, "the caller's error comes back as it is")
			continue
		}
		require.NoError(t, err)
	}
	require.Equal(t, 300, count(t, db))
}

func TestAPanicInAWriteIsItsCallersErrorOnly(t *testing.T) {
	t.Parallel()
	db := setup(t)
	err := db.Write(t.Context(), func(context.Context, *sql.Tx) error { panic("boom") })
	require.ErrorContains(t, err, "boom")
	require.NoError(t, db.Write(t.Context(), insert(1, nil)))
	require.Equal(t, 1, count(t, db))
}

func TestAWriteWhoseCallerHasGoneBeforeItBeganWritesNothing(t *testing.T) {
	t.Parallel()
	db := setup(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	require.ErrorIs(t, db.Write(ctx, insert(1, nil)), gone)
	require.Zero(t, count(t, db))
}

func TestAWriteThatHasBegunOutlivesItsCallersContext(t *testing.T) {
	t.Parallel()
	db := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		cancel()
		return insert(1, nil)(ctx, tx)
	})
	require.NoError(t, err)
	require.Equal(t, 1, count(t, db))
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	db := setup(t)
	_, err := db.Reader().ExecContext(t.Context(), "INSERT INTO t (n) VALUES (1)")
	require.Error(t, err)
	require.Zero(t, count(t, db))
}

func TestWhatWasWrittenIsThereAfterReopeningAndWritesEndAtClose(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a folder with blanks and a %", "..", "witan #1?.db")
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), path, logger)
	require.NoError(t, err)
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE t (n INTEGER PRIMARY KEY); INSERT INTO t VALUES (7)")
		return err
	}))
	require.NoError(t, db.Close())
	require.NoError(t, db.Close())
	require.ErrorIs(t, db.Write(t.Context(), insert(1, nil)), sqlite.ErrClosed)

	db, err = sqlite.Open(t.Context(), path, logger)
	require.NoError(t, err)
	require.Equal(t, 1, count(t, db))
	require.NoError(t, db.Close())
}

func TestUnwrapReturnsTheTransactionThatWasWrapped(t *testing.T) {
	t.Parallel()
	db := setup(t)
	require.NoError(t, db.Write(t.Context(), func(_ context.Context, tx *sql.Tx) error {
		if sqlite.Unwrap(sqlite.Wrap(tx)) != tx {
			return fmt.Errorf("another transaction came back")
		}
		return nil
	}))
	require.Panics(t, func() { sqlite.Unwrap(foreign{}) })
}

type foreign struct{}

func (foreign) JobTx() {}
