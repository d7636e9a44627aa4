package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"witan.dev/internal/auth"
)

// Config is what an operator decides about the server. Zero values mean the defaults named here.
type Config struct {
	// Addr is where to listen (host:port); empty: in memory only.
	Addr string
	// TLS encrypts what comes by Addr; nil: nothing is encrypted.
	TLS *tls.Config
	// LocalAddr is a second address (host:port) without encryption, for commands on this machine where TLS is set.
	LocalAddr string
	// Reflection lets clients ask for the services' descriptions.
	Reflection bool
	// MaxReceive bounds a message that comes in, in bytes; default 8 MiB.
	MaxReceive int
	// Large are messages that may be larger than MaxReceive, by full name, with their own bound in bytes.
	Large map[string]int
	// MaxSend bounds a message that goes out, in bytes; default 16 MiB.
	MaxSend int
	// Timeout is the deadline of unary calls that come without one; default 1 min.
	Timeout time.Duration
	// Timeouts are those of calls that wait on purpose, by full method name; nil: DefaultTimeouts. Drain ends such calls.
	Timeouts map[string]time.Duration
	// Recheck is how often the caller of an open stream is authenticated again; default 15 s.
	Recheck time.Duration
	// After is the clock of Recheck; default time.After.
	After func(time.Duration) <-chan time.Time
}

// DefaultTimeouts are the deadlines of calls that wait on purpose, by full method name.
func DefaultTimeouts() map[string]time.Duration {
	return map[string]time.Duration{"/witan.jobs.v1.JobService/WaitJob": 5*time.Minute + 10*time.Second}
}

// Authenticator says who shows these credentials. It is asked again while a stream is open.
type Authenticator interface {
	Authenticate(ctx context.Context, c auth.Credentials) (auth.Principal, error)
}

// Deps are what the server works with. All are needed.
type Deps struct {
	// Logger takes refusals of the server's own making; calls that fail for the caller's reasons are logged at debug.
	Logger *slog.Logger
	// Metrics is where the server's metrics are registered; one server per registry.
	Metrics prometheus.Registerer
	// Auth says who calls.
	Auth Authenticator
}

func (c Config) withDefaults() Config {
	if c.MaxReceive == 0 {
		c.MaxReceive = 8 << 20
	}
	if c.MaxSend == 0 {
		c.MaxSend = 16 << 20
	}
	if c.Timeout == 0 {
		c.Timeout = time.Minute
	}
	if c.Timeouts == nil {
		c.Timeouts = DefaultTimeouts()
	}
	if c.Recheck == 0 {
		c.Recheck = 15 * time.Second
	}
	if c.After == nil {
		c.After = time.After
	}
	return c
}

// largest bounds a message before it is known which one it is.
func (c Config) largest() int {
	n := c.MaxReceive
	for _, bound := range c.Large {
		n = max(n, bound)
	}
	return n
}

func (d Deps) validate() error {
	if d.Logger == nil || d.Metrics == nil || d.Auth == nil {
		return errors.New("rpc: Logger, Metrics and Auth are needed")
	}
	return nil
}
