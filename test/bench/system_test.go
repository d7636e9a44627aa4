// Package bench_test measures the system as `witan serve` wires it: one SQLite file with full sync, the real job engine,
// every call through the in-memory connection with all interceptors, simulated models in this process. `make bench` runs
// it; docs/performance.md has the figures of one machine.
package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	blobpostgres "witan.dev/internal/blob/postgres"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
	jobpostgres "witan.dev/internal/job/postgres"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/llm"
	"witan.dev/internal/llm/metrics"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/council"
	councilblobs "witan.dev/services/council/blobs"
	councilserver "witan.dev/services/council/server"
	councilpostgres "witan.dev/services/council/store/postgres"
	councilsqlite "witan.dev/services/council/store/sqlite"
	councilworker "witan.dev/services/council/worker"
	gatewayserver "witan.dev/services/gateway/server"
	jobsserver "witan.dev/services/jobs/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	folderToken = "0123456789abcdef0123456789abcdef"
	owner       = "local"
	// workers is how many council jobs run at once, as the configuration has it without a file.
	workers = 32
)

// params are what a system is made of.
type params struct {
	// script is the simulated models' script (YAML).
	script string
	// wrap stands around each model; nil: nothing does.
	wrap func(llm.Model) llm.Model
	// body runs jobs of kind delivery, as many at once as bodies says; nil: there are none.
	body   job.Body
	bodies int
	// bus carries the hints; nil: the one within the process.
	bus bus.Bus
	// http serves REST and SSE too, on loopback.
	http bool
	// postgres keeps everything there, as one process of a cluster does; "": in a SQLite file.
	postgres string
}

// system is the council and the jobs of an embedded Witan.
type system struct {
	council councilv1.CouncilServiceClient
	watched jobsv1.JobServiceClient

	db   *sqlite.DB // nil on Postgres
	jobs *job.Manager
	hub  *watch.Hub
	url  string // of the gateway, where there is one
}

// setup starts a system that works until the benchmark ends.
func setup(b *testing.B, p params) *system {
	b.Helper()
	var stack lifecycle.Stack
	b.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.WithoutCancel(b.Context()), 30*time.Second)
		defer stop()
		require.NoError(b, stack.Close(ctx))
	})
	if p.bus == nil {
		p.bus = inprocess.New()
	}
	logger := slog.New(slog.DiscardHandler)
	open := onSQLite
	if p.postgres != "" {
		open = onPostgres
	}
	kept := open(b, &stack, p, logger)
	s := &system{db: kept.db, jobs: job.NewManager(kept.jobs, kept.engine, p.bus, logger, job.Config{}), hub: watch.NewHub(kept.jobs, p.bus, nil, logger)}
	require.NoError(b, stack.Start(b.Context(), "log readers", s.hub))
	registry := prometheus.NewRegistry()
	server, err := rpc.NewServer(rpc.Config{}, rpc.Deps{Logger: logger, Metrics: registry, Auth: auth.NewFolder(secret.New(folderToken))})
	require.NoError(b, err)
	s.register(b, server, logger, newModels(b, p, registry), kept)
	require.NoError(b, stack.Start(b.Context(), "gRPC", server))
	conn, err := server.InProcess(secret.New(folderToken))
	require.NoError(b, err)
	stack.Defer("connection", func(context.Context) error { return conn.Close() })
	if p.http {
		s.serveHTTP(b, &stack, server, logger, registry)
	}
	s.council, s.watched = councilv1.NewCouncilServiceClient(conn), jobsv1.NewJobServiceClient(conn)
	if p.body != nil {
		s.jobs.Handle(job.KindDelivery, p.bodies, p.body)
	}
	require.NoError(b, stack.Start(b.Context(), "jobs", s.jobs))
	return s
}

// stores are where a system keeps what it has.
type stores struct {
	db       *sqlite.DB
	jobs     job.Store
	engine   engine.Engine
	councils interface {
		council.Store
		councilworker.Store
	}
	blobs blob.Store
}

// onSQLite opens them in a file, as an embedded Witan does.
func onSQLite(b *testing.B, stack *lifecycle.Stack, _ params, logger *slog.Logger) stores {
	b.Helper()
	db, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "witan.db"), logger)
	require.NoError(b, err)
	stack.Defer("database", func(context.Context) error { return db.Close() })
	e, err := dbos.NewSQLite(b.Context(), db, logger)
	require.NoError(b, err)
	return stores{db: db, jobs: jobsqlite.New(db, nil), engine: e, councils: councilsqlite.New(db), blobs: blobsqlite.New(db, nil)}
}

