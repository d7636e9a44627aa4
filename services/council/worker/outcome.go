package worker

import (
	"context"
	"encoding/json"
	"fmt"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// outcome reads a stage's outcome; false while the stage is open.
func (d *deliberation) outcome(ctx context.Context, stage string, into any) (bool, error) {
	raw, err := d.store.Outcome(ctx, d.ID, d.run.Attempt(), stage)
	if err != nil || raw == nil {
		return false, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return false, fmt.Errorf("read stage %s of deliberation %s: %w", stage, d.ID, err)
	}
	return true, nil
}

// complete freezes a stage: its outcome and stage_completed commit together, after the events that the stage leaves.
func (d *deliberation) complete(ctx context.Context, c council.StageCoverage, delivered, abstained []string, outcome any, events ...job.NewEvent) error {
	raw, err := json.Marshal(outcome)
	if err != nil {
		return fmt.Errorf("encode stage %s: %w", c.Stage, err)
	}
	events = append(events, event(key(c.Stage, "completed"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_StageCompleted{StageCompleted: &councilv1.StageCompleted{
		Stage: c.Stage, Delivered: delivered, Failed: wire.Missing(c.Missing), Abstained: abstained,
		ClosedBy: wire.ClosedBy(c.ClosedBy), Skipped: c.SkipReason,
	}}}))
	return d.run.Commit(ctx, job.Update{Events: events, Write: func(ctx context.Context, tx job.Tx) error {
		return d.store.SaveOutcome(ctx, tx, d.ID, d.run.Attempt(), c.Stage, raw)
	}})
}

// skip completes a stage that is not held.
func (d *deliberation) skip(ctx context.Context, stage, reason string, outcome any) error {
	return d.complete(ctx, skipped(stage, reason), nil, nil, outcome)
}

func skipped(stage, reason string) council.StageCoverage {
	return council.StageCoverage{Stage: stage, ClosedBy: council.ClosedSkipped, SkipReason: reason}
}
