package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"
)

const (
	// smallOutput bounds commands that answer with a few lines.
	smallOutput = 1 << 20
	maxStderr   = 64 << 10
	// killDelay is how long pipes may stay open after the process group was killed.
	killDelay = 5 * time.Second
)

// command is one run of git.
type command struct {
	args  []string
	dir   string
	env   []string
	stdin io.Reader
	// limit of standard output in bytes; 0 means smallOutput. Beyond it the run ends with ErrTooLarge.
	limit int64
}

// timeoutError is a command that took longer than it may.
type timeoutError struct {
	command string
	after   time.Duration
}

// Error implements error.
func (e timeoutError) Error() string {
	return fmt.Sprintf("git %s took longer than %s", e.command, e.after)
}

func (c command) name() string {
	if len(c.args) == 0 {
		return ""
	}
	return c.args[0]
}

// run returns the whole output of a command.
func (g *Git) run(ctx context.Context, c command) ([]byte, error) {
	var out bytes.Buffer
	err := g.stream(ctx, c, func(r io.Reader) error {
		_, err := out.ReadFrom(r)
		return err
	})
	return out.Bytes(), err
}

// stream runs a command and hands its output to read while it runs. The process and all its children are gone when it
// returns. An error of read ends the command and is returned; output that read leaves is thrown away.
func (g *Git) stream(ctx context.Context, c command, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, g.timeout, timeoutError{c.name(), g.timeout})
	defer cancel()
	cmd := exec.CommandContext(ctx, g.path, c.args...) //nolint:gosec // arguments are fixed or checked object IDs
	cmd.Dir = c.dir
	cmd.Env = slices.Concat(g.env, c.env)
	cmd.Stdin = c.stdin
	cmd.WaitDelay = killDelay
	ownProcessGroup(cmd)
	var stderr limitedBuffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("git %s: %w", c.name(), err)
	}
	if err := cmd.Start(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("git %s: %w", c.name(), err)
	}
	limited := newLimitedReader(pipe, c.limit)
	readErr := read(limited)
	if readErr == nil && !limited.exceeded {
		_, readErr = io.Copy(io.Discard, limited)
	}
	ended := context.Cause(ctx) // before our own cancel below
	if readErr != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	if ended == nil && readErr == nil {
		ended = context.Cause(ctx)
	}
	switch {
	case limited.exceeded:
		return fmt.Errorf("git %s: output above %d bytes: %w", c.name(), limited.limit, ErrTooLarge)
	case ended != nil:
		return fmt.Errorf("git %s: %w", c.name(), ended)
	case readErr != nil:
		return readErr
	}
	return commandError(c, waitErr, stderr.Bytes())
}

func commandError(c command, err error, stderr []byte) error {
	if err == nil {
		return nil
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return fmt.Errorf("git %s: %w", c.name(), err)
	}
	return &CommandError{Command: c.name(), Exit: exit.ExitCode(), Stderr: firstWords(stderr)}
}

// limitedReader stops at the limit and remembers that there was more.
type limitedReader struct {
	r        io.Reader
	limit    int64
	left     int64
	exceeded bool
}

func newLimitedReader(r io.Reader, limit int64) *limitedReader {
	if limit <= 0 {
		limit = smallOutput
	}
	return &limitedReader{r: r, limit: limit, left: limit}
}

// Read reads up to the limit; beyond it the error is ErrTooLarge.
func (l *limitedReader) Read(p []byte) (int, error) {
	if l.exceeded {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.r.Read(p)
	if int64(n) > l.left {
		l.exceeded = true
		return int(l.left), ErrTooLarge
	}
	l.left -= int64(n)
	return n, err
}

// limitedBuffer keeps the first bytes and swallows the rest.
type limitedBuffer struct{ buf bytes.Buffer }

// Write never fails.
func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxStderr - b.buf.Len(); room > 0 {
		b.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// Bytes returns what was kept.
func (b *limitedBuffer) Bytes() []byte { return b.buf.Bytes() }
