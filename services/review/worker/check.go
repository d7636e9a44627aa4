package worker

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/publish"
)

const (
	stepCheck = stepResolve + "/check"
	// checkName is how the check run is called; rules of a repository name it.
	checkName = "witan"
	// closeTime bounds the attempt to end the check run of a review that has no result (own choice).
	closeTime = 30 * time.Second
)

// checkRun is the review's check run, as far as it is always the same.
func (s *session) checkRun() publish.Check {
	return publish.Check{
		ID: s.checkID, ExternalID: publish.CheckKey(s.p.PublishKeys, s.review.Pinned.Subject, string(s.review.ID)), Name: checkName,
		Head: s.resolution.Pinned.Head, DetailsURL: s.jobURL(),
	}
}

func (s *session) checking() bool {
	return s.showing() && s.resolution.Settings.Check && s.resolution.Pinned.Head != "" && !s.resolution.Silent
}

// openCheck shows at the forge that the review runs.
func (s *session) openCheck() (*engine.Failure, error) {
	if !s.checking() {
		return nil, nil //nolint:nilnil // no failure
	}
	var placed publish.Placed
	f, err := step(s, stepCheck, &placed, func(ctx context.Context) (publish.Placed, error) {
		desk, err := s.atDesk(ctx)
		if err != nil {
			return publish.Placed{}, err
		}
		check := s.checkRun()
		check.Status, check.Title, check.Summary = publish.CheckInProgress, "Reviewing", "The review runs."
		return desk.Check(ctx, check)
	})
	s.checked, s.checkID = placed.Done, placed.Comment
	return f, err
}

// ending is what a check run says of a review that has no result.
type ending struct {
	conclusion publish.Conclusion
	title, why string
	// away says that the forge did not answer, or refused us, so that the check run may not even have begun.
	away    bool
	refused bool
}

func (s *session) ending(ctx context.Context, f *engine.Failure) ending {
	switch {
	case s.superseded != "" || f.Class == engine.ClassCancelled && s.isSuperseded(ctx):
		// Not neutral, which passes: the newer one may never get to a check run of its own.
		return ending{conclusion: publish.Cancelled, title: "Superseded", why: "A newer review took this one's place."}
	case f.Class == engine.ClassCancelled:
		return ending{conclusion: publish.Cancelled, title: "Cancelled", why: "The review was cancelled before it was finished."}
	}
	return ending{
		conclusion: publish.Missing(&s.resolution.Settings), title: "Not reviewed: " + words(f.Reason), why: cmp.Or(f.Message, words(f.Reason)),
		away: f.Class == classUnavailable || refused(f), refused: refused(f),
	}
}

// refused says whether the forge refused us: as long as an installation is suspended, say.
func refused(f *engine.Failure) bool { return f.Reason == string(review.ErrForgeRefused.Reason()) }

// isSuperseded says whether a newer review took this one's place, whoever noticed.
func (s *session) isSuperseded(ctx context.Context) bool {
	stored, err := s.p.Store.Get(ctx, s.review.ID, "")
	return err == nil && stored.Disposition == review.DispositionSuperseded
}

// words turns a reason in UPPER_SNAKE into words.
func words(reason string) string { return strings.ToLower(strings.ReplaceAll(reason, "_", " ")) }

// refusal is what a check run says of a review that was declined. What the pull request's own author decides, its title, that it
// is a draft or closed, which ends any time, lets nobody past a check that has to be complete. A base branch that was not
// reviewed lets nobody past any: what stands at the same commit is of another one.
func (s *session) refusal() ending {
	reason := s.resolution.Declined
	e := ending{conclusion: publish.Neutral, title: "Not reviewed: " + words(reason), why: declined(reason)}
	switch reason {
	case review.DeclinedTitle, review.DeclinedDraft, review.DeclinedClosed:
		e.conclusion = publish.Missing(&s.resolution.Settings)
	case review.DeclinedBaseChanges, review.DeclinedBaseUnread:
		e.conclusion = publish.Failure
	}
	return e
}

