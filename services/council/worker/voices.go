package worker

import (
	"context"
	"fmt"
	"time"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/prompt"
	"witan.dev/services/council/wire"
)

// seatVoice builds the events of a member's call. With stream the text is logged as it is written.
func seatVoice(stage string, m council.Member, part string, stream bool) voice {
	v := voice{
		started: func(attempt int32) job.NewEvent {
			return event(key(stage, "started", m.ID, part, attempt), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberStarted{MemberStarted: &councilv1.MemberStarted{
				Stage: stage, Member: m.ID, Part: part, Attempt: attempt, Model: m.Model,
			}}})
		},
		failed: seatFailed(stage, "failed", m.ID, part),
	}
	if stream {
		v.delta = func(attempt int32, ordinal int, offset int64, text string) job.NewEvent {
			return event(key(stage, "delta", m.ID, part, attempt, ordinal), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberDelta{MemberDelta: &councilv1.MemberDelta{
				Stage: stage, Member: m.ID, Part: part, Attempt: attempt, Offset: offset, Text: text,
			}}})
		}
	}
	return v
}

func seatFailed(stage, what, member, part string) func(attempt int32, f failure, retry bool, at time.Time) job.NewEvent {
	return func(attempt int32, f failure, retry bool, at time.Time) job.NewEvent {
		return event(key(stage, what, member, part, attempt), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_MemberFailed{MemberFailed: &councilv1.MemberFailed{
			Stage: stage, Member: member, Part: part, Attempt: attempt, Class: wire.Class(f.Class), Message: f.Message,
			WillRetry: retry, RetryTime: wire.Time(at),
		}}})
	}
}

// seatAsk is a member's call in a stage.
func (d *deliberation) seatAsk(stage string, m council.Member, part string, p prompt.Prompt, stream bool) ask {
	t := d.Spec.Timeouts
	a := ask{
		key: job.CallKey{Stage: stage, Subject: m.ID, Part: part}, member: m.ID, model: m.Model, prompt: p,
		temperature: m.Temperature, maxOutput: d.outputLimit(m.Model, m.MaxOutputTokens), maxAttempts: m.MaxAttempts,
		firstToken: t.FirstToken, attempt: t.Attempt, total: t.Member, voice: seatVoice(stage, m, part, stream),
	}
	if m.AttemptTimeout > 0 {
		a.attempt = m.AttemptTimeout
	}
	if m.Timeout > 0 {
		a.total = m.Timeout
	}
	return a
}

// repair shows a model its output and what is wrong with it, once. What is unreadable then is a failure of that class.
func repair[T any](ctx context.Context, d *deliberation, u unit[T], out delivery[T], problem error) (delivery[T], error) {
	a := u.ask
	a.key.Stage += "_repair"
	a.prompt = prompt.Repair(u.ask.prompt, out.record.Text, problem.Error(), u.nonce)
	a.voice = voice{failed: seatFailed(u.ask.key.Stage, "repair_failed", u.member, u.part)}
	a.voice.answered = func(r record) []job.NewEvent {
		v, err := u.parse(r.Text)
		if err != nil {
			return []job.NewEvent{u.unreadable(r, err)}
		}
		return []job.NewEvent{u.report(r, v, true)}
	}
	r, failed, took, err := d.call(ctx, a, nil, false)
	out.spent.Usage, out.spent.Calls = out.spent.Usage.Add(took.Usage), out.spent.Calls+took.Calls
	if err != nil {
		return out, err
	}
	if failed != nil {
		out.failed = &failure{Class: classUnreadable, Message: fmt.Sprintf("%v; the repair failed: %s", problem, failed.Message)}
		return out, d.run.Append(ctx, u.unreadable(out.record, problem))
	}
	out.record, out.repaired = r, true
	if out.value, problem = u.parse(r.Text); problem != nil {
		out.failed = &failure{Class: classUnreadable, Message: problem.Error()}
	}
	return out, nil
}
