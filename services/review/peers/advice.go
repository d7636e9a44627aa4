package peers

import (
	"context"

	councilv1 "witan.dev/gen/witan/council/v1"
	"witan.dev/services/review"
)

var _ review.Advisor = (*Council)(nil)

// maxTitle is how long the title of a piece of evidence may be.
const maxTitle = 200

// Ask implements review.Advisor.
func (c *Council) Ask(ctx context.Context, q review.Question) (review.Deliberation, error) {
	question := &councilv1.Question{Text: cut(q.Text, 128<<10)}
	for _, e := range q.Evidence {
		if e.Text != "" {
			question.Evidence = append(question.Evidence, &councilv1.Evidence{
				Title: cut(e.Title, maxTitle), Content: &councilv1.Evidence_Text{Text: cut(e.Text, 1<<20)},
			})
		}
	}
	made, err := c.client.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{
		Deliberation: &councilv1.Deliberation{
			Council: q.Council, ParentJob: q.ParentJob, Task: &councilv1.Deliberation_Question{Question: question},
		},
		RequestId: q.RequestID,
	})
	if err != nil {
		return review.Deliberation{}, callError(ctx, "ask a council", err)
	}
	return review.Deliberation{Name: made.GetName(), Job: made.GetJob()}, nil
}

// Advice implements review.Advisor.
func (c *Council) Advice(ctx context.Context, deliberation string) (string, error) {
	d, err := c.client.GetDeliberation(ctx, &councilv1.GetDeliberationRequest{Name: deliberation, View: councilv1.Deliberation_FULL})
	if err != nil {
		return "", callError(ctx, "get "+deliberation, err)
	}
	return d.GetResult().GetAnswer(), nil
}
