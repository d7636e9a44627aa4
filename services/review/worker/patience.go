package worker

import (
	"context"

	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/patience"
)

// failureOf is the failure that an error makes of a step: a pause where the forge asks for one or does not answer. Errors of
// other services are handled where they happen.
func (s *session) failureOf(ctx context.Context, err error) *engine.Failure {
	if err == nil || s.review.Pinned.Source.Kind != review.SourcePull || fatal(ctx, err) {
		return failureOf(ctx, err)
	}
	if pause := patience.Pause(err, s.p.Clock()); pause != nil {
		s.p.Logger.WarnContext(ctx, "the forge keeps a review waiting: it waits for as long as reviews.patience allows, in all",
			"patience", s.p.Patience, "review", string(s.review.ID), "error", err)
		return pause
	}
	return failureOf(ctx, err)
}
