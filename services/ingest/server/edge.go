package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"witan.dev/internal/webhook"
)

const (
	headerTimeout = 5 * time.Second
	// readTimeout bounds a whole request, whatever its route and type: what nobody asked for is not read for ever.
	readTimeout  = headerTimeout + webhook.BodyTimeout
	idleTimeout  = 2 * time.Minute
	writeTimeout = 30 * time.Second
	maxHeader    = 32 << 10
	// maxConnections bounds what strangers can hold open. More wait for their turn with the kernel.
	maxConnections = 4096
)

// Edge serves the webhook route alone on a port of its own, so that nothing else need be reachable from outside. Stop may
// come before Start, and twice. Safe for concurrent use.
type Edge struct {
	addr   string
	tls    *tls.Config
	logger *slog.Logger
	http   *http.Server

	mu       sync.Mutex
	listener net.Listener
	served   chan struct{}
}

// NewEdge prepares an edge at addr (host:port). Without a TLS configuration nothing is encrypted.
func NewEdge(addr string, config *tls.Config, handler http.Handler, logger *slog.Logger) *Edge {
	mux := http.NewServeMux()
	mux.Handle(webhook.Path, handler)
	return &Edge{addr: addr, tls: config, logger: logger, http: &http.Server{
		Handler: mux, TLSConfig: config, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
}

// Start listens and serves. An address in use is an error at once.
func (e *Edge) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		return errors.New("edge: the server was started before")
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", e.addr)
	if err != nil {
		return fmt.Errorf("listen for webhooks on %s: %w", e.addr, err)
	}
	l = netutil.LimitListener(l, maxConnections)
	e.listener, e.served = l, make(chan struct{})
	serve := func() error { return e.http.Serve(l) }
	if e.tls != nil {
		serve = func() error { return e.http.ServeTLS(l, "", "") }
	}
	go func() {
		defer close(e.served)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			e.logger.ErrorContext(context.WithoutCancel(ctx), "the listener for webhooks failed", "error", err)
		}
	}()
	return nil
}

// Addr is where the edge listens; nil before Start.
func (e *Edge) Addr() net.Addr {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener == nil {
		return nil
	}
	return e.listener.Addr()
}

// Stop lets running requests end, and cuts what is left when ctx ends.
func (e *Edge) Stop(ctx context.Context) error {
	e.mu.Lock()
	served := e.served
	e.mu.Unlock()
	if served == nil {
		return nil
	}
	err := e.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, e.http.Close())
	}
	<-served
	return err
}
