package webhook_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/webhook"
)

// one is a listener with one connection.
type one struct {
	conns chan net.Conn
	done  chan struct{}
}

func (o one) Accept() (net.Conn, error) {
	select {
	case c := <-o.conns:
		return c, nil
	case <-o.done:
		return nil, net.ErrClosed
	}
}

func (o one) Close() error { close(o.done); return nil }

func (one) Addr() net.Addr { return &net.TCPAddr{} }

// dial serves the handler, on the clock of a bubble and without any bounds of the server's own, to one connection.
func dial(t *testing.T, accept func(ctx context.Context, header http.Header, body []byte) (string, error)) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	l := one{conns: make(chan net.Conn, 1), done: make(chan struct{})}
	l.conns <- theirs
	s := &http.Server{ //nolint:gosec // the handler's own bounds are what is tested
		Handler:  webhook.NewHandler(webhook.Params{Accept: accept, Logger: slog.New(slog.DiscardHandler)}),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, errors.Join(s.Close(), ours.Close()))
		synctest.Wait()
	})
	return ours
}

func begin(t *testing.T, c net.Conn, method, contentType string, length int) {
	t.Helper()
	_, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nX-Hub-Signature-256: sha256=0\r\nContent-Length: %d\r\n\r\n", method, webhook.Path, contentType, length)
	require.NoError(t, err)
}

func TestABodyThatDoesNotComeEndsItsConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, contentType string
		code                int
	}{
		"what is taken":        {http.MethodPost, "application/json", http.StatusBadRequest},
		"another content type": {http.MethodPost, "text/plain", http.StatusUnsupportedMediaType},
		"another method":       {http.MethodPut, "application/json", http.StatusMethodNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				conn := dial(t, nil)
				begin(t, conn, c.method, c.contentType, 1000)
				in := bufio.NewReader(conn)
				require.NoError(t, conn.SetReadDeadline(start.Add(time.Hour)))
				answer, err := http.ReadResponse(in, nil)
				require.NoError(t, err)
				require.Equal(t, c.code, answer.StatusCode)
				_, err = io.Copy(io.Discard, answer.Body)
				require.NoError(t, err)
				require.NoError(t, answer.Body.Close())
				_, err = in.ReadByte()
				require.ErrorIs(t, err, io.EOF)
				require.LessOrEqual(t, time.Since(start), webhook.BodyTimeout+2*time.Second)
			})
		})
	}
}

// TestAnHonestSlowBodyArrives sends the largest body in pieces, over nearly all the time there is, and then another one.
func TestAnHonestSlowBodyArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got int
		conn := dial(t, func(_ context.Context, _ http.Header, body []byte) (string, error) {
			got = len(body)
			return "x", nil
		})
		in := bufio.NewReader(conn)
		for range 2 {
			begin(t, conn, http.MethodPost, "application/json", webhook.MaxBody)
			piece := strings.Repeat("x", webhook.MaxBody/25)
			tick := time.NewTicker((webhook.BodyTimeout - time.Second) / 25)
			for range 25 {
				<-tick.C
				_, err := io.WriteString(conn, piece)
				require.NoError(t, err)
			}
			tick.Stop()
			answer, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, answer.StatusCode)
			require.Equal(t, webhook.MaxBody, got)
			_, err = io.Copy(io.Discard, answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
		}
	})
}
