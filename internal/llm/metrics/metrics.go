// Package metrics counts the calls of models for Prometheus. Labels are configured names and closed sets.
package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"witan.dev/internal/llm"
)

// Metrics counts calls. Safe for concurrent use.
type Metrics struct {
	calls      *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	firstToken *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
}

// New makes the metrics and registers them.
func New(reg prometheus.Registerer) (*Metrics, error) {
	buckets := []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60, 120, 180, 300}
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "witan_model_calls_total", Help: "Calls of models by outcome: OK or the class of the failure.",
		}, []string{"model", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "witan_model_call_seconds", Help: "Time of a call, waiting for the provider's pause included.", Buckets: buckets,
		}, []string{"model"}),
		firstToken: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "witan_model_first_token_seconds", Help: "Time to the first text of a call.", Buckets: buckets,
		}, []string{"model"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "witan_model_tokens_total", Help: "Tokens that providers reported. Output contains reasoning, input contains cached.",
		}, []string{"model", "kind"}),
	}
	for _, c := range []prometheus.Collector{m.calls, m.seconds, m.firstToken, m.tokens} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Wrap counts the calls of model.
func (m *Metrics) Wrap(model llm.Model) llm.Model { return &counted{Model: model, metrics: m} }

type counted struct {
	llm.Model
	metrics *Metrics
}

// Generate asks the model and counts the call.
func (c *counted) Generate(ctx context.Context, req llm.Request, sink func(string) error) (llm.Response, error) {
	name, start, first := c.Info().Name, time.Now(), true
	resp, err := c.Model.Generate(ctx, req, func(text string) error {
		if first {
			first = false
			c.metrics.firstToken.WithLabelValues(name).Observe(time.Since(start).Seconds())
		}
		if sink == nil {
			return nil
		}
		return sink(text)
	})
	outcome := "OK"
	if err != nil {
		outcome = string(llm.ClassOf(err))
	}
	c.metrics.calls.WithLabelValues(name, outcome).Inc()
	c.metrics.seconds.WithLabelValues(name).Observe(time.Since(start).Seconds())
	for kind, n := range map[string]int64{
		"input": resp.Usage.InputTokens, "output": resp.Usage.OutputTokens,
		"cached": resp.Usage.CachedTokens, "reasoning": resp.Usage.ReasoningTokens,
	} {
		c.metrics.tokens.WithLabelValues(name, kind).Add(float64(max(n, 0)))
	}
	return resp, err
}
