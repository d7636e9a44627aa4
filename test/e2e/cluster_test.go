package e2e_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

const (
	// pickUp is the longest that a job may lie after its worker was killed.
	pickUp = 10 * time.Second
	// handOver is the longest that a job may lie after its worker was stopped.
	handOver = 2 * time.Second
	// frozenFor is longer than the silence after which a worker counts as dead (6 s) and than the sweep behind it.
	frozenFor = 9 * time.Second
)

// clustered is a cluster on a Postgres and a Redis of its own, seen like one server.
type clustered struct {
	*node
	*cluster.Cluster

	postgres *testserver.Server
	redis    *testserver.Server
	db       *pgxpool.Pool
}

// startCluster starts one with so many workers a queue.
func (w *world) startCluster(workers int) *clustered {
	w.t.Helper()
	postgres := testserver.StartPostgres(w.t)
	c := w.joinCluster(cluster.Params{
		Binary: process.Binary(w.t), Folder: w.Dir, Database: postgres.URL, Redis: testserver.StartRedis(w.t).URL,
		Config: readFile(w.t, w.Config), Workers: workers,
	})
	c.postgres = postgres
	return c
}

// joinCluster starts a cluster on servers that are there.
func (w *world) joinCluster(p cluster.Params) *clustered {
	w.t.Helper()
	t := w.t
	started, err := cluster.Start(t.Context(), p)
	require.NoError(t, err)
	c := &clustered{Cluster: started}
	t.Cleanup(func() {
		require.NoError(t, started.Kill())
		if t.Failed() {
			t.Log(started.Output())
		}
	})
	c.db, err = pgxpool.New(t.Context(), p.Database)
	require.NoError(t, err)
	t.Cleanup(c.db.Close)
	peers := map[string]grpc.ClientConnInterface{}
	for _, service := range []string{"jobs", "council", "review"} {
		conn, err := grpc.NewClient(started.Address(service), grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithPerRPCCredentials(rpc.Bearer(secret.New(started.Token()))))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		peers[service] = conn
	}
	all := rpc.NewRouter(peers)
	c.node = &node{
		world: w, HTTP: started.HTTP(), token: started.Token(), Jobs: jobsv1.NewJobServiceClient(all),
		Council: councilv1.NewCouncilServiceClient(all), Reviews: reviewv1.NewReviewServiceClient(all),
	}
	return c
}

// runner is the worker process that runs a job at the moment.
func (c *clustered) runner(queue, job string) *cluster.Process {
	c.t.Helper()
	var executor string
	require.NoError(c.t, c.db.QueryRow(bounded(c.t), `SELECT executor_id FROM dbos.workflow_status WHERE workflow_uuid = $1 AND status = 'PENDING'`,
		strings.TrimPrefix(job, "jobs/")).Scan(&executor))
	for _, worker := range c.Workers(queue) {
		if strings.Contains(executor, "-"+strconv.Itoa(worker.PID())+"-") {
			return worker
		}
	}
	require.FailNow(c.t, "no worker runs the job", "%s: %s", job, executor)
	return nil
}

// watched is what viewers of a job have received: one that was there throughout, and one that was cut again and again.
type watched struct {
	throughout []*jobsv1.JobEvent
	cut        []string
	done       chan struct{}
	err        error
}

// watch attaches both viewers.
func (c *clustered) watch(job string) *watched {
	c.t.Helper()
	seen := &watched{done: make(chan struct{})}
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*patience)
	start := int64(0)
	stream, err := c.Jobs.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: job, AfterSeq: &start})
	require.NoError(c.t, err)
	attached := make(chan error, 1)
	go func() {
		for {
			e, err := stream.Recv()
			if err != nil {
				attached <- err
				return
			}
			if e.GetSeq() == 0 {
				continue
			}
			seen.throughout = append(seen.throughout, e)
			if e.GetFinal() {
				attached <- nil
				return
			}
		}
	}()
	go func() {
		defer close(seen.done)
		defer cancel()
		seen.cut = c.followCut(ctx, job)
		seen.err = <-attached
	}()
	return seen
}

