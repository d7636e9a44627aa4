package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheProcessSaysWhereItIsAndThatItIsASimulator(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(secret, []byte("hidden\n"), 0o600))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-out", dir, "-scenario", "example.yaml", "-webhook", "http://127.0.0.1:1", "-webhook-secret-file", secret}, writer)
		_ = writer.Close()
	}()
	lines := bufio.NewScanner(reader)
	require.True(t, lines.Scan())
	require.Contains(t, lines.Text(), "simulator, not GitHub")
	go func() { _, _ = io.Copy(io.Discard, reader) }()

	raw, err := os.ReadFile(filepath.Join(dir, "server.json")) //nolint:gosec // the test's folder
	require.NoError(t, err)
	var where struct {
		API     string `json:"api_url"`
		Control string `json:"control_url"`
	}
	require.NoError(t, json.Unmarshal(raw, &where))
	token, err := os.ReadFile(filepath.Join(dir, "token")) //nolint:gosec // the test's folder
	require.NoError(t, err)
	for url, want := range map[string]string{where.API + "/user": `"you"`, where.API + "/repos/acme/shop/pulls/1/files": "store/key.go", where.Control: "not GitHub"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Contains(t, string(body), want)
	}
	stop()
	require.NoError(t, <-ended)
}

func TestABadScenarioEndsTheStart(t *testing.T) {
	t.Parallel()
	bad := filepath.Join(t.TempDir(), "scenario.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("faults: [{kind: earthquake}]"), 0o600))
	require.ErrorContains(t, run(t.Context(), []string{"-scenario", bad}, io.Discard), "earthquake")
	require.ErrorContains(t, run(t.Context(), []string{"-webhook-secret-file", bad}, io.Discard), "-webhook")
}
