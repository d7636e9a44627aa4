package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"google.golang.org/grpc"

	"witan.dev/internal/blob"
	"witan.dev/internal/config"
	"witan.dev/internal/job"
	jobmetrics "witan.dev/internal/job/metrics"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/observe"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	webhookmetrics "witan.dev/internal/webhook/metrics"
	gatewayserver "witan.dev/services/gateway/server"
	ingestserver "witan.dev/services/ingest/server"
)

// systemParams says what to start.
type systemParams struct {
	Config  config.Config
	Environ []string
	Logger  *slog.Logger
	// Roles is what this process does.
	Roles roles
}

// system is one running process of Witan: all of it, or a part of a cluster.
type system struct {
	// conn reaches every service, through the same interceptors as any caller: those of this process in memory, others
	// over the network.
	conn grpc.ClientConnInterface
	// callers reaches them with what the caller of a call shows, and no credentials of this process.
	callers            grpc.ClientConnInterface
	grpcAddr, httpAddr string
	// webhooksAddr is the port of the ingest service for webhooks alone; empty: there is none.
	webhooksAddr string
	// localAddr is where commands on this machine reach it.
	localAddr string

	network network
	rpc     *rpc.Server
	gateway *gatewayserver.Server // nil where there is no HTTP address
	edge    *ingestserver.Edge    // nil where webhooks have no address of their own
	observe *observe.Server       // nil where there is no address for operators
	// webhooks counts what senders are told; nil where none reach this process.
	webhooks *webhookmetrics.Metrics
	stack    lifecycle.Stack
}

