package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"witan.dev/services/ingest"
	"witan.dev/services/ingest/metrics"
)

type queue struct {
	stats ingest.QueueStats
	err   error
}

func (q *queue) Stats(context.Context) (ingest.QueueStats, error) { return q.stats, q.err }

func TestWhatWaitsIsCountedAtEachScrape(t *testing.T) {
	t.Parallel()
	reg, asked := prometheus.NewRegistry(), &queue{stats: ingest.QueueStats{Waiting: 3, Dead: 1}}
	logger := slog.New(slog.DiscardHandler)
	require.NoError(t, metrics.RegisterQueue(reg, asked, logger))
	require.Error(t, metrics.RegisterQueue(reg, asked, logger))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP witan_deliveries_dead_letters Deliveries that could not be handed over, as long as they are kept.
# TYPE witan_deliveries_dead_letters gauge
witan_deliveries_dead_letters 1
# HELP witan_deliveries_waiting Accepted deliveries that are not handled yet, those in hand included.
# TYPE witan_deliveries_waiting gauge
witan_deliveries_waiting 3
`)))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	asked.err = errors.New("Redis is away")
	n, err := testutil.GatherAndCount(reg)
	require.NoError(t, err)
	require.Zero(t, n, "no number is better than a wrong one")
}

func TestWhatBecameOfDeliveriesIsCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	i, err := metrics.NewIntake(reg)
	require.NoError(t, err)
	for _, state := range []ingest.State{ingest.Handled, ingest.Handled, ingest.Dead} {
		i.Observe(ingest.Outcome{State: state, Reason: "WHATEVER"})
	}
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP witan_deliveries_settled_total Deliveries by what became of them: HANDLED, IGNORED, UNPARSED or DEAD.
# TYPE witan_deliveries_settled_total counter
witan_deliveries_settled_total{state="DEAD"} 1
witan_deliveries_settled_total{state="HANDLED"} 2
`)))
}
