package benchmark_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/testdata"
	"witan.dev/services/review/benchmark"
)

func TestP12_ScoreCountsHitsRejectionsAndVotes(t *testing.T) {
	t.Parallel()
	cases := []benchmark.Case{
		{ID: "p", Set: benchmark.SetPulls, Golden: []benchmark.Place{{Path: "a", Start: 10, End: 12, Serious: true}, {Path: "b", Start: 5, End: 5}}, Rejected: []benchmark.Place{{Path: "a", Start: 40, End: 40}}},
		{ID: "r", Set: benchmark.SetReversals, Golden: []benchmark.Place{{Path: "x", Start: 3, End: 3, Serious: true}}},
		{ID: "r", Set: benchmark.SetFixes},
	}
	runs := []benchmark.Run{
		{Time: time.Second, Models: 2, Input: 5, Findings: []benchmark.Finding{
			{Path: "a", Start: 13, End: 13, Sources: []string{"m1"}, Confirmed: 2, Published: true},     // within one line
			{Path: "a", Start: 20, End: 20, Sources: []string{"m1", "tests"}, Confirmed: 1},             // near
			{Path: "a", Start: 41, End: 41, Sources: []string{"m2"}, Confirmed: 1, Published: true},     // what experts rejected
			{Path: "a", Start: 11, End: 11, Old: true, Sources: []string{"structure"}, Published: true}, // another file
		}},
		{Time: 3 * time.Second, Findings: []benchmark.Finding{{Path: "x", Start: 2, End: 2, Sources: []string{"secrets"}, Confirmed: 1, Published: true}}},
		{Time: 2 * time.Second, Findings: []benchmark.Finding{{Path: "x", Start: 2, End: 2, Sources: []string{"secrets"}, Confirmed: 1, Published: true}}},
	}
	r := benchmark.Score(cases, runs, func(s string) bool { return strings.HasPrefix(s, "m") })
	require.Equal(t, 2, r.Models)
	pulls, reversals := r.Sets[0], r.Sets[1]
	require.Equal(t, []int{2, 1}, []int{pulls.Golden, pulls.Serious})
	require.Equal(t, benchmark.Quality{Findings: 3, Hits: 1, Near: 1, Rejected: 1, Precision: 1. / 3, Recall: .5, RecallSerious: 1, LineAccuracy: 1}, pulls.Published)
	require.Equal(t, benchmark.Quality{Findings: 2, Near: 1}, pulls.Static)
	require.Equal(t, []int{3, 1}, []int{pulls.Thresholds[0].Findings, pulls.Thresholds[1].Findings})
	require.Equal(t, "m1", pulls.Sources[0].Name)
	require.InDelta(t, .5, pulls.Sources[0].LineAccuracy, 1e-9)
	require.Equal(t, benchmark.Quality{Findings: 1, Hits: 1, Near: 1, Precision: 1, Recall: 1, RecallSerious: 1, LineAccuracy: 1, Clean: 1}, reversals.Published)
	require.InDelta(t, 2, r.Cost.MedianSeconds, 1e-9)
	var out bytes.Buffer
	require.NoError(t, r.Write(&out))
	require.Contains(t, out.String(), "at least 2 votes")
}

func TestSharedCasesAreReadWithoutTheirAnswers(t *testing.T) {
	t.Parallel()
	cases, err := benchmark.Load(testdata.Path(t, "bench"))
	require.NoError(t, err)
	counts, golden, serious, rejected := map[string]int{}, 0, 0, 0
	for i := range cases {
		c := &cases[i]
		counts[c.Set]++
		parsed, err := diff.Parse([]byte(c.Diff))
		require.NoError(t, err, "%s %s\n%s", c.Set, c.ID, c.Diff)
		require.NotEmpty(t, parsed.Files)
		rejected += len(c.Rejected)
		for _, g := range c.Golden {
			if c.Set == benchmark.SetPulls {
				golden++
				if g.Serious {
					serious++
				}
			}
		}
	}
	require.Equal(t, map[string]int{benchmark.SetPulls: 19, benchmark.SetReversals: 23, benchmark.SetFixes: 23}, counts)
	require.Equal(t, []int{116, 67, 63}, []int{golden, serious, rejected})
}
