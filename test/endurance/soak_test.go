package endurance_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// durationVariable is how long the soak lasts; the Makefile sets it.
const durationVariable = "WITAN_TEST_DURATION"

// taskEvery is the pause between two tasks: a load that leaves a small machine breathing.
const taskEvery = 2 * time.Second

// BenchmarkSoak lets deliberations, reviews, webhooks and viewers run for hours while processes are killed now and then,
// and requires that nothing is lost or doubled and that memory, goroutines and files of each process stay flat. In the first half
// some of the processes are struck, in the second the others, so that each lives through one of them. `make soak` runs it.
func BenchmarkSoak(b *testing.B) {
	lasts, err := time.ParseDuration(cmp.Or(os.Getenv(durationVariable), "10m"))
	require.NoError(b, err, durationVariable)
	seed := number(b, seedVariable, 7)
	b.Logf("%s=%s %s=%d", durationVariable, lasts, seedVariable, seed)
	kept := max(lasts/12, 2*time.Minute)
	l := newLoad(start(b, fmt.Sprintf("retention: {history: %s, deliveries: 1h}\n", kept)), seed)
	begun := time.Now()
	half := begun.Add(lasts / 2)
	s := &storm{load: l, rng: rand.New(rand.NewPCG(seed, 0)), every: 45 * time.Second, down: 5 * time.Second, freeze: 12 * time.Second} //nolint:gosec // repeatable
	s.victims = func() []string {
		if time.Now().Before(half) {
			return []string{"gateway", "jobs", "ingest", "worker-1", "worker-2"}
		}
		return []string{"parser", "retrieval", "council", "review", "worker-3"}
	}
	life, end := context.WithTimeout(b.Context(), lasts+2*calm)
	defer end()
	m := &meter{rig: l.rig}
	l.soak(life, s, m, lasts)
	a := l.examine(life)
	s.explain(a.late)
	p, err := s.measure(life)
	require.NoError(b, err)
	if err := l.Stop(life); err != nil {
		l.fail("stop: %s", err)
	}
	growing := judgeAll(m, lasts)
	if path := os.Getenv(reportVariable); path != "" {
		writePlots(b, strings.TrimSuffix(path, ".md"), m)
	}
	report(b, soakReport(life, s, m, a, p, lasts, kept, growing))
	require.Empty(b, l.failures)
	require.Empty(b, growing.failures)
	require.NotEmpty(b, s.blows)
}

// soak starts a task every few seconds while the storm strikes, and measures.
func (l *load) soak(life context.Context, s *storm, m *meter, lasts time.Duration) {
	ctx, stop := context.WithTimeout(life, lasts)
	defer stop()
	measuring, enough := context.WithCancel(life)
	var others, tasks sync.WaitGroup
	others.Go(func() { s.strike(ctx, life) })
	others.Go(func() { m.run(measuring) })
	others.Go(func() {
		for range 2 { // in the middle of each half
			if pause(ctx, lasts/4) != nil {
				return
			}
			s.away(life, "Postgres", l.postgres, 3*time.Second)
			s.away(life, "Redis", l.redis, 2*time.Second)
			_ = pause(ctx, lasts/4)
		}
	})
	for n := 0; pause(ctx, taskEvery) == nil; n++ {
		tasks.Go(func() {
			bounded, cancel := context.WithTimeout(life, calm)
			defer cancel()
			l.perform(bounded, n)
		})
	}
	tasks.Wait()
	enough()
	others.Wait()
}

// judged is the table of all lives that were long enough, and what grew.
type judged struct {
	table    string
	failures []string
	lives    int
}

// judgeAll judges each life whose window is at least a quarter of the run.
func judgeAll(m *meter, lasts time.Duration) judged {
	var j judged
	var table strings.Builder
	for _, v := range m.lives {
		if v.window() < lasts/4 {
			continue
		}
		j.lives++
		fmt.Fprintf(&table, "| %s | %.0f to %.0f |", v.process, v.points[0].at/60, v.points[len(v.points)-1].at/60)
		for metric := range metrics {
			r := v.judge(metric)
			name, unit, scale, _ := metric.of()
			hour := 3600 / scale
			fmt.Fprintf(&table, " %.1f %s, %+.2f (%+.2f to %+.2f) |", r.median/scale, unit, r.slope*hour, r.low*hour, r.high*hour)
			if !r.flat {
				j.failures = append(j.failures, fmt.Sprintf("%s: %s grew from %.0f to %.0f min by %.1f %s at least", v.process, name, v.warm()[0].at/60,
					v.points[len(v.points)-1].at/60, r.low*r.window/scale, unit))
			}
		}
		table.WriteString("\n")
	}
	j.table = table.String()
	if j.lives == 0 {
		j.failures = append(j.failures, "no process lived long enough to be judged")
	}
	return j
}

func soakReport(ctx context.Context, s *storm, m *meter, a audit, p pickUps, lasts, kept time.Duration, j judged) string {
	verdict := "Nothing was lost, nothing doubled, and memory, goroutines and files stayed flat."
	if failures := append(append([]string{}, s.failures...), j.failures...); len(failures) > 0 {
		verdict = fmt.Sprintf("**%d failures:**\n\n- %s", len(failures), strings.Join(failures, "\n- "))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Soak

`+"`make soak DURATION=%s SEED=%d`"+`, written by the run itself. %s.

Each service is a process of its own, three worker processes run the jobs of all queues. Every %s somebody asks for something: three
deliberations, a review of a diff, a review of a pull request by a signed webhook, by turns. Each is followed by two viewers, over gRPC
and as server-sent events, which leave and come back. About every 45 s a process is killed with SIGKILL and started again, or a worker is
stopped with SIGSTOP for up to 12 s: in the first half one of gateway, jobs, ingest, worker-1 and worker-2, in the second one of parser,
retrieval, council, review and worker-3, so that each lives through one half. In the middle of each, Postgres is stopped hard and Redis
killed. Logs expire after %[5]s. When a job ends it is held to its result, its log to what its viewers got, without gaps, doubles and late
writers. At the end the database is searched as by `+"`make chaos`"+` ([report](chaos.md)), except for what has expired: logs of jobs that others
started after %[5]s, webhooks after an hour.

%s

%s| pick-up after kills outside the outages, where the log was still there at the end | %s |
| all processes of Witan used | %.2f cores |

## Memory, goroutines and files

Measured every %s. A life of a process is from its start to its end; its warm-up, ten minutes or of a shorter life the first third, does
not count. The table has the median of what follows and its trend for each hour: the median of all pairs' slopes (Theil and
Sen) with its 95 %% interval. A metric has grown when what surely grew in the life (the lower end, over its window) is more than a
twentieth of the median and more than 4 MiB, 10 goroutines or 10 files. Lives whose window is shorter than a quarter of the run
are drawn, not judged: %d of %d are judged. The goal of the garbage collector is twice what lived at the last collection, 4 MiB at least.

| process | minutes | resident memory | goal of the garbage collector | goroutines | open files and sockets |
|---|---|---|---|---|---|
%s
`, lasts, s.seed, s.machine(ctx), taskEvery, kept, verdict,
		s.figures(&a), spread(p.outside),
		m.cores/time.Since(m.begun).Seconds(), sampleEvery, j.lives, len(m.lives), j.table)
	folder := strings.TrimSuffix(filepath.Base(os.Getenv(reportVariable)), ".md")
	for _, name := range plots() {
		fmt.Fprintf(&b, "![%[1]s](%[2]s/%[1]s.svg)\n", name, folder)
	}
	return b.String()
}
