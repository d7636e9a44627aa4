package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/github"
)

// Remote is what is asked of the forge.
type Remote interface {
	review.Forge
	MergeBase(ctx context.Context, repo review.Repo, base, head string) (string, error)
	Remote(ctx context.Context, repo review.Repo, fresh bool) (github.Remote, error)
	Renamed(ctx context.Context, repo review.Repo) (review.Repo, error)
}

// Local reads repositories on this machine.
type Local interface {
	review.Repository
	review.History
}

// Params are what a repository reader needs.
type Params struct {
	// Remote is nil where no forge is configured.
	Remote Remote
	Git    *git.Git
	// Local reads every other source, and the change in a mirror.
	Local Local
	// Dir is the cache folder.
	Dir    string
	Limits Limits
	Logger *slog.Logger
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Limits bound the mirrors. Zero values take their defaults.
type Limits struct {
	// Fetch bounds the time of one fetch; 10 minutes.
	Fetch time.Duration
	// Mirror bounds the bytes of one mirror; 2 GiB. One that has grown above half of it is made anew when it has no room left.
	Mirror int64
	// Total bounds the bytes of all mirrors, as Sweep finds them; 20 GiB.
	Total int64
	// Past bounds the time of fetching a history, PastBytes its bytes; 1 minute and 256 MiB. One that goes beyond them is not
	// fetched again for a day.
	Past      time.Duration
	PastBytes int64
	// Idle is after which time without use Sweep removes a mirror; 7 days.
	Idle time.Duration
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Fetch: cmp.Or(l.Fetch, git.DefaultFetchTimeout), Mirror: cmp.Or(l.Mirror, git.DefaultFetchBytes),
		Past: cmp.Or(l.Past, time.Minute), PastBytes: cmp.Or(l.PastBytes, 256<<20),
		Total: cmp.Or(l.Total, 20<<30), Idle: cmp.Or(l.Idle, 7*24*time.Hour),
	}
}

// Repository is a review.Repository for pull requests and, through another one, for every other source. Safe for
// concurrent use.
type Repository struct {
	p     Params
	locks locks

	refused refused
}

var _ review.Repository = (*Repository)(nil)

// New returns a repository reader.
func New(p Params) *Repository {
	p.Limits = p.Limits.withDefaults()
	if p.Clock == nil {
		p.Clock = time.Now
	}
	return &Repository{p: p}
}

// Pin implements review.Repository. A pull request is pinned to the head of its source, where that is a commit, else to its
// present one; the change begins at the merge base that the forge compares with. The source then has the repository's ID,
// present name and installation.
func (r *Repository) Pin(ctx context.Context, id job.ID, s review.Source) (review.Pinned, error) {
	if s.Kind != review.SourcePull {
		return r.p.Local.Pin(ctx, id, s)
	}
	p := review.Pinned{Source: s}
	if r.p.Remote == nil {
		return p, review.ErrNoForge
	}
	pull, err := r.p.Remote.PullRequest(ctx, s.Pull)
	if err != nil {
		return p, err
	}
	p.Source.Pull, p.Subject = pull.PullRef, pull.Subject()
	p.Base, p.Head = pull.BaseTip, pull.Head
	if git.IsObjectID(s.Base) {
		p.Base = s.Base
	}
	if git.IsObjectID(s.Head) {
		p.Head = s.Head
	}
	p.MergeBase, err = r.p.Remote.MergeBase(ctx, pull.Repo, pull.Base, p.Head)
	if errors.Is(err, review.ErrHeadGone) {
		return p, gone(p.Head, err)
	}
	if err != nil {
		return p, err
	}
	p.OldTree, p.NewTree = p.MergeBase, p.Head
	p, err = r.Ready(ctx, p)
	if err != nil {
		return p, err
	}
	return p, r.changed(ctx, p)
}

// gone is the failure of a review whose commit was taken away: trying again brings nothing.
func gone(head string, err error) error {
	return review.ErrRevisionUnknown.With("head", head).With("detail", review.ErrHeadGone.Error()).Wrap(err)
}

