package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Limits of what is frozen from a working tree.
const (
	maxFrozenFiles = 20_000
	maxFrozenBytes = 500_000_000
)

// Frozen is the state of an index or working tree at one moment, as a tree. Objects is the folder that holds what the
// repository itself does not have; read it through Repository.WithObjects.
type Frozen struct {
	Tree    string
	Objects string
}

// FreezeIndex makes a tree of what is staged. New objects go to the folder, which is created; the repository is not
// written (git may touch the times of objects it already has, so that they are not collected meanwhile). With unmerged paths the error is ErrUnmerged, in a bare repository ErrNoWorkTree.
func (r *Repository) FreezeIndex(ctx context.Context, objects string) (Frozen, error) {
	return r.freeze(ctx, objects, nil)
}

// FreezeWorkTree makes a tree of the files as they are now: tracked ones, and untracked ones that are not ignored. No
// filter runs, so files are taken as they lie, but for line ends. Above 20,000 new or changed files or 500 MB of them
// the error is ErrTooLarge. Otherwise as FreezeIndex.
func (r *Repository) FreezeWorkTree(ctx context.Context, objects string) (Frozen, error) {
	return r.freeze(ctx, objects, func(index string) error {
		if err := r.checkWorkTreeSize(ctx, index); err != nil {
			return err
		}
		_, err := r.git.run(ctx, r.inWorkTree(index, objects, command{args: []string{"add", "--all", "--", "."}, limit: 64 << 20}))
		if err != nil {
			return fmt.Errorf("take the working tree's files: %w", err)
		}
		return nil
	})
}

func (r *Repository) freeze(ctx context.Context, objects string, fill func(index string) error) (Frozen, error) {
	if r.Root == "" {
		return Frozen{}, ErrNoWorkTree
	}
	if err := os.MkdirAll(objects, 0o700); err != nil {
		return Frozen{}, fmt.Errorf("make the folder for frozen objects: %w", err)
	}
	dir, err := os.MkdirTemp("", "witan-index-")
	if err != nil {
		return Frozen{}, fmt.Errorf("make a folder for the index: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	index := filepath.Join(dir, "index")
	if err := copyIndex(r.indexFile, index); err != nil {
		return Frozen{}, fmt.Errorf("copy the index: %w", err)
	}
	if fill != nil {
		if err := fill(index); err != nil {
			return Frozen{}, err
		}
	}
	out, err := r.git.run(ctx, r.inWorkTree(index, objects, command{args: []string{"write-tree"}}))
	if said(err, "unmerged") {
		return Frozen{}, fmt.Errorf("%w: %w", ErrUnmerged, err)
	}
	if err != nil {
		return Frozen{}, fmt.Errorf("make a tree of the index: %w", err)
	}
	return Frozen{Tree: strings.TrimSpace(string(out)), Objects: objects}, nil
}

// inWorkTree runs a command on the working tree with another index, and new objects in the given folder.
func (r *Repository) inWorkTree(index, objects string, c command) command {
	c = r.bind(c)
	c.dir = r.Root
	c.env = append(c.env, "GIT_WORK_TREE="+r.Root, "GIT_INDEX_FILE="+index, "GIT_OBJECT_DIRECTORY="+objects)
	c.env = append(c.env, alternates(append([]string{r.Objects}, r.alternates...))...)
	return c
}

// copyIndex copies the file with its time: git compares it with the files' times to know which entries it has to read
// again, and a younger copy would hide changes of the last moment. A missing index is an empty one.
func copyIndex(from, to string) error {
	src, err := os.Open(from) //nolint:gosec // the repository's index, as git names it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600) //nolint:gosec // in a folder made for it
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	if err := dst.Close(); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// checkWorkTreeSize refuses more new content than a review can hold, before any of it is copied.
func (r *Repository) checkWorkTreeSize(ctx context.Context, index string) error {
	list := command{args: []string{"ls-files", "-z", "--modified", "--others", "--exclude-standard"}, limit: 64 << 20}
	out, err := r.git.run(ctx, r.inWorkTree(index, r.Objects, list))
	if err != nil {
		return fmt.Errorf("list changed files: %w", err)
	}
	files, bytes := 0, int64(0)
	for path := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(r.Root, path))
		if err != nil || info.IsDir() {
			continue // deleted, or gone meanwhile
		}
		files++
		bytes += info.Size()
		if files > maxFrozenFiles || bytes > maxFrozenBytes {
			return fmt.Errorf("uncommitted changes: more than %d files or %d bytes: %w", maxFrozenFiles, maxFrozenBytes, ErrTooLarge)
		}
	}
	return nil
}

// Dirty reports whether anything is staged, changed or new in the working tree. A bare repository is never dirty.
func (r *Repository) Dirty(ctx context.Context) (bool, error) {
	if r.Root == "" {
		return false, nil
	}
	c := r.bind(command{args: []string{"status", "--porcelain", "-z", "--ignore-submodules=dirty", "--no-renames"}, limit: smallOutput})
	c.dir = r.Root
	c.env = append(c.env, "GIT_WORK_TREE="+r.Root, "GIT_INDEX_FILE="+r.indexFile)
	out, err := r.git.run(ctx, c)
	if errors.Is(err, ErrTooLarge) {
		return true, nil
	}
	return len(out) > 0, err
}
