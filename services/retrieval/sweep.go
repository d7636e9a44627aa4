package retrieval

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Sweeper sweeps the repositories whose indexes are deleted. What the end of a process keeps it from sweeping is swept
// when the repository loses the next index. Safe for concurrent use.
type Sweeper struct {
	rankings Rankings
	views    Views

	mu      sync.Mutex
	pending map[ID]Scope // of indexes whose deletion is not committed
	scopes  map[Scope]bool
}

// NewSweeper returns a sweeper of rankings; views say what is named.
func NewSweeper(rankings Rankings, views Views) *Sweeper {
	return &Sweeper{rankings: rankings, views: views, pending: map[ID]Scope{}, scopes: map[Scope]bool{}}
}

// Deleting notes whose index is being deleted.
func (s *Sweeper) Deleting(index Index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[index.ID] = Scope{Owner: index.Owner, Repository: index.Repository}
}

// Deleted says that the deletion is committed.
func (s *Sweeper) Deleted(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if scope, noted := s.pending[id]; noted {
		delete(s.pending, id)
		s.scopes[scope] = true
	}
}

// Sweep sweeps what there is to sweep. A repository that fails is swept by the next call.
func (s *Sweeper) Sweep(ctx context.Context) error {
	for {
		scope, left := s.next()
		if !left {
			return nil
		}
		if _, err := Sweep(ctx, s.rankings, s.views, scope); err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.scopes[scope] = true
			return fmt.Errorf("sweep repository %.200q: %w", scope.Repository, err)
		}
	}
}

func (s *Sweeper) next() (Scope, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for scope := range s.scopes {
		delete(s.scopes, scope)
		return scope, true
	}
	return Scope{}, false
}

// Sweep takes files out of the rankings that no view and no build of a scope names any more, and returns how many. A build
// that names one of them meanwhile, and found it there before it was deleted, gets it back.
func Sweep(ctx context.Context, rankings Rankings, views Views, scope Scope) (int, error) {
	there, err := rankings.Files(ctx, scope)
	if err != nil || len(there) == 0 {
		return 0, err
	}
	named, err := views.ScopeFiles(ctx, scope)
	if err != nil {
		return 0, fmt.Errorf("look for what is named: %w", err)
	}
	gone := make(map[FileKey]bool, len(there))
	for _, k := range there {
		gone[k] = true
	}
	for _, f := range named {
		delete(gone, f.Key)
	}
	if len(gone) == 0 {
		return 0, nil
	}
	if err := rankings.Delete(ctx, scope, slices.Collect(maps.Keys(gone))); err != nil {
		return 0, err
	}
	if named, err = views.ScopeFiles(ctx, scope); err != nil {
		return 0, fmt.Errorf("look again for what is named: %w", err)
	}
	var back []File
	for _, f := range named {
		if gone[f.Key] {
			back = append(back, f)
		}
	}
	if len(back) > 0 {
		_, err = rankings.Put(ctx, scope, back)
	}
	return len(gone) - len(back), err
}
