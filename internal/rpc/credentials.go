package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"witan.dev/internal/auth"
	"witan.dev/internal/secret"
)

// Bearer shows a token with each call, and names the owner that the call's context works for: a handler's caller, or the
// owner of a body's job. Only who holds a folder's or a cluster's token can act for that owner.
func Bearer(token secret.Text) BearerCredentials {
	return BearerCredentials{func(context.Context) secret.Text { return token }}
}

// BearerFrom is Bearer with a token that may change from call to call.
func BearerFrom(token func(context.Context) secret.Text) BearerCredentials {
	return BearerCredentials{token}
}

// BearerCredentials are grpc credentials made by Bearer.
type BearerCredentials struct {
	token func(context.Context) secret.Text
}

// GetRequestMetadata is the authorization header and, where the context has an owner, auth.OwnerKey.
func (b BearerCredentials) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	md := map[string]string{"authorization": "Bearer " + b.token(ctx).Reveal()}
	if owner := auth.Owner(ctx); owner != "" {
		md[auth.OwnerKey] = owner
	}
	return md, nil
}

// RequireTransportSecurity is false: connections in memory and on loopback are not encrypted, and whether others are is
// the operator's decision.
func (BearerCredentials) RequireTransportSecurity() bool { return false }

// listen opens an address; none is no listener.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil //nolint:nilnil // no listener is the answer
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for gRPC on %s: %w", addr, err)
	}
	return l, nil
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// plainListener takes connections that are not encrypted even where the server has TLS: they do not leave the machine.
type plainListener struct{ net.Listener }

type plainConn struct{ net.Conn }

// Accept marks the connection.
func (l plainListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return plainConn{conn}, nil
}

// serverCredentials encrypts every connection that is not plain; nothing without a configuration.
func serverCredentials(cfg *tls.Config) credentials.TransportCredentials {
	if cfg == nil {
		return insecure.NewCredentials()
	}
	return mixed{TransportCredentials: credentials.NewTLS(cfg), plain: insecure.NewCredentials()}
}

type mixed struct {
	credentials.TransportCredentials

	plain credentials.TransportCredentials
}

// ServerHandshake does none on a plain connection.
func (m mixed) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if _, ok := conn.(plainConn); ok {
		return m.plain.ServerHandshake(conn)
	}
	return m.TransportCredentials.ServerHandshake(conn)
}

// Clone implements credentials.TransportCredentials.
func (m mixed) Clone() credentials.TransportCredentials {
	return mixed{m.TransportCredentials.Clone(), m.plain.Clone()}
}

// clientCredentials make the TLS configuration anew for each connection, since the files behind it may have changed.
type clientCredentials struct {
	config func(context.Context) *tls.Config
	name   string // overrides the server's name, empty for none
}

var errClientOnly = errors.New("rpc: these credentials are a client's")

// ClientHandshake implements credentials.TransportCredentials.
func (c *clientCredentials) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.name != "" {
		authority = c.name
	}
	return credentials.NewTLS(c.config(ctx)).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake implements credentials.TransportCredentials.
func (*clientCredentials) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errClientOnly
}

// Info implements credentials.TransportCredentials.
func (c *clientCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (c *clientCredentials) Clone() credentials.TransportCredentials {
	clone := *c
	return &clone
}

// OverrideServerName implements credentials.TransportCredentials.
func (c *clientCredentials) OverrideServerName(name string) error {
	c.name = name
	return nil
}
