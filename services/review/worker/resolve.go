package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// Configuration reads what a repository says of its own reviews.
type Configuration interface {
	// Read reads the repository's configuration with read, which returns a file at the base. What is wrong in it comes back as
	// sentences; then the settings are the defaults, as far as they let nobody past a check. The error is read's.
	Read(ctx context.Context, read func(ctx context.Context, path string) ([]byte, error)) (review.Settings, []string, error)
}

// runningPoll is the pause between two looks at a review that has to end before (own choice).
const runningPoll = 5 * time.Second

// resolve says what is reviewed, and whether anything is.
func (s *session) resolve(*progress) (*engine.Failure, error) {
	if s.review.Pinned.Source.Kind != review.SourcePull {
		return s.settled(step(s, stepResolve, &s.resolution, s.resolveLocal))
	}
	if f, err := s.stopSuperseded(); f != nil || err != nil {
		return f, err
	}
	for round := 1; ; round++ {
		seen, f, err := s.quiet(round)
		if f != nil || err != nil || s.superseded != "" {
			return f, err
		}
		var r resolved
		name := stepResolve
		if round > 1 {
			name = fmt.Sprintf("%s/round/%d", stepResolve, round)
		}
		f, err = step(s, name, &r, func(ctx context.Context) (resolved, error) { return s.resolvePull(ctx, seen) })
		if f != nil || err != nil {
			return f, err
		}
		if r.Again {
			s.review.Pinned.Subject = r.Pinned.Subject
			continue
		}
		s.superseded, s.resolution = r.SupersededBy, r.Resolution
		return s.settled(nil, nil)
	}
}

// settled makes the review what was decided.
func (s *session) settled(f *engine.Failure, err error) (*engine.Failure, error) {
	if f != nil || err != nil || s.superseded != "" {
		return f, err
	}
	s.review = adopt(s.review, &s.resolution)
	return nil, nil //nolint:nilnil // no failure
}

// adopt fills in what the repository decides where the caller said nothing.
func adopt(r review.Review, res *review.Resolution) review.Review {
	r.Pinned = res.Pinned
	r.FailOn, r.Council = cmp.Or(r.FailOn, res.Settings.FailOn), cmp.Or(r.Council, res.Settings.Council)
	if res.Pull != nil {
		r.Title, r.Description = res.Pull.Title, res.Pull.Body
	}
	return r
}

// resolveLocal looks again at a source that was pinned when the review was created, since the repository may have gone
// meanwhile.
func (s *session) resolveLocal(ctx context.Context) (review.Resolution, error) {
	p := s.review.Pinned
	if _, _, err := s.p.Repository.Trees(ctx, p); err != nil {
		return review.Resolution{}, err
	}
	out := review.Resolution{Pinned: p, Settings: review.DefaultSettings(), Scope: review.ScopeWhole}
	var err error
	if out.Settings, out.SettingsErrors, err = s.localSettings(ctx); err != nil {
		return review.Resolution{}, err
	}
	return out, s.logResolved(ctx, &out)
}

// localSettings reads the configuration at the revision that the change is made against, which is not the merge base.
func (s *session) localSettings(ctx context.Context) (review.Settings, []string, error) {
	p := s.review.Pinned
	if p.Base == "" {
		return review.DefaultSettings(), nil, nil
	}
	p.OldTree = p.Base
	base, _, err := s.p.Repository.Trees(ctx, p)
	if err != nil {
		return review.Settings{}, nil, err
	}
	return s.settings(ctx, base.Read)
}

