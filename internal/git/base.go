package git

import (
	"context"
	"errors"
	"strings"
)

// BaseRule says how a default base was chosen.
type BaseRule string

// The rules, in the order in which they are tried.
const (
	// BaseUpstream: the upstream of the branch that is checked out.
	BaseUpstream BaseRule = "UPSTREAM"
	// BaseDefaultBranch: the default branch of the remote, or a local main or master.
	BaseDefaultBranch BaseRule = "DEFAULT_BRANCH"
	// BaseParent: the first parent of the head.
	BaseParent BaseRule = "PARENT"
	// BaseEmpty: the head has no parent here, so everything in it counts as added.
	BaseEmpty BaseRule = "EMPTY_TREE"
)

// Base is where a review starts. Revision is the name it was found by, Commit its object ID (a tree's for BaseEmpty).
// Start is what the diff begins at: the merge base with the head, or the empty tree.
type Base struct {
	Rule     BaseRule
	Revision string
	Commit   string
	Start    string
}

// DefaultBase chooses the base of a head commit that nobody named one for: the branch's upstream, else the default
// branch, else the first parent, else the empty tree. A candidate that already contains the head is passed over, since
// it would leave nothing to review.
func (r *Repository) DefaultBase(ctx context.Context, head string) (Base, error) {
	if err := needObjectIDs(head); err != nil {
		return Base{}, err
	}
	for _, c := range r.candidates(ctx) {
		base, err := r.BaseAt(ctx, c.revision, head)
		if expected(err) || (err == nil && base.Start == head) {
			continue
		}
		base.Rule = c.rule
		return base, err
	}
	base, err := r.BaseAt(ctx, head+"^1", head)
	if errors.Is(err, ErrUnknownRevision) {
		return Base{Rule: BaseEmpty, Revision: "the empty tree", Commit: r.EmptyTree(), Start: r.EmptyTree()}, nil
	}
	base.Rule, base.Revision = BaseParent, "HEAD~1"
	return base, err
}

// BaseAt resolves a named base and finds the common ancestor with the head. The rule is left empty.
func (r *Repository) BaseAt(ctx context.Context, revision, head string) (Base, error) {
	if revision == r.EmptyTree() {
		return Base{Rule: BaseEmpty, Revision: revision, Commit: revision, Start: revision}, nil
	}
	commit, err := r.Resolve(ctx, revision)
	if err != nil {
		return Base{}, err
	}
	start, err := r.MergeBase(ctx, commit, head)
	if err != nil {
		return Base{}, err
	}
	return Base{Revision: revision, Commit: commit, Start: start}, nil
}

type candidate struct {
	rule     BaseRule
	revision string
}

func (r *Repository) candidates(ctx context.Context) []candidate {
	list := []candidate{{BaseUpstream, "@{upstream}"}}
	// The default branch is what the remote calls HEAD; clones made by hand often lack that reference.
	out, err := r.run(ctx, command{args: []string{"symbolic-ref", "--quiet", "refs/remotes/origin/HEAD"}})
	if name := strings.TrimSpace(string(out)); err == nil && name != "" {
		list = append(list, candidate{BaseDefaultBranch, name})
	}
	for _, name := range []string{"refs/remotes/origin/main", "refs/remotes/origin/master", "refs/heads/main", "refs/heads/master"} {
		list = append(list, candidate{BaseDefaultBranch, name})
	}
	return list
}

// expected reports whether the error only says that a candidate does not apply.
func expected(err error) bool {
	return errors.Is(err, ErrUnknownRevision) || errors.Is(err, ErrNoMergeBase) || unborn(err)
}

func unborn(err error) bool { return errors.Is(err, ErrUnborn) }
