package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// errUnscanned: the scanner failed over what the council was to read, so it must not be sent.
var errUnscanned = errors.New("the text could not be scanned for secrets")

// deliberated is what the deliberate step stores.
type deliberated struct {
	review.Deliberation

	Verdict string `json:"verdict,omitempty"` // blob
	// Partial is the reason for which the council's result lacks something, empty when it is complete.
	Partial string `json:"partial,omitempty"`
	// Away is the reason for which there is no verdict, empty otherwise.
	Away string `json:"away,omitempty"`
	// Again says how much of the council is worth asking once more, empty where nothing is.
	Again string `json:"again,omitempty"`
}

// deliberate convenes the council and follows its job to the end. The request ID follows from job and step: killed in
// between, the next execution gets the same deliberation again and watches on. So does a retried review, which retries
// the deliberation as well.
func (s *session) deliberate(got *progress) (*engine.Failure, error) {
	return s.deliberates(got, stepDeliberate)
}

func (s *session) deliberates(got *progress, name string) (*engine.Failure, error) {
	before := got.deliberated
	s.met = s.met || s.run.Epoch() > 1
	return step(s, name, &got.deliberated, func(ctx context.Context) (deliberated, error) {
		if away := cmp.Or(got.inspected.Unscanned, got.planned.Away); away != "" {
			d := deliberated{Away: away}
			if away == string(finding.ReasonCouncilUnavailable) {
				d.Again = askAll
			}
			return d, nil
		}
		if _, err := s.load(ctx); err != nil { // a forge that is away is no council that cannot be reached
			return deliberated{}, err
		}
		s.met = true
		d, err := s.convene(ctx, got, &before, name)
		switch {
		case err == nil:
		case fatal(ctx, err):
			return d, err
		case errors.Is(err, errUnscanned):
			s.p.Logger.WarnContext(ctx, "the author's words could not be scanned for secrets", "review", string(s.review.ID), "error", err)
			d.Away = string(finding.ReasonReviewerFailed)
		case errors.Is(err, review.ErrOverBudget):
			d.Away = string(finding.ReasonBudget)
		case errors.Is(err, review.ErrCouncilRefused):
			s.p.Logger.ErrorContext(ctx, "the council refused the task: the review goes on without it", "review", string(s.review.ID), "error", err)
			d.Away = string(finding.ReasonCouncilUnavailable)
		case errors.Is(err, review.ErrUnavailable):
			s.p.Logger.WarnContext(ctx, "the council cannot be reached", "review", string(s.review.ID), "error", err)
			d.Away, d.Again = string(finding.ReasonCouncilUnavailable), askAll
		default:
			return d, err
		}
		return d, nil
	})
}

// convene starts the council, or goes on with the one that the round before left, and follows it to its end.
func (s *session) convene(ctx context.Context, got *progress, before *deliberated, name string) (d deliberated, err error) {
	if resumed, err := s.resume(ctx, before, name); resumed || err != nil {
		if err != nil {
			return *before, err
		}
		state, err := s.wait(ctx, before.Job)
		if err != nil {
			return *before, err
		}
		return s.followed(ctx, *before, state)
	}
	task, err := s.task(ctx, got)
	if err != nil {
		return d, err
	}
	if got.planned.Members > 0 && len(task.Parts) == 0 && len(task.Proposals) == 0 { // a chairman would have nothing to sum up
		d.Verdict, err = s.put(ctx, review.Verdict{Quorum: true})
		return d, err
	}
	ask := func(ctx context.Context, requestID string) (err error) {
		task.RequestID = requestID
		d.Deliberation, err = s.p.Council.Deliberate(ctx, task)
		return err
	}
	// Every round asks for the same council: an earlier one may have convened it without hearing of it. Where that was asked
	// something else, since the plan is another one now, there is a new one.
	err = s.start(ctx, stepDeliberate, ask)
	if name != stepDeliberate && (errors.Is(err, job.ErrRequestIDReused) || errors.Is(err, job.ErrDeleted)) {
		err = s.start(ctx, name, ask)
	}
	if err != nil {
		return d, err
	}
	err = s.log(ctx, name, "started", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_DeliberationStarted{
		DeliberationStarted: &reviewv1.DeliberationStarted{Deliberation: d.Name, Job: d.Job},
	}})
	if err != nil {
		return d, err
	}
	state, err := s.await(ctx, d.Job, name)
	if err != nil {
		return d, err
	}
	return s.followed(ctx, d, state)
}

