package server

import (
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
)

// Config is what an operator decides about the gateway. Zero values mean the defaults named here.
type Config struct {
	// Addr is where to listen (host:port).
	Addr string
	// TLS encrypts what comes in, as certs.Certs.Web does; nil: nothing is encrypted.
	TLS *tls.Config
	// AllowHosts are names beside loopback ones that a request's Host may have while the gateway listens on loopback;
	// others are refused, so that a page of another site cannot reach it under a name that resolves to this machine.
	AllowHosts []string
	// MaxBody bounds a request's body, in bytes; default 8 MiB.
	MaxBody int64
	// MaxConnections bounds what callers can hold open, streams among it; default 8192. More wait for their turn with the kernel.
	MaxConnections int
	// Heartbeat is the longest silence of a stream; default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long one write to a viewer may take before it is cut off; default 30 s.
	WriteTimeout time.Duration
}

// Deps are what the gateway works with. All but Webhooks are needed.
type Deps struct {
	// Conn leads to the gRPC server, without credentials of its own: the gateway passes on what its callers show.
	Conn grpc.ClientConnInterface
	// Logger takes failures of the gateway's own; calls are logged by the gRPC server.
	Logger *slog.Logger
	// Webhooks takes what forges send; nil: there is no such route. It is open to all: each request shows its own signature.
	Webhooks http.Handler
	// Metrics is what /metrics shows.
	Metrics prometheus.Gatherer
}

func (c Config) withDefaults() Config {
	if c.MaxBody == 0 {
		c.MaxBody = 8 << 20
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 8192
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.WriteTimeout == 0 {
		c.WriteTimeout = 30 * time.Second
	}
	return c
}

func (d Deps) validate() error {
	if d.Conn == nil || d.Logger == nil || d.Metrics == nil {
		return errors.New("gateway: Conn, Logger and Metrics are needed")
	}
	return nil
}
