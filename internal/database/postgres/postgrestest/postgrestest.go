// Package postgrestest gives tests a database of their own, cloned from one that was migrated once.
package postgrestest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

// Open opens a new, migrated database, removed at the test's end.
func Open(t testing.TB) *postgres.DB {
	t.Helper()
	return Connect(t, URL(t))
}

// Connect opens a database as a process does, closed at the test's end.
func Connect(t testing.TB, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), postgres.Params{URL: secret.New(url), MaxConns: 8, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// URL names a new, migrated database, removed at the test's end.
func URL(t testing.TB) string {
	t.Helper()
	return Prepared(t, "", nil)
}

// Prepared is URL for tests that need more than the schema in their database, such as an engine's own tables: prepare
// makes it, once for all tests of this process that give the same name.
func Prepared(t testing.TB, name string, prepare func(ctx context.Context, url secret.Text) error) string {
	t.Helper()
	server := testserver.Postgres(t)
	template, err := templateOf(server, name, prepare)
	require.NoError(t, err)
	return create(t, server, "TEMPLATE "+template)
}

// Empty names a new database without any schema, removed at the test's end.
func Empty(t testing.TB) string {
	t.Helper()
	return create(t, testserver.Postgres(t), "TEMPLATE template0")
}

func create(t testing.TB, server, options string) string {
	t.Helper()
	name := newName("witan_test_")
	require.NoError(t, administer(t.Context(), server, "CREATE DATABASE "+name+" "+options))
	t.Cleanup(func() {
		require.NoError(t, administer(context.WithoutCancel(t.Context()), server, "DROP DATABASE "+name+" WITH (FORCE)"))
	})
	return named(server, name)
}

// templates are the migrated databases of this test process, by server and name.
//
//nolint:gochecknoglobals // made once for all tests
var templates = struct {
	mu   sync.Mutex
	made map[[2]string]string
}{made: make(map[[2]string]string)}

// templateOf makes a template once. It is left to the server, which goes away with the run.
func templateOf(server, name string, prepare func(ctx context.Context, url secret.Text) error) (string, error) {
	templates.mu.Lock()
	defer templates.mu.Unlock()
	key := [2]string{server, name}
	if made, ok := templates.made[key]; ok {
		return made, nil
	}
	ctx, database := context.Background(), newName("witan_template_")
	if err := administer(ctx, server, "CREATE DATABASE "+database+" TEMPLATE template0"); err != nil {
		return "", err
	}
	url := secret.New(named(server, database))
	if _, err := postgres.Migrate(ctx, url); err != nil {
		return "", err
	}
	if prepare != nil {
		if err := prepare(ctx, url); err != nil {
			return "", err
		}
	}
	templates.made[key] = database
	return database, nil
}

func newName(prefix string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return prefix + hex.EncodeToString(b[:])
}

func named(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // the first connection says what is wrong with it
	}
	u.Path = "/" + database
	return u.String()
}

// administer runs one statement that names no value.
func administer(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connect to the tests' Postgres: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
