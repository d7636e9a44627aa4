package git

import (
	"context"
	"fmt"

	"witan.dev/internal/blob"
	"witan.dev/internal/git"
	"witan.dev/internal/snapshot"
	"witan.dev/services/review"
)

// Snapshots stores trees in the blob store. Safe for concurrent use.
type Snapshots struct {
	git   *git.Git
	blobs blob.Store
	ready func(ctx context.Context, p review.Pinned) (review.Pinned, error)
}

var _ review.Snapshots = (*Snapshots)(nil)

// NewSnapshots returns a store of trees. ready brings the objects of a pinned source onto this machine; nil: they are there.
func NewSnapshots(g *git.Git, blobs blob.Store, ready func(ctx context.Context, p review.Pinned) (review.Pinned, error)) *Snapshots {
	return &Snapshots{git: g, blobs: blobs, ready: ready}
}

// Take implements review.Snapshots.
func (s *Snapshots) Take(ctx context.Context, t review.TreeOf) (string, error) {
	p := t.Pinned
	if s.ready != nil {
		var err error
		if p, err = s.ready(ctx, p); err != nil {
			return "", err
		}
	}
	repo, err := s.git.Open(ctx, p.GitDir)
	if err != nil {
		return "", sourceError(err, p.Source)
	}
	repo = repo.WithObjects(p.ObjectDirs...)
	files, err := listed(ctx, repo, t.Tree)
	if err != nil {
		return "", err
	}
	params := snapshot.Params{
		Store: s.blobs, Owner: t.Owner, Resource: t.Resource, Files: files,
		Contents: func(ctx context.Context, ids []string, each func(id string, content []byte) error) error {
			return repo.Blobs(ctx, ids, snapshot.MaxFile, func(b git.Blob) error {
				if b.Missing || b.TooLarge {
					return nil
				}
				return each(b.ID, b.Data)
			})
		},
	}
	for _, base := range t.Bases {
		if sum, err := blob.ParseSHA256(base); err == nil {
			params.Bases = append(params.Bases, sum)
		}
	}
	written, err := snapshot.Write(ctx, params)
	if err != nil {
		return "", fmt.Errorf("store tree %s: %w", t.Tree, err)
	}
	return written.Snapshot.String(), nil
}

// listed are the files of a tree with their sizes. What has no content here is left out; so are submodules.
func listed(ctx context.Context, repo *git.Repository, tree string) ([]snapshot.File, error) {
	var files []snapshot.File
	var ids []string
	err := repo.Tree(ctx, tree, func(e git.Entry) error {
		if uint32(e.Mode) != snapshot.ModeSubmodule {
			files = append(files, snapshot.File{Path: e.Path, Mode: uint32(e.Mode), ID: e.Blob})
			ids = append(ids, e.Blob)
		}
		if len(files) > snapshot.MaxListed {
			return snapshot.ErrTooLarge
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list tree %s: %w", tree, err)
	}
	at := 0
	kept := files[:0]
	const sizesOnly = -1
	err = repo.Blobs(ctx, ids, sizesOnly, func(b git.Blob) error {
		f := files[at]
		at++
		if !b.Missing {
			f.Size = b.Size
			kept = append(kept, f)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure tree %s: %w", tree, err)
	}
	return kept, nil
}
