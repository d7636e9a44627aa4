package testserver_test

import (
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testserver"
)

func TestServersAreKilledAndComeBackOnTheSamePort(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *testserver.Server{
		"postgres": testserver.StartPostgres, "redis": testserver.StartRedis,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			address, err := url.Parse(s.URL)
			require.NoError(t, err)
			require.NoError(t, dial(t, address.Host))
			require.NoError(t, s.Kill())
			require.Error(t, dial(t, address.Host))
			require.NoError(t, s.Kill())
			require.NoError(t, s.Start(t.Context()))
			require.NoError(t, dial(t, address.Host))
			require.Error(t, s.Start(t.Context()), "it runs already")
		})
	}
}

func dial(t *testing.T, address string) error {
	t.Helper()
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
