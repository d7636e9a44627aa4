package metrics_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/job/metrics"
)

type jobs struct {
	n   int64
	err error
}

func (j *jobs) DeadLetters(context.Context) (int64, error) { return j.n, j.err }

func TestDeadLettersAreCountedAtEachScrape(t *testing.T) {
	t.Parallel()
	reg, asked := prometheus.NewRegistry(), &jobs{n: 3}
	require.NoError(t, metrics.Register(reg, asked, slog.New(slog.DiscardHandler)))
	require.Error(t, metrics.Register(reg, asked, slog.New(slog.DiscardHandler)))
	require.InDelta(t, 3, value(t, reg), 0)
	asked.n = 0
	require.InDelta(t, 0, value(t, reg), 0)
	asked.err = errors.New("the database is away")
	require.True(t, math.IsNaN(value(t, reg)))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func value(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	return families[0].GetMetric()[0].GetGauge().GetValue()
}