// declined says to people why a pull request was not looked at, and how it is all the same.
func declined(reason string) string {
	why := "The review was declined: " + words(reason) + "."
	switch reason {
	case review.DeclinedClosed:
		return "The pull request is not open."
	case review.DeclinedDraft:
		why = "The pull request is a draft."
	case review.DeclinedPaused:
		return "Reviews of this pull request are paused; a comment /witan resume lets them start again."
	case review.DeclinedBranch:
		why = "The repository has reviews of other base branches only."
	case review.DeclinedAuthor:
		why = "The repository has pull requests of this author left out."
	case review.DeclinedTitle:
		why = "The repository has pull requests with such a title left out."
	case review.DeclinedLabel:
		why = "The repository has pull requests with one of these labels left out."
	case review.DeclinedLabelMissing:
		why = "The repository has only pull requests with certain labels reviewed, and this one has none of them."
	case review.DeclinedBaseChanges:
		why = "The base branch was changed too often within a day."
	case review.DeclinedBaseUnread:
		why = "The base branch was changed, and this commit was reviewed for another one."
	}
	return why + " A comment /witan review starts a review all the same."
}

// closeCheck ends the check run of a review that has no result, with the reason. What cannot be written within a moment is
// left to a job of its own, which waits for the forge.
func (s *session) closeCheck(ctx context.Context, e ending) {
	if !s.checking() && !(e.away && s.unseen()) || s.elsewhere() || !s.checked && s.resolution.Declined == "" && !e.away && !s.checkBegun(ctx) {
		return
	}
	check := s.checkRun()
	check.Status, check.Conclusion, check.Title = publish.CheckCompleted, e.conclusion, finding.Visible(e.title)
	check.Summary = finding.EscapeMarkdown(e.why)
	if check.Head == "" {
		s.closeLater(ctx, e, check)
		return
	}
	limited, cancel := context.WithTimeout(publish.Confirming(ctx, s.run.Held), closeTime)
	defer cancel()
	err := s.patiently(limited, func(ctx context.Context) error {
		desk, err := s.atDesk(ctx)
		if err != nil {
			return err
		}
		placed, err := desk.Unread(ctx, check)
		if err == nil && !placed.Done && e.refused {
			return review.ErrForgeRefused
		}
		if limit, ok := errors.AsType[*review.LimitError](err); ok {
			return errors.New(limit.Error()) // not for a few moments
		}
		return err
	})
	if errors.Is(err, job.ErrFenced) {
		return // another process has the review, and says how it ends
	}
	if err != nil {
		s.p.Logger.WarnContext(ctx, "the check run was not ended with its review", "review", string(s.review.ID), "error", err)
		s.closeLater(ctx, e, check)
	}
}

// unseen says whether the review ended before the forge told of its pull request.
func (s *session) unseen() bool { return s.showing() && s.resolution.Pinned.Head == "" }

// elsewhere says whether the pull request goes to a branch of which no reviews are wanted, in a repository whose check has to
// be complete. There is no check run then: one that passes would stand at the commit when its author changes the branch.
func (s *session) elsewhere() bool {
	return s.resolution.Declined == review.DeclinedBranch && s.resolution.Settings.IncompleteFails
}

// checkBegun says whether the check run may be there although this execution did not see it: its review was cancelled while
// it was opened.
func (s *session) checkBegun(ctx context.Context) bool {
	written, err := s.p.Ledger.Publications(ctx, s.review.Pinned.Subject)
	if err != nil {
		s.p.Logger.WarnContext(ctx, "whether there is a check run to be ended is not known", "review", string(s.review.ID), "error", err)
		return false
	}
	key := s.checkRun().ExternalID
	return slices.ContainsFunc(written, func(w review.Publication) bool {
		return publish.SameCheck(w.Key, key) && w.State != review.PublicationIntent
	})
}

// closeLater leaves the check run to a job that waits for the forge. Should that fail, the job of the review says the same.
func (s *session) closeLater(ctx context.Context, e ending, check publish.Check) {
	if s.p.EndLater == nil {
		return
	}
	err := s.p.EndLater(ctx, s.review.Owner, s.attemptID(stepCheck+"/late"), events.LateCheck{
		Review: s.review.ID, Attempt: s.run.Attempt(), Pull: s.resolution.Pinned.Source.Pull, Check: check,
		Refused: e.refused,
	})
	if err != nil {
		s.p.Logger.ErrorContext(ctx, "nobody will end the check run", "review", string(s.review.ID), "error", err)
	}
}
