package endurance_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The variables that turn the sample into the whole run; the Makefile sets them.
const (
	reportVariable = "WITAN_TEST_REPORT" // file that the report is written to
	jobsVariable   = "WITAN_TEST_JOBS"
	seedVariable   = "WITAN_TEST_SEED"
)

// number is that of a variable.
func number(t testing.TB, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, variable)
	return n
}

// host names the processor and what else it does.
func host() string {
	cpu := "?"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(raw); m != nil {
			cpu = string(m[1])
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%s, load average %s at the end", cpu, strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "))
}

// report writes the page where one is asked for, and to the test's output.
func report(t testing.TB, page string) {
	t.Helper()
	t.Log("\n" + page)
	if path := os.Getenv(reportVariable); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(page), 0o644)) //nolint:gosec // a page for everybody
	}
}

// figures begins the table of what was asked for, what was done to it and what came of it.
func (s *storm) figures(a *audit) string {
	killed, frozen := 0, 0
	for _, b := range s.blows {
		if b.frozen {
			frozen++
		} else {
			killed++
		}
	}
	var away []string
	for _, o := range s.outages {
		away = append(away, fmt.Sprintf("%s %.1f s", o.server, o.to.Sub(o.from).Seconds()))
	}
	attached, seen := s.viewers()
	return fmt.Sprintf(`| what | figure |
|---|---|
| asked for | %d: %d deliberations, %d reviews of diffs, %d reviews of pull requests by webhook (%d requests for them) |
| jobs with those that they started | %d, with %d events |
| kills, freezes | %d, %d |
| outages | %s |
| executions that others took over | %d |
| calls in the journal, sent to models | %d, %d |
| calls in flight when their execution ended, paid again | %d, %d |
| calls that a frozen worker sent when it thawed, after others had its answer | %d |
| reviews of diffs whose council was away for longer than they try (8 s), as they say | %d |
| rounds of councils of pull requests after such a time | %d |
| viewers attached, events they got | %d, %d |
| comments, walkthroughs and check runs at %d pull requests | %d |
| deliberations took | %s |
| reviews of diffs took | %s |
| reviews of pull requests took | %s |
`, len(s.done), len(s.took(deliberation)), len(s.took(diffReview)), len(s.took(pullReview)), s.sent, a.jobs, a.events, killed, frozen,
		strings.Join(away, ", "), a.recoveries, a.calls, a.asked, a.inFlight, a.repaid, len(a.late), s.without(), a.rounds, attached, seen,
		a.pulls, a.comments, spread(s.took(deliberation)), spread(s.took(diffReview)), spread(s.took(pullReview)))
}

// spread is the p50, p99 and longest of sorted times.
func spread(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return "none"
	}
	return fmt.Sprintf("p50 %.1f s, p99 %.1f s, longest %.1f s (n = %d)", quantile(sorted, 0.5).Seconds(), quantile(sorted, 0.99).Seconds(),
		sorted[len(sorted)-1].Seconds(), len(sorted))
}

// histogram counts sorted times by whole seconds.
func histogram(sorted []time.Duration) string {
	if len(sorted) == 0 {
		return ""
	}
	count := map[int]int{}
	for _, d := range sorted {
		count[int(d/time.Second)]++
	}
	var b strings.Builder
	for s := int(sorted[0] / time.Second); s <= int(sorted[len(sorted)-1]/time.Second); s++ {
		fmt.Fprintf(&b, "%3d to %2d s %5d %s\n", s, s+1, count[s], strings.Repeat("#", (count[s]*60+len(sorted)-1)/len(sorted)))
	}
	return b.String()
}