// startSystem starts everything that a process does, in the order of who needs whom. Nothing is left running or held
// when it returns an error.
func startSystem(ctx context.Context, p systemParams) (*system, error) {
	s := &system{}
	if err := s.start(ctx, p); err != nil {
		return nil, errors.Join(err, s.stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

func (s *system) start(ctx context.Context, p systemParams) error {
	if err := p.Roles.check(p.Config); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	b, err := openBackend(ctx, p.Roles, backendParams{config: p.Config, logger: p.Logger, metrics: registry, stack: &s.stack})
	if err != nil {
		return err
	}
	if p.Config.OperationsAddr != "" {
		s.observe = observe.NewServer(p.Config.OperationsAddr, registry, p.Logger)
		if err := s.stack.Start(ctx, "operators' listener", s.observe); err != nil {
			return err
		}
	}
	if err := s.build(b, p, registry); err != nil {
		return err
	}
	if s.webhooks, err = newWebhookMetrics(p.Roles, registry); err != nil {
		return err
	}
	parts := parts{
		backend: b, config: p.Config, environ: p.Environ, logger: p.Logger, roles: p.Roles, conn: s.conn, callers: s.callers, certs: s.network.certs,
		metrics: registry, webhooks: s.webhooks, stack: &s.stack,
	}
	if p.Roles.stateful() {
		if err := parts.startStores(ctx); err != nil {
			return err
		}
	}
	if err := s.register(ctx, parts); err != nil {
		return err
	}
	if err := s.listen(ctx, p, registry); err != nil {
		return err
	}
	if p.Roles.stateful() {
		if err := s.stack.Start(ctx, "jobs", draining{parts.jobs, p.Config.Drain}); err != nil {
			return err
		}
	}
	if err := s.takeDeliveries(ctx, parts); err != nil {
		return err
	}
	if s.observe != nil {
		s.observe.SetReady(true)
	}
	return b.announce(s.localAddr)
}

// build makes the gRPC server and the connections to all services.
func (s *system) build(b *backend, p systemParams, registry prometheus.Registerer) error {
	var err error
	if s.network, err = newNetwork(p.Config, b.token, p.Logger); err != nil {
		return err
	}
	cfg := rpc.Config{
		Addr: p.Config.GRPCAddr, Reflection: p.Config.Reflection, MaxReceive: p.Config.MaxBody, MaxSend: maxMessage,
		TLS: s.network.certs.Server(),
	}
	if p.Roles.serves(serviceIngest) {
		cfg.Large = largeDeliveries()
	}
	if cfg.TLS != nil && p.Config.Database.IsZero() {
		cfg.LocalAddr = "127.0.0.1:0" // commands that find the data folder held show its token, not a certificate
	}
	s.rpc, err = rpc.NewServer(cfg, rpc.Deps{Logger: p.Logger, Metrics: registry, Auth: s.network.callers})
	if err != nil {
		return err
	}
	if s.conn, err = s.peers(p.Roles, p.Config, b.token); err != nil {
		return err
	}
	s.callers, err = s.peers(p.Roles, p.Config, secret.Text{})
	return err
}

// startStores starts what reads and cleans the stores beside the jobs themselves.
func (p *parts) startStores(ctx context.Context) error {
	history := map[job.Kind]time.Duration{}
	for _, kind := range []job.Kind{job.KindReview, job.KindCouncil, job.KindIndex, job.KindDelivery} {
		history[kind] = cmp.Or(p.config.Retention.Kinds[string(kind)], p.config.Retention.History)
	}
	p.jobs = job.NewManager(p.jobStore, p.engine, p.bus, p.logger, job.Config{HistoryKept: history})
	if err := jobmetrics.Register(p.metrics, p.jobs, p.logger); err != nil {
		return err
	}
	takeCustody(*p)
	p.hub = watch.NewHub(p.jobStore, p.bus, nil, p.logger)
	if err := p.stack.Start(ctx, "log readers", p.hub); err != nil {
		return err
	}
	return p.stack.Start(ctx, "blob collector", blob.NewCollector(p.blobs, nil, nil, p.logger))
}

// register adds the services of this process to the server, and the bodies of its queues to the engine. What it does not
// do is not built.
func (s *system) register(ctx context.Context, p parts) error {
	for _, part := range []struct {
		name string
		kind job.Kind // of the jobs that the service computes
		make func(context.Context, parts) (service, error)
	}{
		{name: serviceParser, make: newParser},
		{name: serviceRetrieval, kind: job.KindIndex, make: newRetrieval},
		{name: serviceCouncil, kind: job.KindCouncil, make: newCouncil},
		{name: serviceReview, kind: job.KindReview, make: newReview},
		{name: serviceJobs, make: newJobs},
		{name: serviceIngest, make: newIngest},
	} {
		serves, runs := p.roles.serves(part.name), part.kind != "" && p.roles.runs(part.kind)
		if !serves && !runs {
			continue
		}
		made, err := part.make(ctx, p)
		if err != nil {
			return err
		}
		if serves {
			if err := s.rpc.Register(made.register); err != nil {
				return err
			}
		}
		s.edge = cmp.Or(s.edge, made.edge)
		if runs {
			p.jobs.HandleWaiting(part.kind, p.roles.works(part.kind, p.config.Workers), p.roles.atWork(part.kind, p.config.Workers), made.body)
			if made.deliveries != nil {
				p.jobs.Handle(job.KindDelivery, 0, made.deliveries)
			}
		}
	}
	return nil
}

// peers connects to all services that this process serves itself or knows an address of.
func (s *system) peers(r roles, c config.Config, token secret.Text) (grpc.ClientConnInterface, error) {
	inside, err := s.rpc.InProcess(token)
	if err != nil {
		return nil, err
	}
	s.stack.Defer("connection", func(context.Context) error { return inside.Close() })
	peers := map[string]grpc.ClientConnInterface{"": inside}
	for _, service := range services() {
		switch addresses := c.Services[service]; {
		case r.serves(service):
			peers[service] = inside
		case len(addresses) > 0:
			conn, err := s.network.dial(addresses, !token.IsZero())
			if err != nil {
				return nil, err
			}
			s.stack.Defer("connection to "+service, func(context.Context) error { return conn.Close() })
			peers[service] = conn
		}
	}
	return rpc.NewRouter(peers), nil
}

// listen opens the gRPC address and, where there is one, the HTTP address.
func (s *system) listen(ctx context.Context, p systemParams, registry *prometheus.Registry) error {
	if err := s.stack.Start(ctx, "gRPC", s.rpc); err != nil {
		return err
	}
	if addr := s.rpc.Addr(); addr != nil {
		s.grpcAddr, s.localAddr = addr.String(), s.rpc.LocalAddr().String()
	}
	if s.edge != nil {
		if err := s.stack.Start(ctx, "webhooks", s.edge); err != nil {
			return err
		}
		s.webhooksAddr = s.edge.Addr().String()
	}
	if p.Config.HTTPAddr == "" || !p.Roles.serves(serviceGateway) {
		return nil
	}
	var err error
	s.gateway, err = gatewayserver.New(
		gatewayserver.Config{
			Addr: p.Config.HTTPAddr, TLS: s.network.certs.Web(), MaxBody: int64(p.Config.MaxBody),
			Heartbeat: p.Config.Streams.Heartbeat, WriteTimeout: p.Config.Streams.Grace,
		},
		gatewayserver.Deps{Conn: s.callers, Logger: p.Logger, Metrics: registry, Webhooks: forwardDeliveries(s.conn, p, s.webhooks.Observe)},
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
	if s.observe != nil {
		s.observe.SetReady(false)
	}
	if s.gateway != nil {
		s.gateway.Drain()
	}
	if s.rpc != nil {
		s.rpc.Drain()
	}
	return s.stack.Close(ctx)
}
