package server_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/certs"
	"witan.dev/internal/certs/certstest"
	"witan.dev/services/gateway/server"
)

// TestTheGatewayIsEncrypted shows the certificate to browsers, over both versions of HTTP, and asks none of them.
func TestTheGatewayIsEncrypted(t *testing.T) {
	t.Parallel()
	ours := certstest.New(t)
	cert, key := ours.Issue(t, "gateway")
	own, err := certs.Open(certs.Files{Cert: cert, Key: key, ClientCA: ours.File, CA: ours.File}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	f := setup(t, server.Config{TLS: own.Web()})
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		trust := own.Client()(t.Context())
		trust.Certificates = nil
		protocols := new(http.Protocols)
		protocols.SetHTTP1(protocol == "HTTP/1.1")
		protocols.SetHTTP2(protocol == "HTTP/2.0")
		transport := &http.Transport{TLSClientConfig: trust, Protocols: protocols}
		t.Cleanup(transport.CloseIdleConnections)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.Replace(f.base, "http:", "https:", 1)+"/readyz", nil)
		require.NoError(t, err)
		resp, err := (&http.Client{Transport: transport}).Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, protocol, resp.Proto)
		require.GreaterOrEqual(t, resp.TLS.Version, uint16(tls.VersionTLS13))
	}
}
