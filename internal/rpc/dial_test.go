package rpc_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/certs"
	"witan.dev/internal/certs/certstest"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
)

// peer is one process that serves jobs and councils and counts what it is asked.
type peer struct {
	jobsv1.UnimplementedJobServiceServer
	councilv1.UnimplementedCouncilServiceServer

	srv   *rpc.Server
	asked atomic.Int64
	// fail is how many calls to refuse as UNAVAILABLE.
	fail atomic.Int64

	mu   sync.Mutex
	ids  []string        // request IDs of creates
	seen context.Context //nolint:containedctx // what a test looks at
}

func (p *peer) note(ctx context.Context) error {
	p.asked.Add(1)
	p.mu.Lock()
	p.seen = ctx
	p.mu.Unlock()
	if p.fail.Add(-1) >= 0 {
		return apierr.Unavailable(apierr.ReasonUnavailable, "not now")
	}
	return nil
}

func (p *peer) GetJob(ctx context.Context, _ *jobsv1.GetJobRequest) (*jobsv1.Job, error) {
	return &jobsv1.Job{}, p.note(ctx)
}

func (p *peer) CancelJob(ctx context.Context, _ *jobsv1.CancelJobRequest) (*jobsv1.Job, error) {
	return &jobsv1.Job{}, p.note(ctx)
}

func (p *peer) CreateDeliberation(ctx context.Context, r *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	p.mu.Lock()
	p.ids = append(p.ids, r.GetRequestId())
	p.mu.Unlock()
	return &councilv1.Deliberation{}, p.note(ctx)
}

func (p *peer) DeleteConversation(ctx context.Context, _ *councilv1.DeleteConversationRequest) (*emptypb.Empty, error) {
	return nil, p.note(ctx)
}

func (p *peer) context() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

func startPeer(t *testing.T, cfg rpc.Config, door rpc.Authenticator) *peer {
	t.Helper()
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	p := &peer{}
	var err error
	p.srv, err = rpc.NewServer(cfg, rpc.Deps{Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), Auth: door})
	require.NoError(t, err)
	require.NoError(t, p.srv.Register(func(r grpc.ServiceRegistrar) {
		jobsv1.RegisterJobServiceServer(r, p)
		councilv1.RegisterCouncilServiceServer(r, p)
	}))
	require.NoError(t, p.srv.Start(t.Context()))
	t.Cleanup(func() { p.stop(t) })
	return p
}

func (p *peer) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
	defer cancel()
	_ = p.srv.Stop(ctx)
}

func (p *peer) addr() string { return p.srv.Addr().String() }

func dialPeers(t *testing.T, p rpc.Peers) *grpc.ClientConn {
	t.Helper()
	conn, err := rpc.Dial(p)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func getJob(ctx context.Context, conn *grpc.ClientConn) error {
	_, err := jobsv1.NewJobServiceClient(conn).GetJob(ctx, &jobsv1.GetJobRequest{Name: jobName})
	return err
}

func anybody() rpc.Authenticator { return auth.NewFolder(secret.Text{}) }

func TestCallsGoRoundThoseThatServe(t *testing.T) {
	t.Parallel()
	a, b := startPeer(t, rpc.Config{}, anybody()), startPeer(t, rpc.Config{}, anybody())
	conn := dialPeers(t, rpc.Peers{Addresses: []string{a.addr(), b.addr()}})
	require.Eventually(t, func() bool {
		require.NoError(t, getJob(t.Context(), conn))
		return a.asked.Load() > 0 && b.asked.Load() > 0
	}, time.Minute, time.Millisecond)

	a.srv.Drain() // takes calls still, but says that it does not serve
	require.Eventually(t, func() bool {
		before := a.asked.Load()
		for range 8 {
			require.NoError(t, getJob(t.Context(), conn))
		}
		return a.asked.Load() == before
	}, time.Minute, time.Millisecond)

	b.stop(t)
	require.Eventually(t, func() bool {
		return status.Code(getJob(t.Context(), conn)) == codes.Unavailable
	}, time.Minute, time.Millisecond, "nobody serves any more")
	address := b.addr()
	startPeer(t, rpc.Config{Addr: address}, anybody())
	require.Eventually(t, func() bool { return getJob(t.Context(), conn) == nil }, time.Minute, 10*time.Millisecond)
}

func TestOnlySafeCallsAreRepeated(t *testing.T) {
	t.Parallel()
	p := startPeer(t, rpc.Config{}, anybody())
	conn := dialPeers(t, rpc.Peers{Addresses: []string{p.addr()}})
	jobs, council := jobsv1.NewJobServiceClient(conn), councilv1.NewCouncilServiceClient(conn)
	question := &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: "why?"}}}
	create := &councilv1.CreateDeliberationRequest{Deliberation: question}
	for name, c := range map[string]struct {
		call  func() error
		tries int64
	}{
		"a read": {func() error { return getJob(t.Context(), conn) }, 3},
		"a create": {func() error {
			_, err := council.CreateDeliberation(t.Context(), create)
			return err
		}, 3},
		"a cancellation": {func() error {
			_, err := jobs.CancelJob(t.Context(), &jobsv1.CancelJobRequest{Name: jobName})
			return err
		}, 1},
		"a deletion": {func() error {
			_, err := council.DeleteConversation(t.Context(), &councilv1.DeleteConversationRequest{Name: "conversations/" + jobName[5:]})
			return err
		}, 1},
	} {
		before := p.asked.Load()
		p.fail.Store(100)
		require.Equal(t, codes.Unavailable, status.Code(c.call()), name)
		require.Equal(t, c.tries, p.asked.Load()-before, name)
	}
	require.Len(t, p.ids, 3)
	require.NoError(t, uuid.Validate(p.ids[0]))
	require.Equal(t, []string{p.ids[0], p.ids[0], p.ids[0]}, p.ids, "each try bears the same request ID")
	require.Empty(t, create.GetRequestId(), "the caller's message is the caller's")

	p.fail.Store(2)
	create.RequestId = uuid.NewString()
	_, err := council.CreateDeliberation(t.Context(), create)
	require.NoError(t, err)
	require.Equal(t, create.GetRequestId(), p.ids[len(p.ids)-1])
}

