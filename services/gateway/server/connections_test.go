package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/gateway/server"
)

// TestConnectionsBeyondTheBoundWaitForTheirTurn: strangers can hold open so many and no more, and who waits is served at last.
func TestConnectionsBeyondTheBoundWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{MaxConnections: 2})
	var conns []net.Conn
	ask := func() *bufio.Reader {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.http.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		conns = append(conns, conn)
		_, err = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		return bufio.NewReader(conn)
	}
	answered := func(in *bufio.Reader) {
		t.Helper()
		answer, err := http.ReadResponse(in, nil)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
	for range 2 {
		answered(ask())
	}
	third := ask()
	require.NoError(t, conns[2].SetReadDeadline(time.Now().Add(100*time.Millisecond)))
	_, err := third.Peek(1)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, conns[0].Close())
	require.NoError(t, conns[2].SetReadDeadline(time.Now().Add(30*time.Second)))
	answered(third)
}
