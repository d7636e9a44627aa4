package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/wire"
)

// The states of publications. Their names are those of witan.review.v1.Publication.State.
const (
	shownDone     = "DONE"
	shownFellBack = "FELL_BACK"
	shownFailed   = "FAILED"
)

// showing says whether the review is shown at the forge.
func (s *session) showing() bool {
	return s.review.Publish && s.review.Pinned.Source.Kind == review.SourcePull && s.p.Publisher != nil && s.p.Ledger != nil &&
		s.review.Pinned.Subject != ""
}

// show carries out the plan, and says in the findings and the result where they stand. Its failure is that the forge was
// away for longer than the review has patience.
func (s *session) show(d decided, result *review.Result) (*engine.Failure, error) {
	if !s.showing() {
		if s.review.Publish {
			result.Publication = finding.Publication{State: shownFailed, Reason: string(review.ErrNoForge.Reason())}
		}
		return nil, nil //nolint:nilnil // no failure
	}
	result.Shown = s.written()
	c := &carrying{session: s, plan: &d.plan, findings: d.findings, result: result, apart: map[string]string{}}
	f, err := c.all()
	if err != nil {
		return nil, err
	}
	if f != nil {
		result.Publication = finding.Publication{State: shownFailed, Reason: f.Reason}
		s.closeCheck(context.WithoutCancel(s.run.Context()), ending{
			conclusion: publish.Missing(&s.resolution.Settings), title: "Not published", why: f.Message,
			away: f.Class == classUnavailable || refused(f), refused: refused(f),
		})
	}
	return f, nil
}

// carrying is a plan while it is carried out.
type carrying struct {
	*session

	plan     *publish.Plan
	findings []finding.Finding
	result   *review.Result
	// apart are findings without a comment, with the reason, by their IDs.
	apart map[string]string
	// forbidden is why comments are not permitted; empty where they are.
	forbidden string
	// pending: a review of the writing account kept comments away.
	pending bool
	// dismissed is what people said of findings that they dismissed.
	dismissed map[string]render.Dismissal
}