// followCut follows a job by server-sent events to its end, and goes away after every few of them. Where it finds the
// server unable to answer, it asks again after a moment, as browsers do.
func (c *clustered) followCut(ctx context.Context, job string) []string {
	var all []string
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for last, n := "", 0; ; n++ {
		events, next, _ := readSSE(c.t, c.node, job, last, 2+n%3)
		all, last = append(all, events...), next
		if len(all) > 0 && strings.Contains(all[len(all)-1], `"final":true`) {
			return all
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return all
		}
	}
}

// requireExact requires that both viewers hold the log.
func (c *clustered) requireExact(job string, seen *watched) {
	c.t.Helper()
	select {
	case <-seen.done:
	case <-time.After(2 * patience):
		require.FailNow(c.t, "the viewers do not come to the end of the log")
	}
	require.NoError(c.t, seen.err)
	log := c.events(job)
	requireDense(c.t, log)
	require.Len(c.t, seen.throughout, len(log))
	for i, e := range log {
		require.True(c.t, proto.Equal(e, seen.throughout[i]), "event %d", i+1)
	}
	require.Equal(c.t, c.pages(job), seen.cut)
	epoch := int32(0)
	for _, e := range log {
		require.GreaterOrEqual(c.t, e.GetEpoch(), epoch, "event %d was written by an execution that had lost the job", e.GetSeq())
		epoch = e.GetEpoch()
	}
}

// blow is something that happens to the worker of a job, or to the database below it.
type blow struct {
	name string
	// strike happens in the middle of a job of the queue.
	strike func(c *clustered, queue, job string)
	// takenOver: another execution must follow.
	takenOver bool
}

func blows() []blow {
	return []blow{
		{name: "killed", takenOver: true, strike: func(c *clustered, queue, job string) {
			worker := c.runner(queue, job)
			require.NoError(c.t, worker.Kill())
			at := time.Now()
			c.until(job, nth(2, "job.state_changed"))
			c.until(job, func(e *jobsv1.JobEvent) bool { return e.GetEpoch() > 1 })
			c.t.Logf("%s: picked up %s after the kill", queue, time.Since(at).Round(time.Millisecond))
			require.Less(c.t, time.Since(at), pickUp)
			require.NoError(c.t, c.Restart(c.t.Context(), worker.Name))
		}},
		{name: "frozen", takenOver: true, strike: func(c *clustered, queue, job string) {
			worker := c.runner(queue, job)
			require.NoError(c.t, worker.Signal(syscall.SIGSTOP))
			thaw := time.After(frozenFor)
			c.until(job, func(e *jobsv1.JobEvent) bool { return e.GetEpoch() > 1 })
			<-thaw
			require.NoError(c.t, worker.Signal(syscall.SIGCONT))
		}},
		{name: "stopped", takenOver: true, strike: func(c *clustered, queue, job string) {
			worker := c.runner(queue, job)
			require.NoError(c.t, worker.Stop(c.t.Context()))
			at := time.Now()
			c.until(job, func(e *jobsv1.JobEvent) bool { return e.GetEpoch() > 1 })
			c.t.Logf("%s: went on %s after its worker had handed it over", queue, time.Since(at).Round(time.Millisecond))
			require.Less(c.t, time.Since(at), handOver)
			require.Zero(c.t, c.job(job).GetLedger().GetCallsRepaid(), "the stopped worker waited for its calls")
			require.NoError(c.t, c.Restart(c.t.Context(), worker.Name))
		}},
		{name: "without its database", strike: func(c *clustered, _, _ string) {
			require.NoError(c.t, c.postgres.Kill())
			require.NoError(c.t, c.postgres.Start(c.t.Context()))
		}},
	}
}

// TestG10_ClusterFinishesWhatABlowInterrupts strikes the worker of a deliberation, of a review, and of a review's council,
// in their middle: the job ends once, with the result that it would have had, without paying an answer twice.
func TestG10_ClusterFinishesWhatABlowInterrupts(t *testing.T) {
	t.Parallel()
	c := newWorld(t, slowDispute()).startCluster(2)
	for _, b := range blows() {
		c.strikeDeliberation(t, b)
		c.strikeReview(t, b)
	}
	require.NoError(t, c.Stop(t.Context()))
}

