package observe_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/observe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOperatorsSeeWhetherAProcessWorksAndItsMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "witan_things_total", Help: "Things."})
	registry.MustRegister(counter)
	counter.Inc()
	s := observe.NewServer("127.0.0.1:0", registry, slog.New(slog.DiscardHandler))
	require.NoError(t, s.Stop(t.Context()), "before the start")
	require.NoError(t, s.Start(t.Context()))
	require.Error(t, s.Start(t.Context()))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr().String()+path, nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	for _, ready := range []bool{false, true, false} {
		s.SetReady(ready)
		code, _ := get("/readyz")
		require.Equal(t, ready, code == http.StatusOK)
		code, _ = get("/healthz")
		require.Equal(t, http.StatusOK, code)
	}
	_, metrics := get("/metrics")
	require.Contains(t, metrics, "witan_things_total 1")
	code, _ := get("/v1/jobs")
	require.Equal(t, http.StatusNotFound, code)
	require.NoError(t, s.Stop(context.WithoutCancel(t.Context())))
	require.NoError(t, s.Stop(context.WithoutCancel(t.Context())))
}
