package testserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"witan.dev/internal/freeport"
)

// StartPostgres starts a Postgres of the test's own, stopped at its end.
func StartPostgres(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := NewPostgres(t.Context(), settings...)
	return started(t, s, err)
}

// NewPostgres makes an empty cluster, to be started. settings are "name=value" and beat those for throwaway data: commits
// survive the process, not the machine (fsync=off).
func NewPostgres(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "witan-postgres-")
	if err != nil {
		return nil, err
	}
	s, err := newPostgres(ctx, bin, dir, settings)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func newPostgres(ctx context.Context, bin, dir string, settings []string) (*Server, error) {
	attr, err := unprivileged(dir)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "witan", "-A", "trust", "-E", "UTF8", //nolint:gosec // found above
		"--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a Postgres cluster: %w\n%s", err, out)
	}
	addresses, err := freeport.Addresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(addresses[0])
	if err != nil {
		return nil, err
	}
	command := []string{filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port}
	for _, setting := range slices.Concat([]string{
		"unix_socket_directories=", "fsync=off", "max_connections=400", "log_min_messages=fatal", "shared_buffers=64MB",
	}, settings) {
		command = append(command, "-c", setting)
	}
	isReady := filepath.Join(bin, "pg_isready")
	return &Server{
		URL:  fmt.Sprintf("postgres://witan@%s/postgres?sslmode=disable", addresses[0]),
		name: "Postgres", command: command, hard: syscall.SIGQUIT, // "immediate": no checkpoint, all backends at once
		attr: attr, log: filepath.Join(dir, "log"), folders: []string{dir},
		ready: func(ctx context.Context) error {
			return exec.CommandContext(ctx, isReady, "-q", "-U", "witan", "-h", "127.0.0.1", "-p", port).Run() //nolint:gosec // found above
		},
	}, nil
}

// postgresFolder finds the newest server among Debian's folders, or the one in PATH.
func postgresFolder() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return major(a) - major(b) })), nil
	}
	path, err := exec.LookPath("initdb")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("%w: Postgres (Debian: apt-get install postgresql; or put its bin folder into PATH)", ErrNotInstalled), err)
	}
	return filepath.Dir(path), nil
}

func major(initdb string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if err != nil {
		return 0
	}
	return n
}

// unprivileged gives the folder to the user postgres (or nobody) when this process runs as root, because Postgres refuses
// to; the server runs as that user then.
func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return &syscall.SysProcAttr{Setpgid: true}, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, fmt.Errorf("find a user for Postgres: %w", err)
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Setpgid: true, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}