// slowDispute is disputed with answers that take long enough for a worker to be struck in their middle.
func slowDispute() string {
	return "timing: {first_token: 100ms, latency: 900ms, chunk_bytes: 64}\n" + strings.SplitN(disputed, "\n", 3)[2]
}

func (c *clustered) strikeDeliberation(t *testing.T, b blow) {
	t.Helper()
	first := len(c.log())
	d := c.ask(question(fmt.Sprintf("What becomes of a worker that is %s?", b.name)))
	viewers := c.watch(d.GetJob())
	seen := c.until(d.GetJob(), nth(2, "council.member_started"))
	b.strike(c, "council", d.GetJob())
	ended := c.wait(d.GetJob())
	require.Equal(t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%s: %s %v", b.name, ended.GetStateReason(), ended.GetError())
	c.requireExact(d.GetJob(), viewers)
	c.requireResumed(d.GetJob(), seen, c.log()[first:])
	require.Equal(t, b.takenOver, ended.GetEpoch() > 1, "%s: epoch %d", b.name, ended.GetEpoch())
	whole, err := c.Council.GetDeliberation(bounded(t), &councilv1.GetDeliberationRequest{Name: d.GetName(), View: councilv1.Deliberation_FULL})
	require.NoError(t, err)
	requireWholeAnswer(t, whole.GetResult())
}

func (c *clustered) strikeReview(t *testing.T, b blow) {
	t.Helper()
	first := len(c.log())
	made := c.reviewDiff()
	viewers := c.watch(made.GetJob())
	council := child(c.until(made.GetJob(), nth(1, "review.deliberation_started")))
	b.strike(c, "review", made.GetJob())
	ended := c.wait(made.GetJob())
	require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, ended.GetState(), "%s: %s %v", b.name, ended.GetStateReason(), ended.GetError())
	c.requireExact(made.GetJob(), viewers)
	require.Equal(t, council, child(c.events(made.GetJob())), "the review went on with its own council")
	c.requireResumed(council, nil, c.log()[first:])
	full, err := c.Reviews.GetReview(bounded(t), &reviewv1.GetReviewRequest{Name: made.GetName(), View: reviewv1.Review_FULL})
	require.NoError(t, err)
	require.Len(t, full.GetFindings(), 2)
}

// TestG12_ClusterCancelsCallsInOtherProcesses cancels a deliberation, and a review whose council sits, through processes
// that run neither.
func TestG12_ClusterCancelsCallsInOtherProcesses(t *testing.T) {
	t.Parallel()
	c := newWorld(t, "timing: {first_token: 10ms, latency: 2m, chunk_bytes: 8}\n").startCluster(1)
	d := c.ask(question("Will you ever answer?"))
	c.until(d.GetJob(), nth(3, "council.member_started"))
	c.cancel(d.GetJob())
	made := c.reviewDiff()
	council := child(c.until(made.GetJob(), nth(1, "review.deliberation_started")))
	c.until(council, nth(3, "council.member_started"))
	c.cancel(made.GetJob())
	require.Equal(t, jobsv1.Job_CANCELLED, c.wait(council).GetState(), "what the review had started is cancelled with it")
	requireDense(t, c.events(council))
}

// cancel cancels a job and requires that it ends within the second that is promised, once. What it takes is in the output.
func (c *clustered) cancel(job string) {
	c.t.Helper()
	at := time.Now()
	_, err := c.Jobs.CancelJob(bounded(c.t), &jobsv1.CancelJobRequest{Name: job})
	require.NoError(c.t, err)
	ended := c.wait(job)
	took := ended.GetEndTime().AsTime().Sub(at)
	c.t.Logf("%s ended %s after its cancellation", job, took.Round(time.Millisecond))
	require.Equal(c.t, jobsv1.Job_CANCELLED, ended.GetState())
	require.Less(c.t, took, time.Second)
	requireDense(c.t, c.events(job))
}