// settings reads the configuration. A council that the server does not have is as wrong as any other value.
func (s *session) settings(
	ctx context.Context, read func(ctx context.Context, path string) ([]byte, error),
) (review.Settings, []string, error) {
	if s.p.Configuration == nil {
		return review.DefaultSettings(), nil, nil
	}
	set, wrong, err := s.p.Configuration.Read(ctx, read)
	if err == nil {
		err = s.redactWords(ctx, &set, wrong)
	}
	if err != nil || set.Council == "" {
		return set, wrong, err
	}
	_, err = s.p.Council.Describe(ctx, set.Council)
	switch {
	case err == nil || errors.Is(err, review.ErrUnavailable): // the context step waits for it
		return set, wrong, nil
	case !errors.Is(err, review.ErrCouncilNotFound):
		return set, wrong, err
	}
	wrong = append(wrong, fmt.Sprintf("council: the server has no %s", set.Council))
	defaults := review.DefaultSettings()
	defaults.Digest, defaults.IncompleteFails = set.Digest, set.IncompleteFails
	return defaults, wrong, nil
}

func (s *session) logResolved(ctx context.Context, r *review.Resolution) error {
	p, mode := &r.Pinned, "FULL"
	if r.Scope == review.ScopeSinceLast {
		mode = "INCREMENTAL"
	}
	return s.log(ctx, stepResolve, "resolved", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Resolved{Resolved: &reviewv1.Resolved{
		Subject: p.Subject, Base: p.Base, Head: p.Head, MergeBase: p.MergeBase, Mode: mode, SinceHead: r.SinceHead,
		ConfigDigest: r.Settings.Digest,
	}}})
}

// shared says whether the review is one of those that follow each other at their subject: nothing is published of others, so
// they concern nobody.
func (s *session) shared() bool {
	return s.review.Publish && s.review.Pinned.Source.Kind == review.SourcePull
}

// stopSuperseded stops the review whose place this one took. Who created this one has tried already.
func (s *session) stopSuperseded() (*engine.Failure, error) {
	if s.review.Supersedes == "" {
		return nil, nil //nolint:nilnil // no failure
	}
	var done bool
	return step(s, stepResolve+"/stop", &done, func(ctx context.Context) (bool, error) {
		err := s.patiently(ctx, func(ctx context.Context) error {
			return s.p.Jobs.Cancel(ctx, wire.JobName(s.review.Supersedes))
		})
		if err != nil && fatal(ctx, err) {
			return false, err
		}
		if err != nil {
			s.p.Logger.WarnContext(ctx, "a superseded review was not stopped; it will not publish", "review", string(s.review.Supersedes), "error", err)
		}
		return true, nil
	})
}

// look is what one look at the subject's row says.
type look struct {
	Seen         int           `json:"seen"` // what has joined until then
	Wait         time.Duration `json:"wait,omitempty"`
	After        job.ID        `json:"after,omitempty"` // has to end before
	SupersededBy job.ID        `json:"superseded_by,omitempty"`
}

// quiet waits, durably, until no push came for a while and no other review has to end before, and returns how many requests
// had joined by then.
func (s *session) quiet(round int) (int, *engine.Failure, error) {
	if !s.shared() || s.review.Pinned.Subject == "" {
		return 0, nil, nil
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s/look/%d/%d", stepResolve, round, n)
		var l look
		f, err := step(s, name, &l, s.look)
		switch {
		case f != nil || err != nil:
			return 0, f, err
		case l.SupersededBy != "":
			s.superseded = l.SupersededBy
			return 0, nil, nil
		case l.Wait > 0:
			err = s.run.Sleep(name+"/sleep", l.Wait)
		case l.After != "":
			err = s.run.Sleep(name+"/sleep", runningPoll)
		default:
			return l.Seen, nil, nil
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

func (s *session) look(ctx context.Context) (l look, err error) {
	err = s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		return s.onSubject(ctx, tx, func(subject *review.Subject, unfinished func(job.ID) bool) error {
			l = look{Seen: subject.Joins, Wait: subject.Quiet(s.p.Clock(), s.p.Debounce, s.p.DebounceMax)}
			if subject.Current != s.review.ID && unfinished(subject.Current) {
				l.SupersededBy = subject.Current
			}
			if subject.Running != s.review.ID && unfinished(subject.Running) {
				l.After = subject.Running
			}
			return nil
		})
	}})
	return l, err
}

