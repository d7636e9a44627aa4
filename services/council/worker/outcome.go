package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// outcome is what a stage leaves.
type outcome interface {
	covered() council.StageCoverage
	// unreadable are the places of the units whose answer, though it came, could not be read.
	unreadable() []string
}

// place names a unit of a stage.
func place(member, part string) string { return member + "/" + part }

func unreadable(c council.StageCoverage) []string {
	var out []string
	for _, m := range c.Missing {
		if m.Class == classUnreadable {
			out = append(out, place(m.Subject, m.Part))
		}
	}
	return out
}

// thaw reads what a stage has left, from the store where it is not known to lie there: the stage was stopped, and what it
// wrote last may have been committed unheard.
func (d *deliberation) thaw(ctx context.Context, stage string, into any) error {
	if d.frozen == nil {
		return d.outcomeOf(ctx, d.run.Attempt(), stage, into)
	}
	return d.decode(stage, d.frozen, into)
}

// outcomeOf reads the outcome of a stage in one attempt of the job, which leaves into as it is while the stage is open.
func (d *deliberation) outcomeOf(ctx context.Context, attempt int32, stage string, into any) error {
	raw, err := d.store.Outcome(ctx, d.ID, attempt, stage)
	if err != nil || raw == nil {
		return err
	}
	return d.decode(stage, raw, into)
}

func (d *deliberation) decode(stage string, raw []byte, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read stage %s of deliberation %s: %w", stage, d.ID, err)
	}
	return nil
}

// earlier is the stage's outcome in the last attempt before this one that has closed it, nil without one.
func (d *deliberation) earlier(ctx context.Context, stage string) ([]byte, error) {
	for attempt := d.run.Attempt() - 1; attempt > 0; attempt-- {
		if raw, err := d.store.Outcome(ctx, d.ID, attempt, stage); err != nil || raw != nil {
			return raw, err
		}
	}
	return nil, nil
}

// keep takes over what an earlier attempt of the job left of a stage, when it was whole and everything that it rests on
// is as it was. A stage that is held again instead takes its answers from the journal, but may ask somebody whom a
// consensus had spared.
func keep[T outcome](ctx context.Context, d *deliberation, stage string) (bool, error) {
	raw, err := d.earlier(ctx, stage)
	if err != nil || raw == nil || d.changed {
		return false, err
	}
	var o T
	if err := d.decode(stage, raw, &o); err != nil {
		return false, err
	}
	if !lacksNothing(o.covered()) {
		return false, nil
	}
	return true, d.freeze(ctx, stage, raw, job.Update{Stage: stage})
}

// freeze commits a stage's outcome with u.
func (d *deliberation) freeze(ctx context.Context, stage string, raw []byte, u job.Update) error {
	u.Write = func(ctx context.Context, tx job.Tx) error {
		return d.store.SaveOutcome(ctx, tx, d.ID, d.run.Attempt(), stage, raw)
	}
	err := d.run.Commit(ctx, u)
	if err == nil {
		d.frozen = raw
	}
	return err
}

// lacksNothing says that a stage ended with all that was planned.
func lacksNothing(c council.StageCoverage) bool {
	switch c.ClosedBy {
	case council.ClosedAll, council.ClosedConsensus, council.ClosedSkipped:
		return len(c.Missing) == 0 && c.Abstained == 0
	default:
		return false
	}
}

// compare notes whether the stage ended otherwise than in an earlier attempt: what follows must then be done anew.
func (d *deliberation) compare(ctx context.Context, stage string) error {
	if d.run.Attempt() == 1 || d.changed {
		return nil
	}
	before, err := d.earlier(ctx, stage)
	if err != nil {
		return err
	}
	now, err := d.store.Outcome(ctx, d.ID, d.run.Attempt(), stage)
	d.changed = !bytes.Equal(before, now)
	return err
}

// rounds says which units are asked anew although the journal holds an answer: those whose answer, and its repair, could
// not be read in an earlier attempt of the job. The number of the attempt makes another call of it.
func rounds[T outcome](ctx context.Context, d *deliberation, stage string) (map[string]int32, error) {
	out := map[string]int32{}
	for attempt := int32(1); attempt < d.run.Attempt(); attempt++ {
		var o T
		if err := d.outcomeOf(ctx, attempt, stage, &o); err != nil {
			return nil, err
		}
		for _, u := range o.unreadable() {
			out[u] = attempt + 1
		}
	}
	return out, nil
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
	return d.freeze(ctx, c.Stage, raw, job.Update{Events: events})
}

// skip completes a stage that is not held.
func (d *deliberation) skip(ctx context.Context, stage, reason string, outcome any) error {
	return d.complete(ctx, skipped(stage, reason), nil, nil, outcome)
}

func skipped(stage, reason string) council.StageCoverage {
	return council.StageCoverage{Stage: stage, ClosedBy: council.ClosedSkipped, SkipReason: reason}
}
