package git

import (
	"context"
	"errors"
	"fmt"

	"witan.dev/internal/git"
	"witan.dev/services/review"
)

// maxPast bounds the paths of a history in bytes; the oldest commits are left out above it.
const maxPast = 8 << 20

var _ review.History = (*Repository)(nil)

// Past implements review.History. The merge base must be in the git directory that p names.
func (r *Repository) Past(ctx context.Context, p review.Pinned) ([][]string, error) {
	if !p.HasTree() || p.MergeBase == "" {
		return nil, nil
	}
	repo, err := r.git.Open(ctx, p.GitDir)
	if err != nil {
		return nil, sourceError(err, p.Source)
	}
	if p.MergeBase == repo.EmptyTree() {
		return nil, nil // a branch without a commit
	}
	var out [][]string
	left := maxPast
	err = repo.Past(ctx, p.MergeBase, git.PastParams{Commits: review.MaxPast, Paths: review.MaxPastPaths}, func(paths []string) error {
		for _, path := range paths {
			left -= len(path)
		}
		if left < 0 {
			return errEnough
		}
		out = append(out, paths)
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("read what was changed before: %w", sourceError(err, p.Source))
	}
	return out, nil
}

// errEnough ends the reading of what is too large to be read on.
var errEnough = errors.New("enough was read")
