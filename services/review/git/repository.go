// Package git reads what is reviewed: ranges and uncommitted work of git repositories on this machine, and patches that
// lie in the blob store.
package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"witan.dev/internal/blob"
	"witan.dev/internal/diff"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// Repository is a review.Repository. Safe for concurrent use.
type Repository struct {
	git    *git.Git
	blobs  blob.Store
	frozen string
}

var _ review.Repository = (*Repository)(nil)

// NewRepository returns a repository reader that finds patches in blobs and keeps frozen work below the folder frozen.
func NewRepository(g *git.Git, blobs blob.Store, frozen string) *Repository {
	return &Repository{git: g, blobs: blobs, frozen: frozen}
}

// Pin implements review.Repository.
func (r *Repository) Pin(ctx context.Context, id job.ID, s review.Source) (review.Pinned, error) {
	p := review.Pinned{Source: s}
	if s.Kind == review.SourceDiff {
		p.Subject = "diff:" + string(id)
		_, err := r.Load(ctx, p)
		return p, err
	}
	repo, err := r.git.Open(ctx, s.Dir)
	if err != nil {
		return p, sourceError(err, s)
	}
	p.GitDir = repo.Dir
	switch s.Kind {
	case review.SourceRange:
		err = pinRange(ctx, repo, &p)
	case review.SourceStaged, review.SourceUncommitted:
		err = r.freeze(ctx, repo, id, &p)
	case review.SourceDiff:
	default:
		return p, review.ErrSourceNotSupported
	}
	if err == nil {
		err = r.check(ctx, repo, &p)
	}
	if err != nil {
		return p, errors.Join(sourceError(err, s), r.Release(ctx, id))
	}
	return p, nil
}

func pinRange(ctx context.Context, repo *git.Repository, p *review.Pinned) error {
	head := p.Source.Head
	if head == "" {
		head = "HEAD"
	}
	var err error
	if p.Head, err = repo.Resolve(ctx, head); err != nil {
		return err
	}
	var base git.Base
	if p.Source.Base == "" {
		base, err = repo.DefaultBase(ctx, p.Head)
	} else {
		base, err = repo.BaseAt(ctx, p.Source.Base, p.Head)
	}
	if err != nil {
		return err
	}
	p.Base, p.MergeBase = base.Commit, base.Start
	p.OldTree, p.NewTree = base.Start, p.Head
	return nil
}

func (r *Repository) freeze(ctx context.Context, repo *git.Repository, id job.ID, p *review.Pinned) error {
	head, err := repo.HeadOrEmpty(ctx)
	if err != nil {
		return err
	}
	objects := filepath.Join(r.frozen, string(id), "objects")
	var frozen git.Frozen
	if p.Source.Kind == review.SourceStaged {
		frozen, err = repo.FreezeIndex(ctx, objects)
	} else {
		frozen, err = repo.FreezeWorkTree(ctx, objects)
	}
	if err != nil {
		return err
	}
	p.Base, p.MergeBase, p.Head = head, head, frozen.Tree
	p.OldTree, p.NewTree = head, frozen.Tree
	if frozen.Objects != "" {
		p.ObjectDirs = []string{frozen.Objects}
	}
	return nil
}

// check gives the subject its name and refuses a change of nothing.
func (r *Repository) check(ctx context.Context, repo *git.Repository, p *review.Pinned) error {
	change, err := repo.WithObjects(p.ObjectDirs...).Change(ctx, p.OldTree, p.NewTree)
	if err != nil {
		return err
	}
	if len(change.Diff.Files) == 0 {
		return review.ErrNoChanges
	}
	root := "unborn"
	if commit, err := repo.Resolve(ctx, "HEAD"); err == nil {
		if root, err = repo.RootCommit(ctx, commit); err != nil {
			return err
		}
	}
	branch, err := branchOf(ctx, repo, p)
	if err != nil {
		return err
	}
	p.Subject = "local:" + root + "/" + branch
	return nil
}

// branchOf is the branch whose state is reviewed: the one that is checked out, unless the head of a range is another branch or,
// by its own ID, a commit that no branch was named for. What is missing there must not count as mended elsewhere.
func branchOf(ctx context.Context, repo *git.Repository, p *review.Pinned) (string, error) {
	if name := p.Source.Head; p.Source.Kind == review.SourceRange && name != "" {
		if commit, err := repo.Resolve(ctx, "HEAD"); err != nil || commit != p.Head {
			if name = strings.TrimPrefix(name, "refs/heads/"); strings.ContainsAny(name, "~^:") || strings.Contains(name, "@{") {
				return p.Head, nil
			}
			if commit, err = repo.Resolve(ctx, "refs/heads/"+name); err != nil || commit != p.Head {
				return p.Head, nil //nolint:nilerr // there is no such branch
			}
			return name, nil
		}
	}
	branch, err := repo.Branch(ctx)
	return cmp.Or(branch, "HEAD"), err
}

