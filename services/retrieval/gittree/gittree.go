// Package gittree reads trees and blobs of a git repository through the git command. Nothing in the repository runs or
// is written: only plumbing commands with fixed arguments are used, hooks, filters, replacement objects, lazy fetches
// and the user's configuration are off, and objects are named by their full IDs, so no revision is ever parsed.
package gittree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"witan.dev/services/retrieval"
)

const (
	// resolveTimeout bounds the small questions, listTimeout the listing of a tree, blobTimeout one blob.
	resolveTimeout = 10 * time.Second
	listTimeout    = 2 * time.Minute
	blobTimeout    = 30 * time.Second
	// maxRoots bounds the root commits that are read for a repository's identity.
	maxRoots = 64
)

// Git opens repositories with one git binary. Safe for concurrent use.
type Git struct{ binary string }

// New returns a Git that runs the given binary; empty means "git" on the path.
func New(binary string) *Git {
	if binary == "" {
		binary = "git"
	}
	return &Git{binary: binary}
}

var _ retrieval.Trees = (*Git)(nil)

// Resolve checks the source and returns the tree that it names and the repository's identity. Errors:
// retrieval.ErrNotARepository, retrieval.ErrRevisionUnknown.
func (g *Git) Resolve(ctx context.Context, source retrieval.Source) (retrieval.Resolved, error) {
	if err := check(source); err != nil {
		return retrieval.Resolved{}, err
	}
	if _, err := g.output(ctx, source, resolveTimeout, "rev-parse", "--git-dir"); err != nil {
		return retrieval.Resolved{}, retrieval.ErrNotARepository.Wrap(err)
	}
	tree, err := g.output(ctx, source, resolveTimeout, "rev-parse", "--verify", "--quiet", "--end-of-options", source.ObjectID+"^{tree}")
	if err != nil {
		return retrieval.Resolved{}, retrieval.ErrRevisionUnknown.Wrap(err)
	}
	return retrieval.Resolved{Tree: strings.TrimSpace(tree), Repository: g.identity(ctx, source)}, nil
}

// identity is the oldest root commit: the same in every clone, wherever it lies. A tree has no history, so HEAD's is
// taken. A repository without a commit is known by its path.
func (g *Git) identity(ctx context.Context, source retrieval.Source) string {
	for _, start := range []string{source.ObjectID, "HEAD"} {
		out, err := g.output(ctx, source, resolveTimeout, "rev-list", "--max-parents=0",
			fmt.Sprintf("--max-count=%d", maxRoots), "--end-of-options", start)
		if roots := strings.Fields(out); err == nil && len(roots) > 0 {
			return "git:" + roots[len(roots)-1]
		}
	}
	return "path:" + filepath.Clean(source.Dir)
}

func check(source retrieval.Source) error {
	for _, dir := range append([]string{source.Dir}, source.ObjectDirs...) {
		if !filepath.IsAbs(dir) || strings.ContainsAny(dir, "\x00\n") {
			return fmt.Errorf("%w: not an absolute path", retrieval.ErrNotARepository)
		}
	}
	if info, err := os.Stat(source.Dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%w: no such folder", retrieval.ErrNotARepository)
	}
	if !objectID(source.ObjectID) {
		return fmt.Errorf("%w: not a full object ID", retrieval.ErrRevisionUnknown)
	}
	return nil
}

// objectID reports whether id is a full SHA-1 or SHA-256 object ID.
func objectID(id string) bool {
	if len(id) != 40 && len(id) != 64 {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}

// quoteDirs joins object directories for git's environment; one with a colon or quote is quoted as git unquotes it.
func quoteDirs(dirs []string) string {
	quoted := make([]string, len(dirs))
	for i, d := range dirs {
		if strings.ContainsAny(d, `:"\`) {
			d = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(d) + `"`
		}
		quoted[i] = d
	}
	return strings.Join(quoted, ":")
}

// errGit is what git said, cut to one line.
func errGit(err error, stderr string) error {
	line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	if line == "" {
		return fmt.Errorf("git: %w", err)
	}
	return errors.Join(fmt.Errorf("git: %.300q", line), err)
}
