package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAQueryWithinItsOwnRowsSeesAllRows(t *testing.T) {
	t.Parallel()
	db := setup(t)
	for i := range 3 {
		require.NoError(t, db.Write(t.Context(), insert(i, nil)))
	}
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for range 3 { // the third time the statement is kept
			n, err := pairs(ctx, tx)
			if err != nil {
				return err
			}
			if n != 9 {
				return fmt.Errorf("%d pairs of 3 rows", n)
			}
		}
		return nil
	}))
}

func pairs(ctx context.Context, tx *sql.Tx) (n int, err error) {
	err = each(ctx, tx, func(int) error {
		return each(ctx, tx, func(int) error { n++; return nil })
	})
	return n, err
}

func each(ctx context.Context, tx *sql.Tx, fn func(n int) error) error {
	rows, err := tx.QueryContext(ctx, "SELECT n FROM t ORDER BY n")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			return err
		}
		if err := fn(n); err != nil {
			return err
		}
	}
	return rows.Err()
}

func TestAKeptStatementFollowsTheSchema(t *testing.T) {
	t.Parallel()
	db := setup(t)
	read := func() []string {
		rows, err := db.Writer().QueryContext(t.Context(), "SELECT * FROM t")
		require.NoError(t, err)
		defer func() { require.NoError(t, rows.Close()) }()
		columns, err := rows.Columns()
		require.NoError(t, err)
		require.NoError(t, rows.Err())
		return columns
	}
	for range 3 {
		require.Equal(t, []string{"n"}, read())
	}
	require.NoError(t, db.Write(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "ALTER TABLE t ADD COLUMN m INTEGER")
		return err
	}))
	require.NoError(t, db.Write(t.Context(), insert(1, nil)))
	n := 0
	require.NoError(t, db.Writer().QueryRowContext(t.Context(), "SELECT count(m) FROM t").Scan(&n))
	require.Contains(t, read(), "n")
}

func TestQueriesOfChangingTextDoNotExhaustTheConnection(t *testing.T) {
	t.Parallel()
	db := setup(t)
	for i := range 3000 {
		var n int
		require.NoError(t, db.Writer().QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d", i%1500)).Scan(&n))
		require.Equal(t, i%1500, n)
	}
}
