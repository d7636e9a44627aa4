// Package certs makes the TLS configurations of servers and clients from files in PEM format, which are followed while
// they change: a new certificate is shown from the next connection on, without a restart. TLS 1.2 is the least.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"witan.dev/internal/livefile"
)

// Files name what there is; an empty path is nothing.
type Files struct {
	// Cert and Key are what this process shows, as a server and where a server asks its clients. Both or none.
	Cert, Key string
	// ClientCA lists the authorities whose certificates the server demands of its clients.
	ClientCA string
	// CA lists the authorities that this process trusts as a client.
	CA string
}

// Certs are the files as they are now. Safe for concurrent use.
type Certs struct {
	files Files
	value *livefile.Value[material] // nil without any file
}

type material struct {
	own              []tls.Certificate // one or none
	clients, servers *x509.CertPool
}

// Open reads the files. One that cannot be used is an error here; later it leaves the earlier ones in force.
func Open(files Files, logger *slog.Logger) (*Certs, error) {
	if (files.Cert == "") != (files.Key == "") || files.ClientCA != "" && files.Cert == "" {
		return nil, errors.New("a certificate needs its key, and authorities of clients need both")
	}
	var paths []string
	for _, path := range []string{files.Cert, files.Key, files.ClientCA, files.CA} {
		if path != "" {
			paths = append(paths, path)
		}
	}
	c := &Certs{files: files}
	if len(paths) == 0 {
		return c, nil
	}
	var err error
	c.value, err = livefile.Open(livefile.Params{Paths: paths, Logger: logger}, files.parse)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	return c, nil
}

func (f Files) parse(contents [][]byte) (material, error) {
	var m material
	if f.Cert != "" {
		pair, err := tls.X509KeyPair(contents[0], contents[1])
		if err != nil {
			return m, fmt.Errorf("%s with %s: %w", f.Cert, f.Key, err)
		}
		m.own, contents = []tls.Certificate{pair}, contents[2:]
	}
	for _, list := range []struct {
		path string
		into **x509.CertPool
	}{{f.ClientCA, &m.clients}, {f.CA, &m.servers}} {
		if list.path == "" {
			continue
		}
		*list.into = x509.NewCertPool()
		if !(*list.into).AppendCertsFromPEM(contents[0]) {
			return m, fmt.Errorf("%s holds no certificate", list.path)
		}
		contents = contents[1:]
	}
	return m, nil
}

// Server is the configuration of a gRPC server, which demands certificates of its clients where their authorities are
// named; nil without a certificate of its own.
func (c *Certs) Server() *tls.Config {
	if c.files.Cert == "" {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		m := c.value.Get(hello.Context())
		now := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: m.own}
		if m.clients != nil {
			now.ClientAuth, now.ClientCAs = tls.RequireAndVerifyClientCert, m.clients
		}
		return now, nil
	}}
}

// Web is the configuration of a server for browsers, which demands no certificates; nil without a certificate of its own.
func (c *Certs) Web() *tls.Config {
	if c.files.Cert == "" {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return &c.value.Get(hello.Context()).own[0], nil
	}}
}

// Client makes the configuration of each connection to a server; nil where no authorities of servers are named.
func (c *Certs) Client() func(context.Context) *tls.Config {
	if c.files.CA == "" {
		return nil
	}
	return func(ctx context.Context) *tls.Config {
		m := c.value.Get(ctx)
		return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: m.servers, Certificates: m.own}
	}
}
