package qdrant_test

import (
	"context"
	"database/sql"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	api "github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	database "witan.dev/internal/database/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	"witan.dev/internal/testserver"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/qdrant"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/services/retrieval/store/sqlite"
	"witan.dev/services/retrieval/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server that ends with the test.
func serve(t *testing.T) (*qdranttest.Server, string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	server, ended := qdranttest.New(nil), make(chan error, 1)
	go func() { ended <- server.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return server, "http://" + listener.Addr().String()
}

func openStore(t *testing.T) storetest.Params {
	t.Helper()
	db := sqlitetest.Open(t)
	return storetest.Params{
		Store: sqlite.New(db),
		Transact: func(ctx context.Context, fn func(context.Context, job.Tx) error) error {
			return db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error { return fn(ctx, database.Wrap(tx)) })
		},
	}
}

func open(t *testing.T, url string, codes retrieval.Codes) *qdrant.Index {
	t.Helper()
	x, err := qdrant.New(qdrant.Params{URL: url, Codes: codes})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	return x
}

func TestRankings(t *testing.T) {
	t.Parallel()
	storetest.RunRankings(t, func(t *testing.T) storetest.RankingParams {
		t.Helper()
		_, url := serve(t)
		p := openStore(t)
		return storetest.RankingParams{Params: p, Rankings: open(t, url, p.Store)}
	})
}

// TestRankingsOfARealQdrant runs where a variable names one. Each test has a collection of its own.
func TestRankingsOfARealQdrant(t *testing.T) {
	t.Parallel()
	address := os.Getenv(testserver.QdrantVariable)
	if address == "" {
		t.Skipf("%s names no Qdrant; the suite ran on the one that stands in for it", testserver.QdrantVariable)
	}
	storetest.RunRankings(t, func(t *testing.T) storetest.RankingParams {
		t.Helper()
		p, prefix := openStore(t), "witan-test-"+uuid.NewString()
		x, err := qdrant.New(qdrant.Params{URL: address, Codes: p.Store, Prefix: prefix})
		require.NoError(t, err)
		client := dial(t, address)
		t.Cleanup(func() {
			drop(t, client, prefix)
			require.NoError(t, x.Close())
		})
		return storetest.RankingParams{Params: p, Rankings: x}
	})
}

// dial makes a client of a test's own.
func dial(t *testing.T, address string) *api.Client {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	port, err := strconv.Atoi(u.Port())
	require.NoError(t, err)
	client, err := api.NewClient(&api.Config{Host: u.Hostname(), Port: port, SkipCompatibilityCheck: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// drop deletes the collections of a test.
func drop(t *testing.T, client *api.Client, prefix string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	names, err := client.ListCollections(ctx)
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			require.NoError(t, client.DeleteCollection(ctx, name))
		}
	}
}
