package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
	"witan.dev/internal/blob"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/config"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/datadir"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	gatewayserver "witan.dev/services/gateway/server"
	ingestserver "witan.dev/services/ingest/server"
	jobsserver "witan.dev/services/jobs/server"
)

// systemParams says what to start.
type systemParams struct {
	Config  config.Config
	Environ []string
	Logger  *slog.Logger
	// NoWorkers leaves jobs alone.
	NoWorkers bool
}

// system is a whole embedded Witan in this process.
type system struct {
	// conn reaches every service with the folder's token, through the same interceptors as any caller.
	conn               grpc.ClientConnInterface
	grpcAddr, httpAddr string

	rpc     *rpc.Server
	gateway *gatewayserver.Server // nil where there is no HTTP address
	stack   lifecycle.Stack
}

// startSystem takes the data folder and starts everything on it, in the order of who needs whom. Nothing is left running
// or held when it returns an error.
func startSystem(ctx context.Context, p systemParams) (*system, error) {
	s := &system{}
	if err := s.start(ctx, p); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *system) start(ctx context.Context, p systemParams) error {
	dir, err := datadir.Hold(p.Config.Data)
	if err != nil {
		return err
	}
	s.stack.Defer("data folder", func(context.Context) error { return dir.Release() })
	db, err := sqlite.Open(ctx, dir.Database(), p.Logger)
	if err != nil {
		return err
	}
	s.stack.Defer("database", func(context.Context) error { return db.Close() })
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	engine, err := dbos.NewSQLite(ctx, db, p.Logger)
	if err != nil {
		return err
	}
	bus := inprocess.New()
	store := jobsqlite.New(db, nil)
	jobs := job.NewManager(store, engine, bus, p.Logger, job.Config{})
	hub := watch.NewHub(store, bus, nil, p.Logger)
	if err := s.stack.Start(ctx, "log readers", hub); err != nil {
		return err
	}
	blobs := blobsqlite.New(db, nil)
	if err := s.stack.Start(ctx, "blob collector", blob.NewCollector(blobs, nil, nil, p.Logger)); err != nil {
		return err
	}
	access, err := newAccess(p.Config.Auth, dir.Token(), p.Logger)
	if err != nil {
		return err
	}
	s.rpc, err = rpc.NewServer(
		rpc.Config{Addr: p.Config.GRPCAddr, Reflection: p.Config.Reflection, MaxReceive: p.Config.MaxBody, MaxSend: maxMessage},
		rpc.Deps{Logger: p.Logger, Metrics: registry, Auth: access.callers},
	)
	if err != nil {
		return err
	}
	conn, err := s.rpc.InProcess(dir.Token())
	if err != nil {
		return err
	}
	s.conn = conn
	s.stack.Defer("connection", func(context.Context) error { return conn.Close() })
	err = s.register(ctx, p.NoWorkers, parts{
		config: p.Config, environ: p.Environ, logger: p.Logger, dir: dir, db: db, blobs: blobs, jobs: jobs,
		hub: hub, conn: conn, metrics: registry, stack: &s.stack,
	})
	if err != nil {
		return err
	}
	if err := s.listen(ctx, p, registry); err != nil {
		return err
	}
	if err := s.stack.Start(ctx, "jobs", draining{jobs, p.Config.Drain}); err != nil {
		return err
	}
	return dir.Announce(s.grpcAddr)
}

// register adds every service to the server and every body to the engine.
func (s *system) register(ctx context.Context, noWorkers bool, p parts) error {
	takeCustody(p)
	council, err := newCouncil(ctx, p)
	if err != nil {
		return err
	}
	leaks, err := newSecrets(p)
	if err != nil {
		return err
	}
	review, err := newReview(ctx, p, leaks)
	if err != nil {
		return err
	}
	retrieval := newRetrieval(p, leaks)
	if !noWorkers {
		p.jobs.Handle(job.KindIndex, p.config.Workers.Index, retrieval.body)
		p.jobs.Handle(job.KindCouncil, p.config.Workers.Council, council.body)
		p.jobs.Handle(job.KindReview, p.config.Workers.Review, review.body)
	}
	services := []service{
		newParser(p.stack, p.logger), retrieval, council, review,
		{register: jobsserver.New(p.jobs, p.hub, jobsserver.Config{}, p.logger).Register},
		{register: func(r grpc.ServiceRegistrar) { ingestv1.RegisterIngestServiceServer(r, ingestserver.New()) }},
	}
	for _, service := range services {
		if err := s.rpc.Register(service.register); err != nil {
			return err
		}
	}
	return nil
}

// listen opens the gRPC address and, where there is one, the HTTP address.
func (s *system) listen(ctx context.Context, p systemParams, registry *prometheus.Registry) error {
	if err := s.stack.Start(ctx, "gRPC", s.rpc); err != nil {
		return err
	}
	s.grpcAddr = s.rpc.Addr().String()
	if p.Config.HTTPAddr == "" {
		return nil
	}
	anonymous, err := s.rpc.InProcess(secret.Text{})
	if err != nil {
		return err
	}
	s.stack.Defer("gateway's connection", func(context.Context) error { return anonymous.Close() })
	s.gateway, err = gatewayserver.New(
		gatewayserver.Config{Addr: p.Config.HTTPAddr, MaxBody: int64(p.Config.MaxBody)},
		gatewayserver.Deps{Conn: anonymous, Logger: p.Logger, Metrics: registry},
	)
	if err != nil {
		return err
	}
	if err := s.stack.Start(ctx, "HTTP", s.gateway); err != nil {
		return err
	}
	s.httpAddr = s.gateway.Addr().String()
	return nil
}

// stop ends what start began, in reverse order: first nothing new is taken and viewers are sent away with a position to
// resume from, then running steps get their time, then servers and files are closed.
func (s *system) stop(ctx context.Context) error {
	if s.gateway != nil {
		s.gateway.Drain()
	}
	if s.rpc != nil {
		s.rpc.Drain()
	}
	return s.stack.Close(ctx)
}
