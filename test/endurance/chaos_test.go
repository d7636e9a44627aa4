package endurance_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// sample is how many jobs the gate has time for.
	sample = 20
	// atOnce is how many tasks run at once, and how many of the sample.
	atOnce, fewAtOnce = 24, 6
	// pickUp is the longest that jobs of killed workers may lie (p99), outside the outages of Postgres.
	pickUp = 10 * time.Second
	// calm is how long one task may take at most, all blows included.
	calm = 10 * time.Minute
)

// TestG10_ChaosLosesNothingAndDoublesNothing kills and freezes three workers and the services around them every few seconds,
// stops Postgres hard and kills Redis, while deliberations and reviews run that viewers follow. `make chaos` does it with 500.
func TestG10_ChaosLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	jobs, seed := int(number(t, jobsVariable, sample)), number(t, seedVariable, 7) //nolint:gosec // a count
	t.Logf("%s=%d %s=%d", jobsVariable, jobs, seedVariable, seed)
	l := newLoad(start(t, ""), seed)
	s := &storm{load: l, rng: rand.New(rand.NewPCG(seed, 0)), every: 4 * time.Second, down: 4 * time.Second, freeze: 12 * time.Second} //nolint:gosec // repeatable
	s.victims = func() []string {
		all := []string{"jobs", "gateway", "council", "review", "ingest"}
		for range 3 { // workers more often
			all = append(all, "worker-1", "worker-2", "worker-3")
		}
		return all
	}
	life, end := context.WithTimeout(t.Context(), calm+time.Duration(jobs)*10*time.Second)
	defer end()
	begun := time.Now()
	l.chaos(life, s, jobs)
	took := time.Since(begun)
	a := l.examine(life)
	s.explain(a.late)
	p, err := s.measure(life)
	require.NoError(t, err)
	if err := l.Stop(life); err != nil {
		l.fail("stop: %s", err)
	}
	report(t, chaosReport(life, s, a, p, took))
	require.Empty(t, l.failures)
	require.Len(t, l.done, jobs)
	require.NotEmpty(t, s.blows)
	if len(p.outside) >= 100 { // of fewer there is no p99
		require.Less(t, quantile(p.outside, 0.99), pickUp, "the longest: %s", p.which)
	}
}

// chaos runs the tasks while the storm strikes. Postgres and Redis go when certain parts of the tasks are done.
func (l *load) chaos(life context.Context, s *storm, jobs int) {
	ctx, calmDown := context.WithCancel(life)
	var strikes, tasks sync.WaitGroup
	strikes.Go(func() { s.strike(ctx, life) })
	strikes.Go(func() {
		for _, o := range outages(jobs) {
			for l.finished() < o.after {
				if pause(ctx, again) != nil {
					return
				}
			}
			if o.redis {
				s.away(life, "Redis", l.redis, 2*time.Second)
				continue
			}
			s.away(life, "Postgres", l.postgres, 3*time.Second)
		}
	})
	slots := make(chan struct{}, concurrency(jobs))
	for n := range jobs {
		slots <- struct{}{}
		tasks.Go(func() {
			defer func() { <-slots }()
			bounded, cancel := context.WithTimeout(life, calm)
			defer cancel()
			l.perform(bounded, n)
		})
	}
	tasks.Wait()
	calmDown()
	strikes.Wait()
}

// concurrency is how many tasks run at once.
func concurrency(jobs int) int {
	if jobs <= sample {
		return fewAtOnce
	}
	return atOnce
}

type plannedOutage struct {
	after int // tasks that are done
	redis bool
}

// outages are one of each in the sample, and three of Postgres and two of Redis in the whole run.
func outages(jobs int) []plannedOutage {
	if jobs <= sample {
		return []plannedOutage{{jobs / 4, false}, {jobs / 2, true}}
	}
	return []plannedOutage{{jobs / 5, false}, {jobs * 3 / 10, true}, {jobs * 2 / 5, false}, {jobs * 3 / 5, true}, {jobs * 7 / 10, false}}
}

func chaosReport(ctx context.Context, s *storm, a audit, p pickUps, took time.Duration) string {
	kills, blind := map[string]int{}, 0
	for _, b := range s.blows {
		if !b.frozen {
			kills[strings.TrimRight(b.process, "-123")]++
		}
		if b.blind && strings.HasPrefix(b.process, "worker") {
			blind++
		}
	}
	var each []string
	for _, name := range slices.Sorted(maps.Keys(kills)) {
		each = append(each, fmt.Sprintf("%s %d", name, kills[name]))
	}
	verdict := "Nothing was lost, nothing doubled."
	if len(s.failures) > 0 {
		verdict = fmt.Sprintf("**%d failures:**\n\n- %s", len(s.failures), strings.Join(s.failures, "\n- "))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# Chaos

`+"`make chaos JOBS=%d SEED=%d`"+`, written by the run itself. %s. Took %s.

Each service is a process of its own, three worker processes run the jobs of all queues. While %d jobs run at once, every few
seconds a worker or a service is killed with SIGKILL and started again a moment later, or a worker is stopped with SIGSTOP for
up to 12 s. Postgres is stopped hard and Redis killed in between. Each job is followed by two viewers, over gRPC and as
server-sent events, which leave and come back all the time. At the end each job is held to the result that it must have, each viewer's
events to the log, byte for byte; the database is searched for gaps, doubles, second ends and late writers, the log of the models
for calls that were paid though their answer was stored, and the simulated GitHub for comments that are missing or there twice.

%s

%s| kills of each | %s |

## Pick-up

From the kill of the worker that had a job to the first event that another execution wrote. An outage of Postgres counts as
lasting as long again and 6 s, since workers judge each other only after that.

| kills | pick-up |
|---|---|
| outside the outages | %s |
| with an outage between | %s |

Not counted: %d jobs whose next holder was struck as well before it began (that blow counts), %d that had come to their end,
%d kills at which Postgres could not say what the worker had.

`+"```\n%s```\n", len(s.done), s.seed, s.machine(ctx), took.Round(time.Second), concurrency(len(s.done)), verdict,
		s.figures(&a), strings.Join(each, ", "),
		spread(p.outside), spread(p.within), p.again, p.over, blind, histogram(p.outside))
	return b.String()
}
