package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/certs"
	"witan.dev/internal/certs/certstest"
)

func open(t *testing.T, files certs.Files) *certs.Certs {
	t.Helper()
	c, err := certs.Open(files, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c
}

// meet lets a client and a server shake hands, and returns what the server showed.
func meet(t *testing.T, server, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = tls.Server(conn, server).HandshakeContext(t.Context())
			_ = conn.Close()
		}
		served <- err
	}()
	var dial net.Dialer
	here, err := dial.DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	conn := tls.Client(here, client)
	err = conn.HandshakeContext(t.Context())
	if refused := <-served; err == nil {
		err = refused // a client of TLS 1.3 is done before the server has looked at its certificate
	}
	require.NoError(t, here.Close())
	require.NoError(t, listener.Close())
	if err != nil {
		return nil, err
	}
	require.GreaterOrEqual(t, conn.ConnectionState().Version, uint16(tls.VersionTLS12))
	return conn.ConnectionState().PeerCertificates[0], nil
}

func dialer(t *testing.T, c *certs.Certs) *tls.Config {
	t.Helper()
	cfg := c.Client()(t.Context())
	cfg.ServerName = "localhost"
	return cfg
}

func TestClientsAndServersKnowEachOther(t *testing.T) {
	t.Parallel()
	ours, theirs := certstest.New(t), certstest.New(t)
	cert, key := ours.Issue(t, "server")
	clientCert, clientKey := ours.Issue(t, "client")
	foreignCert, foreignKey := theirs.Issue(t, "foreign")
	server := open(t, certs.Files{Cert: cert, Key: key, ClientCA: ours.File})
	known := dialer(t, open(t, certs.Files{Cert: clientCert, Key: clientKey, CA: ours.File}))
	shown, err := meet(t, server.Server(), known)
	require.NoError(t, err)
	require.Equal(t, "server", shown.Subject.CommonName)
	for name, client := range map[string]certs.Files{
		"without a certificate":      {CA: ours.File},
		"with a foreign certificate": {Cert: foreignCert, Key: foreignKey, CA: ours.File},
		"who trusts others":          {Cert: clientCert, Key: clientKey, CA: theirs.File},
	} {
		_, err := meet(t, server.Server(), dialer(t, open(t, client)))
		require.Error(t, err, name)
	}
	_, err = meet(t, server.Web(), dialer(t, open(t, certs.Files{CA: ours.File})))
	require.NoError(t, err, "browsers show no certificate")
	old := dialer(t, open(t, certs.Files{CA: ours.File}))
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	_, err = meet(t, server.Web(), old)
	require.Error(t, err)
}

func TestCertificatesAreExchangedWithTheirFiles(t *testing.T) {
	t.Parallel()
	ours := certstest.New(t)
	cert, key := ours.Issue(t, "server")
	server := open(t, certs.Files{Cert: cert, Key: key})
	client := dialer(t, open(t, certs.Files{CA: ours.File}))
	config, web := server.Server(), server.Web()
	first, err := meet(t, config, client)
	require.NoError(t, err)
	ours.Issue(t, "server")
	for _, cfg := range []*tls.Config{config, web} {
		require.Eventually(t, func() bool {
			shown, err := meet(t, cfg, client)
			require.NoError(t, err)
			return shown.SerialNumber.Cmp(first.SerialNumber) != 0
		}, time.Minute, 50*time.Millisecond)
	}
}

func TestFilesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	ours := certstest.New(t)
	cert, key := ours.Issue(t, "server")
	other, _ := ours.Issue(t, "other")
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for name, files := range map[string]certs.Files{
		"no key":              {Cert: cert},
		"no certificate":      {Key: key},
		"clients only":        {ClientCA: ours.File},
		"another's key":       {Cert: other, Key: key},
		"empty authorities":   {CA: empty},
		"missing authorities": {CA: filepath.Join(t.TempDir(), "missing")},
	} {
		_, err := certs.Open(files, slog.New(slog.DiscardHandler))
		require.Error(t, err, name)
	}
	none := open(t, certs.Files{})
	require.Nil(t, none.Server())
	require.Nil(t, none.Web())
	require.Nil(t, none.Client())
}
