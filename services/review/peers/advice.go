package peers

import (
	"context"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/services/review"
)

var _ review.Advisor = (*Council)(nil)

// maxTitle is how long the title of a piece of evidence may be.
const maxTitle = 200

// EstimateAnswer implements review.Advisor.
func (c *Council) EstimateAnswer(ctx context.Context, q review.Question) (review.Estimate, error) {
	e, err := c.client.EstimateDeliberation(ctx, &councilv1.EstimateDeliberationRequest{Deliberation: asked(&q)})
	if err != nil {
		return review.Estimate{}, callError(ctx, "estimate an answer", err)
	}
	return estimated(e), nil
}

// Ask implements review.Advisor.
func (c *Council) Ask(ctx context.Context, q review.Question) (review.Deliberation, error) {
	d := asked(&q)
	if q.Budget != (review.Budget{}) {
		checked, err := c.client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: d, ValidateOnly: true})
		if err != nil {
			return review.Deliberation{}, callError(ctx, "check a question", err)
		}
		d.Spec = &councilv1.CouncilSpec{Budget: stricter(checked.GetSpec().GetBudget(), q.Budget)}
	}
	made, err := c.client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{Deliberation: d, RequestId: q.RequestID})
	if err != nil {
		return review.Deliberation{}, callError(ctx, "ask a council", err)
	}
	return review.Deliberation{Name: made.GetName(), Job: made.GetJob()}, nil
}

// stricter are the caps of a council that are no looser than a budget.
func stricter(own *councilv1.BudgetPolicy, b review.Budget) *councilv1.BudgetPolicy {
	if own == nil {
		own = &councilv1.BudgetPolicy{}
	}
	b = b.Min(review.Budget{Calls: int64(own.GetMaxCalls()), Tokens: own.GetMaxTotalTokens(), CostMicros: own.GetMaxCostMicros()})
	own.MaxCalls, own.MaxTotalTokens, own.MaxCostMicros = line64(b.Calls), b.Tokens, b.CostMicros
	return own
}

func asked(q *review.Question) *councilv1.Deliberation {
	question := &councilv1.Question{Text: cut(q.Text, 128<<10)}
	for _, e := range q.Evidence {
		if e.Text != "" {
			question.Evidence = append(question.Evidence, &councilv1.Evidence{
				Title: cut(e.Title, maxTitle), Content: &councilv1.Evidence_Text{Text: cut(e.Text, 1<<20)},
			})
		}
	}
	return &councilv1.Deliberation{Council: q.Council, ParentJob: q.ParentJob, Task: &councilv1.Deliberation_Question{Question: question}}
}

// Advice implements review.Advisor.
func (c *Council) Advice(ctx context.Context, deliberation string) (review.Advice, error) {
	d, err := c.client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: deliberation, View: councilv1.Deliberation_FULL})
	if err != nil {
		return review.Advice{}, callError(ctx, "get "+deliberation, err)
	}
	return review.Advice{Text: d.GetResult().GetAnswer(), Usage: usage(d.GetResult().GetUsage())}, nil
}