// onSubject runs fn with the locked row of the subject, and stores it.
func (s *session) onSubject(ctx context.Context, tx job.Tx, fn func(*review.Subject, func(job.ID) bool) error) error {
	subject, err := s.p.Subjects.Lock(ctx, tx, s.review.Pinned.Subject, s.review.Owner)
	if err != nil {
		return err
	}
	states, err := s.p.States(ctx, tx, subject.Current, subject.Running)
	if err != nil {
		return err
	}
	if err := fn(&subject, subject.Unfinished(states)); err != nil {
		return err
	}
	return s.p.Subjects.Put(ctx, tx, subject)
}

// resolved is what the resolve step of a pull request stores.
type resolved struct {
	review.Resolution

	// Again: there was a push meanwhile, or another review has to end before.
	Again        bool   `json:"again,omitempty"`
	SupersededBy job.ID `json:"superseded_by,omitempty"`
}

// resolvePull asks the forge, decides, pins, and takes the subject, unless more has joined than what was seen.
func (s *session) resolvePull(ctx context.Context, seen int) (resolved, error) {
	var out resolved
	if s.p.Forge == nil {
		return out, review.ErrNoForge
	}
	source := s.review.Pinned.Source
	pull, err := s.p.Forge.PullRequest(ctx, source.Pull)
	if err != nil {
		return out, err
	}
	read := func(ctx context.Context, path string) ([]byte, error) {
		return s.p.Forge.File(ctx, pull.Repo, path, pull.BaseTip)
	}
	if out.Settings, out.SettingsErrors, err = s.settings(ctx, read); err != nil {
		return out, err
	}
	source.Pull, source.Base, source.Head = pull.PullRef, pull.BaseTip, pull.Head
	out.Pinned = review.Pinned{Source: source, Subject: pull.Subject(), Base: pull.BaseTip, Head: pull.Head}
	subject, err := s.subject(ctx, pull.Subject())
	if err != nil {
		return out, err
	}
	source.Reports = review.MergeReports(source.Reports, subject.JoinedReports)
	out.Pinned.Source = source
	out.Declined, out.Silent = out.Settings.Decline(&pull, &s.review, &subject)
	switch {
	case out.Declined == "" && subject.BaseChangedOften(&pull, &s.review, s.p.Clock()):
		out.Declined = review.DeclinedBaseChanges
	case out.Declined != "" && out.Declined != review.DeclinedClosed && subject.BaseUnread(&pull):
		out.Declined, out.Silent = review.DeclinedBaseUnread, false
	}
	if out.Declined == "" {
		if out.Pinned, err = s.p.Repository.Pin(ctx, s.review.ID, source); err != nil {
			return out, err
		}
		out.Pinned.Subject = pull.Subject()
	}
	out.Scope = cmp.Or(s.review.Scope, review.ScopeDefault)
	if err := s.redactPull(ctx, &pull); err != nil {
		return out, err
	}
	out.Pull = &pull
	return out, s.take(ctx, &out, seen)
}

// subject reads the row of a shared review; it is empty for others, and where there is none yet.
func (s *session) subject(ctx context.Context, name string) (review.Subject, error) {
	if !s.shared() {
		return review.Subject{}, nil
	}
	subject, err := s.p.Subjects.Subject(ctx, name)
	if errors.Is(err, review.ErrNotFound) {
		return review.Subject{}, nil
	}
	if subject.Current != s.review.ID {
		subject.Joined, subject.JoinedLabels, subject.JoinedReports = nil, nil, nil // of another one
	}
	return subject, err
}

