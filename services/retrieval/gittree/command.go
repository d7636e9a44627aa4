package gittree

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"witan.dev/services/retrieval"
)

// maxStderr bounds what is kept of git's complaints.
const maxStderr = 4 << 10

// command returns a git command for source in a process group of its own, which is killed as a whole when ctx ends.
func (g *Git) command(ctx context.Context, source retrieval.Source, args ...string) *exec.Cmd {
	fixed := []string{
		"--no-replace-objects", "--literal-pathspecs",
		// Reading objects runs nothing of the repository, so it may belong to another user.
		"-c", "safe.directory=*",
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "protocol.allow=never",
		"-C", source.Dir,
	}
	cmd := exec.CommandContext(ctx, g.binary, append(fixed, args...)...) //nolint:gosec // fixed commands, IDs were checked
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + os.DevNull,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1",
		// What keeps a git older than 2.44 from fetching; the repository's protocol.ext.allow would beat protocol.allow.
		"GIT_ALLOW_PROTOCOL=",
	}
	if len(source.ObjectDirs) > 0 {
		cmd.Env = append(cmd.Env, "GIT_ALTERNATE_OBJECT_DIRECTORIES="+quoteDirs(source.ObjectDirs))
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// output runs a command with a short answer.
func (g *Git) output(ctx context.Context, source retrieval.Source, limit time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := g.command(ctx, source, args...)
	var stdout, stderr capped
	stdout.limit, stderr.limit = 64<<10, maxStderr
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("git %s: %w", args[0], context.Cause(ctx))
		}
		return "", errGit(err, stderr.String())
	}
	return stdout.String(), nil
}

// capped keeps the first bytes that are written to it.
type capped struct {
	bytes.Buffer

	limit int
}

// Write never fails, so that the command runs to its end.
func (c *capped) Write(p []byte) (int, error) {
	if room := c.limit - c.Len(); room > 0 {
		_, _ = c.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
