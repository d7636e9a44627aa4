package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/linters"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// Bounds of one review (own choices).
const (
	// maxProposals is how many it takes from its static reviewers; the council takes 500.
	maxProposals = 500
	// maxForgeWaits is how often it waits for a forge that a reviewer needs and that does not answer, about four minutes in
	// all, and longestForgeWait how long at once where the forge says: what stays away for this reviewer alone must not hold
	// up the others.
	maxForgeWaits    = 8
	longestForgeWait = time.Minute
)

// inspected is what the inspect step stores.
type inspected struct {
	Proposals string                   `json:"proposals,omitempty"` // blob
	Outcomes  []review.ReviewerOutcome `json:"outcomes"`
	// Unscanned is the reason for which the proposals were not scanned for secrets and must not be sent, empty otherwise.
	Unscanned string   `json:"unscanned,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// failedReviewer is what a caller is told of a reviewer's failure.
const failedReviewer = "the reviewer failed; the server's log has the cause"

// inspect runs the static reviewers side by side, each under its own limit. It waits for a forge that one of them needs, and
// goes on without it in the end.
func (s *session) inspect(got *progress) (*engine.Failure, error) {
	waits := 0 // in this execution: another one waits anew
	return step(s, stepInspect, &got.inspected, func(ctx context.Context) (inspected, error) {
		loaded, err := s.load(ctx)
		if err != nil {
			return inspected{}, err
		}
		in := *loaded
		if got.planned.Ready {
			in.BaseIndex, in.HeadIndex = got.fetched.BaseIndex, got.fetched.Index
		}
		reviewers, notes, err := s.reviewers(ctx)
		if err != nil {
			return inspected{}, err
		}
		reports, away := make([]review.Report, len(reviewers)), make([]error, len(reviewers))
		out := inspected{Outcomes: make([]review.ReviewerOutcome, len(reviewers)), Notes: append(s.off(), notes...)}
		var group errgroup.Group
		for i, r := range reviewers {
			group.Go(func() (err error) {
				reports[i], out.Outcomes[i], away[i], err = s.examine(ctx, r, in)
				reports[i].Proposals = s.wanted(r, reports[i].Proposals)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return inspected{}, err
		}
		if err := errors.Join(away...); err != nil && waits < maxForgeWaits && s.backSoon(err) {
			waits++
			return inspected{}, err
		}
		for i := range reports {
			out.Notes = append(out.Notes, reports[i].Notes...)
		}
		proposals := collect(reports, out.Outcomes, len(s.builtin()))
		if err := s.clean(ctx, &in, proposals); err != nil {
			if fatal(ctx, err) {
				return inspected{}, err
			}
			s.p.Logger.WarnContext(ctx, "the proposals could not be scanned for secrets", "review", string(s.review.ID), "error", err)
			withhold(proposals)
			s.blame(out.Outcomes)
			out.Unscanned = string(finding.ReasonReviewerFailed)
		}
		if out.Proposals, err = s.put(ctx, review.PortableProposals(proposals)); err != nil {
			return inspected{}, err
		}
		return out, s.announceReviewers(ctx, in.Change, out.Outcomes)
	})
}

// backSoon says whether a forge that does not answer is worth waiting for, by one reviewer that the review can do without.
func (s *session) backSoon(away error) bool {
	if limit, ok := errors.AsType[*review.LimitError](away); ok && limit.Until.Sub(s.p.Clock()) > longestForgeWait {
		return false
	}
	return s.resolution.Pull != nil && s.patience.Plenty()
}

// reviewers are the configured ones that the repository has not switched off, and one for each tool whose report came
// with the review. Reports of several requests may be too much together: the notes name what is left out.
func (s *session) reviewers(ctx context.Context) (out []review.Reviewer, notes []string, err error) {
	out = s.builtin()
	var tools []linters.Tool
	for _, ref := range s.review.Pinned.Source.Reports {
		content, err := review.ReadReport(ctx, s.p.Blobs, s.review.Owner, ref)
		if err != nil {
			return nil, nil, err
		}
		more, err := linters.Collect(slices.Clone(tools), ref.Title, content)
		switch {
		case err == nil:
			tools = more
		case errors.Is(err, linters.ErrTooLarge):
			notes = append(notes, fmt.Sprintf("the report %q was left out: with the others it is more than a review takes", ref.Title))
		default:
			return nil, nil, err
		}
	}
	for _, t := range tools {
		out = append(out, linters.New(t, s.review.Pinned.Source.Dir))
	}
	return out, notes, nil
}

// examine runs one reviewer. Its failure is an outcome; only the end of this execution is an error. away is that of a forge
// which may answer later: the report beside it says what it lacks.
func (s *session) examine(ctx context.Context, r review.Reviewer, in review.Inspection) (report review.Report, o review.ReviewerOutcome, away, err error) {
	o = review.ReviewerOutcome{Name: r.Name()}
	user, needsCode := r.(review.IndexUser)
	limited, cancel := context.WithTimeout(ctx, s.p.Limits.Reviewer)
	defer cancel()
	err = s.patiently(limited, func(ctx context.Context) (err error) {
		switch {
		case needsCode && s.parseError != nil:
			return s.parseError
		case needsCode && in.Head == nil:
			report = review.Report{Looked: []review.Path{}}
			return nil // a patch without its repository: the coverage says so
		}
		report, err = guarded(ctx, r, in)
		return err
	})
	switch {
	case err != nil && fatal(ctx, err):
		return report, o, nil, err
	case errors.Is(err, review.ErrUnavailable) && !needsCode:
		away = err
	case err != nil:
		s.p.Logger.WarnContext(ctx, "a static reviewer failed", "reviewer", r.Name(), "review", string(s.review.ID), "error", err)
		o.Failed = failedReviewer
		o.All = !needsCode
		if needsCode {
			o.Planned = plannedPaths(user, in)
		}
		return review.Report{}, o, nil, nil
	}
	o.All, o.Looked, o.Limits, o.LeftOut = report.Looked == nil && !report.Whole, report.Looked, report.Limits, report.LeftOut
	o.Whole = report.Whole
	return report, o, away, nil
}

// plannedPaths are the files that a reviewer of code would have looked at: those that it covers, or, where nothing was
// parsed, every text file.
func plannedPaths(user review.IndexUser, in review.Inspection) []review.Path {
	if in.New != nil {
		return user.Covers(in)
	}
	var out []review.Path
	for i := range in.Change.Files {
		if f := &in.Change.Files[i]; !f.Metadata() {
			out = append(out, review.Path(f.Path))
		}
	}
	return out
}

// guarded turns a reviewer's panic over some input into its failure.
func guarded(ctx context.Context, r review.Reviewer, in review.Inspection) (report review.Report, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reviewer %s panicked: %v", r.Name(), p)
		}
	}()
	return r.Review(ctx, in)
}

// clean takes the secrets out of the proposals and gives them their fingerprints. After an error the proposals are as
// they were.
func (s *session) clean(ctx context.Context, in *review.Inspection, proposals []review.Proposal) error {
	if len(proposals) == 0 {
		return nil
	}
	redactor, err := s.redact(ctx, in)
	if err != nil {
		return err
	}
	var texts []*string
	for i := range proposals {
		texts = append(texts, quotes(&proposals[i])...)
	}
	if err := learn(ctx, redactor, texts); err != nil {
		return err
	}
	for _, t := range texts {
		*t = redactor.ApplyCut(*t) // quotes are cut at their length
	}
	for i := range proposals {
		identify(&proposals[i])
	}
	return nil
}

// learn teaches a redactor all texts before it is applied to the first of them: what it learns in between makes it prepare
// anew.
func learn(ctx context.Context, redactor *secrets.Redactor, texts []*string) error {
	for _, t := range texts {
		if *t == "" {
			continue
		}
		if err := redactor.Learn(ctx, secrets.Text{Text: *t}); err != nil {
			return err
		}
	}
	return nil
}

func identify(p *review.Proposal) {
	p.Fingerprint = finding.Fingerprint(finding.Key{
		Path: place(p.Location), Symbol: p.Location.Symbol, Category: p.Category, Code: p.Location.Code,
	})
}

// withhold keeps proposals that were not scanned, without the code that they quote: it may hold secrets.
func withhold(proposals []review.Proposal) {
	for i := range proposals {
		p := &proposals[i]
		identify(p)
		p.Location.Code = ""
		p.Related = slices.Clone(p.Related)
		for n := range p.Related {
			p.Related[n].Code = ""
		}
	}
}

// blame notes that the scanner failed: no file was scanned in full.
func (s *session) blame(outcomes []review.ReviewerOutcome) {
	for i := range outcomes {
		if o := &outcomes[i]; o.Name == s.p.Secrets.Name() && o.Failed == "" {
			o.Failed, o.All = failedReviewer, true
		}
	}
}

// collect takes the proposals of all reviewers. Where there are too many it takes those of the first, our own, before
// those of reports, which anybody may have written, and of each the worst. The files of those that are left out are not
// reviewed in full, and their coverage says so.
func collect(reports []review.Report, outcomes []review.ReviewerOutcome, own int) []review.Proposal {
	type from struct {
		review.Proposal

		reviewer int
	}
	var all []from
	for i, o := range outcomes {
		for n, p := range reports[i].Proposals {
			p.ID = fmt.Sprintf("%s-%d", o.Name, n+1)
			all = append(all, from{p, i})
		}
	}
	if len(all) > maxProposals {
		foreign := func(p from) int { return min(max(p.reviewer-own+1, 0), 1) }
		slices.SortStableFunc(all, func(a, b from) int {
			return cmp.Or(cmp.Compare(foreign(a), foreign(b)), cmp.Compare(b.Severity, a.Severity))
		})
	}
	var out []review.Proposal
	for n, p := range all {
		o := &outcomes[p.reviewer]
		if n < maxProposals {
			out = append(out, p.Proposal)
			o.Proposals++
			continue
		}
		if o.Limits == nil {
			o.Limits = make(map[review.Path][]review.Reason)
		}
		if path := review.Path(p.Location.Path); !slices.Contains(o.Limits[path], finding.ReasonBudget) {
			o.Limits[path] = append(o.Limits[path], finding.ReasonBudget)
		}
	}
	return out
}

// place is the path by which a location's file is known: the old one on the old side.
func place(l finding.Location) string {
	if l.Side == finding.Left && l.OldPath != "" {
		return l.OldPath
	}
	return l.Path
}

// quotes are the texts of a proposal that may say something of the code, from whatever file.
func quotes(p *review.Proposal) []*string {
	texts := []*string{&p.Claim, &p.Reason, &p.Rule, &p.Location.Code, &p.Location.Symbol}
	for i := range p.Related {
		texts = append(texts, &p.Related[i].Code)
	}
	return texts
}

func (s *session) announceReviewers(ctx context.Context, c *review.Change, outcomes []review.ReviewerOutcome) error {
	events := make([]*reviewv1.ReviewEvent, 0, len(outcomes))
	for i := range outcomes {
		events = append(events, &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_ReviewerFinished{
			ReviewerFinished: &reviewv1.ReviewerFinished{Reviewer: wire.Reviewer(outcomes[i].Summary(c))},
		}})
	}
	return s.log(ctx, stepInspect, "reviewer_finished", events...)
}
