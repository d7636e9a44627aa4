package worker

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/wire"
)

// finish ends the job: state, result and the conversation's answer commit together.
func (d *deliberation) finish(ctx context.Context, r council.Result) error {
	ending := council.EndingOf(r, d.ended)
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(wire.Result(&r, true))
	if err != nil {
		return fmt.Errorf("encode the result of deliberation %s: %w", d.ID, err)
	}
	o := job.Outcome{State: ending.State, Reason: ending.Reason, Result: encoded}
	if ending.State == job.StateFailed {
		o.Error = &job.Error{Code: codeOf(ending.Reason), Reason: ending.Reason, Message: explain(ending.Reason, r)}
	}
	o.Write = func(ctx context.Context, tx job.Tx) error {
		if err := d.store.SaveResult(ctx, tx, d.ID, r); err != nil {
			return err
		}
		if d.Conversation == "" || r.Answer == "" || ending.State == job.StateCancelled || ending.State == job.StateFailed {
			return nil
		}
		return d.store.AddMessage(ctx, tx, council.Message{
			ID: fmt.Sprintf("%sa%d", d.ID, d.run.Attempt()), Conversation: d.Conversation, Role: council.RoleCouncil, Text: r.Answer,
			Deliberation: d.ID, Origin: r.Origin, Partial: ending.State == job.StatePartiallySucceeded, CreatedAt: d.now(),
		})
	}
	return d.run.Finish(ctx, o)
}

// Codes of google.rpc.Code.
const (
	codeDeadlineExceeded  uint32 = 4
	codeResourceExhausted uint32 = 8
	codeUnavailable       uint32 = 14
)

func codeOf(reason string) uint32 {
	switch reason {
	case council.EndDeadline:
		return codeDeadlineExceeded
	case council.EndBudget:
		return codeResourceExhausted
	}
	return codeUnavailable
}

// explain says to a person why there is no result: the first failure in the provider's own words.
func explain(reason string, r council.Result) string {
	text := map[string]string{
		council.EndDeadline:         "the deadline passed before anything came",
		council.EndBudget:           "the budget was used up",
		council.EndQuorumNotReached: "too little of the council delivered, and its policy is to fail then",
		council.EndNoAnswer:         "no member answered",
		council.EndNoProposals:      "no member could review the change",
	}[reason]
	for _, s := range r.Coverage.Stages {
		for _, m := range s.Missing {
			return fmt.Sprintf("%s; %s in stage %s: %s: %s", text, m.Subject, s.Stage, m.Class, m.Message)
		}
	}
	return text
}
