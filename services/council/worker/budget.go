package worker

import (
	"cmp"
	"math"
	"sync"

	"witan.dev/internal/job"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
)

// unknownOutput bounds an answer of a model that says no limit, where a cap has to hold (own choice).
const unknownOutput = 8192

// An amount is what a call takes: of itself, of tokens sent and received, and of money.
type amount struct {
	calls, tokens, cost int64
}

func (a amount) plus(b amount) amount {
	return amount{a.calls + b.calls, a.tokens + b.tokens, a.cost + b.cost}
}

func (a amount) minus(b amount) amount {
	return amount{a.calls - b.calls, a.tokens - b.tokens, a.cost - b.cost}
}

// lacks names the first measure of which a has less than b, empty when there is none.
func (a amount) lacks(b amount) string {
	switch {
	case a.calls < b.calls:
		return "calls"
	case a.tokens < b.tokens:
		return "tokens"
	case a.cost < b.cost:
		return "cost"
	}
	return ""
}

// noCap is an amount that nothing uses up, and that still has room for sums.
const noCap = math.MaxInt64 / 4

// budget holds the caps of a deliberation. Each call reserves the most that it may take before it is made, and gives back
// what it did not take when it is closed. The chairman's reserve is set aside from the beginning. Safe for concurrent use.
type budget struct {
	mu      sync.Mutex
	left    amount
	reserve amount
	stopped string // the measure that did not suffice first
}

// newBudget starts from what was spent before: calls of earlier executions stay spent, and those whose end nobody saw keep
// their reservation. reserve is the chairman's.
func newBudget(p council.BudgetPolicy, spent, reserve amount) *budget {
	limit := amount{noCap, noCap, noCap}
	b := &budget{}
	if p.MaxCalls > 0 {
		limit.calls = int64(p.MaxCalls)
		b.reserve.calls = min(reserve.calls, limit.calls/2)
	}
	if p.MaxTotalTokens > 0 {
		limit.tokens = p.MaxTotalTokens
		b.reserve.tokens = min(reserve.tokens, limit.tokens/2)
	}
	if p.MaxCostMicros > 0 {
		limit.cost = p.MaxCostMicros
		b.reserve.cost = min(reserve.cost, limit.cost/2)
	}
	b.left = limit.minus(spent)
	return b
}

// take reserves for one call and says which measure keeps it from being made, empty when it may be. The chairman may use
// its reserve.
func (b *budget) take(need amount, chairman bool) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	have := b.left
	if !chairman {
		have = have.minus(b.reserve)
	}
	if short := have.lacks(need); short != "" {
		return short
	}
	b.left = b.left.minus(need)
	return ""
}

// settle replaces the reservation of a call by what it took.
func (b *budget) settle(reserved, took amount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = b.left.plus(reserved).minus(took)
}

// refuse notes that a call was not made for want of budget, and of which measure.
func (b *budget) refuse(measure string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped == "" {
		b.stopped = measure
	}
}

// exceeded names the measure for want of which a call was refused, empty when none was.
func (b *budget) exceeded() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stopped
}

// spentBefore is what the job took before this execution. Reservations are tokens only: their cost is bounded by the
// dearest price.
func (d *deliberation) spentBefore(j job.Job) amount {
	out := amount{calls: j.Ledger.CallsStarted, tokens: j.Usage.InputTokens + j.Usage.OutputTokens + j.Reserved}
	dearest := d.dearest()
	out.cost = dearest.Cost(llm.Usage{InputTokens: j.Reserved})
	if c := j.Usage.CostMicros; c != nil {
		out.cost += *c
	} else {
		out.cost += dearest.Cost(llm.Usage{InputTokens: j.Usage.InputTokens, OutputTokens: j.Usage.OutputTokens})
	}
	return out
}

// dearest takes the highest price of any model for both directions.
func (d *deliberation) dearest() llm.Price {
	var p llm.Price
	for _, m := range d.plan.Models {
		if m.Price != nil {
			top := max(m.Price.InputPerMillion, m.Price.OutputPerMillion, p.InputPerMillion)
			p.InputPerMillion, p.OutputPerMillion = top, top
		}
	}
	return p
}

// chairmanReserve is one attempt of the dearest model in the chairman's chain, over answers of a usual length.
func (d *deliberation) chairmanReserve() amount {
	input := int64(0)
	if q := d.Task.Question; q != nil {
		input = int64(len(q.Text) / 3)
	}
	for _, m := range d.Spec.Answerers() {
		input += int64(d.outputLimit(m.Model, m.MaxOutputTokens)) / council.OutputShare
	}
	out := amount{calls: 1}
	for _, model := range d.Spec.Chairman.Chain() {
		output := int64(d.outputLimit(model, d.Spec.Chairman.MaxOutputTokens))
		out.tokens = max(out.tokens, input+output)
		out.cost = max(out.cost, d.cost(model, input, output))
	}
	return out
}

// outputLimit is how long an answer may be. A cap on tokens or money needs one; without, the model's own may hold unsaid.
func (d *deliberation) outputLimit(model string, configured int) int {
	if configured > 0 || d.Spec.Budget.MaxTotalTokens == 0 && d.Spec.Budget.MaxCostMicros == 0 {
		return configured
	}
	return cmp.Or(d.plan.Models[model].MaxOutputTokens, unknownOutput)
}

func (d *deliberation) cost(model string, input, output int64) int64 {
	price := d.plan.Models[model].Price
	if price == nil {
		return 0
	}
	return price.Cost(llm.Usage{InputTokens: input, OutputTokens: output})
}

// most is the most that a try of a call may take.
func (d *deliberation) most(a ask, maxOutput int) amount {
	input := int64(a.inputTokens())
	return amount{1, input + int64(maxOutput), d.cost(a.model, input, int64(maxOutput))}
}

// took is what a try took.
func took(u council.Usage) amount {
	out := amount{calls: 1, tokens: u.InputTokens + u.OutputTokens}
	if u.CostMicros != nil {
		out.cost = *u.CostMicros
	}
	return out
}
