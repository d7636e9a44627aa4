package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/crashpoint"
	"witan.dev/test/e2e/process"
	"witan.dev/tools/lastruns"
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
	stamp string // date, commit and machine, for the report
	// within is when no further run begins.
	within time.Duration

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
	m := &matrix{begun: time.Now(), within: 24 * time.Hour, counts: map[[3]string]int{}}
	if limit := os.Getenv("WITAN_TEST_WITHIN"); limit != "" {
		var err error
		m.within, err = time.ParseDuration(limit)
		require.NoError(t, err)
	}
	if page := os.Getenv("WITAN_TEST_REPORT"); page != "" {
		var err error
		m.stamp, err = lastruns.Stamp(t.Context())
		require.NoError(t, err)
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
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] }) //nolint:gosec // a run that is cut short has something of everything
	for _, h := range list {
		t.Run(h.String(), func(t *testing.T) {
			t.Parallel()
			if time.Since(m.begun) > m.within {
				return // the report says how many there are
			}
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

// report writes the sections of the page of which something was run, one for each scene and store.
func (m *matrix) report(t *testing.T, page string) {
	t.Helper()
	sections := map[string]string{}
	if old, err := os.ReadFile(page); err == nil { //nolint:gosec // whoever runs it names the page
		for _, section := range strings.Split(string(old), "\n## ")[1:] {
			name, _, _ := strings.Cut(section, "\n")
			sections[name] = section
		}
	}
	text := reportHead
	for _, s := range scenes() {
		for _, store := range []string{sqliteStore, postgresStore} {
			section := sections[s.name+" on "+store]
			if slices.ContainsFunc(m.runs, func(r tried) bool { return r.scene == s.name && r.store == store }) {
				section = m.section(s.name, store)
			}
			if section != "" {
				text += "\n## " + strings.TrimSpace(section) + "\n"
			}
		}
	}
	require.NoError(t, os.WriteFile(page, []byte(text), 0o600)) //nolint:gosec // whoever runs it names the page
}

const reportHead = `# Crash matrix

The built program (` + "`witan serve`, with the tag `crashpoints`" + `) computes a deliberation, a review of a pull request at the strict simulated
GitHub, the review of a push that mends what was found, and hands webhooks over that come to no comment, an answer or nothing:
on a data folder (SQLite), and on Postgres and Redis. A run that nobody disturbs counts how often each crash point is reached.
Then, for each of these times, a new system is killed there by SIGKILL from inside, and started again on what it left. Timers
are a tenth of the usual ones, or less.

Held against the undisturbed run: how all jobs ended, what their logs and results say, what stands at GitHub, what became of each
webhook. Held against the moment of the kill: each stored log is the beginning of the one at the end, column by column; a
viewer over server-sent events that was there throughout has the log of one who comes later, byte for byte; no call is sent
again whose answer was committed, and others only where they were in flight, once, and counted in ` + "`calls_repaid`" + `.

A run may reach a point less often than the counted one (two writes may share a commit): when that happens three times, the
hit counts as not reached again. Each section was written by the run that it names.
`

// section is what the report says of a scene on a store.
func (m *matrix) section(scene, store string) string {
	var text strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&text, format, args...) }
	counted, by := 0, map[verdict]int{}
	for key, n := range m.counts {
		if key[0] == scene && key[1] == store {
			counted += n
		}
	}
	for _, r := range m.runs {
		if r.scene == scene && r.store == store {
			by[r.verdict]++
		}
	}
	command := "make crash"
	for _, v := range []string{"ONLY", "WITHIN"} {
		if said := os.Getenv("WITAN_TEST_" + v); said != "" {
			command += fmt.Sprintf(" %s='%s'", v, said)
		}
	}
	say("%s on %s\n", scene, store)
	say("%d hits counted, %d of them run: %d finished as if nothing had happened, %d not reached again, %d broken.\n", counted, by[finished]+by[notComeBy]+by[broken],
		by[finished], by[notComeBy], by[broken])
	say("`%s`, %s, %s in all.\n\n", command, m.stamp, time.Since(m.begun).Round(time.Second))
	say("| point | hits | finished | not reached again | broken | seconds, mean (most) |\n|---|---|---|---|---|---|\n")
	for _, p := range slices.Concat(crashpoint.Points(), crashpoint.Outside()) {
		if row := m.row(scene, store, p); row != "" {
			say("| %s | %d | %s |\n", p, m.counts[[3]string{scene, store, string(p)}], row)
		}
	}
	return text.String()
}

// row is what came of the kills at a point; empty: there were none.
func (m *matrix) row(scene, store string, p crashpoint.Point) string {
	by, runs := map[verdict]int{}, 0
	var sum, most time.Duration
	for _, r := range m.runs {
		if r.scene == scene && r.store == store && r.hit.point == p {
			by[r.verdict]++
			runs++
			sum, most = sum+r.took, max(most, r.took)
		}
	}
	if runs == 0 {
		return ""
	}
	return fmt.Sprintf("%d | %d | %d | %.1f (%.1f)", by[finished], by[notComeBy], by[broken], (sum / time.Duration(runs)).Seconds(), most.Seconds())
}