// sourceError says what the caller can mend in the words of the review.
func sourceError(err error, s review.Source) error {
	switch {
	case errors.Is(err, git.ErrNotRepository), errors.Is(err, git.ErrNoWorkTree), errors.Is(err, git.ErrUnsafe):
		return review.ErrNotRepository.With("dir", s.Dir).With("detail", err.Error()).Wrap(err)
	case errors.Is(err, git.ErrUnknownRevision), errors.Is(err, git.ErrUnborn), errors.Is(err, git.ErrNoMergeBase):
		return review.ErrRevisionUnknown.With("base", s.Base).With("head", s.Head).With("detail", err.Error()).Wrap(err)
	case errors.Is(err, git.ErrUnmerged):
		return review.ErrNotRepository.With("dir", s.Dir).With("detail", "the index has unmerged paths; resolve them first").Wrap(err)
	case errors.Is(err, git.ErrTooLarge):
		return review.ErrMaterialTooLarge.With("detail", err.Error()).Wrap(err)
	}
	if failed, ok := errors.AsType[*git.CommandError](err); ok && failed.Exit > 0 {
		return review.ErrRepositoryUnreadable.With("detail", failed.Error()).Wrap(err)
	}
	return review.DiffError(err)
}

// Load implements review.Repository.
func (r *Repository) Load(ctx context.Context, p review.Pinned) (*review.Change, error) {
	return r.load(ctx, p, review.MaxTexts)
}

// load is Load with room for so many bytes of texts.
func (r *Repository) load(ctx context.Context, p review.Pinned, room int) (*review.Change, error) {
	if p.Source.Kind == review.SourceDiff {
		return r.loadPatch(ctx, p)
	}
	repo, err := r.open(ctx, p)
	if err != nil {
		return nil, err
	}
	change, err := repo.Change(ctx, p.OldTree, p.NewTree)
	if err != nil {
		return nil, sourceError(err, p.Source)
	}
	c := &review.Change{Files: review.Files(change.Diff)}
	if err := fill(ctx, repo, c, room); err != nil {
		return nil, fmt.Errorf("read changed files: %w", err)
	}
	return c, nil
}

func (r *Repository) open(ctx context.Context, p review.Pinned) (*git.Repository, error) {
	repo, err := r.git.Open(ctx, p.GitDir)
	if err != nil {
		return nil, sourceError(err, p.Source)
	}
	return repo.WithObjects(p.ObjectDirs...), nil
}

func (r *Repository) loadPatch(ctx context.Context, p review.Pinned) (*review.Change, error) {
	sum, err := blob.ParseSHA256(p.Source.Blob)
	if err != nil {
		return nil, err
	}
	text, err := r.blobs.Get(ctx, p.Source.Owner, sum)
	if err != nil {
		return nil, err
	}
	if text, err = review.UnpackPatch(text); err != nil {
		return nil, err
	}
	parsed, err := diff.Parse(text)
	if err != nil {
		return nil, review.DiffError(err)
	}
	c := &review.Change{Files: review.Files(parsed)}
	for i := range c.Files {
		f := &c.Files[i]
		f.Rebuild()
		f.CheckText()
	}
	return c, nil
}

// fill reads the contents of both sides of every text file, at most room bytes in all: the files after that are too large
// together. Pure renames are read as well, since their definitions moved, but after the others.
func fill(ctx context.Context, repo *git.Repository, c *review.Change, room int) error {
	var texts, renames []*review.File
	for i := range c.Files {
		switch f := &c.Files[i]; {
		case f.Nature == review.NatureText:
			texts = append(texts, f)
		case f.Nature == review.NatureUnchanged && f.Change == review.Renamed:
			renames = append(renames, f)
		}
	}
	err := fillTexts(ctx, repo, append(texts, renames...), room)
	for _, f := range texts {
		f.CheckText()
	}
	if err != nil {
		return err
	}
	return fillBinaries(ctx, repo, c)
}

