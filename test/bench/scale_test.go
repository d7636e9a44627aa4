package bench_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

const (
	// scaleJobs deliberations of three members and a chairman, seven calls each, whose calls take callTime.
	scaleJobs = 200
	// scaleConcurrency is what each worker process runs at once, whatever their number.
	scaleConcurrency = 8
)

// BenchmarkScalingOut runs the same backlog on clusters with one, two and four council workers, as plain processes on one
// machine, on a Postgres whose commits are on the disk and a Redis. What grows is the number of calls that wait at once.
func BenchmarkScalingOut(b *testing.B) {
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for range b.N {
				took := backlog(b, workers)
				b.ReportMetric(scaleJobs/took.Seconds(), "jobs/s")
				b.ReportMetric(took.Seconds(), "s")
			}
		})
	}
}

const scaleConfig = `models:
  - {name: ada, provider: simulated, script: script.yaml}
  - {name: ben, provider: simulated, script: script.yaml}
  - {name: cyd, provider: simulated, script: script.yaml}
councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: ada}}
`

// backlog returns how long a cluster takes from the first to the last job of the backlog.
func backlog(b *testing.B, workers int) time.Duration {
	b.Helper()
	folder := b.TempDir()
	postgres, redis := testserver.StartPostgres(b, "fsync=on"), testserver.StartRedis(b)
	c, err := cluster.Start(b.Context(), cluster.Params{
		Binary: process.Plain(b), Folder: folder, Database: postgres.URL, Redis: redis.URL,
		Config: scaleConfig, Files: map[string]string{"script.yaml": "timing: {latency: 700ms}\n"},
		Workers: workers, Concurrency: scaleConcurrency, Queues: []string{"council"},
	})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, c.Kill()) })
	council := councilv1.NewCouncilServiceClient(connect(b, c, "council"))
	jobs := jobsv1.NewJobServiceClient(connect(b, c, "jobs"))
	start := time.Now()
	names := make([]string, scaleJobs)
	var calls errgroup.Group
	calls.SetLimit(16)
	for i := range names {
		calls.Go(func() error {
			made, err := council.CreateDeliberation(b.Context(), &councilv1.CreateDeliberationRequest{Deliberation: &councilv1.Deliberation{
				Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: fmt.Sprintf("Question %d?", i)}},
			}})
			names[i] = made.GetJob()
			return err
		})
	}
	require.NoError(b, calls.Wait())
	var last time.Time
	for _, name := range names {
		ended := waitFor(b, jobs, name)
		require.Equal(b, jobsv1.Job_SUCCEEDED, ended.GetState())
		if at := ended.GetEndTime().AsTime(); at.After(last) {
			last = at
		}
	}
	return last.Sub(start)
}

func waitFor(b *testing.B, jobs jobsv1.JobServiceClient, name string) *jobsv1.Job {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for {
		j, err := jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: name})
		require.NoError(b, err)
		if j.GetEndTime() != nil {
			return j
		}
	}
}

func connect(b *testing.B, c *cluster.Cluster, service string) *grpc.ClientConn {
	b.Helper()
	conn, err := grpc.NewClient(c.Address(service), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(rpc.Bearer(secret.New(c.Token()))))
	require.NoError(b, err)
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}
