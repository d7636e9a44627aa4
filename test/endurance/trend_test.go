package endurance_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// trend is how values change with time: the median of the slopes of all pairs of points (Theil 1950), and its 95 % interval from
// Kendall's statistic (Sen 1968, section 3, without its correction for ties, which makes the interval wider). Values that follow
// each other depend on each other, so the true interval is wider still.
type trend struct{ slope, low, high float64 }

// theilSen is the trend of y over x, which rises; all zero for fewer than three points.
func theilSen(x, y []float64) trend {
	n := len(x)
	if n < 3 {
		return trend{}
	}
	slopes := make([]float64, 0, n*(n-1)/2)
	for i := range n {
		for j := range i {
			slopes = append(slopes, (y[i]-y[j])/(x[i]-x[j]))
		}
	}
	slices.Sort(slopes)
	pairs := len(slopes)
	half := int(math.Ceil(1.96 * math.Sqrt(float64(n*(n-1)*(2*n+5))/18) / 2))
	middle := slopes[pairs/2]
	if pairs%2 == 0 {
		middle = (slopes[pairs/2-1] + slopes[pairs/2]) / 2
	}
	return trend{slope: middle, low: slopes[max(0, pairs/2-half)], high: slopes[min(pairs-1, pairs/2+half)]}
}

// median is that of values, which stay as they are.
func median(values []float64) float64 { return quantile(slices.Sorted(slices.Values(values)), 0.5) }

func TestTrendSeesALeakUnderSawteeth(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	var x, flat, leak []float64
	for i := range 300 {
		x = append(x, float64(i)*10)
		tooth := float64(i%7)*3 + rng.NormFloat64()*2
		flat, leak = append(flat, 60+tooth), append(leak, 60+tooth+float64(i)*0.03)
	}
	even := theilSen(x, flat)
	require.Less(t, even.low, 0.0)
	require.Greater(t, even.high, 0.0)
	rising := theilSen(x, leak)
	require.Greater(t, rising.low*3000, 5.0, "of the 9 that leaked, most is certain")
	require.InDelta(t, 0.003, rising.slope, 0.001)
	require.Equal(t, trend{2, 2, 2}, theilSen([]float64{0, 1, 2, 3}, []float64{1, 3, 5, 7}))
	require.Zero(t, theilSen([]float64{0, 1}, []float64{1, 3}))
	require.InDelta(t, 5.0, median([]float64{9, 1, 5}), 0)
}

func TestVerdictIsAboutWhatSurelyGrewInALongLife(t *testing.T) {
	t.Parallel()
	leaking, steady := &life{process: "leaky"}, &life{process: "steady"}
	for i := range 60 {
		at := float64(i) * sampleEvery.Seconds()
		leaking.points = append(leaking.points, point{at: at, values: [metrics]float64{rss: 60e6 + float64(i)*0.3e6, files: 20}})
		steady.points = append(steady.points, point{at: at, values: [metrics]float64{rss: 60e6 + float64(i%5)*1e6, files: 20 + float64(i%2)}})
	}
	require.False(t, leaking.judge(rss).flat)
	require.True(t, leaking.judge(files).flat)
	require.True(t, steady.judge(rss).flat)
	require.True(t, steady.judge(files).flat)
}