// onPostgres opens them in an empty database, as a process of a cluster does.
func onPostgres(b *testing.B, stack *lifecycle.Stack, p params, logger *slog.Logger) stores {
	b.Helper()
	url := secret.New(p.postgres)
	_, err := postgres.Migrate(b.Context(), url)
	require.NoError(b, err)
	require.NoError(b, dbos.MigratePostgres(b.Context(), url))
	db, err := postgres.Open(b.Context(), postgres.Params{URL: url, Logger: logger})
	require.NoError(b, err)
	stack.Defer("database", func(context.Context) error { db.Close(); return nil })
	e, err := dbos.NewPostgres(b.Context(), dbos.Params{URL: url, Logger: logger})
	require.NoError(b, err)
	return stores{jobs: jobpostgres.New(db, nil, e.Identity), engine: e, councils: councilpostgres.New(db), blobs: blobpostgres.New(db, nil)}
}

// serveHTTP starts the gateway before the server.
func (s *system) serveHTTP(b *testing.B, stack *lifecycle.Stack, server *rpc.Server, logger *slog.Logger, registry *prometheus.Registry) {
	b.Helper()
	callers, err := server.InProcess(secret.Text{})
	require.NoError(b, err)
	stack.Defer("callers' connection", func(context.Context) error { return callers.Close() })
	gateway, err := gatewayserver.New(gatewayserver.Config{Addr: "127.0.0.1:0"}, gatewayserver.Deps{Conn: callers, Logger: logger, Metrics: registry})
	require.NoError(b, err)
	require.NoError(b, stack.Start(b.Context(), "HTTP", gateway))
	s.url = "http://" + gateway.Addr().String()
}

// register adds the council and the jobs to the server, and the council's body to the engine.
func (s *system) register(b *testing.B, server *rpc.Server, logger *slog.Logger, models *llm.Registry, kept stores) {
	b.Helper()
	blobs := councilblobs.New(kept.blobs)
	manager, err := council.NewManager(council.Params{Store: kept.councils, Jobs: s.jobs, Models: models, Blobs: blobs})
	require.NoError(b, err)
	worker := councilworker.New(councilworker.Params{Store: kept.councils, Models: models, Blobs: blobs, Logger: logger})
	s.jobs.Handle(job.KindCouncil, workers, worker.Body)
	for _, add := range []func(grpc.ServiceRegistrar){
		councilserver.New(manager).Register, jobsserver.New(jobsserver.Params{Jobs: s.jobs, Watcher: s.hub}).Register,
	} {
		require.NoError(b, server.Register(add))
	}
}

// newModels makes the members m1 to m5 and the chairman, all with one script.
func newModels(b *testing.B, p params, registry prometheus.Registerer) *llm.Registry {
	b.Helper()
	script := filepath.Join(b.TempDir(), "script.yaml")
	require.NoError(b, os.WriteFile(script, []byte(p.script), 0o600))
	configs := []llm.Config{{Name: "chair", Provider: "simulated", Script: script}}
	for i := range 5 {
		configs = append(configs, llm.Config{Name: fmt.Sprintf("m%d", i+1), Provider: "simulated", Script: script})
	}
	measured, err := metrics.New(registry)
	require.NoError(b, err)
	models, err := llm.NewRegistry(llm.RegistryParams{
		Configs: configs, Providers: map[string]llm.Provider{"simulated": simulated.NewAdapter().Model},
		Wrap: func(m llm.Model) llm.Model {
			m = measured.Wrap(m)
			if p.wrap != nil {
				m = p.wrap(m)
			}
			return m
		},
	})
	require.NoError(b, err)
	return models
}

// percentile is the smallest of sorted times that at least share of them do not exceed.
func percentile(times []time.Duration, share float64) time.Duration {
	slices.Sort(times)
	return times[min(len(times)-1, int(share*float64(len(times))))]
}

// milliseconds is d in the unit of the reports.
func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// cpuTime is the processor time that this process has taken, with all its threads.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// reportTimes reports the median and the 99th percentile under a name, in milliseconds.
func reportTimes(b *testing.B, name string, times []time.Duration) {
	b.Helper()
	b.ReportMetric(milliseconds(percentile(times, 0.5)), name+"-p50-ms")
	b.ReportMetric(milliseconds(percentile(times, 0.99)), name+"-p99-ms")
}
