package worker

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "witan.dev/gen/witan/review/v1"
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

// waits tells viewers that the forge keeps the review waiting, and until when.
func (s *session) waits(ctx context.Context, key string, w patience.Waiting) error {
	event, err := newEvent(key, &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Waiting{Waiting: &reviewv1.Waiting{
		Stage: stageOf(key), Reason: w.Reason, UntilTime: timestamppb.New(w.Until),
	}}})
	if err != nil {
		return err
	}
	return s.run.Append(ctx, event)
}
