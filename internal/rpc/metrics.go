package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"witan.dev/internal/apierr/rpcstatus"
)

// metrics counts calls. Its labels come from closed sets: registered services and methods, status codes.
type metrics struct {
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	known    map[string]bool // full method names; complete before the server starts
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "witan_rpc_calls_total", Help: "Finished gRPC calls.",
		}, []string{"service", "method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "witan_rpc_call_duration_seconds", Help: "Duration of unary gRPC calls.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"service", "method"}),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "witan_rpc_calls_in_flight", Help: "Running gRPC calls, streams included.",
		}, []string{"service", "method"}),
		known: map[string]bool{},
	}
	return m, errors.Join(registry.Register(m.calls), registry.Register(m.seconds), registry.Register(m.inFlight))
}

func (m *metrics) observe(ctx context.Context, c call, next func(context.Context) error) error {
	service, method := m.labels(c.method)
	running := m.inFlight.WithLabelValues(service, method)
	running.Inc()
	defer running.Dec()
	start := time.Now()
	err := next(ctx)
	code := codes.OK
	if err != nil {
		code = rpcstatus.From(err).Code()
	}
	m.calls.WithLabelValues(service, method, code.String()).Inc()
	if !c.stream {
		m.seconds.WithLabelValues(service, method).Observe(time.Since(start).Seconds())
	}
	return err
}

// labels splits a method name; what is not registered is one label, so that callers cannot make new ones.
func (m *metrics) labels(fullMethod string) (service, method string) {
	if !m.known[fullMethod] {
		return "unknown", "unknown"
	}
	service, method, _ = strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	return service, method
}
