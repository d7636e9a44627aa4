package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"witan.dev/internal/config"
	"witan.dev/internal/datadir"
	"witan.dev/internal/lifecycle"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
)

const (
	reachTimeout = 5 * time.Second
	// holderPatience is how long a command waits for a holder that starts or stops, holderPause between two looks.
	holderPatience = 5 * time.Second
	holderPause    = 100 * time.Millisecond
	// maxMessage is what a client accepts in one message: a full review with its findings and coverage.
	maxMessage = 64 << 20
)

// session is a connection to a Witan: one that runs inside this command, the one that holds the data folder, or a
// server somewhere.
type session struct {
	conn grpc.ClientConnInterface
	// inside says that the jobs run in this very process and pause when it ends.
	inside bool
	// remote says that the server was named by address: it shares no files with this command.
	remote bool
	// attach is what to write behind `witan attach JOB` to come back.
	attach string
	close  func(ctx context.Context) error
}

// connect finds the Witan that a command talks to, one that runs jobs. server is the value of --server.
func (a *app) connect(ctx context.Context, cmd *cobra.Command, server string) (*session, error) {
	return a.session(ctx, cmd, server, false, jobServices())
}

// connectOnly is connect for commands that only look: where the system runs inside this command, no job goes on.
func (a *app) connectOnly(ctx context.Context, cmd *cobra.Command, server string) (*session, error) {
	return a.session(ctx, cmd, server, true, jobServices())
}

// jobServices are those of a cluster that commands about jobs talk to.
func jobServices() []string {
	return []string{serviceCouncil, serviceReview, serviceJobs, serviceRetrieval}
}

// session finds a Witan; services are those of a cluster that are needed.
func (a *app) session(ctx context.Context, cmd *cobra.Command, server string, noWorkers bool, services []string) (*session, error) {
	c, err := a.load(cmd)
	if err != nil {
		return nil, err
	}
	if server != "" {
		own, err := newCerts(c.TLS, slog.New(slog.DiscardHandler))
		if err != nil {
			return nil, err
		}
		return dial(ctx, server, c.Token, own.Client(), &session{remote: true, attach: " --server " + server})
	}
	if !c.Database.IsZero() {
		return dialCluster(ctx, c, services, a.attachSuffix(cmd))
	}
	return settle(ctx, holderPatience, func() (*session, error) {
		return a.joinOrHold(ctx, c, a.attachSuffix(cmd), noWorkers)
	})
}

// joinOrHold becomes a client of the process that holds the data folder, or its holder.
func (a *app) joinOrHold(ctx context.Context, c config.Config, suffix string, noWorkers bool) (*session, error) {
	holder, err := datadir.FindHolder(c.Data)
	switch {
	case err == nil:
		return dialHolder(ctx, c.Data, holder, &session{attach: suffix})
	case !errors.Is(err, datadir.ErrNoHolder):
		return nil, err
	}
	return a.runInside(ctx, c, suffix, noWorkers)
}

// settle tries again for a while where the folder is held by a process that cannot be reached: one that starts has not
// announced itself yet, and one that stops, or was killed, takes no calls any more.
func settle(ctx context.Context, patience time.Duration, try func() (*session, error)) (*session, error) {
	for end := time.Now().Add(patience); ; {
		s, err := try()
		code, _ := codeOf(err)
		if err == nil || time.Now().After(end) || !errors.Is(err, datadir.ErrHeld) && code != exitUnreachable {
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(holderPause):
		}
	}
}

// speaksHTTP says whether a failed call was answered in HTTP/1.1, by gRPC's words for it.
func speaksHTTP(err error) bool {
	text := status.Convert(err).Message()
	return strings.Contains(text, "HTTP/1.1 header") || strings.Contains(text, "unexpected HTTP status code")
}

// attachSuffix repeats the flags that lead to the same data folder.
func (a *app) attachSuffix(cmd *cobra.Command) string {
	var suffix strings.Builder
	for _, name := range []string{"config", "data"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			fmt.Fprintf(&suffix, " --%s %s", name, f.Value)
		}
	}
	return suffix.String()
}

