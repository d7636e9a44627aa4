// Package metrics shows Prometheus what needs a person: jobs that were given up.
package metrics

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// patience bounds the question to the database while a scrape waits.
const patience = 2 * time.Second

// Jobs is what the metrics ask. *job.Manager is one.
type Jobs interface {
	DeadLetters(ctx context.Context) (int64, error)
}

// Register adds the gauge witan_jobs_dead_letters. Each scrape asks the database; where it does not answer in time the
// value is NaN.
func Register(reg prometheus.Registerer, jobs Jobs, logger *slog.Logger) error {
	return reg.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "witan_jobs_dead_letters",
		Help: "Jobs that were given up, after too many recoveries without progress or because the forge or the models stayed away, and wait for a retry or their deletion.",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		n, err := jobs.DeadLetters(ctx)
		if err != nil {
			logger.WarnContext(ctx, "jobs that were given up could not be counted", "error", err)
			return math.NaN()
		}
		return float64(n)
	}))
}
