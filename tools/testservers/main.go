// Command testservers runs a command with a Postgres and a Redis of its own: installed binaries on free loopback ports,
// files in throwaway folders, stopped at the end. Servers that are named by WITAN_TEST_POSTGRES and WITAN_TEST_REDIS are
// used instead. As root on a Debian system, missing packages are installed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"witan.dev/internal/testserver"
)

func main() {
	if len(os.Args) < 2 {
		_, _ = fmt.Fprintln(os.Stderr, "usage: testservers COMMAND [ARGUMENT]...")
		os.Exit(2)
	}
	code, err := run(context.Background(), os.Args[1:])
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "testservers:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run(ctx context.Context, command []string) (code int, err error) {
	environ := os.Environ()
	for _, kind := range []struct {
		variable, pkg string
		make          func(context.Context, ...string) (*testserver.Server, error)
	}{
		{testserver.PostgresVariable, "postgresql", testserver.NewPostgres},
		{testserver.RedisVariable, "redis-server", testserver.NewRedis},
	} {
		if os.Getenv(kind.variable) != "" {
			continue
		}
		s, e := kind.make(ctx)
		if errors.Is(e, testserver.ErrNotInstalled) && install(ctx, kind.pkg) {
			s, e = kind.make(ctx)
		}
		if e != nil {
			return 0, e
		}
		defer func() { err = errors.Join(err, s.Stop()) }()
		if e := s.Start(ctx); e != nil {
			return 0, e
		}
		environ = append(environ, kind.variable+"="+s.URL)
	}
	return execute(ctx, command, environ)
}

// execute runs the command with the terminal's signals: it ends first, then the servers.
func execute(ctx context.Context, command, environ []string) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the caller's command
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	if exited, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exited.ExitCode(), 1), nil
	}
	return 0, err
}

// install gets a Debian package where this process may.
func install(ctx context.Context, pkg string) bool {
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return false
	}
	_, _ = fmt.Fprintln(os.Stderr, "installing", pkg)
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", pkg}} {
		cmd := exec.CommandContext(ctx, "apt-get", args...) //nolint:gosec // fixed words
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return false
		}
	}
	return true
}
