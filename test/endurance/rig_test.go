package endurance_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"witan.dev/client"
	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/llm/simulator"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
	"witan.dev/tools/lastruns"
)

const (
	// callTimeout bounds one call, after which it is repeated.
	callTimeout = 20 * time.Second
	// again is the pause before something is tried once more.
	again = 200 * time.Millisecond
	// workers is how many worker processes there are, each for all queues.
	workers = 3
)

// script has the members answer in about a second. Of the change that all reviews are about, ada finds that its loop reads past
// the end, which ben confirms and cyd rejects, and ben a word, which nobody confirms.
const script = `
timing: {first_token: 100ms, latency: 900ms, chunk_bytes: 64}
rules:
  - when: {model: ada, stage: propose}
    then:
      json:
        findings:
          - {path: store/store.go, code: "for i := 0; i <= len(items); i++ {", start_line: 6, end_line: 6, side: RIGHT, category: CORRECTNESS, severity: HIGH,
             claim: "The loop reads one element past the end", reason: "i reaches len(items), so items[i] panics.", suggestion: "", confidence: 0.9}
  - when: {model: ben, stage: propose}
    then:
      json:
        findings:
          - {path: store/store.go, code: "total := 0", start_line: 5, end_line: 5, side: RIGHT, category: MAINTAINABILITY, severity: LOW,
             claim: "The name total hides what is summed", reason: "sum would say more.", suggestion: "", confidence: 0.3}
  - {when: {model: cyd, stage: propose}, then: {json: {findings: []}}}
  - when: {model: cyd, stage: cross_examine}
    then:
      labels:
        - {match: "past the end", set: {vote: REJECTED, severity: LOW, reason: "The callers never pass items.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "Hard to say.", duplicate_of: ""}}
  - when: {stage: cross_examine}
    then:
      labels:
        - {match: "past the end", set: {vote: CONFIRMED, severity: HIGH, reason: "Visible in the change.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "A matter of taste.", duplicate_of: ""}}
`

// rig is a cluster, and everything that it works with.
type rig struct {
	testing.TB
	*cluster.Cluster

	postgres, redis *testserver.Server
	forge           *githubtest.Server
	app             githubtest.App
	repos           []*githubtest.Repository
	db              *pgxpool.Pool
	calls           string // path of the log of the simulated models
	stamp           string // date, commit and machine, for the report

	follow     *client.Client
	jobs       jobsv1.JobServiceClient
	council    councilv1.CouncilServiceClient
	reviews    reviewv1.ReviewServiceClient
	deliveries ingestv1.IngestServiceClient
}

// start starts it. more is YAML beside what is configured here.
func start(t testing.TB, more string) *rig {
	t.Helper()
	r := &rig{TB: t, postgres: testserver.StartPostgres(t, "fsync=on"), redis: testserver.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")}
	dir := t.TempDir()
	var err error
	if os.Getenv(reportVariable) != "" {
		r.stamp, err = lastruns.Stamp(t.Context())
		require.NoError(t, err)
	}
	models := r.models(dir)
	r.github(dir)
	r.Cluster, err = cluster.Start(t.Context(), cluster.Params{
		Binary: process.Plain(t), Folder: dir, Database: r.postgres.URL, Redis: r.redis.URL, Qdrant: r.index(), Observed: true,
		Config: fmt.Sprintf(`models:
  - {name: ada, provider: openai, base_url: %[1]q, json_schema: true}
  - {name: ben, provider: openai, base_url: %[1]q, json_schema: true}
  - {name: cyd, provider: openai, base_url: %[1]q, json_schema: true}
  - {name: chair, provider: openai, base_url: %[1]q, json_schema: true}
councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}
github: {base_url: %[2]q, app_id: %[3]d, private_key_file: app.pem, write_pace: 1ms}
reviews: {debounce: 50ms}
%[4]s`, models, r.forge.URL, r.app.ID, more),
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, r.Kill())
		if t.Failed() && os.Getenv(reportVariable) == "" {
			t.Log(r.Cluster.Output())
		}
	})
	for n := range workers {
		require.NoError(t, r.LaunchWorker(t.Context(), fmt.Sprintf("worker-%d", n+1), "intake,review,council,index"))
	}
	r.forge.SetWebhook(githubtest.Webhook{URL: r.Webhooks() + "/webhooks/github", Secret: r.WebhookSecret(), Hold: true})
	r.connect()
	return r
}