func TestCallsHaveADeadlineAndTheirRequestID(t *testing.T) {
	t.Parallel()
	var connections []*grpc.ClientConn
	last := startPeer(t, rpc.Config{}, anybody())
	inside, err := last.srv.InProcess(secret.Text{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, inside.Close()) })
	connections = append(connections, inside, dialPeers(t, rpc.Peers{Addresses: []string{last.addr()}, Timeout: time.Hour}))
	for _, next := range connections {
		f := setup(t, rpc.Config{}, &jobs{get: func(ctx context.Context) (*jobsv1.Job, error) {
			return &jobsv1.Job{}, getJob(context.WithoutCancel(ctx), next)
		}}, "")
		_, err := f.client.GetJob(metadata.AppendToOutgoingContext(t.Context(), rpc.RequestIDHeader, "from-outside"), &jobsv1.GetJobRequest{Name: jobName})
		require.NoError(t, err)
		require.Equal(t, "from-outside", rpc.RequestID(last.context()))
	}
	deadline, ok := last.context().Deadline()
	require.True(t, ok)
	require.InDelta(t, time.Hour, time.Until(deadline), float64(time.Minute))
}

func TestServicesActForOwnersAndTheGatewayForItsCallers(t *testing.T) {
	t.Parallel()
	service := &shared{text: strings.Repeat("s", 32)}
	p := startPeer(t, rpc.Config{}, service)
	services := dialPeers(t, rpc.Peers{Addresses: []string{p.addr()}, Token: service.current})
	require.NoError(t, getJob(auth.With(t.Context(), auth.Principal{Owner: "ada"}), services))
	require.Equal(t, auth.Principal{Owner: "ada", Service: true}, auth.From(p.context()))
	require.Equal(t, codes.Unauthenticated, status.Code(getJob(t.Context(), services)), "a service acts for somebody")

	gateway := dialPeers(t, rpc.Peers{Addresses: []string{p.addr()}})
	ctx := auth.With(t.Context(), auth.Principal{Owner: "ada"})
	require.Equal(t, codes.Unauthenticated, status.Code(getJob(ctx, gateway)), "the gateway adds nothing of its own")
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer bens")
	require.NoError(t, getJob(ctx, gateway))
	require.Equal(t, auth.Principal{Owner: "ben"}, auth.From(p.context()))
}

// shared knows a cluster's token, and ben's.
type shared struct{ text string }

func (s *shared) current(context.Context) secret.Text { return secret.New(s.text) }

func (s *shared) Authenticate(_ context.Context, c auth.Credentials) (auth.Principal, error) {
	switch {
	case c.Authorization == "Bearer bens":
		return auth.Principal{Owner: "ben"}, nil
	case c.Authorization == "Bearer "+s.text && auth.IsOwner(c.Owner):
		return auth.Principal{Owner: c.Owner, Service: true}, nil
	default:
		return auth.Principal{}, auth.ErrTokenInvalid
	}
}

func TestConnectionsAreEncryptedBothWays(t *testing.T) {
	t.Parallel()
	ours := certstest.New(t)
	cert, key := ours.Issue(t, "process")
	open := func(files certs.Files) *certs.Certs {
		c, err := certs.Open(files, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		return c
	}
	server := open(certs.Files{Cert: cert, Key: key, ClientCA: ours.File, CA: ours.File})
	p := startPeer(t, rpc.Config{TLS: server.Server(), LocalAddr: "127.0.0.1:0"}, anybody())
	_, port, err := net.SplitHostPort(p.addr())
	require.NoError(t, err)
	for _, addresses := range [][]string{{p.addr()}, {"localhost:" + port}, {p.addr(), "localhost:" + port}} {
		require.NoError(t, getJob(t.Context(), dialPeers(t, rpc.Peers{Addresses: addresses, TLS: server.Client()})), addresses)
	}
	for name, encryption := range map[string]func(context.Context) *tls.Config{
		"nothing": nil, "no certificate": open(certs.Files{CA: ours.File}).Client(),
		"foreign authorities": open(certs.Files{Cert: cert, Key: key, CA: certstest.New(t).File}).Client(),
	} {
		require.Equal(t, codes.Unavailable, status.Code(getJob(t.Context(), dialPeers(t, rpc.Peers{Addresses: []string{p.addr()}, TLS: encryption}))), name)
	}

	local := dialPeers(t, rpc.Peers{Addresses: []string{p.srv.LocalAddr().String()}})
	require.NoError(t, getJob(t.Context(), local), "commands on this machine need no certificate")
	inside, err := p.srv.InProcess(secret.Text{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, inside.Close()) })
	_, err = healthgrpc.NewHealthClient(inside).Check(t.Context(), &healthgrpc.HealthCheckRequest{})
	require.NoError(t, err)
}

func TestPeersNeedAnAddress(t *testing.T) {
	t.Parallel()
	_, err := rpc.Dial(rpc.Peers{})
	require.Error(t, err)
}
