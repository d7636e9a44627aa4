package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/internal/job"
	"witan.dev/services/council"
	"witan.dev/services/council/draw"
	"witan.dev/services/council/prompt"
	"witan.dev/services/council/wire"
)

// chairmanSubject names the chairman and its fallbacks in the journal: one call, so that attempts count upwards through
// the whole chain.
const chairmanSubject = "chairman"

// concluded is the outcome of the chairman's stage.
type concluded struct {
	Coverage council.StageCoverage `json:"coverage"`
	Text     string                `json:"text,omitempty"`
	Model    string                `json:"model,omitempty"`
	Finish   string                `json:"finish,omitempty"`
	Origin   council.Origin        `json:"origin,omitempty"`
	Spent    spent                 `json:"spent"`
}

func (c concluded) covered() council.StageCoverage { return c.Coverage }

func (c concluded) unreadable() []string { return nil } // any text is a conclusion

// synthesise has the chairman write the answer. With one answer there is nothing to join.
func (d *deliberation) synthesise(ctx context.Context, a answered, r ranked) error {
	if len(a.Answers) < 2 {
		reason := "SINGLE_SURVIVOR"
		return d.skip(ctx, council.StageSynthesise, reason, concluded{Coverage: skipped(council.StageSynthesise, reason)})
	}
	nonce := d.plan.Key.Nonce(council.StageSynthesise, chairmanSubject, "fence")
	p := prompt.Synthesise(d.field(a, r), d.plan.History, d.Spec.Chairman.Persona, nonce)
	c, err := d.chair(ctx, council.StageSynthesise, p)
	if err != nil {
		return err
	}
	text, origin := c.Text, c.Origin
	if c.Text == "" {
		text, origin = textOf(a.Answers, d.top(a, r)), council.OriginTopRanked
	}
	return d.concludes(ctx, c, text, origin)
}

// concludes freezes the chairman's stage with the text that stands.
func (d *deliberation) concludes(ctx context.Context, c concluded, text string, origin council.Origin) error {
	var delivered []string
	if c.Model != "" {
		delivered = []string{c.Model}
	}
	stage := c.Coverage.Stage
	return d.complete(ctx, c.Coverage, delivered, nil, c, append(d.budgetEvents(stage),
		event(key(stage, "done"), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisCompleted{SynthesisCompleted: &councilv1.SynthesisCompleted{
			Origin: wire.Origin(origin), Chairman: c.Model, Text: text, Finish: wire.Finish(c.Finish), Usage: wire.Usage(c.Spent.Usage, c.Spent.Calls),
		}}}))...)
}

// chair asks the chairman, then each fallback. Only a finished, non-empty text is accepted; without one the stage ends
// empty-handed, which voids nothing that came before.
func (d *deliberation) chair(ctx context.Context, stage string, p prompt.Prompt) (concluded, error) {
	out := concluded{Coverage: council.StageCoverage{Stage: stage, Planned: 1, ClosedBy: council.ClosedAll}}
	if d.budget.exceeded() != "" && d.Spec.Budget.OnExceed == council.ExceedRankedOnly {
		out.Coverage.ClosedBy = council.ClosedBudget
		return out, nil
	}
	limit := d.Spec.Timeouts.ChairmanStage
	if err := d.begin(ctx, stage, d.Spec.Chairman.Chain(), limit); err != nil {
		return out, err
	}
	stageCtx, stop := context.WithTimeoutCause(ctx, limit, errStageClosed)
	defer stop()
	for i, model := range d.Spec.Chairman.Chain() {
		r, failed, took, err := d.call(stageCtx, d.chairAsk(stage, model, i, p, limit), nil, false)
		out.Spent.Usage, out.Spent.Calls = out.Spent.Usage.Add(took.Usage), out.Spent.Calls+took.Calls
		if err != nil {
			return out, err
		}
		if failed == nil && strings.TrimSpace(r.Text) != "" {
			out.Text, out.Model, out.Finish, out.Origin = r.Text, model, r.Finish, council.OriginChairman
			if i > 0 {
				out.Origin = council.OriginFallbackChairman
			}
			out.Coverage.Delivered = 1
			return out, nil
		}
		if failed == nil {
			failed = &failure{Class: "EMPTY", Message: "the text is blank"}
		}
		out.Coverage.Missing = append(out.Coverage.Missing, council.Missing{Subject: model, Class: failed.Class, Message: failed.Message})
		if stageCtx.Err() != nil {
			break
		}
	}
	closed, err := ended(context.Cause(stageCtx))
	if err != nil {
		return out, err
	}
	switch {
	case closed == nil:
	case closed.Class == classStageClosed:
		out.Coverage.ClosedBy = council.ClosedTimeout
	case closed.Class == "CANCELLED":
		out.Coverage.ClosedBy = council.ClosedCancelled
	default:
		out.Coverage.ClosedBy = council.ClosedDeadline
	}
	return out, nil
}

