package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Sweep removes mirrors that were not used for the time that is kept, and then those that were not used for the longest
// time until the rest is within the total. A mirror that was used within an hour stays. It may run at any time, in any
// process that shares the folder.
func (r *Repository) Sweep(ctx context.Context) error {
	found, err := filepath.Glob(filepath.Join(r.p.Dir, "*", "*"+suffix))
	if err != nil {
		return fmt.Errorf("look for mirrors: %w", err)
	}
	type old struct {
		dir   string
		used  time.Time
		bytes int64
	}
	var all []old
	var total int64
	for _, dir := range found {
		info, err := os.Stat(dir)
		if err != nil {
			continue // gone meanwhile
		}
		m := old{dir, info.ModTime(), size(dir)}
		total += m.bytes
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b old) int { return a.used.Compare(b.used) })
	now := r.p.Clock()
	var errs []error
	for _, m := range all {
		idle := now.Sub(m.used)
		if ctx.Err() != nil || idle < inUse || idle < r.p.Limits.Idle && total <= r.p.Limits.Total {
			break
		}
		removed, err := r.sweep(ctx, m.dir)
		if removed {
			total -= m.bytes
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// sweep removes a mirror unless it is being fetched into. The file of the lock stays: somebody may be waiting for it.
func (r *Repository) sweep(ctx context.Context, dir string) (bool, error) {
	unlock, err := r.locks.lock(ctx, dir)
	if err != nil {
		return false, err
	}
	defer unlock()
	l := flock.New(dir+".lock", flock.SetPermissions(0o600))
	held, err := l.TryLock()
	if err != nil || !held {
		return false, err
	}
	defer func() { _ = l.Close() }()
	if err := os.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove a mirror: %w", err)
	}
	return true, nil
}

// every is how often a Sweeper sweeps.
const every = time.Hour

// Sweeper sweeps when it starts and once an hour.
type Sweeper struct {
	repository *Repository

	mu   sync.Mutex
	stop context.CancelFunc
	done chan struct{}
}

// NewSweeper returns a sweeper of the repository's mirrors.
func NewSweeper(r *Repository) *Sweeper { return &Sweeper{repository: r} }

// Start implements lifecycle.Component.
func (s *Sweeper) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != nil {
		return nil
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		s.run(ctx)
	}()
	return nil
}

func (s *Sweeper) run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if err := s.repository.Sweep(ctx); err != nil && ctx.Err() == nil { // costs space only
			s.repository.p.Logger.WarnContext(ctx, "old mirrors were not removed", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Stop implements lifecycle.Component.
func (s *Sweeper) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		return nil
	}
	s.stop()
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
