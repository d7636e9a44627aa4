package git

import (
	"context"
	"fmt"
	"strings"
)

// maxRevision bounds a revision's text, in bytes.
const maxRevision = 1024

// Resolve returns the object ID of the commit that a revision names. The error is ErrUnknownRevision where it names
// none, ErrUnborn for HEAD without a commit.
func (r *Repository) Resolve(ctx context.Context, revision string) (string, error) {
	if revision == "" || len(revision) > maxRevision || strings.ContainsAny(revision, "\x00\n") {
		return "", fmt.Errorf("%w: %.80q", ErrUnknownRevision, revision)
	}
	out, err := r.run(ctx, command{args: []string{"rev-parse", "--verify", "--end-of-options", revision + "^{commit}"}})
	if err != nil {
		if exitCode(err) < 0 {
			return "", err
		}
		if revision == "HEAD" {
			return "", fmt.Errorf("%w: %w", ErrUnborn, err)
		}
		return "", fmt.Errorf("%w: %q: %w", ErrUnknownRevision, revision, err)
	}
	id := strings.TrimSpace(string(out))
	return id, needObjectIDs(id)
}

// HeadOrEmpty returns the commit that HEAD names, or the empty tree on a branch without one.
func (r *Repository) HeadOrEmpty(ctx context.Context) (string, error) {
	id, err := r.Resolve(ctx, "HEAD")
	if unborn(err) {
		return r.EmptyTree(), nil
	}
	return id, err
}

// MergeBase returns the best common ancestor of two commits, the first where there are several. The error is
// ErrNoMergeBase where there is none.
func (r *Repository) MergeBase(ctx context.Context, a, b string) (string, error) {
	if err := needObjectIDs(a, b); err != nil {
		return "", err
	}
	out, err := r.run(ctx, command{args: []string{"merge-base", a, b}})
	if exitCode(err) == 1 {
		return "", r.noMergeBase(a, b)
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}

func (r *Repository) noMergeBase(a, b string) error {
	hint := ""
	if r.Shallow {
		hint = " (the clone is shallow: fetch more history, for example with `git fetch --unshallow`)"
	}
	return fmt.Errorf("%w of %.12s and %.12s%s", ErrNoMergeBase, a, b, hint)
}

// RootCommit returns the first commit of the history that led to the commit along first parents: what a repository's
// clones have in common. In a shallow clone it is the border's.
func (r *Repository) RootCommit(ctx context.Context, commit string) (string, error) {
	if err := needObjectIDs(commit); err != nil {
		return "", err
	}
	out, err := r.run(ctx, command{args: []string{"rev-list", "--first-parent", "--max-parents=0", commit}})
	if err != nil {
		return "", err
	}
	roots := strings.Fields(string(out))
	if len(roots) == 0 {
		return "", fmt.Errorf("root commit of %s: %w", commit, ErrUnknownRevision)
	}
	return roots[len(roots)-1], nil
}

// Branch returns the short name of the branch that is checked out, empty for a detached HEAD.
func (r *Repository) Branch(ctx context.Context) (string, error) {
	out, err := r.run(ctx, command{args: []string{"symbolic-ref", "--quiet", "--short", "HEAD"}})
	if exitCode(err) == 1 {
		return "", nil
	}
	return strings.TrimSpace(string(out)), err
}

// SameTree reports whether two commits or trees hold the same files.
func (r *Repository) SameTree(ctx context.Context, a, b string) (bool, error) {
	if err := needObjectIDs(a, b); err != nil {
		return false, err
	}
	out, err := r.run(ctx, command{args: []string{"rev-parse", "--verify", "--end-of-options", a + "^{tree}"}})
	if err != nil {
		return false, err
	}
	other, err := r.run(ctx, command{args: []string{"rev-parse", "--verify", "--end-of-options", b + "^{tree}"}})
	return err == nil && string(out) == string(other), err
}
