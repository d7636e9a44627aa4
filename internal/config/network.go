package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

func (c *Config) validateNetwork(bad func(key, format string, args ...any)) {
	for key, addr := range map[string]string{"grpc_addr": c.GRPCAddr, "http_addr": c.HTTPAddr} {
		if err := c.listenable(addr); err != nil {
			bad(key, "%v", err)
		}
	}
	if c.OperationsAddr != "" {
		if err := c.listenable(c.OperationsAddr); err != nil {
			bad("operations_addr", "%v", err)
		}
	}
	if err := serverURL(c.Database, "postgres", "postgresql"); err != nil {
		bad("database", "%v", err)
	}
	if err := serverURL(c.Redis, "redis", "rediss"); err != nil {
		bad("redis", "%v", err)
	}
	if c.PublicURL != "" {
		if err := webURL(c.PublicURL); err != nil {
			bad("public_url", "%v", err)
		}
	}
	if c.Qdrant != "" {
		if err := webURL(c.Qdrant); err != nil {
			bad("qdrant", "%v", err)
		}
	}
	for name, addresses := range c.Services {
		if !slices.Contains(serviceNames(), name) {
			bad("services."+name, "is none of %s", strings.Join(serviceNames(), ", "))
		}
		if len(addresses) == 0 {
			bad("services."+name, "has no address")
		}
		for i, addr := range addresses {
			if err := hostPort(addr); err != nil {
				bad(fmt.Sprintf("services.%s[%d]", name, i), "%v", err)
			}
		}
	}
	c.TLS.validate(bad)
	c.Auth.validate(bad)
	c.Webhooks.validate(bad)
}

func (w Webhooks) validate(bad func(key, format string, args ...any)) {
	if _, _, err := net.SplitHostPort(w.Addr); w.Addr != "" && err != nil {
		bad("webhooks.addr", "%q is not host:port", w.Addr)
	}
	if !auth.IsOwner(w.GitHub.Owner) {
		bad("webhooks.github.owner", "%.80q cannot be an owner", w.GitHub.Owner)
	}
}

func serviceNames() []string {
	return []string{"council", "ingest", "jobs", "parser", "retrieval", "review"}
}

func (t TLS) validate(bad func(key, format string, args ...any)) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		bad("tls", "cert_file and key_file go together")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		bad("tls.client_ca_file", "needs cert_file and key_file")
	}
}

func (a Auth) validate(bad func(key, format string, args ...any)) {
	for i, t := range a.Tokens {
		if _, err := auth.ParseToken(t.Owner, t.SHA256); err != nil {
			bad(fmt.Sprintf("auth.tokens[%d]", i), "%v", err)
		}
	}
}

// validateTimes holds durations to ranges in which the system works. A worker must be able to miss a beat or two.
func (c *Config) validateTimes(bad func(key, format string, args ...any)) {
	for _, d := range []struct {
		key             string
		value, min, max time.Duration
	}{
		{"liveness.beat", c.Liveness.Beat, 100 * time.Millisecond, time.Minute},
		{"liveness.ttl", c.Liveness.TTL, 300 * time.Millisecond, 10 * time.Minute},
		{"liveness.sweep", c.Liveness.Sweep, 100 * time.Millisecond, time.Minute},
		{"retention.history", c.Retention.History, time.Second, 10 * 365 * 24 * time.Hour},
		{"retention.temporary", c.Retention.Temporary, time.Second, 365 * 24 * time.Hour},
		{"reviews.debounce", c.Reviews.Debounce, 0, 10 * time.Minute},
		{"reviews.debounce_max", c.Reviews.DebounceMax, 0, time.Hour},
		{"reviews.patience", c.Reviews.Patience, time.Second, 24 * time.Hour},
		{"reviews.council_pause", c.Reviews.CouncilPause, time.Second, 4 * time.Hour},
		{"webhooks.lease", c.Webhooks.Lease, 500 * time.Millisecond, 10 * time.Minute},
		{"github.list_lag", c.GitHub.ListLag, 0, 10 * time.Minute},
		{"retention.deliveries", c.Retention.Deliveries, time.Hour, 10 * 365 * 24 * time.Hour},
		{"streams.heartbeat", c.Streams.Heartbeat, 100 * time.Millisecond, 15 * time.Second},
		{"streams.max_age", c.Streams.MaxAge, time.Second, 24 * time.Hour},
		{"streams.grace", c.Streams.Grace, time.Second, 10 * time.Minute},
	} {
		if d.value < d.min || d.value > d.max {
			bad(d.key, "%s is not between %s and %s", d.value, d.min, d.max)
		}
	}
	for kind, kept := range c.Retention.Kinds {
		if !slices.Contains([]string{"review", "council", "index", "delivery"}, kind) {
			bad("retention.kinds."+kind, "is none of review, council, index, delivery")
		}
		if kept < time.Second || kept > 10*365*24*time.Hour {
			bad("retention.kinds."+kind, "%s is not between 1s and ten years", kept)
		}
	}
	if c.Liveness.TTL < 3*c.Liveness.Beat {
		bad("liveness.ttl", "%s is less than three beats of %s", c.Liveness.TTL, c.Liveness.Beat)
	}
}

// listenable refuses to serve strangers without asking who they are.
func (c *Config) listenable(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%q is not host:port", addr)
	}
	if !c.Auth.Required() && !IsLoopback(addr) {
		return fmt.Errorf("%q is not a loopback address, and without authentication nothing else is served: "+
			"make a token with `witan token new OWNER` and name its file in auth.tokens_file", addr)
	}
	return nil
}

// IsLoopback says whether an address (host:port) stays on this machine by its form.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func hostPort(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || strings.ContainsAny(addr, "/@ ") {
		return fmt.Errorf("%.200q is not host:port", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%.200q has no port between 1 and 65535", addr)
	}
	return nil
}

// serverURL checks a URL that may hold a password, so no error repeats it.
func serverURL(text secret.Text, schemes ...string) error {
	if text.IsZero() {
		return nil
	}
	u, err := url.Parse(text.Reveal())
	if err != nil || u.Host == "" && u.Query().Get("host") == "" || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("is not a %s:// URL with a host", schemes[0])
	}
	return nil
}

func webURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("is not an http or https URL")
	}
	if u.User != nil || strings.Contains(raw, "@") {
		return errors.New("holds credentials: put the key into a file or a variable")
	}
	return nil
}
