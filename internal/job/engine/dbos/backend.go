package dbos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job/engine"
)

// schema is where the library's tables lie in Postgres.
const schema = "dbos"

// backend is what differs between the two databases. Its statements on the library's own table are few: the library has
// no call that takes a job away from one execution only.
type backend interface {
	// transaction is what the library takes to enqueue within tx.
	transaction(tx engine.Tx) any
	// owner reads the token under which the executor holds the job; "" when it does not.
	owner(ctx context.Context, id engine.ID, executor string) (string, error)
	// release returns a job to its queue if the token still holds it.
	release(ctx context.Context, id engine.ID, owner string) (bool, error)
}

// The statements in Postgres' dialect.
const (
	ownerSQL = `SELECT owner_xid FROM dbos.workflow_status
		WHERE workflow_uuid = $1 AND executor_id = $2 AND status = 'PENDING' AND owner_xid IS NOT NULL`
	// The count of claims begins anew: the limit on them is the job layer's.
	releaseSQL = `UPDATE dbos.workflow_status SET status = 'ENQUEUED', owner_xid = NULL, started_at_epoch_ms = NULL,
		recovery_attempts = 0, updated_at = %s WHERE workflow_uuid = $1 AND owner_xid = $2 AND status = 'PENDING'`
)

type onSQLite struct{ db *sqlite.DB }

func inSQLite(statement string) string {
	return strings.NewReplacer("dbos.", "", "$", "?").Replace(statement)
}

func (onSQLite) transaction(tx engine.Tx) any { return sqlite.Unwrap(tx) }

func (b onSQLite) owner(ctx context.Context, id engine.ID, executor string) (string, error) {
	var owner string
	err := b.db.Reader().QueryRowContext(ctx, inSQLite(ownerSQL), string(id), executor).Scan(&owner)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return owner, err
}

func (b onSQLite) release(ctx context.Context, id engine.ID, owner string) (bool, error) {
	res, err := b.db.Writer().ExecContext(ctx, fmt.Sprintf(inSQLite(releaseSQL), "unixepoch() * 1000"), string(id), owner)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// onPostgres uses the client's pool.
type onPostgres struct{ pool *pgxpool.Pool }

func (onPostgres) transaction(tx engine.Tx) any { return postgres.Unwrap(tx) }

func (b onPostgres) owner(ctx context.Context, id engine.ID, executor string) (string, error) {
	var owner string
	err := b.pool.QueryRow(ctx, ownerSQL, string(id), executor).Scan(&owner)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return owner, err
}

func (b onPostgres) release(ctx context.Context, id engine.ID, owner string) (bool, error) {
	tag, err := b.pool.Exec(ctx, fmt.Sprintf(releaseSQL, "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"), string(id), owner)
	return tag.RowsAffected() > 0, err
}