func fillTexts(ctx context.Context, repo *git.Repository, files []*review.File, room int) error {
	type side struct {
		file *review.File
		old  bool
	}
	var ids []string
	var sides [][]side // by blob
	for _, f := range files {
		// What a link points to is no text of a file: its hunk says it.
		hasOld := f.Change != review.Added && f.Change != review.Copied && git.IsObjectID(f.OldBlob) && regular(f.OldMode)
		hasNew := f.Change != review.Deleted && git.IsObjectID(f.NewBlob) && regular(f.NewMode)
		switch {
		case hasOld && hasNew && f.OldBlob == f.NewBlob: // is kept once
			ids, sides = append(ids, f.NewBlob), append(sides, []side{{f, true}, {f, false}})
			continue
		case hasOld:
			ids, sides = append(ids, f.OldBlob), append(sides, []side{{f, true}})
		}
		if hasNew {
			ids, sides = append(ids, f.NewBlob), append(sides, []side{{f, false}})
		}
	}
	at := 0
	err := repo.Blobs(ctx, ids, review.MaxText, func(b git.Blob) error {
		if room -= len(b.Data); room < 0 {
			return errEnough
		}
		for _, s := range sides[at] {
			take(s.file, s.old, b)
		}
		at++
		return nil
	})
	if !errors.Is(err, errEnough) {
		return err
	}
	for _, unread := range sides[at:] {
		f := unread[0].file
		f.Limit(review.ReasonTooLarge)
		f.Old, f.New, f.HasOld, f.HasNew = nil, nil, false, false // one side alone would look like an addition, or a removal
	}
	return nil
}

func regular(mode uint32) bool { return diff.Mode(mode).Type() == diff.ModeFile.Type() }

const (
	// binaryHead is how much is read of a binary above review.MaxText, to tell whether it is one, and maxHeads of how many of
	// them (own choices).
	binaryHead = 64 << 10
	maxHeads   = 200
)

// fillBinaries reads the binaries for what they hold of text, of large ones the beginning. Those after review.MaxBinaries are
// too large together.
func fillBinaries(ctx context.Context, repo *git.Repository, c *review.Change) error {
	type side struct {
		file *review.File
		old  bool
	}
	var ids []string
	var sides, large []side
	var largeIDs []string
	for i := range c.Files {
		f := &c.Files[i]
		if f.Nature != review.NatureBinary {
			continue
		}
		if f.Change != review.Added && f.Change != review.Copied && git.IsObjectID(f.OldBlob) {
			ids, sides = append(ids, f.OldBlob), append(sides, side{f, true})
		}
		if f.Change != review.Deleted && git.IsObjectID(f.NewBlob) {
			ids, sides = append(ids, f.NewBlob), append(sides, side{f, false})
		}
	}
	at, left, room := 0, review.MaxBinaries, review.StringsRoom
	err := repo.Blobs(ctx, ids, review.MaxText, func(b git.Blob) error {
		if left -= len(b.Data); left < 0 {
			return errEnough
		}
		if b.TooLarge {
			large, largeIDs = append(large, sides[at]), append(largeIDs, b.ID)
		} else {
			room = sides[at].file.TakeBinary(sides[at].old, b.Data, room)
		}
		at++
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	for _, s := range sides[at:] {
		s.file.Limit(review.ReasonTooLarge)
	}
	for i, s := range large {
		if i >= maxHeads {
			s.file.Limit(review.ReasonTooLarge)
			continue
		}
		head, err := repo.Head(ctx, largeIDs[i], binaryHead)
		if err != nil {
			return err
		}
		room = s.file.TakeBinary(s.old, head, room)
	}
	return nil
}

func take(f *review.File, old bool, b git.Blob) {
	switch {
	case b.TooLarge:
		f.Limit(review.ReasonTooLarge)
	case b.Missing:
		f.Limit(review.ReasonFetchFailed)
	case old:
		f.Old, f.HasOld = b.Data, true
	default:
		f.New, f.HasNew = b.Data, true
	}
}

// Trees implements review.Repository.
func (r *Repository) Trees(ctx context.Context, p review.Pinned) (base, head review.Tree, err error) {
	if !p.HasTree() {
		return nil, nil, nil
	}
	repo, err := r.open(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	return newTree(repo, p.OldTree), newTree(repo, p.NewTree), nil
}

// Release implements review.Repository.
func (r *Repository) Release(_ context.Context, id job.ID) error {
	if id == "" {
		return nil
	}
	if err := os.RemoveAll(filepath.Join(r.frozen, filepath.Base(string(id)))); err != nil {
		return fmt.Errorf("remove frozen work of review %s: %w", id, err)
	}
	return nil
}