// runInside starts the whole system in this process, on the data folder, and lets other commands join it.
func (a *app) runInside(ctx context.Context, c config.Config, suffix string, noWorkers bool) (*session, error) {
	c.GRPCAddr, c.HTTPAddr = "127.0.0.1:0", ""
	if !a.flagged("WITAN_LOG_LEVEL") && c.Log.Level == "info" {
		c.Log.Level = "warn" // the command shows progress itself
	}
	logger, err := a.logger(c.Log)
	if err != nil {
		return nil, err
	}
	r := everything()
	r.queues = jobQueues() // webhooks are for processes that stay
	if noWorkers {
		r.queues = nil
	}
	s, err := startSystem(ctx, systemParams{Config: c, Environ: a.environ, Logger: logger, Roles: r})
	if err != nil {
		return nil, err
	}
	return &session{conn: s.conn, inside: true, attach: suffix, close: s.stop}, nil
}

func (a *app) flagged(variable string) bool { return a.getenv(variable) != "" }

// dialCluster connects to the services of a cluster where its configuration says that they are.
func dialCluster(ctx context.Context, c config.Config, services []string, suffix string) (*session, error) {
	own, err := newCerts(c.TLS, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	peers := make(map[string]grpc.ClientConnInterface)
	var stack lifecycle.Stack
	for _, service := range services {
		addresses := c.Services[service]
		if len(addresses) == 0 {
			return nil, errors.Join(fmt.Errorf("the configuration names a database, so the jobs run in a cluster, but not where: "+
				"name the addresses in services.%s, or a server that serves everything with --server", service), stack.Close(ctx))
		}
		s, err := dial(ctx, addresses[0], c.Token, own.Client(), &session{})
		if err != nil {
			return nil, errors.Join(err, stack.Close(ctx))
		}
		stack.Defer(service, s.close)
		peers[service] = s.conn
	}
	return &session{conn: rpc.NewRouter(peers), remote: true, attach: suffix, close: stack.Close}, nil
}

// dialHolder connects to whoever holds the data folder: after a restart that is another process, with a token of its own
// and perhaps at another address.
func dialHolder(ctx context.Context, folder string, found datadir.Holder, s *session) (*session, error) {
	var last atomic.Pointer[datadir.Holder]
	last.Store(&found)
	conn, err := grpc.NewClient("passthrough:///data-folder",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithPerRPCCredentials(rpc.BearerFrom(func(context.Context) secret.Text { return secret.New(last.Load().Token) })),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			holder, err := datadir.FindHolder(folder)
			if err != nil {
				return nil, err
			}
			last.Store(&holder)
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", holder.Address)
		}))
	if err != nil {
		return nil, exit(exitUnreachable, fmt.Errorf("server %s: %w", found.Address, err))
	}
	return reach(ctx, conn, found.Address, s)
}

// dial connects to a server and makes sure that it is there. An empty token is not sent; without a configuration of TLS
// nothing is encrypted.
func dial(ctx context.Context, address string, token secret.Text, encryption func(context.Context) *tls.Config, s *session) (*session, error) {
	transport := insecure.NewCredentials()
	if encryption != nil {
		transport = credentials.NewTLS(encryption(ctx))
	} else if !token.IsZero() && !config.IsLoopback(address) {
		return nil, fmt.Errorf("%s: the token would be sent in clear text; name the server's authority in tls.ca_file", address)
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(transport),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
	}
	if !token.IsZero() {
		options = append(options, grpc.WithPerRPCCredentials(rpc.Bearer(token)))
	}
	conn, err := grpc.NewClient(address, options...)
	if err != nil {
		return nil, exit(exitUnreachable, fmt.Errorf("server %s: %w", address, err))
	}
	return reach(ctx, conn, address, s)
}

// reach makes sure that a server answers over a connection, which is the session's then.
func reach(ctx context.Context, conn *grpc.ClientConn, address string, s *session) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if _, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{}); err != nil {
		if speaksHTTP(err) {
			return nil, exit(exitUnreachable, errors.Join(fmt.Errorf("%s speaks plain HTTP: it may be the port of REST and the page (7480 by default); "+
				"commands need the one of gRPC (7400 by default)", address), conn.Close()))
		}
		return nil, exit(exitUnreachable, errors.Join(fmt.Errorf("no Witan answers at %s: %s", address, explain(err)), conn.Close()))
	}
	s.conn = conn
	s.close = func(context.Context) error { return conn.Close() }
	return s, nil
}
