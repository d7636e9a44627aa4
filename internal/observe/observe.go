// Package observe is what operators see of a process that has no other HTTP address: whether it lives, whether it works, and
// its metrics. The gateway has the same beside its API.
package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// requestTimeout bounds how long a caller may take to ask and to read.
	requestTimeout = 10 * time.Second
	maxHeader      = 16 << 10
)

// Server serves /healthz, /readyz and /metrics. Stop before Start and Stop twice do nothing. Safe for concurrent use.
type Server struct {
	addr   string
	logger *slog.Logger
	http   *http.Server
	ready  atomic.Bool

	mu       sync.Mutex
	listener net.Listener
	served   chan struct{}
}

// NewServer prepares a server of metrics at addr (host:port).
func NewServer(addr string, metrics prometheus.Gatherer, logger *slog.Logger) *Server {
	s := &Server{addr: addr, logger: logger}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.ready.Load() {
			write(w, http.StatusOK, "ready\n")
			return
		}
		write(w, http.StatusServiceUnavailable, "not working\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelError)}))
	s.http = &http.Server{
		Handler: mux, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	return s
}

func write(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text)) // a caller that left misses nothing
}

// Start listens and serves.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return errors.New("observe: the server was started before")
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen for operators on %s: %w", s.addr, err)
	}
	s.listener, s.served = l, make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.logger.ErrorContext(context.WithoutCancel(ctx), "the operators' listener failed", "error", err)
		}
	}()
	return nil
}

// Addr is where the server listens; nil before Start.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// SetReady says whether the process takes work.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// Stop ends the server.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if served == nil {
		return nil
	}
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	<-served
	return err
}