// take stores what the review came to be and claims the subject for it.
func (s *session) take(ctx context.Context, out *resolved, seen int) error {
	rev := adopt(s.review, &out.Resolution)
	late := s.review.Pinned.Subject == "" // nobody knew the subject when the review was created
	claim := review.Claim{Granted: true}
	s.review.Pinned.Subject = rev.Pinned.Subject
	err := s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		if s.shared() {
			if err := s.onSubject(ctx, tx, func(subject *review.Subject, unfinished func(job.ID) bool) error {
				if late && subject.Current != s.review.ID {
					rev.Supersedes = subject.Admit(&rev, s.p.Clock().UTC(), unfinished).Supersedes
				}
				subject.Pull = rev.Pinned.Source.Pull
				subject.Closed = out.Pull.State != review.PullOpen
				if claim = subject.Claim(&rev, &out.Settings, seen, unfinished); claim.Granted && out.Declined == "" {
					subject.Based(out.Pull, &rev, s.p.Clock().UTC())
				}
				return nil
			}); err != nil {
				return err
			}
		}
		if !claim.Granted {
			return nil
		}
		if rev.Supersedes != "" && late {
			if err := s.p.Subjects.Supersede(ctx, tx, rev.Supersedes, rev.ID); err != nil {
				return err
			}
		}
		return s.p.Subjects.Repin(ctx, tx, rev)
	}})
	if err != nil {
		return err
	}
	if late && claim.Granted && rev.Supersedes != "" {
		if err := s.p.Jobs.Cancel(ctx, wire.JobName(rev.Supersedes)); err != nil {
			s.p.Logger.WarnContext(ctx, "a superseded review was not stopped; it will not publish", "review", string(rev.Supersedes), "error", err)
		}
	}
	out.SupersededBy, out.Again = claim.SupersededBy, claim.Joined || claim.After != ""
	switch {
	case !claim.Granted:
		return nil
	case out.Declined != "":
		return s.log(ctx, stepResolve, "declined", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Declined{
			Declined: &reviewv1.Declined{Reason: out.Declined},
		}})
	default:
		return s.logResolved(ctx, &out.Resolution)
	}
}

// redactPull takes secrets out of the author's words before they are stored.
func (s *session) redactPull(ctx context.Context, p *review.PullRequest) error {
	return s.redactTexts(ctx, &p.Title, &p.Body)
}

// redactWords takes secrets out of the repository's words, and what is said of them, before they are stored.
func (s *session) redactWords(ctx context.Context, set *review.Settings, wrong []string) error {
	set.Instructions = slices.Clone(set.Instructions)
	texts := make([]*string, 0, len(set.Instructions)+len(wrong))
	for i := range set.Instructions {
		texts = append(texts, &set.Instructions[i].Text)
	}
	for i := range wrong {
		texts = append(texts, &wrong[i])
	}
	return s.redactTexts(ctx, texts...)
}

// redactTexts takes secrets out of texts. What cannot be scanned is left out.
func (s *session) redactTexts(ctx context.Context, texts ...*string) error {
	if len(texts) == 0 {
		return nil
	}
	redactor := s.p.Secrets.NewRedactor()
	for _, text := range texts {
		if *text == "" {
			continue
		}
		clean, err := redactor.Redact(ctx, secrets.Text{Text: *text})
		if err != nil {
			if fatal(ctx, err) {
				return err
			}
			s.p.Logger.WarnContext(ctx, "words could not be scanned for secrets", "review", string(s.review.ID), "error", err)
			clean = ""
		}
		*text = clean
	}
	return nil
}

// place waits for a place among the reviews that do something, and returns how to give it back.
func (s *session) place() (func(), error) {
	if s.busy == nil {
		return func() {}, nil
	}
	ctx, stop := s.run.UntilDraining(s.run.Context())
	defer stop()
	select {
	case s.busy <- struct{}{}:
		return func() { <-s.busy }, nil
	case <-ctx.Done():
	}
	if cause := context.Cause(ctx); engine.Interrupted(cause) {
		return nil, cause
	}
	return func() {}, nil // the next step says that the job was cancelled
}

