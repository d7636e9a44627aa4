package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"witan.dev/internal/freeport"
)

// StartRedis starts a Redis of the test's own, stopped at its end.
func StartRedis(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := NewRedis(t.Context(), settings...)
	return started(t, s, err)
}

// NewRedis prepares a Redis, to be started. settings are arguments such as "--appendonly", "yes"; without any it keeps
// nothing.
func NewRedis(ctx context.Context, settings ...string) (*Server, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: Redis (Debian: apt-get install redis-server; or put redis-server into PATH)", ErrNotInstalled)
	}
	dir, err := os.MkdirTemp("", "witan-redis-")
	if err != nil {
		return nil, err
	}
	addresses, err := freeport.Addresses(ctx, 1)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	address := addresses[0]
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Server{
		URL: "redis://" + address, name: "Redis", hard: syscall.SIGKILL, attr: &syscall.SysProcAttr{Setpgid: true}, log: filepath.Join(dir, "log"), folders: []string{dir},
		command: append([]string{
			binary, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--save", "", "--logfile", filepath.Join(dir, "log"),
		}, settings...),
		ready: func(ctx context.Context) error { return ping(ctx, address) },
	}, nil
}

// ping asks in Redis' own protocol.
func ping(ctx context.Context, address string) error {
	var dial net.Dialer
	conn, err := dial.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") {
		return fmt.Errorf("redis answers %q", strings.TrimSpace(line))
	}
	return nil
}
