package worker

import (
	"math"
	"sync"

	"witan.dev/services/council"
)

// budget counts calls against max_calls. The chairman's reserve is set aside from the beginning. Safe for concurrent use.
type budget struct {
	mu      sync.Mutex
	left    int
	reserve int
	stopped bool
}

// newBudget starts from what was spent before: calls of earlier executions stay spent.
func newBudget(s council.Spec, spent int, chairman bool) *budget {
	b := &budget{left: math.MaxInt}
	if s.Budget.MaxCalls > 0 {
		b.left = s.Budget.MaxCalls - spent
		if chairman && s.Budget.MaxCalls > 1 {
			b.reserve = 1
		}
	}
	return b
}

// take asks for one call; the chairman may use its reserve.
func (b *budget) take(chairman bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := b.reserve
	if chairman {
		kept = 0
	}
	if b.left <= kept {
		return false
	}
	if b.left != math.MaxInt {
		b.left--
	}
	return true
}

// refuse notes that a call was not made for want of budget.
func (b *budget) refuse() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
}

// back returns a call that was not made after all.
func (b *budget) back() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left != math.MaxInt {
		b.left++
	}
}

// exceeded says whether a call was refused.
func (b *budget) exceeded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}
