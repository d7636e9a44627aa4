package events

import (
	"context"
	"fmt"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
)

// held is what a question may take of the budgets of the day and the month. Left says that nothing is left.
type held struct {
	Budget review.Budget `json:"budget,omitzero"`
	Held   bool          `json:"held,omitempty"`
	Left   string        `json:"left,omitempty"`
}

// holder is what a question is known by in the budgets: each delivery of a comment has its own, and its executions the same.
func (o *order) holder() job.ID {
	return job.ID(fmt.Sprintf("%s/%d", o.session.run.Job().ID, o.n))
}

// afford holds what the answer may take at most. The council never takes more than that.
func (o *order) afford(q review.Question) (held, *engine.Failure, error) {
	var h held
	if !o.p.Budgets.Lasting() {
		return h, nil, nil
	}
	f, err := step(o.session, o.step("hold"), &h, func(ctx context.Context) (h held, err error) {
		e, err := o.p.Advisor.EstimateAnswer(ctx, q)
		if err != nil {
			return h, err
		}
		want := e.Most()
		want.Calls = 0
		err = o.spend(ctx, func(subject, repository *review.Spending) {
			h.Budget, h.Left = o.p.Budgets.Hold(subject, repository, o.p.Clock(), want, o.holder())
			h.Held = h.Left == ""
		})
		return h, err
	})
	return h, f, err
}

// settle counts what the answer took in the place of what was held. Settling again does nothing.
func (o *order) settle(h held, took review.Budget) (*engine.Failure, error) {
	if !h.Held {
		return nil, nil //nolint:nilnil // no failure
	}
	var done bool
	return step(o.session, o.step("settle"), &done, func(ctx context.Context) (bool, error) {
		return true, o.spend(ctx, func(subject, repository *review.Spending) {
			subject.Settle(o.holder(), took)
			repository.Settle(o.holder(), took)
		})
	})
}

// spend changes the spendings of the pull request and of its repository.
func (o *order) spend(ctx context.Context, fn func(subject, repository *review.Spending)) error {
	return o.session.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		var rows [2]review.Subject
		for i, name := range []string{o.pull.Subject(), o.pull.Repo.Row()} {
			var err error
			if rows[i], err = o.p.Subjects.Lock(ctx, tx, name, o.session.run.Job().Owner); err != nil {
				return err
			}
		}
		fn(&rows[0].Spending, &rows[1].Spending)
		for _, row := range rows {
			if err := o.p.Subjects.Put(ctx, tx, row); err != nil {
				return err
			}
		}
		return nil
	}})
}
