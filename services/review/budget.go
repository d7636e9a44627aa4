package review

import (
	"maps"
	"time"

	"witan.dev/internal/job"
)

// Budget caps what a council may take. Zero caps nothing.
type Budget struct {
	Calls      int64 `json:"calls,omitempty"`
	Tokens     int64 `json:"tokens,omitempty"`      // sent and received
	CostMicros int64 `json:"cost_micros,omitempty"` // millionths of the currency's unit
}

// Min returns the tighter cap of both for each measure.
func (b Budget) Min(o Budget) Budget {
	return Budget{Calls: tighter(b.Calls, o.Calls), Tokens: tighter(b.Tokens, o.Tokens), CostMicros: tighter(b.CostMicros, o.CostMicros)}
}

func tighter(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}

// Fits says whether what is expected stays within the caps.
func (b Budget) Fits(e *Estimate) bool {
	return (b.Calls <= 0 || e.Calls.Expected <= b.Calls) && (b.Tokens <= 0 || e.Tokens.Expected <= b.Tokens) &&
		(b.CostMicros <= 0 || e.CostMicros == nil || e.CostMicros.Expected <= b.CostMicros)
}

// Range is a guess with its bounds.
type Range struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// Estimate is what a council is expected to take.
type Estimate struct {
	Calls  Range `json:"calls"`
	Tokens Range `json:"tokens"`
	// CostMicros is nil where a price is unknown.
	CostMicros *Range `json:"cost_micros,omitempty"`
	Currency   string `json:"currency,omitempty"`
}

// Most is the highest that the estimate expects, as caps.
func (e *Estimate) Most() Budget {
	b := Budget{Calls: e.Calls.High, Tokens: e.Tokens.High}
	if e.CostMicros != nil {
		b.CostMicros = e.CostMicros.High
	}
	return b
}

// Budget is what the settings allow.
func (s *Settings) Budget() Budget {
	return Budget{Calls: s.MaxCalls, Tokens: s.MaxTokens, CostMicros: s.MaxCost}
}

// Budgets are the server's caps: of one review, of all reviews of a subject in a day, and of a repository in a month (UTC).
// The last two count tokens and cost only.
type Budgets struct {
	Review, SubjectDay, RepositoryMonth Budget
}

// Lasting says whether anything is capped beyond a review.
func (b *Budgets) Lasting() bool {
	return b.SubjectDay != (Budget{}) || b.RepositoryMonth != (Budget{})
}

// Hold holds in both budgets what is wanted at most, as far as they leave it, and returns that. left says which of them leaves
// nothing; then nothing is held.
func (b *Budgets) Hold(subject, repository *Spending, now time.Time, want Budget, id job.ID) (granted Budget, left string) {
	granted, ok := subject.Hold(Day(now), b.SubjectDay, want, id)
	if !ok {
		return Budget{}, "the budget of this pull request for the day is used up"
	}
	if granted, ok = repository.Hold(Month(now), b.RepositoryMonth, granted, id); !ok {
		subject.Settle(id, Budget{})
		return Budget{}, "the budget of the repository for the month is used up"
	}
	return granted, ""
}

// Took is a usage as it counts.
func Took(u *job.Usage) Budget {
	took := Budget{Tokens: u.InputTokens + u.OutputTokens}
	if u.CostMicros != nil {
		took.CostMicros = *u.CostMicros
	}
	return took
}

// Day and Month name the periods of a time.
func Day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Month names the month of a time.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

// Spending is what councils took in a period, and what is held for those that have not been settled. One that is never
// settled keeps what it holds to the period's end: it may have been charged.
type Spending struct {
	Period string            `json:"period,omitempty"`
	Spent  Budget            `json:"spent,omitzero"`
	Held   map[job.ID]Budget `json:"held,omitempty"`
}

// Hold sets aside for a review what it wants at most, as far as the cap leaves it, and returns that. It is false, and
// nothing is held, when nothing is left. Holding again replaces what the review holds.
func (s *Spending) Hold(period string, limit, want Budget, id job.ID) (Budget, bool) {
	if s.Period != period {
		*s = Spending{Period: period}
	}
	held := maps.Clone(s.Held)
	delete(held, id)
	taken := s.Spent
	for _, b := range held {
		taken.Tokens, taken.CostMicros = taken.Tokens+b.Tokens, taken.CostMicros+b.CostMicros
	}
	granted := want
	if limit.Tokens > 0 {
		if taken.Tokens >= limit.Tokens {
			return Budget{}, false
		}
		granted.Tokens = tighter(want.Tokens, limit.Tokens-taken.Tokens)
	}
	if limit.CostMicros > 0 {
		if taken.CostMicros >= limit.CostMicros {
			return Budget{}, false
		}
		granted.CostMicros = tighter(want.CostMicros, limit.CostMicros-taken.CostMicros)
	}
	if held == nil {
		held = make(map[job.ID]Budget)
	}
	held[id] = granted
	s.Held = held
	return granted, true
}

// Settle replaces what a review holds by what it took. Without a hold it does nothing.
func (s *Spending) Settle(id job.ID, took Budget) {
	if _, ok := s.Held[id]; !ok {
		return
	}
	s.Held = maps.Clone(s.Held)
	delete(s.Held, id)
	s.Spent.Tokens, s.Spent.CostMicros = s.Spent.Tokens+took.Tokens, s.Spent.CostMicros+took.CostMicros
}