// task is what the council gets: the stored parts and proposals, and the author's words without secrets.
func (s *session) task(ctx context.Context, got *progress) (review.CouncilTask, error) {
	t := review.CouncilTask{
		Council: got.planned.Council, ParentJob: wire.JobName(s.run.Job().ID), Terms: got.planned.Terms,
		MinVotes: got.planned.MinVotes, Budget: got.planned.Budget,
	}
	if err := s.get(ctx, got.planned.Parts, &t.Parts); err != nil {
		return t, err
	}
	if err := s.get(ctx, got.planned.Rules, &t.Rules); err != nil {
		return t, err
	}
	var err error
	if t.Proposals, err = s.readProposals(ctx, got); err != nil {
		return t, err
	}
	if err := s.maskPaths(ctx, &t); err != nil {
		return t, err
	}
	t.Title, t.Description, err = s.words(ctx)
	return t, err
}

// maskPaths takes the secrets out of the paths by which the task names files.
func (s *session) maskPaths(ctx context.Context, t *review.CouncilTask) error {
	in, err := s.load(ctx)
	if err != nil {
		return err
	}
	if _, err := s.redact(ctx, in); err != nil {
		return fmt.Errorf("%w: %w", errUnscanned, err)
	}
	for i := range t.Parts {
		p := &t.Parts[i]
		for n := range p.Paths {
			p.Paths[n] = review.Path(s.shownPath(string(p.Paths[n])))
		}
		for n := range p.Anchors {
			p.Anchors[n].Path = review.Path(s.shownPath(string(p.Anchors[n].Path)))
		}
	}
	for i := range t.Proposals {
		l := &t.Proposals[i].Location
		l.Path, l.OldPath = s.shownPath(l.Path), s.shownPath(l.OldPath)
	}
	return nil
}

// cleanVerdict takes secrets out of what the members wrote, and names the files as the repository does. What a member calls a secret
// is not looked for elsewhere.
func (s *session) cleanVerdict(ctx context.Context, v *review.Verdict) error {
	in, err := s.load(ctx)
	if err != nil {
		return err
	}
	known, err := s.redact(ctx, in)
	if err != nil && fatal(ctx, err) {
		return err
	}
	redactor := s.p.Secrets.NewRedactor()
	if err == nil {
		redactor = known.Clone()
	}
	texts := []*string{&v.Summary}
	for i := range v.Proposals {
		p := &v.Proposals[i]
		p.Path = s.truePath(p.Path)
		if !p.Outside {
			texts = append(texts, &p.Code, &p.Symbol)
		}
		texts = append(texts, &p.Claim, &p.Reason, &p.Suggestion)
	}
	for i := range v.Findings {
		for n := range v.Findings[i].Votes {
			texts = append(texts, &v.Findings[i].Votes[n].Reason)
		}
	}
	redactor.ApplyLearned(ctx, texts...)
	return context.Cause(ctx)
}

// words are the author's, without the secrets of the change, which may stand bare in them, and without their own.
func (s *session) words(ctx context.Context) (title, description string, err error) {
	title, description = s.review.Title, s.review.Description
	if pull := s.resolution.Pull; pull != nil {
		title, description = pull.Title, pull.Body
	}
	if title == "" && description == "" {
		return "", "", nil
	}
	in, err := s.load(ctx)
	if err != nil {
		return "", "", err
	}
	redactor, err := s.redact(ctx, in)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnscanned, err)
	}
	if title, err = redactor.Redact(ctx, secrets.Text{Text: title}); err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnscanned, err)
	}
	if description, err = redactor.Redact(ctx, secrets.Text{Text: description}); err != nil {
		return "", "", fmt.Errorf("%w: %w", errUnscanned, err)
	}
	return title, description, nil
}

func (s *session) readProposals(ctx context.Context, got *progress) ([]review.Proposal, error) {
	var stored []review.Proposal
	if err := s.get(ctx, got.inspected.Proposals, &stored); err != nil {
		return nil, err
	}
	return review.OriginalProposals(stored), nil
}
