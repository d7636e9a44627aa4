package rpc

import (
	"context"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestInterceptorOrder(t *testing.T) {
	t.Parallel()
	srv, err := NewServer(Config{}, Deps{
		Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.Text{}),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Stop(context.WithoutCancel(t.Context()))) })
	var names []string
	for _, link := range srv.chain() {
		require.NotNil(t, link.unary, link.name)
		require.NotNil(t, link.stream, link.name)
		names = append(names, link.name)
	}
	require.Equal(t, []string{"request_id", "metrics", "log", "errors", "recover", "auth", "deadline", "validation"}, names)
}
