package worker

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// afford keeps the parts that the budget allows, the most important first, and names what it leaves out. What the council
// may take at most is held in the budgets of the day and the month; the council itself never takes more than that.
func (s *session) afford(ctx context.Context, parts []review.Part, p *planned) ([]review.Part, error) {
	all, err := s.estimate(ctx, parts, p)
	switch {
	case errors.Is(err, review.ErrUnavailable):
		return parts, nil // it will show when the council is convened
	case errors.Is(err, review.ErrOverBudget):
	case err != nil:
		return nil, err
	default:
		p.Estimate = &all
	}
	left, err := s.holdBudget(ctx, p)
	if err != nil {
		return nil, err
	}
	if left != "" {
		p.Away = string(finding.ReasonBudget)
		p.Notes = append(p.Notes, left)
		return s.leaveOut(parts, 0, p), nil
	}
	if p.Budget == (review.Budget{}) {
		return parts, nil
	}
	return s.fitting(ctx, parts, p)
}

// fitting keeps as many of the first parts as are expected to fit.
func (s *session) fitting(ctx context.Context, parts []review.Part, p *planned) ([]review.Part, error) {
	var failed error
	var why string
	short := sort.Search(len(parts), func(n int) bool { // whether n+1 parts are too many
		if failed != nil {
			return true
		}
		e, err := s.estimate(ctx, parts[:n+1], p)
		switch {
		case errors.Is(err, review.ErrOverBudget):
			why = err.Error()
			return true
		case err != nil:
			failed = err
			return true
		}
		if !p.Budget.Fits(&e) {
			return true
		}
		p.Estimate = &e
		return false
	})
	if errors.Is(failed, review.ErrUnavailable) {
		return parts, nil
	}
	if failed != nil {
		return nil, failed
	}
	if short == len(parts) {
		return parts, nil
	}
	note := fmt.Sprintf("the budget allows the council %d of %d parts", short, len(parts))
	if short == 0 {
		p.Away, p.Estimate = string(finding.ReasonBudget), nil
		if why != "" {
			note += ": " + why
		}
	}
	p.Notes = append(p.Notes, note)
	return s.leaveOut(parts, short, p), nil
}

// leaveOut keeps the first n parts and notes the files of the others.
func (*session) leaveOut(parts []review.Part, n int, p *planned) []review.Part {
	for i := range parts[n:] {
		for _, path := range parts[n+i].Paths {
			p.limit(path, finding.ReasonBudget)
		}
	}
	return parts[:n]
}

func (s *session) estimate(ctx context.Context, parts []review.Part, p *planned) (e review.Estimate, err error) {
	err = s.patiently(ctx, func(ctx context.Context) (err error) {
		e, err = s.p.Council.Estimate(ctx, review.CouncilTask{
			Council: p.Council, Parts: parts, Terms: p.Terms, MinVotes: p.MinVotes, Budget: p.Budget,
		})
		return err
	})
	return e, err
}

// holdBudget lowers the plan's budget to what is left of the day and the month, and holds it there. The words returned say
// that nothing is left.
func (s *session) holdBudget(ctx context.Context, p *planned) (string, error) {
	caps := s.p.Budgets
	if s.resolution.Pull == nil || s.p.Subjects == nil || !caps.Lasting() {
		return "", nil
	}
	want := p.Budget
	if p.Estimate != nil {
		want = want.Min(p.Estimate.Most())
	}
	want.Calls = p.Budget.Calls
	now := s.p.Clock()
	var granted review.Budget
	var left string
	err := s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		return s.spendings(ctx, tx, func(subject, repository *review.Spending) {
			granted, left = caps.Hold(subject, repository, now, want, s.review.ID)
		})
	}})
	if err == nil && left == "" {
		p.Budget, p.Held = granted, true
	}
	return left, err
}

// spendings runs fn with the locked spendings of the subject and of its repository, and stores them.
func (s *session) spendings(ctx context.Context, tx job.Tx, fn func(subject, repository *review.Spending)) error {
	name, _, _ := strings.Cut(s.resolution.Pinned.Subject, "#")
	var rows [2]review.Subject
	for i, n := range []string{s.resolution.Pinned.Subject, name} {
		var err error
		if rows[i], err = s.p.Subjects.Lock(ctx, tx, n, s.review.Owner); err != nil {
			return err
		}
	}
	fn(&rows[0].Spending, &rows[1].Spending)
	for _, row := range rows {
		if err := s.p.Subjects.Put(ctx, tx, row); err != nil {
			return err
		}
	}
	return nil
}

// settleBudget replaces what was held by what the council took. Of one whose result nobody saw the hold stays.
func (s *session) settleBudget(ctx context.Context, tx job.Tx, got *progress) error {
	if !got.planned.Held || got.deliberated.Name != "" && got.deliberated.Verdict == "" {
		return nil
	}
	took := review.Took(&got.located.Verdict.Usage)
	return s.spendings(ctx, tx, func(subject, repository *review.Spending) {
		subject.Settle(s.review.ID, took)
		repository.Settle(s.review.ID, took)
	})
}

// giveBack settles what a review that ends without a result held. One whose council certainly never met took nothing; of any
// other, of an attempt before this one too, only what a verdict told is known, and without one the hold stays.
func (s *session) giveBack(ctx context.Context, tx job.Tx) error {
	switch {
	case s.resolution.Pull == nil || s.p.Subjects == nil || s.p.Budgets.SubjectDay == (review.Budget{}) && s.p.Budgets.RepositoryMonth == (review.Budget{}):
		return nil
	case s.got.located.Findings != "":
		return s.settleBudget(ctx, tx, &s.got)
	case s.met || s.run.Attempt() > 1:
		return nil
	}
	return s.spendings(ctx, tx, func(subject, repository *review.Spending) {
		subject.Settle(s.review.ID, review.Budget{})
		repository.Settle(s.review.ID, review.Budget{})
	})
}
