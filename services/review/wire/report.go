package wire

import (
	"fmt"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Report is a review as the encoders write it, without its findings.
func Report(r *review.Review, version string) *finding.Report {
	return &finding.Report{
		Name: ReviewName(r.ID), Job: JobName(r.ID), ToolVersion: version, Subject: r.Pinned.Subject, Base: r.Pinned.Base,
		Head: r.Pinned.Head, MergeBase: r.Pinned.MergeBase, Disposition: string(r.Disposition), DeclinedReason: r.DeclinedReason,
		Summary: r.Summary, FailOn: r.FailOn, Coverage: r.Coverage, Notes: r.Notes, Cost: cost(r), Duration: r.PublishedAt.Sub(r.CreatedAt),
	}
}

// cost says in words what the models cost; empty when none was asked.
func cost(r *review.Review) string {
	switch {
	case r.Usage.CostMicros != nil:
		return fmt.Sprintf("%.4f %s", float64(*r.Usage.CostMicros)/1e6, r.Usage.Currency)
	case r.Usage.InputTokens+r.Usage.OutputTokens > 0:
		return "unknown"
	default:
		return ""
	}
}
