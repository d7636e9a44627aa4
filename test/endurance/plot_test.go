package endurance_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// curve is a line of a plot, in pieces: nothing is drawn between them.
type curve struct {
	name   string
	pieces [][][2]float64 // x in minutes, y
}

// Where a plot's axes are, in pixels.
const (
	plotLeft, plotTop, plotWidth, plotHeight = 70.0, 40.0, 820.0, 300.0
)

// plot draws curves over minutes as an SVG, which stands alone on any background.
func plot(title, unit string, curves []curve) string {
	right, top := 1.0, 0.0
	for _, c := range curves {
		for _, piece := range c.pieces {
			for _, p := range piece {
				right, top = max(right, p[0]), max(top, p[1])
			}
		}
	}
	step := niceStep(top)
	top = max(math.Ceil(top/step)*step, step)
	x := func(v float64) float64 { return plotLeft + v/right*plotWidth }
	y := func(v float64) float64 { return plotTop + plotHeight - v/top*plotHeight }
	var b strings.Builder
	height := plotTop + plotHeight + 60 + 20*math.Ceil(float64(len(curves))/5)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="12">`+"\n", plotLeft+plotWidth+20, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/><text x="%.0f" y="22" font-size="15">%s</text>`+"\n", plotLeft, title)
	for v := 0.0; v <= top+step/2; v += step {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fh%.0f" stroke="#ddd"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft, y(v), plotWidth, plotLeft-8, y(v)+4,
			strings.TrimSpace(fmt.Sprintf("%.4g %s", v, unit)))
	}
	for v, each := 0.0, niceStep(right*1.5); v <= right; v += each {
		fmt.Fprintf(&b, `<path d="M%.1f %.1fv5" stroke="black"/><text x="%.1f" y="%.0f" text-anchor="middle">%.4g min</text>`+"\n", x(v), y(0), x(v), y(0)+20, v)
	}
	for i, c := range curves {
		color := fmt.Sprintf("hsl(%d 70%% %d%%)", i*360/len(curves), 35+15*(i%2))
		for _, piece := range c.pieces {
			var path strings.Builder
			for k, p := range piece {
				if k > 0 && k%8 == 0 {
					path.WriteByte('\n') // lines that a diff can show
				}
				fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(k, 1)], x(p[0]), y(p[1]))
			}
			if len(piece) == 1 {
				path.WriteString("h1")
			}
			fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.3"/>`+"\n", &path, color)
		}
		at, below := plotLeft+float64(i%5)*165, y(0)+48+float64(i/5)*20
		fmt.Fprintf(&b, `<path d="M%.0f %.0fh20" stroke="%s" stroke-width="3"/><text x="%.0f" y="%.0f">%s</text>`+"\n", at, below-4, color, at+26, below, c.name)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// niceStep is a round distance of grid lines, so that about five lie below top.
func niceStep(top float64) float64 {
	if top <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(top/5)))
	for _, n := range []float64{1, 2, 5} {
		if n*unit*6 > top {
			return n * unit
		}
	}
	return 10 * unit
}

// curvesOf are the curves of a metric, one for each process, cut where a life ended.
func curvesOf(lives []*life, m metric) []curve {
	var curves []curve
	_, _, scale, _ := m.of()
	for _, v := range lives {
		i := slices.IndexFunc(curves, func(c curve) bool { return c.name == v.process })
		if i < 0 {
			curves, i = append(curves, curve{name: v.process}), len(curves)
		}
		var piece [][2]float64
		for _, p := range v.points {
			piece = append(piece, [2]float64{p.at / 60, p.values[m] / scale})
		}
		curves[i].pieces = append(curves[i].pieces, piece)
	}
	return curves
}

// plots are the names of the plots' files: one for each metric, and one of the database.
func plots() []string { return []string{"memory", "heap", "goroutines", "files", "store"} }

// writePlots writes the plots into a folder.
func writePlots(t testing.TB, folder string, m *meter) {
	t.Helper()
	require.NoError(t, os.MkdirAll(folder, 0o755)) //nolint:gosec // pages for everybody
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(folder+"/"+name+".svg", []byte(text), 0o644)) //nolint:gosec // pages for everybody
	}
	for metric := range metrics {
		title, unit, _, _ := metric.of()
		write(plots()[metric], plot(title, unit, curvesOf(m.lives, metric)))
	}
	size, events := curve{name: "database, MiB"}, curve{name: "events in it, thousands"}
	var first, second [][2]float64
	for _, p := range m.store {
		first, second = append(first, [2]float64{p.at / 60, p.values[0] / (1 << 20)}), append(second, [2]float64{p.at / 60, p.values[1] / 1000})
	}
	size.pieces, events.pieces = [][][2]float64{first}, [][][2]float64{second}
	write(plots()[metrics], plot("what the database holds", "", []curve{size, events}))
}

func TestPlotDrawsEachLifeAlone(t *testing.T) {
	t.Parallel()
	lives := []*life{
		{process: "jobs", points: []point{{at: 0, values: [metrics]float64{files: 10}}, {at: 60, values: [metrics]float64{files: 20}}}},
		{process: "jobs", points: []point{{at: 120, values: [metrics]float64{files: 5}}}},
		{process: "review", points: []point{{at: 120, values: [metrics]float64{files: 7}}}},
	}
	text := plot("files", "", curvesOf(lives, files))
	require.Equal(t, 3, strings.Count(text, `fill="none"`), "%s", text)
	require.Contains(t, text, `d="M70.0 190.0L480.0 40.0"`)
	require.Contains(t, text, ">jobs</text>")
	require.Contains(t, text, ">20</text>")
	require.Equal(t, 1, strings.Count(text, ">review</text>"))
}
