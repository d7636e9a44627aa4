package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"witan.dev/client"
	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// server is a gRPC server on a TCP port.
type server struct {
	*grpc.Server

	health  *health.Server
	address string
	served  chan struct{}
}

// serve starts one; address may be of one that was stopped.
func serve(t *testing.T, f *fake, address string, options ...grpc.ServerOption) *server {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	s := &server{grpc.NewServer(options...), health.NewServer(), listener.Addr().String(), make(chan struct{})}
	jobsv1.RegisterJobServiceServer(s, f)
	councilv1.RegisterCouncilServiceServer(s, f)
	healthv1.RegisterHealthServer(s, s.health)
	go func() {
		defer close(s.served)
		_ = s.Serve(listener)
	}()
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	s.Stop()
	<-s.served
}

func dial(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Dial(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// TestG03_AcrossRestartsOfTheServer stops the server after every third event and starts the next one on the same port.
func TestG03_AcrossRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	f := finished(20)
	f.next = func(int) stream { return stream{deliver: 3, silent: true} }
	s := serve(t, f, "127.0.0.1:0")
	c := dial(t, client.Config{Addresses: []string{s.address}})
	follower := c.Follow(jobName, client.Start{})
	var got []*jobsv1.JobEvent
	for e, err := range follower.Events(t.Context()) {
		require.NoError(t, err)
		if got = append(got, e); len(got)%3 == 0 {
			s.stop()
			s = serve(t, f, s.address)
		}
	}
	requireSame(t, f.events(), got)
	require.NotNil(t, follower.Job())
}

// TestG03_CutsAtAnyByteOfTheConnection puts a proxy in between that breaks connections after a few bytes more each time,
// in the middle of frames and messages.
func TestG03_CutsAtAnyByteOfTheConnection(t *testing.T) {
	t.Parallel()
	f := newFake()
	for i := range 300 {
		f.add(fmt.Sprintf("piece %d of a text that is long enough to be cut in its middle", i))
	}
	f.finish(jobsv1.Job_SUCCEEDED)
	s := serve(t, f, "127.0.0.1:0")
	p := startProxy(t, s.address)
	c := dial(t, client.Config{Addresses: []string{p.address}})
	got, err := collect(c.Follow(jobName, client.Start{}).Events(t.Context()))
	require.NoError(t, err)
	requireSame(t, f.events(), got)
	require.Greater(t, len(f.watched()), 10)
}

func TestOfSeveralAddressesThoseAreUsedThatServe(t *testing.T) {
	t.Parallel()
	f := finished(8)
	f.next = func(n int) stream {
		if n == 0 {
			return stream{deliver: 4, silent: true}
		}
		return whole()
	}
	gone := serve(t, newFake(), "127.0.0.1:0")
	gone.stop()
	idle := newFake()
	draining, serving := serve(t, idle, "127.0.0.1:0"), serve(t, f, "127.0.0.1:0")
	draining.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING)
	second := serve(t, f, "127.0.0.1:0")
	c := dial(t, client.Config{Addresses: []string{gone.address, draining.address, serving.address, second.address}})
	var got []*jobsv1.JobEvent
	for e, err := range c.Follow(jobName, client.Start{}).Events(t.Context()) {
		require.NoError(t, err)
		if got = append(got, e); len(got) == 4 {
			serving.stop() // one of the two that share the log; if the stream is at the other, that one ends as well
			second.stop()
			second = serve(t, f, second.address)
		}
	}
	requireSame(t, f.events(), got)
	require.Empty(t, idle.watched(), "a server that says that it does not serve is not asked")
}

func TestTokenAndTLS(t *testing.T) {
	t.Parallel()
	certificate, pool := certify(t)
	f := finished(3)
	need := func(ctx context.Context) error {
		md, _ := metadata.FromIncomingContext(ctx)
		if got := md.Get("authorization"); len(got) != 1 || got[0] != "Bearer geheim" {
			return status.Error(codes.Unauthenticated, "no token")
		}
		return nil
	}
	s := serve(t, f, "127.0.0.1:0",
		grpc.Creds(credentials.NewServerTLSFromCert(&certificate)),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if info.FullMethod == healthv1.Health_Watch_FullMethodName {
				return next(srv, ss)
			}
			if err := need(ss.Context()); err != nil {
				return err
			}
			return next(srv, ss)
		}),
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := need(ctx); err != nil {
				return nil, err
			}
			return next(ctx, req)
		}))
	trusted := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
	for _, addresses := range [][]string{{s.address}, {s.address, "127.0.0.1:1"}} {
		c := dial(t, client.Config{Addresses: addresses, Token: "geheim", TLS: trusted})
		got, err := collect(c.Follow(jobName, client.Start{}).Events(t.Context()))
		require.NoError(t, err)
		requireSame(t, f.events(), got)
	}
	_, err := dial(t, client.Config{Addresses: []string{s.address}, Token: "other", TLS: trusted}).Get(t.Context(), jobName)
	require.Equal(t, codes.Unauthenticated, status.Code(err))
}

// certify makes a certificate for the loopback address, and a pool that trusts it.
func certify(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "witan"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(raw)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pool
}

// proxy forwards connections, each for some bytes more than the one before, and then resets them.
type proxy struct {
	address string

	mu      sync.Mutex
	allowed int64
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{address: listener.Addr().String(), allowed: 200}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.forward(in, target) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return p
}

func (p *proxy) forward(in net.Conn, target string) {
	p.mu.Lock()
	p.allowed += 331
	allowed := p.allowed
	p.mu.Unlock()
	var dialer net.Dialer
	out, err := dialer.DialContext(context.Background(), "tcp", target)
	if err != nil {
		_ = in.Close()
		return
	}
	var copying sync.WaitGroup
	copying.Go(func() {
		_, _ = io.Copy(out, in)
		_ = out.Close() // the client left
	})
	_, _ = io.CopyN(in, out, allowed)
	for _, conn := range []net.Conn{in, out} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, no goodbye
		}
		_ = conn.Close()
	}
	copying.Wait()
}
