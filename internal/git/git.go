package git

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// DefaultTimeout ends a git command that takes longer.
const DefaultTimeout = 2 * time.Minute

// Params says how git is run. The zero value is useful.
type Params struct {
	// Path of the program; empty looks for "git" in PATH.
	Path string
	// Env is the environment to pick from (PATH, HOME, proxies and the like; nothing that starts with GIT_). nil means
	// the environment of this process.
	Env []string
	// Timeout bounds each command; 0 means DefaultTimeout.
	Timeout time.Duration
	// IndexFile names the index to read instead of the repository's own: what git exports as GIT_INDEX_FILE to a
	// pre-commit hook.
	IndexFile string
}

// Git runs the program. Safe for concurrent use.
type Git struct {
	path    string
	env     []string
	timeout time.Duration
	index   string
	network []string // what only a fetch gets
}

// New finds the program; without one the error is ErrMissing.
func New(p Params) (*Git, error) {
	name := p.Path
	if name == "" {
		name = "git"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("%w (%s): %w", ErrMissing, name, err)
	}
	env := p.Env
	if env == nil {
		env = os.Environ()
	}
	g := &Git{path: path, env: baseEnvironment(env), timeout: p.Timeout, index: p.IndexFile, network: networkEnvironment(env)}
	if g.timeout <= 0 {
		g.timeout = DefaultTimeout
	}
	return g, nil
}

// Version returns what `git version` says, without the words before the number.
func (g *Git) Version(ctx context.Context) (string, error) {
	out, err := g.run(ctx, command{args: []string{"version"}, env: hardened(nil)})
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "git version "), nil
}