// enterPublish is the last moment in which a newer review can take this one's place. From here on that one waits.
func (s *session) enterPublish() (*engine.Failure, error) {
	if !s.shared() {
		return nil, nil //nolint:nilnil // no failure
	}
	return step(s, stepPublish+"/enter", &s.superseded, func(ctx context.Context) (by job.ID, err error) {
		err = s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
			return s.onSubject(ctx, tx, func(subject *review.Subject, _ func(job.ID) bool) error {
				if by = ""; !subject.Publish(s.review.ID) {
					by = subject.Current
				}
				return nil
			})
		}})
		return by, err
	})
}

// over ends a review at which nothing is looked.
func (s *session) over() (bool, error) {
	if s.superseded != "" {
		return true, s.endSuperseded()
	}
	if s.resolution.Declined != "" {
		return true, s.endDeclined()
	}
	return false, nil
}

// endDeclined ends the review with the reason for which nothing is looked at.
func (s *session) endDeclined() error {
	ctx := context.WithoutCancel(s.run.Context())
	result := review.Result{
		Disposition: review.DispositionDeclined, DeclinedReason: s.resolution.Declined, PublishedAt: s.p.Clock().UTC(),
		Notes: slices.Clone(s.resolution.SettingsErrors),
	}
	frozen, err := s.frozenResult(result, nil)
	if err != nil {
		return err
	}
	s.closeCheck(ctx, s.refusal())
	state, reason := result.Outcome()
	return s.finish(ctx, job.Outcome{
		State: state, Reason: reason, Result: frozen,
		Write: func(ctx context.Context, tx job.Tx) error {
			return s.p.Store.Publish(ctx, tx, s.review.ID, result, nil)
		},
	})
}

// endSuperseded ends the review in favour of a newer one. It ends as cancelled, whoever was first to notice.
func (s *session) endSuperseded() error {
	err := s.patiently(s.run.Context(), func(ctx context.Context) error {
		return s.p.Jobs.Cancel(ctx, wire.JobName(s.review.ID))
	})
	if err != nil && !errors.Is(err, context.Canceled) && s.run.Context().Err() == nil {
		return err
	}
	return s.end(&engine.Failure{Class: engine.ClassCancelled})
}

// finish ends the job and forgets it at its subject, whose row is locked before the review's.
func (s *session) finish(ctx context.Context, o job.Outcome) error {
	write := o.Write
	if o.State == job.StateFailed && o.Error != nil {
		s.p.Logger.WarnContext(ctx, "a review failed", "job_id", string(s.review.ID), "pull", s.review.Pinned.Subject,
			"reason", o.Error.Reason, "message", o.Error.Message)
	}
	published := o.State == job.StateSucceeded || o.State == job.StatePartiallySucceeded
	o.Write = func(ctx context.Context, tx job.Tx) error {
		if s.shared() && s.review.Pinned.Subject != "" {
			if err := s.onSubject(ctx, tx, func(subject *review.Subject, _ func(job.ID) bool) error {
				subject.End(s.review.ID, published)
				return nil
			}); err != nil {
				return err
			}
		}
		if write == nil {
			return nil
		}
		return write(ctx, tx)
	}
	if o.State == job.StateCancelled {
		event, err := s.supersededEvent(ctx)
		if err != nil {
			return err
		}
		o.Events = append(o.Events, event...)
	}
	if err := s.run.Finish(ctx, o); err != nil {
		return err
	}
	s.ended(ctx, &o)
	return nil
}

// supersededEvent says which newer review took this one's place; empty where none did.
func (s *session) supersededEvent(ctx context.Context) ([]job.NewEvent, error) {
	if !s.shared() {
		return nil, nil
	}
	stored, err := s.p.Store.Get(ctx, s.review.ID, "")
	if err != nil || stored.Disposition != review.DispositionSuperseded {
		return nil, err
	}
	event, err := newEvent("superseded/0", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Superseded{
		Superseded: &reviewv1.Superseded{Review: wire.ReviewName(stored.SupersededBy)},
	}})
	return []job.NewEvent{event}, err
}
