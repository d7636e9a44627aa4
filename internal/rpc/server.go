package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/test/bufconn"

	"witan.dev/internal/secret"
)

const (
	// memoryBuffer is the in-memory connection's buffer in each direction, in bytes.
	memoryBuffer = 1 << 20
	// streamWindow and connWindow are those of FixedWindows, in bytes.
	streamWindow = 64 << 10
	connWindow   = 16 << 20
)

// FixedWindows are for connections with many streams: one that is not read holds 64 KiB at most, where the transport left
// to itself would raise that to 16 MiB, and all together may have 16 MiB under way, so that an event for a thousand
// viewers is not sent in rounds.
func FixedWindows() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithStaticStreamWindowSize(streamWindow), grpc.WithStaticConnWindowSize(connWindow)}
}

// Server is the gRPC server of a process. Register before Start; Stop may come before Start, and twice. Safe for
// concurrent use.
type Server struct {
	cfg        Config
	deps       Deps
	metrics    *metrics
	validator  protovalidate.Validator
	requestIDs *regexp.Regexp
	health     *health.Server
	grpc       *grpc.Server
	memory     *bufconn.Listener
	streams    openCalls
	waits      openCalls // unary calls that wait on purpose
	draining   atomic.Bool

	mu      sync.Mutex
	started bool
	stopped bool
	addr    net.Addr
	local   net.Addr
	serving sync.WaitGroup
}

// NewServer makes a server without services.
func NewServer(cfg Config, deps Deps) (*Server, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	validator, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("prepare validation: %w", err)
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("register rpc metrics: %w", err)
	}
	s := &Server{
		cfg: cfg.withDefaults(), deps: deps, metrics: m, validator: validator, requestIDs: requestIDPattern(),
		health: health.NewServer(), memory: bufconn.Listen(memoryBuffer),
	}
	s.grpc = grpc.NewServer(append(serverOptions(s.chain()), grpc.Creds(serverCredentials(s.cfg.TLS)),
		grpc.MaxRecvMsgSize(s.cfg.largest()), grpc.MaxSendMsgSize(s.cfg.MaxSend), grpc.ForceServerCodecV2(newCodec()),
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return errRPCUnknown }),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	)...)
	healthgrpc.RegisterHealthServer(s.grpc, s.health)
	if s.cfg.Reflection {
		reflection.Register(s.grpc)
	}
	s.note()
	return s, nil
}

// Register adds services, for example
//
//	srv.Register(func(r grpc.ServiceRegistrar) { jobsv1.RegisterJobServiceServer(r, jobs) })
//
// It refuses a service that is there already, and everything after Start; nothing is added then.
func (s *Server) Register(add func(grpc.ServiceRegistrar)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("rpc: services are registered before the server starts")
	}
	var new registrations
	add(&new)
	seen := s.grpc.GetServiceInfo()
	for _, r := range new {
		if _, ok := seen[r.desc.ServiceName]; ok {
			return fmt.Errorf("rpc: service %s is registered twice", r.desc.ServiceName)
		}
		seen[r.desc.ServiceName] = grpc.ServiceInfo{}
	}
	for _, r := range new {
		s.grpc.RegisterService(r.desc, r.impl)
	}
	s.note()
	return nil
}

// Start begins to serve, in memory and on the configured addresses. An address in use is an error at once.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("rpc: the server was started before")
	}
	outside, err := listen(ctx, s.cfg.Addr)
	if err != nil {
		return err
	}
	local, err := listen(ctx, s.cfg.LocalAddr)
	if err != nil {
		return errors.Join(err, closeListener(outside))
	}
	s.started = true
	s.serve(ctx, plainListener{s.memory})
	if outside != nil {
		s.addr = outside.Addr()
		s.serve(ctx, outside)
	}
	if local != nil {
		s.local = local.Addr()
		s.serve(ctx, plainListener{local})
	}
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, healthgrpc.HealthCheckResponse_SERVING)
	}
	return nil
}

// Addr is where the server listens; nil before Start and where it listens in memory only.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// LocalAddr is where the server listens for commands on this machine: its second address, or Addr without one.
func (s *Server) LocalAddr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.local != nil {
		return s.local
	}
	return s.addr
}

// SetServing tells health checks whether a service can work; all can from Start to Stop unless said otherwise. The empty
// name is the whole server.
func (s *Server) SetServing(service string, ok bool) {
	state := healthgrpc.HealthCheckResponse_NOT_SERVING
	if ok {
		state = healthgrpc.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(service, state)
}

// Drain makes health checks say NOT_SERVING, and sends away who waits in a call that waits on purpose (Config.Timeouts).
// Other calls are still served.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.health.Shutdown()
	s.waits.end()
}

// Stop drains, ends streams with a resumable error, lets unary calls end, and cuts what is left when ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	started, stopped := s.started, s.stopped
	s.stopped = true
	s.mu.Unlock()
	if !stopped {
		s.Drain()
		s.streams.end()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
		s.serving.Wait()
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		err = fmt.Errorf("stop gRPC: running calls were cut: %w", context.Cause(ctx))
	}
	if !started {
		return errors.Join(err, s.memory.Close())
	}
	return err
}

// InProcess connects to the server in memory, through the same interceptors as any caller. With a token each call shows
// it (services of this process); without one the caller is who its metadata says (the gateway, which passes on what its
// own callers show). The connection may be made before Start; the caller closes it.
func (s *Server) InProcess(token secret.Text) (*grpc.ClientConn, error) {
	options := append(passOn(),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.memory.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(s.cfg.MaxSend), grpc.MaxCallSendMsgSize(s.cfg.largest())),
	)
	options = append(options, FixedWindows()...)
	if !token.IsZero() {
		options = append(options, grpc.WithPerRPCCredentials(Bearer(token)))
	}
	return grpc.NewClient("passthrough:///in-process", options...)
}

func (s *Server) serve(ctx context.Context, listener net.Listener) {
	s.serving.Go(func() {
		if err := s.grpc.Serve(listener); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			s.deps.Logger.ErrorContext(ctx, "gRPC listener failed", "error", err)
		}
	})
}

// note tells the metrics which methods there are.
func (s *Server) note() {
	for service, info := range s.grpc.GetServiceInfo() {
		for _, method := range info.Methods {
			s.metrics.known["/"+strings.Join([]string{service, method.Name}, "/")] = true
		}
	}
}

type registration struct {
	desc *grpc.ServiceDesc
	impl any
}

// registrations collects services without registering them, because grpc ends the process over a double one.
type registrations []registration

// RegisterService notes a service.
func (r *registrations) RegisterService(desc *grpc.ServiceDesc, impl any) {
	*r = append(*r, registration{desc, impl})
}
