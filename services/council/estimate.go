package council

import (
	"math"

	"witan.dev/internal/llm"
)

// Range is a guess with its bounds.
type Range struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// Estimate is what a deliberation is expected to take. Tokens rest on the sizes of what is known beforehand and on a share
// of the output limits.
type Estimate struct {
	Calls  Range `json:"calls"`
	Tokens Range `json:"tokens"`
	// Cost is in millionths of the currency; nil where a price is unknown or the currencies differ.
	Cost     *Range `json:"cost,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// A Cap is one measure of a budget beside what is expected of it.
type Cap struct {
	Kind     string // "calls", "tokens" or "cost"
	Cap      int64
	Estimate Range
}

// Caps lists the measures that the budget caps.
func (b BudgetPolicy) Caps(e *Estimate) []Cap {
	var out []Cap
	if b.MaxCalls > 0 {
		out = append(out, Cap{"calls", int64(b.MaxCalls), e.Calls})
	}
	if b.MaxTotalTokens > 0 {
		out = append(out, Cap{"tokens", b.MaxTotalTokens, e.Tokens})
	}
	if b.MaxCostMicros > 0 && e.Cost != nil {
		out = append(out, Cap{"cost", b.MaxCostMicros, *e.Cost})
	}
	return out
}

// Names of the stages.
const (
	StageAnswer       = "answer"
	StagePropose      = "propose"
	StageGroup        = "group"
	StageRank         = "rank"
	StageCrossExamine = "cross_examine"
	StageSynthesise   = "synthesise"
	StageConclude     = "conclude"
)

// Stages lists the stages that a spec plans for a task, in order.
func Stages(s Spec, kind TaskKind) []string {
	stages := []string{StageAnswer, StageRank, StageSynthesise}
	if kind == TaskCodeReview {
		stages = []string{StagePropose, StageGroup, StageCrossExamine, StageConclude}
	}
	switch s.Mode {
	case ModeAnswersOnly:
		if kind == TaskCodeReview {
			return stages[:2]
		}
		return stages[:1]
	case ModeRanked:
		return stages[:len(stages)-1]
	case ModeFull, ModeVerdict:
	}
	return stages
}

// Judged says whether a question's answers can be ranked: with recusal each of two authors would see one candidate.
func (s Spec) Judged() bool {
	if len(s.Answerers()) < 2 || len(s.Judges()) == 0 {
		return false
	}
	for _, j := range s.Judges() {
		n := len(s.Answerers())
		if j.Answers() {
			n--
		}
		if n >= 2 {
			return true
		}
	}
	return false
}

const (
	// OutputShare is the part of what an answer may be that it is expected to be: a quarter.
	OutputShare  = 4
	unknownLimit = 2048 // where the model's own limit holds
)

// EstimateOf guesses what a task takes. Calls: one for each seat and part, one for each judge (and batch), one for the
// chairman; retries and repairs in High only. Reused answers of a retried job are not taken off.
func EstimateOf(s Spec, t Task, models Models) Estimate {
	answerers, judges := int64(len(s.Answerers())), int64(len(s.Judges()))
	var e Estimate
	if len(s.Members) == 0 {
		return e
	}
	material := int64(0)
	parts := int64(1)
	if t.CodeReview != nil {
		parts = int64(len(t.CodeReview.Parts))
		for _, p := range t.CodeReview.Parts {
			material += max(int64(len(p.Text)/3), int64(p.EstimatedTokens))
		}
	} else {
		material = int64(len(t.Question.Text) / 3)
		for _, ev := range t.Question.Evidence {
			material += int64(len(ev.Text) / 3)
		}
	}
	first := answerers * parts
	second, third := int64(0), int64(0)
	if s.Mode != ModeAnswersOnly && (t.CodeReview != nil || s.Judged()) {
		second = judges
	}
	if (s.Mode == ModeFull || s.Mode == ModeVerdict) && answerers > 1 && s.Chairman.Model != "" {
		third = 1
	}
	output := int64(0)
	for _, m := range s.Members {
		output = max(output, int64(m.MaxOutputTokens))
	}
	if output == 0 {
		output = unknownLimit * OutputShare
	}
	each := output / OutputShare
	calls := first + second + third
	e.Calls = Range{Low: first, Expected: calls, High: calls * DefaultMaxAttempts}
	if t.CodeReview != nil && s.Mode != ModeAnswersOnly {
		e.Calls.High += judges * parts // further batches
	}
	e.Tokens = Range{
		Low:      answerers * material,
		Expected: answerers*material + (second+third)*(material+answerers*each) + calls*each,
		High:     e.Calls.High * (material + answerers*output + output),
	}
	e.price(s, models, estimated{material: material, each: each, first: parts, second: second > 0, third: third > 0})
	return e
}

// estimated are the sizes that a price is put on.
type estimated struct {
	material, each, first int64 // first: calls of each seat
	second, third         bool
}

// price says what the tokens cost, where all models have a price in one currency.
func (e *Estimate) price(s Spec, models Models, n estimated) {
	prices := make(map[string]llm.Price)
	dearest := 0.0
	for _, name := range s.Models() {
		m, ok := models.Model(name)
		if !ok || m.Info().Price == nil {
			return
		}
		p := *m.Info().Price
		if e.Currency != "" && e.Currency != p.Currency {
			e.Currency = ""
			return
		}
		prices[name], e.Currency = p, p.Currency
		dearest = max(dearest, p.InputPerMillion, p.OutputPerMillion)
	}
	cost := Range{}
	add := func(model string, input, output, times int64) {
		p := prices[model]
		cost.Expected += p.Cost(llm.Usage{InputTokens: input, OutputTokens: output * times})
	}
	answers := int64(len(s.Answerers())) * n.each
	for _, m := range s.Answerers() {
		p := prices[m.Model]
		cost.Low += p.Cost(llm.Usage{InputTokens: n.material})
		add(m.Model, n.material, n.each, n.first)
	}
	if n.second {
		for _, m := range s.Judges() {
			add(m.Model, n.material+answers, n.each, 1)
		}
	}
	if n.third {
		add(s.Chairman.Model, n.material+answers, n.each, 1)
	}
	cost.High = max(cost.Expected, int64(math.Ceil(float64(e.Tokens.High)*dearest)))
	e.Cost = &cost
}