// changed refuses a change of nothing.
func (r *Repository) changed(ctx context.Context, p review.Pinned) error {
	repo, err := r.p.Git.Open(ctx, p.GitDir)
	if err != nil {
		return fmt.Errorf("open a mirror: %w", err)
	}
	same, err := repo.SameTree(ctx, p.OldTree, p.NewTree)
	if err == nil && same {
		return review.ErrNoChanges
	}
	return err
}

// Ready sees to it that the objects of a pinned pull request are on this machine, and returns it with the git directory
// that they are in. Every other source is returned as it is. review.ErrHeadGone where the forge does not give them any
// more; review.ErrMaterialTooLarge; the errors of review.Forge.
func (r *Repository) Ready(ctx context.Context, p review.Pinned) (review.Pinned, error) {
	if p.Source.Kind != review.SourcePull {
		return p, nil
	}
	if r.p.Remote == nil {
		return p, review.ErrNoForge
	}
	m, err := r.mirror(p.Source.Pull.Repo)
	if err != nil {
		return p, err
	}
	p.GitDir, p.ObjectDirs = m.dir, nil
	return p, m.hold(ctx, p.OldTree, p.NewTree)
}

// Load implements review.Repository.
func (r *Repository) Load(ctx context.Context, p review.Pinned) (*review.Change, error) {
	if p.Source.Kind != review.SourcePull {
		return r.p.Local.Load(ctx, p)
	}
	p, err := r.Ready(ctx, p)
	if err != nil {
		return nil, err
	}
	return r.p.Local.Load(ctx, p)
}

// Trees implements review.Repository. The trees fetch what has vanished from the cache meanwhile.
func (r *Repository) Trees(ctx context.Context, p review.Pinned) (base, head review.Tree, err error) {
	if p.Source.Kind != review.SourcePull {
		return r.p.Local.Trees(ctx, p)
	}
	if p, err = r.Ready(ctx, p); err != nil {
		return nil, nil, err
	}
	if base, head, err = r.p.Local.Trees(ctx, p); err != nil {
		return nil, nil, err
	}
	return &tree{repo: r, pinned: p, tree: base}, &tree{repo: r, pinned: p, tree: head, head: true}, nil
}

// Release implements review.Repository. Of a pull request nothing is frozen.
func (r *Repository) Release(ctx context.Context, id job.ID) error { return r.p.Local.Release(ctx, id) }

// tree reads a state of a pull request.
type tree struct {
	repo   *Repository
	pinned review.Pinned
	tree   review.Tree
	head   bool
}

// Read implements review.Tree.
func (t *tree) Read(ctx context.Context, path string) (content []byte, err error) {
	err = t.ask(ctx, func(tree review.Tree) (err error) {
		content, err = tree.Read(ctx, path)
		return err
	})
	return content, err
}

// HasFolder implements review.Tree.
func (t *tree) HasFolder(ctx context.Context, folder string) (has bool, err error) {
	err = t.ask(ctx, func(tree review.Tree) (err error) {
		has, err = tree.HasFolder(ctx, folder)
		return err
	})
	return has, err
}

// ask asks once more where the objects had vanished.
func (t *tree) ask(ctx context.Context, what func(review.Tree) error) error {
	err := what(t.tree)
	if err == nil || errors.Is(err, review.ErrTooLarge) || ctx.Err() != nil {
		return err
	}
	m, failed := t.repo.mirror(t.pinned.Source.Pull.Repo)
	if failed != nil || m.whole(ctx, t.pinned.OldTree, t.pinned.NewTree) {
		return err
	}
	if _, failed := t.repo.Ready(ctx, t.pinned); failed != nil {
		return failed
	}
	base, head, failed := t.repo.p.Local.Trees(ctx, t.pinned)
	if failed != nil {
		return failed
	}
	if t.head {
		return what(head)
	}
	return what(base)
}
