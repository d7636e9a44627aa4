package endurance_test

import (
	"fmt"
	"os"
	"regexp"
	"runtime"
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

// host names the machine and what else it does.
func host() string {
	cpu := "?"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(raw); m != nil {
			cpu = string(m[1])
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%d CPUs (%s), %s/%s, %s, load average %s at the end", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version(),
		strings.Join(strings.Fields(string(load))[:min(3, len(strings.Fields(string(load))))], " "))
}

// report writes the page where one is asked for, and to the test's output.
func report(t testing.TB, page string) {
	t.Helper()
	t.Log("\n" + page)
	if path := os.Getenv(reportVariable); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(page), 0o644)) //nolint:gosec // a page for everybody
	}
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
