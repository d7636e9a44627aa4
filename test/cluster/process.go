package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// atWork is what a process logs when it serves, or works on jobs.
var atWork = regexp.MustCompile(`msg=(serving|working)\b`)

// Process is one process of the program, which may be started again after its end.
type Process struct {
	// Name tells it from the others.
	Name string

	binary    string
	folder    string
	args      []string
	environ   []string
	output    io.Writer
	operators string // address
	ended     func(name, how string)

	mu    sync.Mutex
	cmd   *exec.Cmd
	done  chan struct{}
	lines []string
	more  chan struct{} // closed and replaced at every line
	asked bool          // to end
}

func newProcess(name string, p *Params, args []string) *Process {
	environ := append(os.Environ(), p.Environ...)
	kept := environ[:0:0]
	for _, entry := range environ[:len(environ)-len(p.Environ)] {
		if !strings.HasPrefix(entry, "WITAN_") {
			kept = append(kept, entry)
		}
	}
	return &Process{
		Name: name, binary: p.Binary, folder: p.Folder, args: args, environ: append(kept, p.Environ...), output: p.Output, more: make(chan struct{}),
	}
}

// observe gives the process an address for operators.
func (p *Process) observe(address string) {
	p.operators = address
	p.environ = append(p.environ, "WITAN_OPERATIONS_ADDR="+address)
}

// Operations is the base URL of what the process tells operators; empty unless it is observed.
func (p *Process) Operations() string {
	if p.operators == "" {
		return ""
	}
	return "http://" + p.operators
}

// Start starts the process. What an earlier life wrote is forgotten.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done != nil {
		select {
		case <-p.done:
		default:
			return fmt.Errorf("%s runs already", p.Name)
		}
	}
	cmd := exec.CommandContext(context.Background(), p.binary, p.args...) //nolint:gosec // our own program
	cmd.Env, cmd.Dir = p.environ, p.folder
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for whoever started it, which ends all in order
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.done, p.lines, p.asked = cmd, make(chan struct{}), nil, false
	go p.follow(cmd, out, p.done)
	return nil
}

func (p *Process) follow(cmd *exec.Cmd, out io.Reader, done chan struct{}) {
	defer close(done)
	in := bufio.NewScanner(out)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, in.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if p.output != nil {
			_, _ = fmt.Fprintf(p.output, "%-18s %s\n", p.Name, in.Text())
		}
	}
	_ = cmd.Wait() // the exit code is looked at by those who want to know
	p.mu.Lock()
	asked := p.asked
	p.mu.Unlock()
	if p.ended != nil && !asked {
		p.ended(p.Name, strings.TrimPrefix(cmd.ProcessState.String(), "signal: "))
	}
}

// launch starts the process and waits until it says that it is at work.
func (p *Process) launch(ctx context.Context) error {
	if err := p.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	_, err := p.Expect(ctx, atWork)
	return err
}

// Expect waits for a line that matches and returns its groups.
func (p *Process) Expect(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	for seen, ended := 0, false; ; {
		p.mu.Lock()
		lines, more, done := p.lines[min(seen, len(p.lines)):], p.more, p.done
		seen = len(p.lines)
		p.mu.Unlock()
		for _, line := range lines {
			if groups := pattern.FindStringSubmatch(line); groups != nil {
				return groups, nil
			}
		}
		if ended {
			return nil, fmt.Errorf("%s ended without a line like %s:\n%s", p.Name, pattern, p.Output())
		}
		select {
		case <-more:
		case <-done:
			ended = true // look once more at what came last
		case <-ctx.Done():
			return nil, fmt.Errorf("%s wrote no line like %s: %w\n%s", p.Name, pattern, context.Cause(ctx), p.Output())
		}
	}
}

// Output is what this life of the process has written so far.
func (p *Process) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// PID is the number of the running process, of the last one after its end, and 0 before the first.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// Signal sends a signal, such as SIGSTOP.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return fmt.Errorf("%s does not run", p.Name)
	}
	p.asked = p.asked || s == syscall.SIGKILL || s == syscall.SIGTERM
	return p.cmd.Process.Signal(s)
}

// Wait waits for the end and returns the exit code, -1 after a signal.
func (p *Process) Wait(ctx context.Context) (int, error) {
	p.mu.Lock()
	cmd, done := p.cmd, p.done
	p.mu.Unlock()
	if cmd == nil {
		return 0, fmt.Errorf("%s does not run", p.Name)
	}
	select {
	case <-done:
		return cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s does not end: %w", p.Name, context.Cause(ctx))
	}
}

// Kill ends the process as a crash would, and waits until it is gone. One that does not run is left alone.
func (p *Process) Kill() error {
	err := p.Signal(syscall.SIGKILL)
	if errors.Is(err, os.ErrProcessDone) || p.PID() == 0 {
		err = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if p.PID() != 0 {
		_, waitErr := p.Wait(ctx)
		err = errors.Join(err, waitErr)
	}
	return err
}

// Stop asks the process to end and requires that it ends well. One that does not run is left alone.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	code, err := p.Wait(ctx)
	if err != nil {
		return errors.Join(err, p.Kill())
	}
	if code != 0 {
		return fmt.Errorf("%s ended with %d:\n%s", p.Name, code, p.Output())
	}
	return nil
}

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		return true
	}
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}
