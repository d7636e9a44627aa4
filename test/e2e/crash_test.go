package e2e_test

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/crashpoint"
	"witan.dev/test/e2e/process"
)

// hit is one time that a process comes by a point.
type hit struct {
	point crashpoint.Point
	n     int
}

func (h hit) String() string { return fmt.Sprintf("%s:%d", h.point, h.n) }

// verdict is what became of a kill.
type verdict string

const (
	finished  verdict = "finished"
	notComeBy verdict = "not come by" // a run may come by a point less often than the counted one
	broken    verdict = "broken"
)

// tried is one run of the matrix.
type tried struct {
	scene, store string
	hit          hit
	verdict      verdict
	took         time.Duration
}

// matrix collects what the runs came to.
type matrix struct {
	begun time.Time

	mu     sync.Mutex
	counts map[[3]string]int // hits by scene, store and point
	runs   []tried
}

func (m *matrix) count(scene, store string, hits map[crashpoint.Point]int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, n := range hits {
		m.counts[[3]string{scene, store, string(p)}] = n
	}
}

func (m *matrix) note(r tried) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.runs = append(m.runs, r)
	return len(m.runs)
}

// exhaustive says that every hit is to be run, and not a sample.
func exhaustive() bool { return os.Getenv("WITAN_TEST_LONG") != "" }

// chosen are the hits of a scene to be run, in their order: all of them, or a sample of those that the matrix of internal/job
// does not run.
func chosen(s scene, store string, hits map[crashpoint.Point]int) (list []hit) {
	only := regexp.MustCompile(os.Getenv("WITAN_TEST_ONLY"))
	add := func(p crashpoint.Point, n int) {
		if h := (hit{p, n}); only.MatchString(s.name + "/" + store + "/" + h.String()) {
			list = append(list, h)
		}
	}
	points := slices.Concat(crashpoint.Points(), crashpoint.Outside())
	for _, p := range points {
		if !exhaustive() {
			if n := s.sample(p, hits[p]); n > 0 {
				add(p, n)
			}
			continue
		}
		for n := range hits[p] {
			add(p, n+1)
		}
	}
	return list
}

// TestG10_TheWholeProgramKilledAtAnyCrashPointEndsAsIfItHadNotBeen lets the built program compute a deliberation, a review of a
// pull request and the hand-over of webhooks, counts how often it comes by each crash point, and then kills it once at each
// of these times (WITAN_TEST_LONG, `make crash`) or at some: on a data folder, and on Postgres with Redis.
func TestG10_TheWholeProgramKilledAtAnyCrashPointEndsAsIfItHadNotBeen(t *testing.T) {
	t.Parallel()
	binary := process.Crashing(t)
	m := &matrix{begun: time.Now(), counts: map[[3]string]int{}}
	if page := os.Getenv("WITAN_TEST_REPORT"); page != "" {
		t.Cleanup(func() { m.report(t, page) })
	}
	for _, s := range scenes() {
		for _, store := range []string{sqliteStore, postgresStore} {
			t.Run(s.name+"/"+store, func(t *testing.T) {
				t.Parallel()
				m.run(t, binary, s, store)
			})
		}
	}
}

// run counts, and kills.
func (m *matrix) run(t *testing.T, binary string, s scene, store string) {
	t.Helper()
	var want end
	var hits map[crashpoint.Point]int
	t.Run("undisturbed", func(t *testing.T) {
		p := newPlay(t, binary, s, store)
		want = p.perform(hit{})
		hits = p.hits()
	})
	require.NotEmpty(t, hits, "it comes by crash points")
	for _, p := range s.comesBy {
		require.Positive(t, hits[p], "it never comes by %s", p)
	}
	m.count(s.name, store, hits)
	list := chosen(s, store, hits)
	t.Logf("%s on %s: %d kills to come", s.name, store, len(list))
	for _, h := range list {
		t.Run(h.String(), func(t *testing.T) {
			t.Parallel()
			r := tried{scene: s.name, store: store, hit: h, verdict: broken}
			begun := time.Now()
			defer func() {
				r.took = time.Since(begun)
				done := m.note(r)
				t.Logf("%s %s %s: %s after %s (%d runs so far)", r.scene, r.store, r.hit, r.verdict, r.took.Round(10*time.Millisecond), done)
			}()
			for range 3 {
				p := newPlay(t, binary, s, store)
				got := p.perform(h)
				got.as(t, want)
				if p.killed {
					p.requireKept(got)
					r.verdict = finished
					return
				}
			}
			r.verdict = notComeBy
			require.Greater(t, h.n, 1, "it never came by %s", h.point)
		})
	}
}

// report writes the page about an exhaustive run.
func (m *matrix) report(t *testing.T, page string) {
	t.Helper()
	var text strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format, args...) }
	total := map[verdict]int{}
	hits, covered := 0, 0
	for _, n := range m.counts {
		hits += n
	}
	for _, r := range m.runs {
		total[r.verdict]++
		covered++
	}
	say("# Crash matrix\n\n")
	say("The built program (`witan serve`, with the tag `crashpoints`) computes a deliberation, a review of a pull request at the strict\n" +
		"simulated GitHub, and the hand-over of webhooks: once on a data folder (SQLite), once on Postgres and Redis. A run that nobody\n" +
		"disturbs counts how often each crash point is come by. Then a new system is killed at one of these times by SIGKILL from\n" +
		"inside, and started again on what it left, with all timers divided by ten. Held against the undisturbed run are the states\n" +
		"and results of all jobs, what stands at GitHub, the deliveries; held against what was stored and seen at the kill are every\n" +
		"log byte for byte, what viewers received, the calls whose results were committed, and `calls_repaid`. Written by `make crash`.\n\n")
	say("%d hits counted, %d killed at: %d finished as if nothing had happened, %d not come by again in three runs, %d broken.\n\n",
		hits, covered, total[finished], total[notComeBy], total[broken])
	say("| scenario | store | point | hits | killed at | finished | not come by | broken | seconds, mean (most) |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, s := range scenes() {
		for _, store := range []string{sqliteStore, postgresStore} {
			for _, p := range slices.Concat(crashpoint.Points(), crashpoint.Outside()) {
				n := m.counts[[3]string{s.name, store, string(p)}]
				if n == 0 {
					continue
				}
				by, sum, most := map[verdict]int{}, time.Duration(0), time.Duration(0)
				runs := 0
				for _, r := range m.runs {
					if r.scene == s.name && r.store == store && r.hit.point == p {
						by[r.verdict]++
						runs++
						sum, most = sum+r.took, max(most, r.took)
					}
				}
				mean := time.Duration(0)
				if runs > 0 {
					mean = sum / time.Duration(runs)
				}
				say("| %s | %s | %s | %d | %d | %d | %d | %d | %.1f (%.1f) |\n", s.name, store, p, n, runs, by[finished], by[notComeBy], by[broken], mean.Seconds(), most.Seconds())
			}
		}
	}
	for _, r := range m.runs {
		if r.verdict == broken {
			say("\nBroken: %s, %s, `%s`.\n", r.scene, r.store, r.hit)
		}
	}
	command := "make crash"
	if only := os.Getenv("WITAN_TEST_ONLY"); only != "" {
		command += fmt.Sprintf(" ONLY='%s'", only)
	}
	say("\n`%s`, %s, %s/%s, %d CPUs, %s, %s.\n", command, m.begun.Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(),
		cmp.Or(time.Since(m.begun).Round(time.Second), time.Second))
	require.NoError(t, os.WriteFile(page, []byte(text.String()), 0o600)) //nolint:gosec // whoever runs it names the page
}
