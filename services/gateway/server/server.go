package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"golang.org/x/net/netutil"
	"google.golang.org/grpc"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/rpc"
)

// Server is the gateway of a process. Stop may come before Start, and twice. Safe for concurrent use.
type Server struct {
	cfg       Config
	deps      Deps
	routes    routes
	page      page
	mux       *runtime.ServeMux
	jobs      jobsv1.JobServiceClient
	reviews   reviewv1.ReviewServiceClient
	health    healthgrpc.HealthClient
	memo      *memo
	audiences *audiences
	feeding   sync.WaitGroup // the streams of feeds
	http      *http.Server
	draining  chan struct{}

	mu      sync.Mutex
	started bool
	stopped bool
	addr    net.Addr
	serving sync.WaitGroup
}

// New makes a gateway that serves nothing yet.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg.withDefaults(), deps: deps, routes: readRoutes(), draining: make(chan struct{}),
		jobs: jobsv1.NewJobServiceClient(deps.Conn), reviews: reviewv1.NewReviewServiceClient(deps.Conn),
		health: healthgrpc.NewHealthClient(deps.Conn), memo: newMemo(), audiences: newAudiences(),
	}
	var err error
	if s.page, err = newPage(); err != nil {
		return nil, err
	}
	if s.mux, err = s.api(); err != nil {
		return nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // browsers open six HTTP/1.1 streams to a host at most
	s.http = &http.Server{
		Handler:           s.webhooks(s.guard(s.operations(s.mux))),
		Protocols:         protocols,
		TLSConfig:         s.cfg.TLS,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// No WriteTimeout: streams live long; each write has its own deadline.
	}
	return s, nil
}

// Handler is everything that the gateway serves, for tests and for servers of one's own.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Start listens. An address in use is an error at once.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.stopped {
		return errors.New("gateway: the server was started before")
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for HTTP on %s: %w", s.cfg.Addr, err)
	}
	listener = netutil.LimitListener(listener, s.cfg.MaxConnections)
	s.addr = listener.Addr()
	s.started = true
	s.serving.Go(func() {
		if err := s.serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.deps.Logger.ErrorContext(ctx, "HTTP listener failed", "error", err)
		}
	})
	return nil
}

func (s *Server) serve(listener net.Listener) error {
	if s.cfg.TLS == nil {
		return s.http.Serve(listener)
	}
	return s.http.ServeTLS(listener, "", "")
}

// Addr is where the gateway listens; nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Drain makes /readyz say 503 and ends streams cleanly, so that viewers come back elsewhere. Other calls are served.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.draining:
	default:
		close(s.draining)
	}
}

// Stop drains, lets running calls end, and cuts what is left when ctx ends.
func (s *Server) Stop(ctx context.Context) error {
	s.Drain()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("stop HTTP: running calls were cut: %w", err), s.http.Close())
	}
	s.serving.Wait()
	s.feeding.Wait() // the last viewer of each ended it
	return err
}

// api is the mux of all RPCs. Handlers of our own come last, because the mux asks the newest first.
func (s *Server) api() (*runtime.ServeMux, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, codec()),
		runtime.WithErrorHandler(s.errorHandler),
		runtime.WithRoutingErrorHandler(s.routingError),
		runtime.WithMiddlewares(s.checked),
		runtime.WithIncomingHeaderMatcher(passRequestID),
		runtime.WithOutgoingHeaderMatcher(passRequestID),
		runtime.WithOutgoingTrailerMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithWriteContentLength(),
	)
	for _, register := range []func(context.Context, *runtime.ServeMux, grpc.ClientConnInterface) error{
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return councilv1.RegisterCouncilServiceHandlerClient(ctx, m, councilv1.NewCouncilServiceClient(c))
		},
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return ingestv1.RegisterIngestServiceHandlerClient(ctx, m, ingestv1.NewIngestServiceClient(c))
		},
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return jobsv1.RegisterJobServiceHandlerClient(ctx, m, jobsv1.NewJobServiceClient(c))
		},
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return parserv1.RegisterParserServiceHandlerClient(ctx, m, parserv1.NewParserServiceClient(c))
		},
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return retrievalv1.RegisterRetrievalServiceHandlerClient(ctx, m, retrievalv1.NewRetrievalServiceClient(c))
		},
		func(ctx context.Context, m *runtime.ServeMux, c grpc.ClientConnInterface) error {
			return reviewv1.RegisterReviewServiceHandlerClient(ctx, m, reviewv1.NewReviewServiceClient(c))
		},
	} {
		if err := register(context.Background(), mux, s.deps.Conn); err != nil {
			return nil, fmt.Errorf("register routes: %w", err)
		}
	}
	return mux, errors.Join(
		mux.HandlePath(http.MethodGet, "/v1/{name=jobs/*}:watch", s.watch),
		mux.HandlePath(http.MethodPost, "/v1/jobs:run", s.run),
		mux.HandlePath(http.MethodGet, "/v1/{name=reviews/*}:export", s.export),
	)
}

// passRequestID lets the request ID through in both directions, and no other header; the mux itself passes on the
// authorization header.
func passRequestID(name string) (string, bool) {
	if strings.EqualFold(name, rpc.RequestIDHeader) {
		return rpc.RequestIDHeader, true
	}
	return "", false
}
