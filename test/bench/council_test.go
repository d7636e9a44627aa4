package bench_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/llm"
	"witan.dev/internal/testserver"
)

// recorder keeps what models are asked, by stage, so that the same calls can be made without a council.
type recorder struct {
	mu    sync.Mutex
	calls map[string][]recordedCall
}

type recordedCall struct {
	model llm.Model
	req   llm.Request
}

type recorded struct {
	llm.Model

	recorder *recorder
}

func (r *recorder) wrap(m llm.Model) llm.Model { return recorded{m, r} }

// Generate notes the call and makes it.
func (m recorded) Generate(ctx context.Context, req llm.Request, sink func(string) error) (llm.Response, error) {
	m.recorder.mu.Lock()
	m.recorder.calls[req.Stage] = append(m.recorder.calls[req.Stage], recordedCall{m.Model, req})
	m.recorder.mu.Unlock()
	return m.Model.Generate(ctx, req, sink)
}

// replay makes the calls of one job again and forgets them. It returns how long that took.
func (r *recorder) replay(b *testing.B) time.Duration {
	b.Helper()
	start := time.Now()
	r.play(b)
	took := time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.calls)
	return took
}

// play makes the calls of one job again, a stage's calls at once and the stages after each other, and nothing else. Nobody
// records meanwhile.
func (r *recorder) play(b *testing.B) {
	b.Helper()
	for _, stage := range []string{"answer", "rank", "synthesise"} {
		var wg sync.WaitGroup
		for _, c := range r.calls[stage] {
			wg.Go(func() {
				if _, err := c.model.Generate(b.Context(), c.req, func(string) error { return nil }); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
}

// question asks n members, each ranking the answers of the others, and one chairman.
func question(n int) *councilv1.Deliberation {
	d := &councilv1.Deliberation{
		Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: "Should a job's events be stored in the transaction of the state that they report?"}},
		Spec: &councilv1.CouncilSpec{Chairman: &councilv1.Chairman{Model: "chair"}},
	}
	for i := range n {
		d.Spec.Members = append(d.Spec.Members, &councilv1.Member{Model: fmt.Sprintf("m%d", i+1)})
	}
	return d
}

// deliberate runs a deliberation from its creation to its end.
func (s *system) deliberate(b *testing.B, d *councilv1.Deliberation, calls int64) *jobsv1.Job {
	b.Helper()
	return s.await(b, s.create(b, d), calls)
}

// create creates a deliberation and returns the name of its job.
func (s *system) create(b *testing.B, d *councilv1.Deliberation) string {
	b.Helper()
	made, err := s.council.CreateDeliberation(b.Context(), &councilv1.CreateDeliberationRequest{Deliberation: d})
	if err != nil {
		b.Error(err)
	}
	return made.GetJob()
}

// await waits for the end of a job, which must be a success after so many calls.
func (s *system) await(b *testing.B, name string, calls int64) *jobsv1.Job {
	b.Helper()
	j, err := s.watched.WaitJob(b.Context(), &jobsv1.WaitJobRequest{Name: name, Timeout: durationpb.New(time.Minute)})
	if err != nil || j.GetState() != jobsv1.Job_SUCCEEDED || j.GetLedger().GetCallsCompleted() != calls {
		b.Errorf("%s: %v %s %s after %d calls", name, err, j.GetState(), j.GetStateReason(), j.GetLedger().GetCallsCompleted())
	}
	return j
}

// BenchmarkCouncilOverhead runs one deliberation at a time against models of a known latency. The bare time is that of the
// same calls, with the same prompts and as parallel, made right after it without council, journal and log. Reported are
// medians: the job from its start to its end over the bare time and over the script's latency, the difference to the
// bare time, and the wait in the queue before the start, which is part of neither.
func BenchmarkCouncilOverhead(b *testing.B) {
	for _, c := range []struct {
		members int
		latency time.Duration
	}{{3, 200 * time.Millisecond}, {5, 200 * time.Millisecond}, {5, 700 * time.Millisecond}} {
		b.Run(fmt.Sprintf("members=%d/latency=%s", c.members, c.latency), func(b *testing.B) { overhead(b, c.members, c.latency) })
	}
}

func overhead(b *testing.B, members int, latency time.Duration) {
	r := &recorder{calls: map[string][]recordedCall{}}
	s := setup(b, params{
		script: fmt.Sprintf("timing: {first_token: %s, latency: %s}\n", latency/4, latency), wrap: r.wrap,
	})
	calls := int64(2*members + 1)
	s.deliberate(b, question(members), calls) // the first one compiles statements
	r.replay(b)
	var job, bare, queue []time.Duration
	for b.Loop() {
		j := s.deliberate(b, question(members), calls)
		job = append(job, j.GetEndTime().AsTime().Sub(j.GetStartTime().AsTime()))
		queue = append(queue, j.GetStartTime().AsTime().Sub(j.GetCreateTime().AsTime()))
		bare = append(bare, r.replay(b))
	}
	wall, own := percentile(job, 0.5), percentile(bare, 0.5)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(wall.Seconds()/own.Seconds(), "job/bare")
	b.ReportMetric(wall.Seconds()/(3*latency).Seconds(), "job/script")
	b.ReportMetric(milliseconds(wall-own), "overhead-ms")
	b.ReportMetric(milliseconds(percentile(queue, 0.5)), "queue-ms")
}

// BenchmarkCouncilJobs runs whole deliberations of five members, each recused from its own answer, and a chairman: eleven
// calls that answer at once, every commit on the disk, 32 jobs at a time. As clients: 32 callers that each wait for the
// end of one before they create the next. As backlog: all are created first and wait in the queue. Bare: 32 callers that
// make the eleven calls of a job with the same prompts, without a council, and keep nothing. The processor time includes that of the callers and of the simulated models, and says more than the rate where other work runs beside.
func BenchmarkCouncilJobs(b *testing.B) {
	b.Run("clients", func(b *testing.B) {
		jobRate(b, params{}, func(s *system) {
			atOnce(b, func() { s.deliberate(b, question(5), 11) })
		})
	})
	b.Run("backlog", func(b *testing.B) {
		jobRate(b, params{}, func(s *system) {
			names := make(chan string, b.N)
			atOnce(b, func() { names <- s.create(b, question(5)) })
			close(names)
			for name := range names {
				s.await(b, name, 11)
			}
		})
	})
	b.Run("bare", func(b *testing.B) {
		r := &recorder{calls: map[string][]recordedCall{}}
		jobRate(b, params{wrap: r.wrap}, func(*system) {
			atOnce(b, func() { r.play(b) })
		})
	})
}

// BenchmarkCouncilJobsOnPostgres is that with 32 callers, in one process of a cluster and on a Postgres of its own, every
// commit on the disk. The processor time of the server's processes is reported beside that of the process.
func BenchmarkCouncilJobsOnPostgres(b *testing.B) {
	server := testserver.StartPostgres(b, "fsync=on")
	var before time.Duration
	jobRate(b, params{postgres: server.URL}, func(s *system) {
		before = familyTime(b, server.PID())
		atOnce(b, func() { s.deliberate(b, question(5), 11) })
	})
	b.ReportMetric(milliseconds(familyTime(b, server.PID())-before)/float64(b.N), "server-cpu-ms/job")
}

// familyTime is the processor time that a process and its living children have taken.
func familyTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	require.NoError(b, err)
	family := place{processes: []int{pid}}
	for child := range strings.FieldsSeq(string(raw)) {
		n, err := strconv.Atoi(child)
		require.NoError(b, err)
		family.processes = append(family.processes, n)
	}
	return family.worked(b)
}

// jobRate reports how many of the b.N jobs that run takes to their end there are in a second, and what one costs.
func jobRate(b *testing.B, p params, run func(s *system)) {
	b.Helper()
	s := setup(b, p)
	s.deliberate(b, question(5), 11) // compiles statements
	before := cpuTime(b)
	b.ResetTimer()
	run(s)
	b.StopTimer()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
	b.ReportMetric(milliseconds(cpuTime(b)-before)/float64(b.N), "cpu-ms/job")
}

// atOnce does fn b.N times, 32 at a time.
func atOnce(b *testing.B, fn func()) {
	b.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done.Add(1) <= int64(b.N) && !b.Failed() {
				fn()
			}
		})
	}
	wg.Wait()
}
