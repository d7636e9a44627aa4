// Package metrics counts webhooks for Prometheus, in the process that senders reach. Labels are of closed sets.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// accepted is the outcome of what was accepted; others are reasons of errors.
const accepted = "ACCEPTED"

// Metrics counts webhooks. Safe for concurrent use.
type Metrics struct {
	webhooks *prometheus.CounterVec
	seconds  prometheus.Histogram
}

// New makes the metrics and registers them.
func New(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "witan_webhooks_total", Help: "Webhooks by outcome: ACCEPTED or the reason why not.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "witan_webhook_ack_seconds", Help: "Time from a webhook's headers to the answer that it is accepted, its body's arrival included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}),
	}
	for _, c := range []prometheus.Collector{m.webhooks, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observe counts one webhook. reason says why it was not accepted; empty: it was.
func (m *Metrics) Observe(reason string, took time.Duration) {
	if reason != "" {
		m.webhooks.WithLabelValues(reason).Inc()
		return
	}
	m.webhooks.WithLabelValues(accepted).Inc()
	m.seconds.Observe(took.Seconds())
}
