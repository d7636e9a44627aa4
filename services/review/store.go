package review

import (
	"context"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
)

// Position is a place in the list of reviews: everything created before it, or at the same time with a smaller ID. The
// zero value is the beginning.
type Position struct {
	CreatedAt time.Time
	ID        job.ID
}

// ListQuery selects reviews of an owner, newest first.
type ListQuery struct {
	Owner   string
	Subject string // empty: all
	Limit   int    // at least 1
	After   Position
}

// FindingQuery selects findings of a review in their order.
type FindingQuery struct {
	Review      job.ID
	MinSeverity finding.Severity
	Outcome     finding.Outcome // unspecified: all
	After       int             // ordinal behind which the page begins
	Limit       int             // at least 1
}

// NumberedFinding is a finding with its place in the review's order, from 1.
type NumberedFinding struct {
	Ordinal int
	finding.Finding
}

// Store keeps reviews and their findings. Safe for concurrent use. What takes a transaction belongs to it and commits
// with it; such a function may be run again. Suite: services/review/store/storetest.
type Store interface {
	// Create stores a new review. It has no result yet.
	Create(ctx context.Context, tx job.Tx, r Review) error
	// Publish stores the result with all findings in their order and raises the revision. Publishing again replaces
	// both. An unknown review is ErrNotFound.
	Publish(ctx context.Context, tx job.Tx, id job.ID, result Result, findings []finding.Finding) error
	// Delete removes a review with its findings. Deleting what is not there does nothing.
	Delete(ctx context.Context, tx job.Tx, id job.ID) error

	// Get returns a review of the owner; for every other one, and for none, the error is ErrNotFound. Owner "" is for
	// internal callers and sees all.
	Get(ctx context.Context, id job.ID, owner string) (Review, error)
	// List returns at most Limit reviews.
	List(ctx context.Context, q ListQuery) ([]Review, error)
	// Findings returns at most Limit findings.
	Findings(ctx context.Context, q FindingQuery) ([]NumberedFinding, error)
	// Count counts the findings of a review by outcome and severity.
	Count(ctx context.Context, id job.ID) (map[Bucket]int, error)
}

// Bucket is what findings are counted by.
type Bucket struct {
	Outcome  finding.Outcome
	Severity finding.Severity
}
