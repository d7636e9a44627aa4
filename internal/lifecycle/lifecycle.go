// Package lifecycle starts and stops the parts of a process in order.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Component is a part of a process that runs until it is stopped. Stop before Start and Stop twice are allowed and do
// nothing.
type Component interface {
	// Start returns when the component is at work; what runs long goes on in the component's own goroutines.
	Start(ctx context.Context) error
	// Stop ends them and waits for them, at most until ctx ends.
	Stop(ctx context.Context) error
}

// Stack holds what was opened and started, and undoes it in reverse order. The zero value is ready. Safe for concurrent
// use.
type Stack struct {
	mu    sync.Mutex
	items []item
}

type item struct {
	name string
	undo func(ctx context.Context) error
}

// Start starts c and notes its Stop. When c does not start, it is stopped again and the error is returned.
func (s *Stack) Start(ctx context.Context, name string, c Component) error {
	if err := c.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", name, err), c.Stop(context.WithoutCancel(ctx)))
	}
	s.Defer(name, c.Stop)
	return nil
}

// Defer notes what Close has to call.
func (s *Stack) Defer(name string, undo func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append(s.items, item{name, undo})
}

// Close undoes everything in reverse order, each once, and goes on after errors. Later calls do nothing.
func (s *Stack) Close(ctx context.Context) error {
	s.mu.Lock()
	items := s.items
	s.items = nil
	s.mu.Unlock()
	var errs []error
	for _, i := range slices.Backward(items) {
		if err := i.undo(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", i.name, err))
		}
	}
	return errors.Join(errs...)
}
