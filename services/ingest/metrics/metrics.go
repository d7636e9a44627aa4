// Package metrics shows Prometheus what became of deliveries, and how many wait.
package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"witan.dev/services/ingest"
)

// patience bounds the question to the buffer while a scrape waits.
const patience = 2 * time.Second

// Queue is what the gauges ask. Every ingest.Queue is one.
type Queue interface {
	Stats(ctx context.Context) (ingest.QueueStats, error)
}

// RegisterQueue adds the gauges witan_deliveries_waiting and witan_deliveries_dead_letters. Each scrape asks the buffer once;
// where it does not answer in time, neither is there.
func RegisterQueue(reg prometheus.Registerer, queue Queue, logger *slog.Logger) error {
	return reg.Register(&gauges{
		queue: queue, logger: logger,
		waiting: prometheus.NewDesc("witan_deliveries_waiting", "Accepted deliveries that are not handled yet, those in hand included.", nil, nil),
		dead:    prometheus.NewDesc("witan_deliveries_dead_letters", "Deliveries that could not be handed over, as long as they are kept.", nil, nil),
	})
}

type gauges struct {
	queue         Queue
	logger        *slog.Logger
	waiting, dead *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(out chan<- *prometheus.Desc) { out <- g.waiting; out <- g.dead }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stats, err := g.queue.Stats(ctx)
	if err != nil {
		g.logger.WarnContext(ctx, "deliveries could not be counted", "error", err)
		return
	}
	out <- prometheus.MustNewConstMetric(g.waiting, prometheus.GaugeValue, float64(stats.Waiting))
	out <- prometheus.MustNewConstMetric(g.dead, prometheus.GaugeValue, float64(stats.Dead))
}

// Intake counts what an intake settles. Safe for concurrent use.
type Intake struct{ settled *prometheus.CounterVec }

// NewIntake makes the counter witan_deliveries_settled_total and registers it.
func NewIntake(reg prometheus.Registerer) (*Intake, error) {
	i := &Intake{settled: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "witan_deliveries_settled_total", Help: "Deliveries by what became of them: HANDLED, IGNORED, UNPARSED or DEAD.",
	}, []string{"state"})}
	return i, reg.Register(i.settled)
}

// Observe counts one delivery.
func (i *Intake) Observe(o ingest.Outcome) { i.settled.WithLabelValues(o.State.String()).Inc() }
