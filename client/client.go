// Package client talks to a Witan server. It starts jobs, and follows them to their end however often the connection is
// cut, a server is replaced or the process restarts: [Follower.Events] hands over every event of a job's log once, in
// order, and says so where a server breaks that promise.
//
//	c, err := client.Dial(client.Config{Addresses: []string{"127.0.0.1:7400"}})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	follower, err := c.Run(ctx, &jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Deliberation{…}})
//	if err != nil {
//		return err
//	}
//	for event, err := range follower.Events(ctx) {
//		if err != nil {
//			return err // follower.After() is the place to come back to, also in another process
//		}
//		…
//	}
//	job := follower.Job() // how it ended
//
// Errors of the server are gRPC statuses; [Reason] is the reason of one, such as HISTORY_EXPIRED. What this package adds
// is [*SequenceError] and [*AwayError].
package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/health" // lets the balancer ask servers whether they serve
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
)

const (
	defaultAwayLimit = time.Minute
	// defaultSilence is three heartbeats of a server, which sends one every 15 s at least.
	defaultSilence = 45 * time.Second
	// maxMessage is what is accepted in one message: a full review with its findings and coverage.
	maxMessage = 64 << 20
	// balanced spreads calls over all servers that say that they serve.
	balanced = `{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`
	scheme   = "witan-addresses"
)

// Config says how to reach a server and how long to wait for it. Zero values mean the defaults named here.
type Config struct {
	// Addresses are the server's ("host:port"). Of several, those are used that serve. Dial needs at least one.
	Addresses []string
	// Token is sent with every call; empty: none is.
	Token Token
	// TLS is the transport's configuration; nil: clear text.
	TLS *tls.Config
	// TokenInClear allows to send the token in clear text to addresses that are not loopback ones, for networks that
	// are private by other means.
	TokenInClear bool
	// AwayLimit is how long a server may be away before an undertaking is given up with an [*AwayError]; default 1 min,
	// below 0: for ever. Longer than the restart of a server that drains its work.
	AwayLimit time.Duration
	// Silence is how long a stream may be without any frame, heartbeats included, before it is opened anew; default 45 s.
	Silence time.Duration
	// OnAway is called when a server stops answering, once until it answers again; nil: nobody is told. It is called by
	// the goroutine that follows or calls, and must not block.
	OnAway func(err error)
}

func (c Config) withDefaults() Config {
	if c.AwayLimit == 0 {
		c.AwayLimit = defaultAwayLimit
	}
	if c.Silence <= 0 {
		c.Silence = defaultSilence
	}
	return c
}

// Token is a bearer token. It prints as [redacted]; string(token) is the text.
type Token string

// redacted is what is shown of a token.
const redacted = "[redacted]"

// Format implements fmt.Formatter for all verbs.
func (Token) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler, which JSON and log/slog use as well.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Client is a connection to a Witan. Safe for concurrent use.
type Client struct {
	cfg     Config
	conn    grpc.ClientConnInterface
	close   func() error
	jobs    jobsv1.JobServiceClient
	council councilv1.CouncilServiceClient
	reviews reviewv1.ReviewServiceClient
	indexes retrievalv1.RetrievalServiceClient
}

// Dial returns a client of the server at the configured addresses. It connects with the first call, so a server that is
// not there is that call's error.
func Dial(cfg Config) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(cfg.transport()),
		grpc.WithDefaultServiceConfig(balanced),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: longestPause},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if cfg.Token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(cfg.Token)))
	}
	target := cfg.Addresses[0]
	if len(cfg.Addresses) > 1 {
		target = scheme + ":///servers"
		options = append(options, grpc.WithResolvers(listed(cfg.Addresses)))
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("witan client: %w", err)
	}
	c := New(conn, cfg)
	c.close = conn.Close
	return c, nil
}

// New returns a client over a connection that the caller made and closes. Addresses, Token, TLS and TokenInClear have no
// meaning here. A connection should accept messages of 64 MiB (grpc.MaxCallRecvMsgSize): a full review may be that large.
func New(conn grpc.ClientConnInterface, cfg Config) *Client {
	return &Client{
		cfg: cfg.withDefaults(), conn: conn, close: func() error { return nil },
		jobs: jobsv1.NewJobServiceClient(conn), council: councilv1.NewCouncilServiceClient(conn),
		reviews: reviewv1.NewReviewServiceClient(conn), indexes: retrievalv1.NewRetrievalServiceClient(conn),
	}
}

// Conn is the connection, for the generated clients of all services.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Close closes what Dial opened. Calls and followers that run end with an error. Jobs are not touched.
func (c *Client) Close() error { return c.close() }

func (c Config) validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("witan client: no address")
	}
	for _, address := range c.Addresses {
		if address == "" {
			return errors.New("witan client: an address is empty")
		}
		if c.Token != "" && c.TLS == nil && !c.TokenInClear && !isLocal(address) {
			return fmt.Errorf("witan client: %s: a token would be sent in clear text; set TLS or TokenInClear", address)
		}
	}
	return nil
}

func (c Config) transport() credentials.TransportCredentials {
	if c.TLS == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(c.TLS)
}

// isLocal says whether what is sent to an address stays on this machine.
func isLocal(address string) bool {
	if strings.HasPrefix(address, "unix:") || strings.HasPrefix(address, "unix-abstract:") {
		return true
	}
	host := hostOf(address)
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return strings.Trim(address, "[]")
	}
	return host
}

// listed resolves to addresses that are known already. Each is verified by its own name.
func listed(addresses []string) *manual.Resolver {
	r := manual.NewBuilderWithScheme(scheme)
	var state resolver.State
	for _, address := range addresses {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address, ServerName: hostOf(address)})
	}
	r.InitialState(state)
	return r
}
