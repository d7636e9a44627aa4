package review

import "context"

// Question is what a council is asked about a change. Everything in it is free of secrets.
type Question struct {
	Council   string // resource name; empty: the default one
	Text      string
	Evidence  []Evidence
	ParentJob string
	RequestID string
}

// Evidence is what an answer is to rest on.
type Evidence struct {
	Title string // at most 200 characters
	Text  string
}

// Advisor answers questions. Safe for concurrent use. Errors: ErrUnavailable; those of the council's service come as they
// are.
type Advisor interface {
	// Ask starts a deliberation. The same RequestID gives the same one again.
	Ask(ctx context.Context, q Question) (Deliberation, error)
	// Advice is the answer of a deliberation that has ended.
	Advice(ctx context.Context, deliberation string) (string, error)
}