// models starts the simulated models and returns their base URL.
func (r *rig) models(dir string) string {
	parsed, err := simulated.ParseScript([]byte(script))
	require.NoError(r.TB, err)
	r.calls = filepath.Join(dir, "calls.jsonl")
	file, err := os.Create(r.calls)
	require.NoError(r.TB, err)
	models := simulator.New(simulator.Params{Addr: "127.0.0.1:0", Script: parsed, CallLog: file})
	require.NoError(r.TB, models.Start(r.Context()))
	r.Cleanup(func() {
		require.NoError(r.TB, models.Stop(context.WithoutCancel(r.Context())))
		require.NoError(r.TB, file.Close())
	})
	return models.URL()
}

// github starts the simulated GitHub.
func (r *rig) github(dir string) {
	r.forge = githubtest.New(r.TB, githubtest.Options{})
	r.forge.SetWebhook(githubtest.Webhook{URL: "http://127.0.0.1:9/", Secret: "changed as soon as there is somebody to tell", Hold: true})
	for n := range 4 {
		repo, err := r.forge.AddRepository(r.Context(), githubtest.RepositorySpec{
			Owner: "acme", Name: fmt.Sprint("shop", n), Organization: true,
			Files: map[string]string{"go.mod": "module example.com/shop\n\ngo 1.26\n", "store/store.go": storeBefore},
		})
		require.NoError(r.TB, err)
		r.repos = append(r.repos, repo)
	}
	var err error
	r.app, err = r.forge.App()
	require.NoError(r.TB, err)
	require.NoError(r.TB, os.WriteFile(filepath.Join(dir, "app.pem"), r.app.PrivateKey, 0o600))
}

// index starts what stands in for Qdrant.
func (r *rig) index() string {
	listener, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	require.NoError(r.TB, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(r.Context()))
	ended := make(chan error, 1)
	go func() { ended <- qdranttest.New(nil).Serve(ctx, listener) }()
	r.Cleanup(func() {
		stop()
		require.NoError(r.TB, <-ended)
	})
	return "http://" + listener.Addr().String()
}

// connect makes the clients.
func (r *rig) connect() {
	dial := func(service string) *grpc.ClientConn {
		conn, err := grpc.NewClient(r.Address(service), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: again, Multiplier: 1.5, MaxDelay: time.Second}, MinConnectTimeout: 2 * time.Second,
		}), grpc.WithPerRPCCredentials(rpc.Bearer(secret.New(r.Token()))))
		require.NoError(r.TB, err)
		r.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	jobs := dial("jobs")
	r.follow = client.New(jobs, client.Config{AwayLimit: -1})
	r.jobs, r.council = jobsv1.NewJobServiceClient(jobs), councilv1.NewCouncilServiceClient(dial("council"))
	r.reviews, r.deliveries = reviewv1.NewReviewServiceClient(dial("review")), ingestv1.NewIngestServiceClient(dial("ingest"))
	var err error
	r.db, err = pgxpool.New(r.Context(), r.postgres.URL)
	require.NoError(r.TB, err)
	r.Cleanup(r.db.Close)
}

// ask calls until it is answered. Nothing but that a server is away or does not answer in time is a reason to ask again.
func ask[T any](ctx context.Context, call func(ctx context.Context) (T, error)) (T, error) {
	for {
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		answer, err := call(bounded)
		cancel()
		code := status.Code(err)
		if code != codes.Unavailable && code != codes.DeadlineExceeded || ctx.Err() != nil {
			return answer, err
		}
		if err := pause(ctx, again); err != nil {
			return answer, err
		}
	}
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
