package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/apierr"
	"witan.dev/internal/database"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func exec(t *testing.T, db *postgres.DB, statement string, args ...any) error {
	t.Helper()
	return db.Write(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement, args...)
		return err
	})
}

func count(t *testing.T, db *postgres.DB) (n int) {
	t.Helper()
	require.NoError(t, db.Pool().QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	return n
}

func setup(t *testing.T) *postgres.DB {
	t.Helper()
	db := postgrestest.Open(t)
	require.NoError(t, exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY, v integer NOT NULL DEFAULT 0)"))
	return db
}

func TestAFailedWriteLeavesNothingAndItsErrorComesBack(t *testing.T) {
	t.Parallel()
	db := setup(t)
	refused := errors.New("refused")
	require.ErrorIs(t, db.Write(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO t VALUES (1)"); err != nil {
			return err
		}
		return refused
	}), refused)
	require.Zero(t, count(t, db))
	require.NoError(t, exec(t, db, "INSERT INTO t VALUES (1)"))
	require.True(t, postgres.IsUnique(exec(t, db, "INSERT INTO t VALUES (1)")))
}

func TestTransactionsThatDeadlockAreRunAgain(t *testing.T) {
	t.Parallel()
	db := setup(t)
	require.NoError(t, exec(t, db, "INSERT INTO t VALUES (1), (2)"))
	var wg sync.WaitGroup
	var met sync.WaitGroup // both hold their first row before they ask for the other's
	met.Add(2)
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			first := true
			errs[i] = db.Write(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "UPDATE t SET v = v + 1 WHERE n = $1", 1+i); err != nil {
					return err
				}
				if first {
					first = false
					met.Done()
					met.Wait()
				}
				_, err := tx.Exec(ctx, "UPDATE t SET v = v + 1 WHERE n = $1", 2-i)
				return err
			})
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	var sum int
	require.NoError(t, db.Pool().QueryRow(t.Context(), "SELECT sum(v) FROM t").Scan(&sum))
	require.Equal(t, 4, sum)
}

func TestADatabaseThatIsAwaySaysSoAndIsThereAgainAfterwards(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t)
	url := secret.New(server.URL)
	_, err := postgres.Migrate(t.Context(), url)
	require.NoError(t, err)
	db := postgrestest.Connect(t, server.URL)
	require.NoError(t, exec(t, db, "CREATE TABLE t (n integer PRIMARY KEY)"))
	require.NoError(t, server.Kill())
	for range 3 {
		require.ErrorIs(t, exec(t, db, "INSERT INTO t VALUES (1)"), database.ErrAway)
		require.ErrorIs(t, db.Ping(t.Context()), database.ErrAway)
	}
	_, err = postgres.Open(t.Context(), postgres.Params{URL: url, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorIs(t, err, database.ErrAway)
	away, ok := errors.AsType[*apierr.Error](err)
	require.True(t, ok)
	require.Contains(t, server.URL, away.Metadata()["address"])
	require.Contains(t, away.Metadata()["detail"], "connection refused")
	_, err = postgres.Migrate(t.Context(), url)
	away, ok = errors.AsType[*apierr.Error](err)
	require.True(t, ok)
	require.NotEmpty(t, away.Metadata()["address"])
	require.Contains(t, server.URL, away.Metadata()["address"])
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool { return exec(t, db, "INSERT INTO t VALUES (1)") == nil }, patience, tick)
	require.Equal(t, 1, count(t, db))
	require.NoError(t, db.Ping(t.Context()))
}

func TestATextThatCannotBeKeptIsTheCallersFault(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	for _, text := range []string{"a\x00b", "\xff"} {
		err := exec(t, db, "SELECT $1::text", text)
		require.ErrorIs(t, err, database.ErrText)
		require.NotErrorIs(t, err, database.ErrAway)
	}
}

func TestATransactionThatStoodStillTooLongIsRunAgain(t *testing.T) {
	t.Parallel()
	db := setup(t)
	runs := 0
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		runs++
		if _, err := tx.Exec(ctx, "SET LOCAL idle_in_transaction_session_timeout = 20"); err != nil {
			return err
		}
		if runs == 1 {
			<-time.After(300 * time.Millisecond) // the server's clock, not ours
		}
		_, err := tx.Exec(ctx, "INSERT INTO t VALUES (1)")
		return err
	}))
	require.Equal(t, 2, runs)
	require.Equal(t, 1, count(t, db))
}

func TestAnEndedContextIsNoDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	db := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		cancel()
		_, err := tx.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, database.ErrAway)
}

func TestADatabaseWithoutSchemaIsRefusedAndManyMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := secret.New(postgrestest.Empty(t))
	_, err := postgres.Open(t.Context(), postgres.Params{URL: url, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorIs(t, err, database.ErrSchema)
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := postgres.Migrate(t.Context(), url)
			errs <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
	db := postgrestest.Connect(t, url.Reveal())
	require.NoError(t, db.Ping(t.Context()))
}

func TestABrokenURLDoesNotShowItsPassword(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Params{URL: secret.New("postgres://u:hunter2@[::1/x"), Logger: slog.New(slog.DiscardHandler)})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}

type foreign struct{}

func (foreign) JobTx() {}

func TestUnwrapRefusesTransactionsOfOtherStores(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { postgres.Unwrap(foreign{}) })
}
