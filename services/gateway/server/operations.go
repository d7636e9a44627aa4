package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"

	"witan.dev/gen/openapi"
	"witan.dev/internal/webhook"
)

// readyTimeout bounds a readiness check.
const readyTimeout = 2 * time.Second

// operations puts what operators and tools ask for beside the API.
func (s *Server) operations(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { s.writeText(w, r, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /openapi.json", s.openAPI)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.deps.Metrics, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(s.deps.Logger.Handler(), slog.LevelError),
	}))
	s.page.register(mux, s)
	mux.Handle("/", api)
	return mux
}

// readyz is 200 while the gRPC server serves and nobody asked to stop.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.draining:
		s.writeText(w, r, http.StatusServiceUnavailable, "stopping\n")
		return
	default:
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	answer, err := s.health.Check(ctx, &healthgrpc.HealthCheckRequest{})
	if err != nil || answer.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
		s.writeText(w, r, http.StatusServiceUnavailable, "not serving\n")
		return
	}
	s.writeText(w, r, http.StatusOK, "ready\n")
}

func (s *Server) openAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(openapi.JSON); err != nil {
		s.deps.Logger.DebugContext(r.Context(), "caller left", "error", err)
	}
}

func (s *Server) writeText(w http.ResponseWriter, r *http.Request, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	if _, err := w.Write([]byte(text)); err != nil {
		s.deps.Logger.DebugContext(r.Context(), "caller left", "error", err)
	}
}

// webhooks puts the route of webhooks before everything else. What guards a browser is nothing to them: they come from
// anywhere, under any name of this host, and their signature alone counts.
func (s *Server) webhooks(next http.Handler) http.Handler {
	if s.deps.Webhooks == nil {
		return next
	}
	mux := http.NewServeMux()
	mux.Handle(webhook.Path, s.deps.Webhooks)
	mux.Handle("/", next)
	return mux
}

// guard refuses what pages of other sites make a browser send: there may be no password between a browser and an
// embedded Witan. Tools that are no browsers are not touched.
func (s *Server) guard(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.writeError(w, r, errCrossOrigin)
	}))
	next = protection.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.allowsHost(r.Host) {
			s.writeError(w, r, errCrossOrigin.With("host", r.Host))
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, r)
	})
}

// allowsHost says whether a request may name this host. It matters on loopback only, where a foreign name means that a
// page had its own name resolve to this machine.
func (s *Server) allowsHost(host string) bool {
	if !isLoopback(s.cfg.Addr) || host == "" || isLoopback(host) {
		return true
	}
	return slices.ContainsFunc(s.cfg.AllowHosts, func(allowed string) bool {
		return strings.EqualFold(allowed, host) || strings.EqualFold(allowed, withoutPort(host))
	})
}

func isLoopback(address string) bool {
	host := withoutPort(address)
	if strings.EqualFold(host, "localhost") || strings.HasSuffix(strings.ToLower(host), ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

func withoutPort(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
