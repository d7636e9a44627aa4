package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/certs/certstest"
	"witan.dev/internal/secret"
	"witan.dev/test/e2e/process"
)

// TestG14_WhatAReviewStartsIsItsOwners: services act for the owner of the job that they work on.
func TestG14_WhatAReviewStartsIsItsOwners(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	req := &jobsv1.ListJobsRequest{ParentJob: "jobs/" + g.alices["reviews"], Kind: "council"}
	started, err := g.Jobs.ListJobs(as(t, g.alice), req)
	require.NoError(t, err)
	require.Len(t, started.GetJobs(), 1)
	require.Equal(t, jobsv1.Job_SUCCEEDED, started.GetJobs()[0].GetState())
	foreign, err := g.Jobs.ListJobs(as(t, g.bob), req)
	require.NoError(t, err)
	require.Empty(t, foreign.GetJobs())
}

// TestAnEncryptedServerAndItsCommands: TLS for gRPC and HTTP, tokens for those who come over the network, and a way in
// for commands that find the data folder held.
func TestAnEncryptedServerAndItsCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	ours := certstest.New(t)
	cert, key := ours.Issue(t, "witan")
	token := auth.NewSecret()
	entry, err := auth.NewToken("ada", token)
	require.NoError(t, err)
	owner, hash, _ := strings.Cut(entry.String(), " ")
	w.configure(fmt.Sprintf(`councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}
auth: {tokens: [{owner: %s, sha256: %s}]}
tls: {cert_file: %q, key_file: %q}
`, owner, hash, cert, key), "ada", "ben", "cyd", "chair")
	n := w.serve()
	_, err = n.Jobs.ListJobs(bounded(t), &jobsv1.ListJobsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "nothing is served in the clear")

	require.Equal(t, 0, w.run("ask", "why?").Code, "a command that finds the folder held shows its token")
	over := func(env ...string) process.Result {
		return process.Run(t, w.Dir, env, "ask", "why?", "--server", n.GRPC)
	}
	trusting := "WITAN_TLS_CA_FILE=" + ours.File
	answered := over(trusting, "WITAN_TOKEN="+token.Reveal())
	require.Equal(t, 0, answered.Code, answered.Stderr)
	refused := over(trusting)
	require.Equal(t, 2, refused.Code)
	require.Contains(t, refused.Stderr, "TOKEN_MISSING")
	require.Contains(t, over(trusting, "WITAN_TOKEN="+auth.NewSecret().Reveal()).Stderr, "TOKEN_INVALID")
	require.Equal(t, 69, over("WITAN_TOKEN="+token.Reveal()).Code, "no token goes out in the clear to an encrypted server")

	pool, raw := x509.NewCertPool(), []byte(readFile(t, ours.File))
	require.True(t, pool.AppendCertsFromPEM(raw))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	for _, c := range []struct {
		token secret.Text
		code  int
	}{{token, http.StatusOK}, {secret.Text{}, http.StatusUnauthorized}} {
		req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, strings.Replace(n.HTTP, "http:", "https:", 1)+"/v1/jobs", nil)
		require.NoError(t, err)
		if !c.token.IsZero() {
			req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
		}
		resp, err := transport.RoundTrip(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.code, resp.StatusCode)
	}
	require.NotContains(t, n.Output(), token.Reveal())
}

// TestWithoutTokensOnlyLoopbackIsServed: the program does not start on any other address, and says what to do.
func TestWithoutTokensOnlyLoopbackIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	refused := w.run("serve", "--grpc-addr", "0.0.0.0:0")
	require.Equal(t, 2, refused.Code)
	require.Contains(t, refused.Stderr, "witan token new")
	_, err := os.Stat(w.Data)
	require.ErrorIs(t, err, os.ErrNotExist, "nothing was touched")
}
