// Package testserver starts the servers that tests need: installed binaries on free loopback ports, with their files in
// throwaway folders, stopped by process ID. It is for tests, benchmarks and `make cluster`; nothing here is secure.
package testserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The variables that name running servers; `make test` sets them.
const (
	PostgresVariable = "WITAN_TEST_POSTGRES"
	RedisVariable    = "WITAN_TEST_REDIS"
	// QdrantVariable names a Qdrant (http://host:port of its gRPC). Nobody starts one, since no package has it.
	QdrantVariable = "WITAN_TEST_QDRANT"
)

// ErrNotInstalled says which server is missing and how to get it.
var ErrNotInstalled = errors.New("a server that the tests need is not installed")

// startTimeout bounds how long a server may take to answer.
const startTimeout = 60 * time.Second

// Postgres is the URL of a Postgres on which databases may be created. A run without one fails: nothing is skipped.
func Postgres(t testing.TB) string {
	t.Helper()
	return named(t, PostgresVariable, "a Postgres (postgres://user@host:port/postgres) on which databases may be created")
}

// Redis is the URL of a Redis.
func Redis(t testing.TB) string {
	t.Helper()
	return named(t, RedisVariable, "a Redis (redis://host:port)")
}

func named(t testing.TB, variable, what string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		t.Fatalf("this test needs %s: run it by `make test` (PACKAGES=… RUN=… choose), which starts one, or set %s", what, variable)
	}
	return url
}

// Server is one running server of a test's own, which may be killed and started again on the same port and files.
type Server struct {
	// URL is how to reach it.
	URL string

	name    string
	command []string
	hard    syscall.Signal // ends the server and all its processes at once
	attr    *syscall.SysProcAttr
	ready   func(ctx context.Context) error
	log     string

	mu      sync.Mutex
	pid     int
	keeper  *exec.Cmd
	hold    io.Closer
	folders []string
}

// keeper runs a server, says its process ID, and kills it when this process is gone, however it went: the keeper's
// standard input ends then.
const keeper = `exec 3<&0; "$@" </dev/null 3<&- & server=$!; echo $server; exec 1>&-
(cat >/dev/null; kill -9 $server 2>/dev/null) <&3 & watcher=$!
exec 3<&-; wait $server; kill $watcher`

// Start starts the server and waits until it answers. The server ends at the latest with this process.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid != 0 {
		return fmt.Errorf("%s runs already", s.name)
	}
	said, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = said.Close() }()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", append([]string{"-c", keeper, "sh"}, s.command...)...) //nolint:gosec // a server that the test chose
	cmd.SysProcAttr, cmd.Stderr = s.attr, said
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	if s.pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.keeper, s.hold = cmd, in
	return s.await(ctx)
}

func (s *Server) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := s.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			said, _ := os.ReadFile(s.log)
			return fmt.Errorf("%s does not answer: %w\n%s", s.name, err, said)
		}
	}
}

// Signal sends a signal to the server, such as SIGSTOP.
func (s *Server) Signal(sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return fmt.Errorf("%s does not run", s.name)
	}
	return syscall.Kill(s.pid, sig)
}

// PID is the process ID of the running server; 0 of one that does not run.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pid
}

// Kill ends the server without giving it time: what it had not promised to keep is lost. Start brings it back.
func (s *Server) Kill() error { return s.end() }

// Stop ends the server and removes its files. It may be called twice.
func (s *Server) Stop() error {
	err := s.end()
	for _, dir := range s.folders {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func (s *Server) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pid == 0 {
		return nil
	}
	if err := syscall.Kill(s.pid, s.hard); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end %s: %w", s.name, err)
	}
	_ = syscall.Kill(s.pid, syscall.SIGCONT) // a stopped one hears only SIGKILL
	_ = s.keeper.Wait()                      // it ends as the server did
	_ = s.hold.Close()
	s.pid = 0
	return nil
}

func started(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	require.NoError(t, s.Start(t.Context()))
	return s
}
