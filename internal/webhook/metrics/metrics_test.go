package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/apierr"
	"witan.dev/internal/webhook"
	"witan.dev/internal/webhook/metrics"
)

func TestWebhooksAreCountedByOutcome(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m, err := metrics.New(reg)
	require.NoError(t, err)
	_, err = metrics.New(reg)
	require.Error(t, err, "registered already")
	h := webhook.NewHandler(webhook.Params{
		Accept: func(_ context.Context, _ http.Header, body []byte) (string, error) {
			if string(body) == "forged" {
				return "", apierr.Unauthenticated(apierr.ReasonSignatureInvalid, "forged")
			}
			return "x", nil
		},
		Observe: m.Observe, Logger: slog.New(slog.DiscardHandler),
	})
	for _, c := range []struct{ method, body string }{{"POST", "{}"}, {"POST", "{}"}, {"POST", "forged"}, {"GET", ""}} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, webhook.Path, strings.NewReader(c.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Hub-Signature-256", "sha256=0")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP witan_webhooks_total Webhooks by outcome: ACCEPTED or the reason why not.
# TYPE witan_webhooks_total counter
witan_webhooks_total{outcome="ACCEPTED"} 2
witan_webhooks_total{outcome="METHOD_NOT_ALLOWED"} 1
witan_webhooks_total{outcome="SIGNATURE_INVALID"} 1
`), "witan_webhooks_total"))
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "witan_webhook_ack_seconds" {
			require.Equal(t, uint64(2), f.GetMetric()[0].GetHistogram().GetSampleCount(), "only what was accepted")
		}
	}
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
