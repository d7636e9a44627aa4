package testserver

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy stands between a client and a server. Frozen, it forwards nothing and closes nothing, like a network that lost
// its way.
type Proxy struct {
	// URL is the server's with the proxy's address.
	URL string

	target string
	mu     sync.Mutex
	flows  chan struct{} // closed while it forwards
	work   sync.WaitGroup
}

// StartProxy starts a proxy in front of the server that target names, stopped at the test's end.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{target: u.Host, flows: make(chan struct{})}
	close(p.flows)
	u.Host = l.Addr().String()
	p.URL = u.String()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(ctx, c) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		p.work.Wait()
	})
	return p
}

// Freeze stops forwarding until Thaw.
func (p *Proxy) Freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flows = make(chan struct{})
}

// Thaw forwards what came meanwhile and goes on.
func (p *Proxy) Thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.flows)
}

func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })()
	p.work.Go(func() { p.pump(ctx, server, client) })
	p.pump(ctx, client, server)
}

func (p *Proxy) pump(ctx context.Context, to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		flows := p.flows
		p.mu.Unlock()
		select {
		case <-flows:
		case <-ctx.Done():
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
