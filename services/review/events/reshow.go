package events

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

const (
	// reshowMethod is by what requests to show something again are told from others. It is stored: it never changes.
	reshowMethod = "review/reshow"
	// rewrites is how often walkthrough and check run are written at once, since more was said meanwhile (own choice).
	rewrites = 5
	// findingsPage is how many findings are read from the store at once.
	findingsPage = 500
)

// Reshow makes the job that has the walkthrough and the check run of a pull request say what people said of its findings.
// The same requestID makes one job only; empty: each call makes one. resource is what the job is for.
func Reshow(ctx context.Context, jobs interface {
	Create(ctx context.Context, c job.Creation) (j job.Job, reused bool, err error)
}, owner, subject, resource, requestID string,
) error {
	spec, err := json.Marshal(Spec{Reshow: subject})
	if err != nil {
		return fmt.Errorf("encode what is to be shown of %s: %w", subject, err)
	}
	_, _, err = jobs.Create(ctx, job.Creation{
		ID: job.NewID(), Kind: job.KindDelivery, Owner: owner, Method: reshowMethod, RequestID: requestID, BodySHA256: sha256.Sum256(spec),
		Resource: resource, Spec: spec,
	})
	return err
}

// shown is what stands, or is to stand, at the forge for the newest review that stands there.
type shown struct {
	pull        review.PullRef
	walkthrough string // empty: none
	check       publish.Check
}

// reshow edits what stands there, until it says what people said. Nothing is created. A review writes alone: while one does,
// the job waits, and where one began or somebody said more meanwhile, it looks at all of it again, so that whoever writes
// last has read what came last.
func (s *session) reshow(subject string) (*engine.Failure, error) {
	if s.p.Publisher == nil {
		return nil, nil //nolint:nilnil // nobody writes
	}
	var done bool
	return step(s, "reshow", &done, func(ctx context.Context) (bool, error) {
		is, err := s.toShow(ctx, subject)
		for range rewrites {
			if err != nil || is == (shown{}) {
				return false, err
			}
			was := is
			if err := s.rewrite(ctx, subject, &was); err != nil {
				return false, err
			}
			if is, err = s.toShow(ctx, subject); err == nil && is == was {
				return true, nil
			}
		}
		return false, fmt.Errorf("what is said of %s changes all the time: %w", subject, review.ErrUnavailable)
	})
}

// toShow is what is to be said of a subject; nothing where nothing stands there.
func (s *session) toShow(ctx context.Context, name string) (out shown, err error) {
	subject, err := s.p.Subjects.Subject(ctx, name)
	if errors.Is(err, review.ErrNotFound) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	if err := s.othersWrite(ctx, &subject); err != nil {
		return out, err
	}
	r, err := s.lastShown(ctx, &subject)
	if err != nil || r == nil {
		return out, err
	}
	report := wire.Report(r, "")
	known, err := s.p.Ledger.Known(ctx, r.Pinned.Subject)
	if err != nil {
		return out, err
	}
	if report.Findings, err = s.findings(ctx, r, known); err != nil {
		return out, err
	}
	check := publish.Check{ExternalID: publish.CheckKey(s.p.Keys, name, string(r.ID)), Head: r.Pinned.Head}
	if s.p.JobURL != nil {
		check.DetailsURL = s.p.JobURL(r.ID)
	}
	o := publish.Overview(s.p.Secrets.Displayed(ctx, report), r.Shown, check.DetailsURL)
	o.Dismissed = publish.Dismissals(report.Findings, known, func(text string) string { return Clean(ctx, s.p.Secrets, text) })
	out.pull = subject.Pull
	if r.Shown.Walkthrough {
		out.walkthrough = o.Walkthrough(publish.Mark(s.p.Keys.Key(name, publish.RoleWalkthrough)))
	}
	if r.Shown.Check {
		out.check = publish.Concluded(check, o, r.Shown.IncompleteFails)
	}
	return out, nil
}

// Clean takes secrets out of a person's words. What cannot be scanned is left out.
func Clean(ctx context.Context, scanner *secrets.Reviewer, text string) string {
	if scanner == nil {
		return ""
	}
	clean, err := scanner.NewRedactor().Redact(ctx, secrets.Text{Text: text})
	if err != nil {
		return ""
	}
	return clean
}

// lastShown is the newest review of a subject that stands at the forge; nil where none does. The one that was published last
// may be another owner's: whoever may see a pull request may have it reviewed.
func (s *session) lastShown(ctx context.Context, subject *review.Subject) (*review.Review, error) {
	all, err := s.p.Store.List(ctx, review.ListQuery{Owner: subject.Owner, Subject: subject.Name, Limit: triedReviews})
	if err != nil {
		return nil, err
	}
	if subject.Done != "" {
		done, err := s.p.Store.Get(ctx, subject.Done, "")
		if err != nil && !errors.Is(err, review.ErrNotFound) {
			return nil, err
		}
		all = append(all, done)
	}
	var last *review.Review
	for i := range all {
		r := &all[i]
		if r.Shown != nil && (r.Shown.Walkthrough || r.Shown.Check) && (last == nil || r.CreatedAt.After(last.CreatedAt)) {
			last = r
		}
	}
	return last, nil
}

// othersWrite is the error while a review writes.
func (s *session) othersWrite(ctx context.Context, subject *review.Subject) error {
	if !subject.Publishing || subject.Running == "" {
		return nil
	}
	j, err := s.p.Kept.Get(ctx, subject.Running, "")
	if errors.Is(err, job.ErrNotFound) || err == nil && j.State.Terminal() {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("review %s writes: %w", subject.Running, review.ErrUnavailable)
}

// findings are those of a review with what people said of them.
func (s *session) findings(ctx context.Context, r *review.Review, known []review.Known) ([]finding.Finding, error) {
	byID := make(map[string]*review.Known, len(known))
	for i := range known {
		byID[known[i].ID] = &known[i]
	}
	var out []finding.Finding
	q := review.FindingQuery{Review: r.ID, Limit: findingsPage}
	for {
		page, err := s.p.Store.Findings(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page {
			f := page[i].Finding
			if k := byID[lifecycle.KnownID(f.Name)]; k != nil {
				lifecycle.Said(&f, k)
			}
			out, q.After = append(out, f), page[i].Ordinal
		}
		if len(page) < findingsPage {
			return out, nil
		}
	}
}

// rewrite edits the comment and the check run that are there.
func (s *session) rewrite(ctx context.Context, subject string, to *shown) error {
	written, err := s.p.Ledger.Publications(ctx, subject)
	if err != nil {
		return err
	}
	key, walkthrough, check := s.p.Keys.Key(subject, publish.RoleWalkthrough), int64(0), to.check
	for _, w := range written {
		switch {
		case w.Key == key:
			walkthrough = w.RemoteID
		case publish.SameCheck(w.Key, check.ExternalID):
			check.ID = cmp.Or(w.RemoteID, check.ID)
		}
	}
	desk := &publish.Desk{
		Forge: s.p.Publisher, Ref: to.pull, Begun: map[string]bool{}, Begin: func(context.Context, []string) error { return errNotThere },
		Wait: s.p.Wait, Logger: s.p.Logger,
	}
	if to.walkthrough != "" && walkthrough != 0 {
		if _, err := desk.Walkthrough(ctx, key, walkthrough, to.walkthrough); err != nil {
			return err
		}
	}
	if check.ExternalID == "" {
		return nil
	}
	if _, err := desk.Check(ctx, check); !errors.Is(err, errNotThere) {
		return err
	}
	return nil
}
