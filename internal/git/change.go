package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"witan.dev/internal/diff"
)

// maxList bounds the list of changed files in bytes; diff.MaxFiles names of the longest kind fit.
const maxList = 64 << 20

// Change is everything that differs between two trees, read twice: as a list that is complete by construction, and as
// the patch that adds the hunks.
type Change struct {
	// Old and New are the object IDs that were compared.
	Old, New string
	// Patch is git's text, byte for byte.
	Patch []byte
	// Diff holds one file for every path of the list, in its order, with full blob IDs and both modes. Binary is known
	// for every file.
	Diff *diff.Diff
}

// Change compares two commits or trees, given as object IDs. The fixed options make the result independent of the
// user's and the repository's configuration and attributes. A path that the list has and the patch lacks, or the other
// way round, is ErrInconsistent. No difference is no error: the Diff then has no files. Above the limits of package
// diff the error is a *diff.Error with reason DIFF_TOO_LARGE.
func (r *Repository) Change(ctx context.Context, oldID, newID string) (*Change, error) {
	if err := needObjectIDs(oldID, newID); err != nil {
		return nil, err
	}
	// An empty working tree and no index: nothing of the change itself can be taken for attributes.
	empty, err := os.MkdirTemp("", "witan-diff-")
	if err != nil {
		return nil, fmt.Errorf("make an empty folder to compare in: %w", err)
	}
	defer func() { _ = os.RemoveAll(empty) }()
	compare := func(limit int64, format ...string) ([]byte, error) {
		c := r.bind(command{args: slices.Concat(diffOptions(), format, []string{oldID, newID, "--"}), limit: limit})
		c.dir = empty
		c.env = append(c.env, "GIT_WORK_TREE="+empty, "GIT_INDEX_FILE="+empty+"/index")
		return r.git.run(ctx, c)
	}
	list, err := compare(maxList, "--raw", "--numstat", "--no-abbrev", "-z")
	if err != nil {
		return nil, fmt.Errorf("list what changed: %w", err)
	}
	patch, err := compare(diff.MaxBytes, "--patch", "-U3", "--inter-hunk-context=0")
	if errors.Is(err, ErrTooLarge) {
		return nil, &diff.Error{Reason: diff.TooLarge, Detail: fmt.Sprintf("the diff is above %d bytes", diff.MaxBytes)}
	}
	if err != nil {
		return nil, fmt.Errorf("make the patch: %w", err)
	}
	d, err := join(list, patch)
	if err != nil {
		return nil, err
	}
	return &Change{Old: oldID, New: newID, Patch: patch, Diff: d}, nil
}

func diffOptions() []string {
	return []string{
		"diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-relative", "--full-index", "-M50%", "-l1000",
		"--diff-algorithm=myers", "-O" + os.DevNull, "--ignore-submodules=none", "--submodule=short",
		"--src-prefix=a/", "--dst-prefix=b/",
	}
}

// join reads both answers and makes the list's word final: blobs, modes and kind come from there.
func join(list, patch []byte) (*diff.Diff, error) {
	entries, err := parseList(list)
	if err != nil {
		return nil, err
	}
	if len(entries) > diff.MaxFiles {
		return nil, &diff.Error{Reason: diff.TooLarge, Detail: fmt.Sprintf("%d changed files, the limit is %d", len(entries), diff.MaxFiles)}
	}
	if len(entries) == 0 {
		if len(patch) > 0 {
			return nil, fmt.Errorf("%w: an empty list and a patch of %d bytes", ErrInconsistent, len(patch))
		}
		return &diff.Diff{}, nil
	}
	d, err := diff.Parse(patch)
	if err != nil {
		return nil, fmt.Errorf("read git's patch: %w", err)
	}
	byPath := make(map[string]*diff.File, len(d.Files))
	for _, f := range d.Files {
		byPath[f.Path()] = f
	}
	files := make([]*diff.File, len(entries))
	for i, e := range entries {
		f := byPath[e.Path()]
		if f == nil {
			return nil, fmt.Errorf("%w: %s is missing from the patch", ErrInconsistent, diff.QuotePath(e.Path()))
		}
		if err := e.adopt(f); err != nil {
			return nil, err
		}
		files[i] = &e.File
	}
	if len(d.Files) != len(files) {
		return nil, fmt.Errorf("%w: %d files in the list, %d in the patch", ErrInconsistent, len(files), len(d.Files))
	}
	return &diff.Diff{Files: files}, nil
}

// adopt takes the hunks of the patch's reading of the same file, after comparing what both say.
func (e *entry) adopt(f *diff.File) error {
	added, deleted := f.Counts()
	switch {
	case e.OldPath != f.OldPath || e.NewPath != f.NewPath || e.Change != f.Change:
		return fmt.Errorf("%w: %s is %s from %s in the list, %s from %s in the patch", ErrInconsistent,
			diff.QuotePath(e.Path()), e.Change, diff.QuotePath(e.OldPath), f.Change, diff.QuotePath(f.OldPath))
	case added != e.added || deleted != e.deleted:
		return fmt.Errorf("%w: %s has %d added and %d deleted lines in the list, %d and %d in the patch", ErrInconsistent,
			diff.QuotePath(e.Path()), e.added, e.deleted, added, deleted)
	}
	e.Hunks = f.Hunks
	return nil
}