func (c *carrying) all() (*engine.Failure, error) {
	for _, step := range []func() (*engine.Failure, error){c.answers, c.comments, c.note, c.walkthrough, c.check} {
		if f, err := step(); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil //nolint:nilnil // no failure
}

func (c *carrying) answers() (*engine.Failure, error) {
	if len(c.plan.Fixed) == 0 {
		return nil, nil //nolint:nilnil // no failure
	}
	var placed []publish.Placed
	f, err := lastStep(c.session, stepPublish+"/answers", &placed, func(ctx context.Context) ([]publish.Placed, error) {
		desk, err := c.atDesk(ctx)
		if err != nil {
			return nil, err
		}
		out, err := desk.Answer(ctx, c.plan.Fixed, func(f publish.Fixed) string {
			answer := render.Fixed
			if f.Secret {
				answer = render.TakenOut
			}
			return answer(cmp.Or(f.In, c.resolution.Pinned.Head), publish.Mark(f.Key))
		})
		if err != nil {
			return nil, err
		}
		return out, c.record(ctx, publish.RoleReply, out)
	})
	c.pending = slices.ContainsFunc(placed, func(p publish.Placed) bool { return p.Reason == publish.ReasonPending })
	return f, err
}

// comments posts what stands on lines, and then, with what fell back, what stands on files.
func (c *carrying) comments() (*engine.Failure, error) {
	for _, i := range c.plan.Apart {
		c.apart[i.ID] = i.Reason
	}
	files := c.plan.Files
	for n, batch := range c.plan.Inline {
		var placed []publish.Placed
		f, err := lastStep(c.session, fmt.Sprintf("%s/inline/%d", stepPublish, n+1), &placed, func(ctx context.Context) ([]publish.Placed, error) {
			desk, err := c.atDesk(ctx)
			if err != nil {
				return nil, err
			}
			out, err := desk.Inline(ctx, batch, c.body(ctx))
			if err != nil {
				return nil, err
			}
			return out, c.record(ctx, publish.RoleComment, out)
		})
		if f != nil || err != nil {
			return f, err
		}
		for _, p := range placed {
			switch {
			case p.Done:
			case publish.NotPermitted(p.Reason), p.Reason == publish.ReasonPending:
				c.fellBack(p)
			default:
				files = append(files, p.Item)
			}
		}
	}
	for len(files) > publish.MaxFileComments {
		last := files[len(files)-1]
		c.apart[last.ID], files = cmp.Or(last.Reason, publish.ReasonTooMany), files[:len(files)-1]
	}
	if len(files) == 0 {
		return nil, nil //nolint:nilnil // no failure
	}
	var placed []publish.Placed
	f, err := lastStep(c.session, stepPublish+"/files", &placed, func(ctx context.Context) ([]publish.Placed, error) {
		desk, err := c.atDesk(ctx)
		if err != nil {
			return nil, err
		}
		out, err := desk.Files(ctx, files, c.body(ctx))
		if err != nil {
			return nil, err
		}
		return out, c.record(ctx, publish.RoleFile, out)
	})
	for _, p := range placed {
		if !p.Done {
			c.fellBack(p)
		}
	}
	return f, err
}

func (c *carrying) fellBack(p publish.Placed) {
	c.apart[p.ID] = p.Reason
	if publish.NotPermitted(p.Reason) {
		c.forbidden = p.Reason
	}
	c.pending = c.pending || p.Reason == publish.ReasonPending
}

// body writes the comment of an item.
func (c *carrying) body(ctx context.Context) func(publish.Item) string {
	byID := make(map[string]*finding.Finding, len(c.findings))
	for i := range c.findings {
		byID[lifecycle.KnownID(c.findings[i].Name)] = &c.findings[i]
	}
	return func(i publish.Item) string {
		f := byID[i.ID]
		if f == nil {
			f = &finding.Finding{}
		}
		shown := *f
		paths := []string{f.Location.Path, f.Location.OldPath}
		for n := range f.Related {
			paths = append(paths, f.Related[n].Path, f.Related[n].OldPath)
		}
		shown.EachPath(c.p.Secrets.NameMask(ctx, paths...))
		out := render.Comment{Finding: &shown, ID: i.ID, Suggest: i.Suggest && i.Reason == "", Apart: i.Reason != "", Mark: publish.Mark(i.Key)}
		if f.Status == finding.Reappeared {
			if k, err := c.p.Ledger.KnownByID(ctx, c.review.Pinned.Subject, i.ID); err == nil {
				out.Earlier = k.Earlier
			}
		}
		return out.Body()
	}
}

// record stores what was written, with its events.
func (c *carrying) record(ctx context.Context, role string, placed []publish.Placed) error {
	var events []job.NewEvent
	for _, p := range placed {
		event, err := c.event(role, p)
		if err != nil {
			return err
		}
		events = append(events, event...)
	}
	for range rereads {
		err := c.run.Commit(ctx, job.Update{Events: events, Write: func(ctx context.Context, tx job.Tx) error {
			for _, p := range placed {
				if err := c.recordOne(ctx, tx, role, p); err != nil {
					return err
				}
			}
			return nil
		}})
		if !errors.Is(err, review.ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("the findings of %s are changed all the time: %w", c.review.Pinned.Subject, review.ErrChanged)
}

func (c *carrying) recordOne(ctx context.Context, tx job.Tx, role string, p publish.Placed) error {
	subject := c.review.Pinned.Subject
	if !p.Done {
		return nil
	}
	err := c.p.Ledger.PutPublication(ctx, tx, review.Publication{
		Subject: subject, Key: p.Key, Role: role, State: review.PublicationDone, RemoteID: p.Comment, URL: p.URL, Reason: p.Reason, Review: c.review.ID,
	})
	if err != nil || p.ID == "" || role == publish.RoleReply {
		return err
	}
	k, err := c.p.Ledger.KnownByID(ctx, subject, p.ID)
	if err != nil {
		return err
	}
	k.CommentID, k.URL = p.Comment, p.URL
	k.Finding.Publication = finding.Publication{State: shownDone, URL: p.URL}
	if p.Reason != "" {
		k.Finding.Publication.State, k.Finding.Publication.Reason = shownFellBack, p.Reason
	}
	return c.p.Ledger.PutKnown(ctx, tx, k)
}

func (c *carrying) event(role string, p publish.Placed) ([]job.NewEvent, error) {
	if p.ID == "" || role == publish.RoleReply {
		return nil, nil
	}
	name, e := wire.ReviewName(c.review.ID)+"/findings/"+p.ID, &reviewv1.ReviewEvent{}
	var out []job.NewEvent
	if p.Reason != "" {
		e.Event = &reviewv1.ReviewEvent_PublicationFellBack{PublicationFellBack: &reviewv1.PublicationFellBack{Finding: name, Reason: p.Reason}}
		event, err := newEvent(fmt.Sprintf("%s/fell_back/%s/%s", stepPublish, p.Key, p.Reason), e)
		if err != nil {
			return nil, err
		}
		out = append(out, event)
	}
	if !p.Done {
		return out, nil
	}
	event, err := newEvent(stepPublish+"/comment/"+p.Key, &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_CommentPublished{
		CommentPublished: &reviewv1.CommentPublished{Finding: name, Url: p.URL},
	}})
	return append(out, event), err
}

// note says in the findings where they stand.
func (c *carrying) note() (*engine.Failure, error) {
	known, err := c.p.Ledger.Known(context.WithoutCancel(c.run.Context()), c.review.Pinned.Subject)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*review.Known, len(known))
	for i := range known {
		byID[known[i].ID] = &known[i]
	}
	for i := range c.findings {
		f := &c.findings[i]
		id := lifecycle.KnownID(f.Name)
		k := byID[id]
		switch reason, apart := c.apart[id]; {
		case k != nil && k.Finding.Publication != (finding.Publication{}):
			f.Publication = k.Finding.Publication
		case apart:
			f.Publication = finding.Publication{State: shownFellBack, Reason: reason}
		}
		if k != nil {
			f.Feedback = k.Feedback
		}
	}
	ctx := context.WithoutCancel(c.run.Context())
	c.dismissed = publish.Dismissals(c.findings, known, func(text string) string { return events.Clean(ctx, c.p.Secrets, text) })
	c.result.Publication = finding.Publication{State: shownDone}
	if len(c.apart) > 0 {
		c.result.Publication.State = shownFellBack
		for _, i := range c.plan.Apart {
			c.result.Publication.Reason = cmp.Or(c.result.Publication.Reason, i.Reason)
		}
	}
	if c.pending {
		c.result.Publication = finding.Publication{State: shownFellBack, Reason: publish.ReasonPending}
		c.result.Notes = append(c.result.Notes, "the account that comments here has begun a review and not submitted it: as long as that is so, "+
			"GitHub takes no comments and answers of it in threads; the next review makes up for them")
	}
	if c.forbidden != "" {
		c.result.Publication = finding.Publication{State: shownFailed, Reason: c.forbidden}
		why := "GitHub does not permit comments here"
		if c.forbidden == publish.ReasonLocked {
			why = "the conversation is locked, and GitHub takes no comments"
		}
		c.result.Notes = append(c.result.Notes, why+": the findings stand in the job")
	}
	return nil, nil //nolint:nilnil // no failure
}

func (c *carrying) overview() *render.Overview {
	rev := c.review
	rev.Result = *c.result
	report := wire.Report(&rev, c.p.Version)
	report.Findings = c.findings
	o := publish.Overview(c.p.Secrets.Displayed(context.WithoutCancel(c.run.Context()), report), c.result.Shown, c.jobURL())
	o.Dismissed = c.dismissed
	return o
}

// written is by what walkthrough and check run are written beside the result.
func (s *session) written() *review.Shown {
	set := &s.resolution.Settings
	out := &review.Shown{
		Problems: s.resolution.SettingsErrors, Collapse: set.WalkthroughCollapse, From: set.PublishFrom, IncompleteFails: set.IncompleteFails,
	}
	if s.resolution.Scope == review.ScopeSinceLast {
		out.Since = s.resolution.SinceHead
	}
	return out
}

func (s *session) jobURL() string {
	if s.p.JobURL == nil {
		return ""
	}
	return s.p.JobURL(s.review.ID)
}

func (c *carrying) walkthrough() (*engine.Failure, error) {
	if c.plan.Walkthrough == "" {
		return nil, nil //nolint:nilnil // no failure
	}
	var placed publish.Placed
	f, err := lastStep(c.session, stepPublish+"/walkthrough", &placed, func(ctx context.Context) (publish.Placed, error) {
		desk, err := c.atDesk(ctx)
		if err != nil {
			return publish.Placed{}, err
		}
		written, err := c.p.Ledger.Publications(ctx, c.review.Pinned.Subject)
		if err != nil {
			return publish.Placed{}, err
		}
		var id int64
		for _, w := range written {
			if w.Key == c.plan.Walkthrough {
				id = w.RemoteID
			}
		}
		out, err := desk.Walkthrough(ctx, c.plan.Walkthrough, id, c.overview().Walkthrough(publish.Mark(c.plan.Walkthrough)))
		if err != nil {
			return out, err
		}
		return out, c.record(ctx, publish.RoleWalkthrough, []publish.Placed{out})
	})
	c.result.Publication.URL, c.result.Shown.Walkthrough = placed.URL, placed.Done
	c.missed(placed.Reason)
	return f, err
}

// missed notes that one of the two that stand for the whole review is not there.
func (c *carrying) missed(reason string) {
	if reason != "" && c.result.Publication.State == shownDone {
		c.result.Publication.State, c.result.Publication.Reason = shownFellBack, reason
	}
}

// check ends the check run, last of all: it claims nothing that was not posted.
func (c *carrying) check() (*engine.Failure, error) {
	if c.plan.Check == "" {
		return nil, nil //nolint:nilnil // no failure
	}
	var placed publish.Placed
	f, err := lastStep(c.session, stepPublish+"/check", &placed, func(ctx context.Context) (publish.Placed, error) {
		desk, err := c.atDesk(ctx)
		if err != nil {
			return publish.Placed{}, err
		}
		out, err := desk.Check(ctx, publish.Concluded(c.checkRun(), c.overview(), c.result.Shown.IncompleteFails))
		if err != nil {
			return out, err
		}
		return out, c.record(ctx, publish.RoleCheck, []publish.Placed{out})
	})
	c.result.Publication.URL, c.result.Shown.Check = cmp.Or(c.result.Publication.URL, placed.URL), placed.Done
	c.missed(placed.Reason)
	return f, err
}

// atDesk is where this execution writes. It is opened with what an earlier one may have created.
func (s *session) atDesk(ctx context.Context) (*publish.Desk, error) {
	if s.desk != nil {
		return s.desk, nil
	}
	subject, ref := s.review.Pinned.Subject, s.resolution.Pinned.Source.Pull
	written, err := s.p.Ledger.Publications(ctx, subject)
	if err != nil {
		return nil, err
	}
	begun, roles := map[string]bool{}, map[string]string{}
	for _, w := range written {
		begun[w.Key], roles[w.Key] = w.State == review.PublicationBegun, w.Role
	}
	s.desk = &publish.Desk{
		Forge: s.p.Publisher, Ref: ref, Commit: s.resolution.Pinned.Head, Begun: begun, Wait: s.p.Wait, Logger: s.p.Logger,
		Begin: func(ctx context.Context, keys []string) error {
			return s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
				for _, key := range keys {
					if err := s.p.Ledger.PutPublication(ctx, tx, review.Publication{
						Subject: subject, Key: key, Role: cmp.Or(roles[key], publish.RoleCheck), State: review.PublicationBegun, Review: s.review.ID,
					}); err != nil {
						return err
					}
				}
				return nil
			}})
		},
		Head: func(ctx context.Context) (string, error) {
			pull, err := s.p.Forge.PullRequest(ctx, ref)
			return pull.Head, err
		},
	}
	return s.desk, nil
}

// wait pauses on the clock.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
