// Package process runs the real program for tests: built once, with the race detector, started in throwaway folders,
// stopped or killed by its process ID.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
)

// patience bounds every wait: a test that needs longer is broken, not slow.
const patience = 60 * time.Second

// The program is built once for all tests of the binary.
//
//nolint:gochecknoglobals // see above
var (
	raced = sync.OnceValues(func() (string, error) { return build("-race") })
	plain = sync.OnceValues(func() (string, error) { return build() })
	crash = sync.OnceValues(func() (string, error) { return build("-tags", "crashpoints") })

	mu    sync.Mutex
	built []string // folders that Cleanup removes
)

func build(flags ...string) (string, error) {
	dir, err := os.MkdirTemp("", "witan-e2e-")
	if err != nil {
		return "", err
	}
	mu.Lock()
	built = append(built, dir)
	mu.Unlock()
	binary := filepath.Join(dir, "witan")
	args := append(append([]string{"build"}, flags...), "-o", binary, "./cmd/witan")
	cmd := exec.CommandContext(context.Background(), "go", args...) //nolint:gosec // our own program
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(errors.New(string(out)), err)
	}
	return binary, nil
}

// Binary is the path of the built program, with the race detector.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := raced()
	require.NoError(t, err)
	return path
}

// Plain is the path of the program without the race detector, for inputs that are too large for it.
func Plain(t testing.TB) string {
	t.Helper()
	path, err := plain()
	require.NoError(t, err)
	return path
}

// Crashing is the path of the program with its crash points.
func Crashing(t testing.TB) string {
	t.Helper()
	path, err := crash()
	require.NoError(t, err)
	return path
}

// Before is the path of the program as it was before the newest commit that changed a folder of the project, built from the
// project's history.
func Before(t testing.TB, folder string) string {
	t.Helper()
	newest := git(t, "log", "-1", "--format=%H", "--", folder)
	require.NotEmpty(t, newest, "the checkout has no history of %s: clone it whole", folder)
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	git(t, "archive", "--format=tar", "--output", archive, newest+"~1")
	source, binary := filepath.Join(dir, "source"), filepath.Join(dir, "witan")
	require.NoError(t, os.Mkdir(source, 0o700))
	for _, command := range [][]string{{"tar", "-xf", archive, "-C", source}, {"go", "build", "-buildvcs=false", "-o", binary, "./cmd/witan"}} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...) //nolint:gosec // fixed words and our own folders
		cmd.Dir = source
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return binary
}

func git(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // fixed words
	cmd.Dir = Root()
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// Cleanup removes what was built; a TestMain calls it at the end.
func Cleanup() {
	mu.Lock()
	defer mu.Unlock()
	for _, dir := range built {
		_ = os.RemoveAll(dir)
	}
}

// Root is the project's folder.
func Root() string {
	root, err := testdata.Root()
	if err != nil {
		panic(err) // tests run in their package's folder
	}
	return root
}

// Result is how a command ended.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs witan to its end. env is added to an environment without any WITAN_ or provider variable.
func Run(t testing.TB, dir string, env []string, args ...string) Result {
	t.Helper()
	return RunInput(t, dir, env, nil, args...)
}

// RunInput is Run with a standard input.
func RunInput(t testing.TB, dir string, env []string, stdin []byte, args ...string) Result {
	t.Helper()
	return RunBinary(t, Binary(t), dir, env, stdin, args...)
}

// RunBinary is RunInput of a certain build.
func RunBinary(t testing.TB, binary, dir string, env []string, stdin []byte, args ...string) Result {
	t.Helper()
	return run(t, patience, binary, dir, env, stdin, args...)
}

// RunLong is RunBinary without a standard input, for what does the work of many commands: it may take ten minutes.
func RunLong(t testing.TB, binary, dir string, args ...string) Result {
	t.Helper()
	return run(t, 10*time.Minute, binary, dir, nil, nil, args...)
}

func run(t testing.TB, limit time.Duration, binary, dir string, env []string, stdin []byte, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // our own program
	cmd.Dir, cmd.Env, cmd.Stdin = dir, environment(env), bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exited := (*exec.ExitError)(nil); !errors.As(err, &exited) {
		require.NoError(t, err, stderr.String())
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

func environment(extra []string) []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "WITAN_") && !strings.HasSuffix(name, "_API_KEY") && !strings.HasSuffix(name, "_BASE_URL") {
			env = append(env, entry)
		}
	}
	return append(env, extra...)
}

// Process is a running witan.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced at every line
}

// Start starts witan. It is killed at the test's end if it still runs.
func Start(t testing.TB, dir string, env []string, args ...string) *Process {
	t.Helper()
	return StartBinary(t, Binary(t), dir, env, args...)
}

// StartBinary is Start of a certain build.
func StartBinary(t testing.TB, binary, dir string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, done: make(chan struct{}), more: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...) //nolint:gosec // our own program
	p.cmd.Dir, p.cmd.Env = dir, environment(env)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	var reading sync.WaitGroup
	for _, pipe := range []*bufio.Scanner{bufio.NewScanner(stderr), bufio.NewScanner(stdout)} {
		pipe.Buffer(nil, 16<<20)
		reading.Go(func() { p.read(pipe) })
	}
	go func() {
		reading.Wait()
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("output of witan %s:\n%s", strings.Join(args, " "), p.Output())
		}
	})
	return p
}

func (p *Process) read(in *bufio.Scanner) {
	for in.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// Output is what the process has written so far, standard output and error in the order of arrival.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// Expect waits for a line that matches and returns its groups.
func (p *Process) Expect(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(patience)
	ended := false
	for seen := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[seen:], p.more
		seen = len(p.lines)
		p.mu.Unlock()
		for _, l := range lines {
			if m := re.FindStringSubmatch(l); m != nil {
				return m
			}
		}
		if ended {
			require.FailNow(p.t, "the process ended without the expected line", "%s\n%s", pattern, p.Output())
		}
		select {
		case <-more:
		case <-p.done:
			ended = true // look once more at what came last
		case <-deadline:
			require.FailNow(p.t, "no such line", "%s\n%s", pattern, p.Output())
		}
	}
}

// Kill ends the process as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Done is closed when the process has ended and what it wrote is read.
func (p *Process) Done() <-chan struct{} { return p.done }

// EndedBy is the signal that ended the process; -1: none did.
func (p *Process) EndedBy() syscall.Signal {
	<-p.done
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return -1
	}
	return status.Signal()
}

// PID is the process ID, as long as the process runs.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(s syscall.Signal) { require.NoError(p.t, p.cmd.Process.Signal(s)) }

// Wait waits for the process's end and returns its exit code.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		require.FailNow(p.t, "the process does not end", "%s", p.Output())
		return -1
	}
}

// Stop ends the process gracefully and requires exit code 0.
func (p *Process) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	require.Zero(p.t, p.Wait(), p.Output())
}
