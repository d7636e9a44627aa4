package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"witan.dev/internal/git"
	"witan.dev/services/review"
)

const (
	// pastSuffix ends the names of mirrors that hold a history.
	pastSuffix = "-history" + suffix
	// pastPause is how long a history is left alone that was too large or took too long.
	pastPause = 24 * time.Hour
)

var _ review.History = (*Repository)(nil)

// errPastTooLarge: the history went beyond its limits not long ago.
var errPastTooLarge = errors.New("the history is too large")

// refused remembers the histories that went beyond their limits, by their folders.
type refused struct {
	mu    sync.Mutex
	until map[string]time.Time
}

func (r *refused) is(dir string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, ok := r.until[dir]
	if ok && !now.Before(until) {
		delete(r.until, dir)
		return false
	}
	return ok
}

func (r *refused) add(dir string, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until == nil {
		r.until = map[string]time.Time{}
	}
	r.until[dir] = until
}

// Past implements review.History. Of a pull request's repository the commits before the merge base are fetched, with their
// folders and without contents.
func (r *Repository) Past(ctx context.Context, p review.Pinned) ([][]string, error) {
	if p.Source.Kind != review.SourcePull {
		return r.p.Local.Past(ctx, p)
	}
	if r.p.Remote == nil {
		return nil, review.ErrNoForge
	}
	dir, err := r.dir(p.Source.Pull.Repo, pastSuffix)
	if err != nil {
		return nil, err
	}
	if r.refused.is(dir, r.p.Clock()) {
		return nil, fmt.Errorf("fetch from %s: %w", p.Source.Pull.Repo.FullName(), errPastTooLarge)
	}
	// One more commit than is looked at: what the last one changed cannot be told.
	m := &mirror{of: r, repo: p.Source.Pull.Repo, dir: dir, depth: review.MaxPast + 1, timeout: r.p.Limits.Past, bytes: r.p.Limits.PastBytes}
	if err := m.hold(ctx, p.MergeBase); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, err
		}
		r.p.Logger.WarnContext(ctx, "a history was not fetched", "repository_id", m.repo.ID, "error", err)
		if !remote(err) || errors.Is(err, git.ErrTooLarge) || errors.Is(err, git.ErrRemoteSlow) {
			r.refused.add(dir, r.p.Clock().Add(pastPause))
		}
		return nil, err
	}
	p.GitDir, p.ObjectDirs = dir, nil
	return r.p.Local.Past(ctx, p)
}
