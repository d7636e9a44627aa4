package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"witan.dev/internal/database"
	"witan.dev/internal/database/migrations"
	"witan.dev/internal/secret"
)

// Migrate brings the schema up to date and returns its version. Several processes may do it at once: one works, the others
// wait for it and find nothing to do.
func Migrate(ctx context.Context, url secret.Text) (version int64, err error) {
	return migrateTo(ctx, url, 0)
}

// migrateTo stops at a version; 0 is the newest.
func migrateTo(ctx context.Context, url secret.Text, version int64) (_ int64, err error) {
	pool, err := NewPool(ctx, Params{URL: url, Name: "witan migrate"})
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	db := stdlib.OpenDBFromPool(pool)
	defer func() { err = errors.Join(err, db.Close()) }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.Postgres(), goose.WithSessionLocker(locker))
	if err != nil {
		return 0, err
	}
	if version > 0 {
		_, err = provider.UpTo(ctx, version)
	} else {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return 0, located(Error(fmt.Errorf("bring the schema up to date: %w", err)), pool.Config().ConnConfig)
	}
	return provider.GetDBVersion(ctx)
}

// undefinedTable is the SQLSTATE of a query of a table that is not there.
const undefinedTable = "42P01"

// checkSchema accepts the version that this program was built with and every newer one: a newer program has migrated, and
// its migrations leave a schema on which this one still works.
func checkSchema(ctx context.Context, db *DB) error {
	newest, err := newestMigration()
	if err != nil {
		return err
	}
	var version int64
	err = db.pool.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == undefinedTable {
		err = nil
	}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Error(fmt.Errorf("read the version of the schema: %w", err))
	}
	if version < newest {
		return database.ErrSchema.With("version", strconv.FormatInt(version, 10)).With("needed", strconv.FormatInt(newest, 10))
	}
	return nil
}

func newestMigration() (newest int64, err error) {
	files, err := fs.Glob(migrations.Postgres(), "*.sql")
	for _, name := range files {
		version, e := goose.NumericComponent(name)
		newest, err = max(newest, version), errors.Join(err, e)
	}
	return newest, err
}
