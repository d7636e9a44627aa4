package review

import (
	"context"

	"witan.dev/internal/job"
)

// Question is what a council is asked about a change. Everything in it is free of secrets.
type Question struct {
	Council   string     `json:"council,omitempty"` // resource name; empty: the default one
	Text      string     `json:"text"`
	Evidence  []Evidence `json:"evidence,omitempty"`
	Budget    Budget     `json:"budget,omitzero"` // makes the council's own stricter
	ParentJob string     `json:"parent_job"`
	RequestID string     `json:"request_id"`
}

// Evidence is what an answer is to rest on.
type Evidence struct {
	Title string `json:"title"` // at most 200 characters
	Text  string `json:"text"`
}

// Advice is what a council says to a question, and what that took.
type Advice struct {
	Text  string    `json:"text"`
	Usage job.Usage `json:"usage"`
}

// Advisor answers questions. Safe for concurrent use. Errors: ErrUnavailable; those of the council's service come as they
// are.
type Advisor interface {
	// EstimateAnswer says what the question would take.
	EstimateAnswer(ctx context.Context, q Question) (Estimate, error)
	// Ask starts a deliberation. The same RequestID gives the same one again.
	Ask(ctx context.Context, q Question) (Deliberation, error)
	// Advice is the answer of a deliberation that has ended.
	Advice(ctx context.Context, deliberation string) (Advice, error)
}