func (d *deliberation) chairAsk(stage, model string, index int, p prompt.Prompt, limit time.Duration) ask {
	c, t := d.Spec.Chairman, d.Spec.Timeouts
	a := ask{
		key: job.CallKey{Stage: stage, Subject: chairmanSubject}, member: chairmanSubject, model: model, prompt: p,
		maxOutput: d.outputLimit(model, c.MaxOutputTokens), maxAttempts: c.MaxAttempts, firstToken: t.FirstToken, attempt: t.ChairmanAttempt, total: limit,
		chairman: true, wantsWhole: true,
		voice: voice{
			started: func(attempt int32) job.NewEvent {
				return event(key(stage, "started", attempt), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisStarted{SynthesisStarted: &councilv1.SynthesisStarted{
					Chairman: model, Attempt: attempt, FallbackIndex: int32(index), //nolint:gosec // at most 8
				}}})
			},
			failed: func(attempt int32, f failure, _ bool, _ time.Time) job.NewEvent {
				return event(key(stage, "failed", attempt), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisFailed{SynthesisFailed: &councilv1.SynthesisFailed{
					Chairman: model, Attempt: attempt, Class: wire.Class(f.Class), Message: f.Message,
				}}})
			},
			answered: func(record) []job.NewEvent { return nil }, // synthesis_completed commits with the stage
		},
	}
	if d.Spec.Stream != council.StreamNone {
		a.voice.delta = func(attempt int32, ordinal int, offset int64, text string) job.NewEvent {
			return event(key(stage, "delta", attempt, ordinal), &councilv1.CouncilEvent{Event: &councilv1.CouncilEvent_SynthesisDelta{SynthesisDelta: &councilv1.SynthesisDelta{
				Attempt: attempt, Offset: offset, Text: text,
			}}})
		}
	}
	return a
}

// field is what the chairman sees: the answers under labels of its own, with what the ranking says of them.
func (d *deliberation) field(a answered, r ranked) prompt.Field {
	f := prompt.Field{Question: *d.Task.Question, Ranked: r.Aggregate != nil && r.Aggregate.Cast > 0, NotRanked: r.Coverage.SkipReason}
	order := d.plan.Key.Shuffle(len(a.Answers), council.StageSynthesise, chairmanSubject, "order")
	label := map[string]string{}
	for at, i := range order {
		x := a.Answers[i]
		label[x.ID] = draw.Label(at)
		s := prompt.Standing{Label: draw.Label(at), Text: x.Text}
		if f.Ranked {
			for _, row := range r.Aggregate.Ranked {
				if row.Answer == x.ID {
					s.Rank, s.FirstPlaces = row.Rank, row.FirstPlaces
				}
			}
			s.Critiques = critiques(r.Ballots, x.ID)
		}
		f.Answers = append(f.Answers, s)
	}
	if f.Ranked {
		f.TieAtTop = r.Aggregate.TieAtTop
		if r.Aggregate.Agreement != nil {
			f.Agreement = fmt.Sprintf("Agreement of the judges (Kendall's u; 0 is chance, 1 full agreement): %.2f.", *r.Aggregate.Agreement)
		}
		firsts := map[string]int{}
		for _, b := range dissentOf(r.Ballots, r.Aggregate.Ranked[0].Answer) {
			firsts[b.Position]++
		}
		for _, x := range f.Answers {
			for id, n := range firsts {
				if label[id] == x.Label {
					f.Dissent = append(f.Dissent, fmt.Sprintf("%d judge(s) put answer %s before the first-ranked one.", n, x.Label))
				}
			}
		}
	}
	f.Missing = missingLines(a.Coverage)
	return f
}

func critiques(ballots []council.Ballot, answer string) []string {
	var out []string
	for _, b := range ballots {
		for _, c := range b.Critiques {
			if c.Answer == answer {
				out = append(out, c.Text)
			}
		}
	}
	return out
}

// missingLines say how many members failed and why, without naming them.
func missingLines(c council.StageCoverage) []string {
	byClass := map[string]int{}
	for _, m := range c.Missing {
		byClass[m.Class]++
	}
	var out []string
	for class, n := range byClass {
		out = append(out, fmt.Sprintf("%d of %d planned in the stage %s did not deliver: %s.", n, c.Planned, c.Stage, class))
	}
	slices.Sort(out)
	return out
}
