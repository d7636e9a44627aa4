package events

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/commands"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/starter"
	"witan.dev/services/review/wire"
)

// An author who may not write to the repository may still ask for this many reviews and answers in a day (own choice).
const (
	authorRuns = 5
	authorDay  = 24 * time.Hour
)

// order is one command while it is carried out.
type order struct {
	*session

	commands.Command

	comment *reviewv1.CommentWritten
	n       int // of the comment
	// pull is the pull request as the forge told of it when the comment was looked at, may what its sender may do.
	pull review.PullRequest
	may  review.Permission
	// given are the signs that the comment has from us.
	given map[publish.Reaction]bool
}

// commented carries out the commands of a comment, one after the other. What the forge has to be asked for is asked once for
// all of them: anybody may write a comment.
func (s *session) commented(c *reviewv1.CommentWritten) (*engine.Failure, error) {
	if s.p.Forge == nil {
		return nil, nil //nolint:nilnil // nobody can be asked what the sender may do
	}
	var v verdict
	if f, err := step(s, "permission", &v, func(ctx context.Context) (verdict, error) { return s.judge(ctx, c.GetNumber()) }); f != nil || err != nil {
		return f, err
	}
	helped, given := false, make(map[publish.Reaction]bool)
	for i, command := range s.spec.Commands {
		o := &order{session: s, Command: command, comment: c, n: i, pull: v.Pull, may: v.May, given: given}
		if command.Name == commands.Unknown || command.Name == commands.Help {
			if helped { // once a comment
				continue
			}
			helped = true
		}
		if f, err := o.carryOut(); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil //nolint:nilnil // no failure
}

func (o *order) step(what string) string { return fmt.Sprintf("command/%d/%s", o.n, what) }

// key is what a request or an answer of this command is known by, whichever delivery brought the comment.
func (o *order) key(what string) string {
	return fmt.Sprintf("%s/comment/%d/%d/%d/%s", o.session.pull(o.comment.GetNumber()).Subject(), o.comment.GetPlace(), o.comment.GetCommentId(), o.n, what)
}

func (o *order) requestID(what string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(o.key(what))).String()
}

// verdict is what a sender may do.
type verdict struct {
	May  review.Permission  `json:"may"`
	Pull review.PullRequest `json:"pull"`
}

// carryOut does what the command says.
func (o *order) carryOut() (*engine.Failure, error) {
	allowed, f, err := o.allowed()
	if f != nil || err != nil {
		return f, err
	}
	if !allowed {
		return o.react("refused", publish.ReactionConfused)
	}
	if f, err := o.react("seen", publish.ReactionEyes); f != nil || err != nil {
		return f, err
	}
	switch o.Name {
	case commands.Review:
		return o.review()
	case commands.Ask:
		return o.ask()
	case commands.Pause:
		return o.pause()
	case commands.Resume:
		return o.resume()
	case commands.Dismiss:
		return o.dismiss()
	case commands.Config:
		return o.config()
	case commands.Unknown:
		return o.say("help", "There is no such command. "+help)
	default:
		return o.say("help", help)
	}
}

// judge asks the forge what the sender may do.
func (s *session) judge(ctx context.Context, number int64) (v verdict, err error) {
	if v.Pull, err = s.p.Forge.PullRequest(ctx, s.pull(number)); err != nil {
		return v, err
	}
	v.Pull.Body, v.Pull.Title = "", "" // not needed, and not to be stored unscanned
	v.May, err = s.p.Forge.Permission(ctx, v.Pull.Repo, s.event.GetSender())
	return v, err
}

// allowed says whether the sender may give the command. The author of a pull request may ask for a few reviews and answers
// without being able to write to the repository.
func (o *order) allowed() (allowed bool, f *engine.Failure, err error) {
	switch o.Name {
	case commands.Config, commands.Help, commands.Unknown:
		return o.may >= review.PermissionRead, nil, nil
	case commands.Review, commands.Ask:
		if o.may < review.PermissionWrite && strings.EqualFold(o.event.GetSender(), o.pull.Author) {
			f, err = step(o.session, o.step("author"), &allowed, func(ctx context.Context) (bool, error) { return o.asAuthor(ctx, o.pull.Subject()) })
			return allowed, f, err
		}
	case commands.Pause, commands.Resume, commands.Dismiss:
	}
	return o.may >= review.PermissionWrite, nil, nil
}

// asAuthor counts what the author asks for.
func (o *order) asAuthor(ctx context.Context, subject string) (allowed bool, err error) {
	now, key := o.p.Clock().UTC(), o.key("author")
	err = o.change(ctx, subject, func(s *review.Subject) {
		s.Asked = slices.DeleteFunc(s.Asked, func(a review.Asked) bool { return now.Sub(a.At) >= authorDay })
		if allowed = slices.ContainsFunc(s.Asked, func(a review.Asked) bool { return a.Key == key }); allowed {
			return
		}
		if allowed = len(s.Asked) < authorRuns; allowed {
			s.Asked = append(s.Asked, review.Asked{Key: key, At: now})
		}
	})
	return allowed, err
}

// review starts a review. Of what is closed there are none, which is said in words: a check run would stand at its commit when
// it is opened again.
func (o *order) review() (*engine.Failure, error) {
	if o.pull.State != review.PullOpen {
		return o.say("closed", "The pull request is not open.")
	}
	scope := review.ScopeDefault
	if word, _, _ := strings.Cut(o.Text, " "); strings.EqualFold(word, "full") {
		scope = review.ScopeWhole
	}
	var done bool
	return step(o.session, o.step("start"), &done, func(ctx context.Context) (bool, error) {
		return true, o.start(ctx, o.pull.PullRef, review.TriggerCommand, scope, o.key("review"))
	})
}

// start starts the review of a pull request, once for what it is asked by.
func (s *session) start(ctx context.Context, ref review.PullRef, t review.Trigger, scope review.Scope, by string) error {
	rev := review.Review{
		ID: job.NewID(), Owner: s.run.Job().Owner, Trigger: t, Publish: true, Scope: scope, Revision: 1,
		Pinned:    review.Pinned{Source: review.Source{Kind: review.SourcePull, Pull: ref}, Subject: ref.Subject()},
		CreatedAt: s.p.Clock().UTC().Truncate(time.Microsecond),
	}
	if t != review.TriggerCommand { // a command is known by its comment, all else by its delivery
		by = fmt.Sprintf("%s/%s#%d", s.event.GetDelivery(), by, ref.Number)
	}
	_, err := s.p.Starter.Start(ctx, rev, starter.Request{
		Method: "HandleEvent/start", ID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(by)).String(), Body: sha256.Sum256([]byte(by)),
	})
	return err
}

// pause stops the reviews of the pull request that are under way, and those that start by themselves.
func (o *order) pause() (*engine.Failure, error) {
	var ids []job.ID
	f, err := step(o.session, o.step("pause"), &ids, func(ctx context.Context) (ids []job.ID, err error) {
		err = o.change(ctx, o.pull.Subject(), func(s *review.Subject) {
			if o.newest(s) {
				s.Paused, ids = true, Unended(s)
			}
		})
		return ids, err
	})
	if f != nil || err != nil {
		return f, err
	}
	if f, err := o.cancel(o.step("cancel"), ids); f != nil || err != nil {
		return f, err
	}
	return o.done("Reviews of this pull request are paused; `/witan resume` lets them start again.")
}

// newest notes that the comment pauses reviews or lets them start again, unless a later one did: their jobs may wait for the forge,
// or go on after a crash, and the last word counts.
func (o *order) newest(s *review.Subject) bool {
	at := o.event.GetReceiveTime().AsTime()
	if at.Before(s.PauseSaid) {
		return false
	}
	s.PauseSaid = at
	return true
}

// resume lets reviews start by themselves again.
func (o *order) resume() (*engine.Failure, error) {
	var done bool
	f, err := step(o.session, o.step("resume"), &done, func(ctx context.Context) (bool, error) {
		return true, o.change(ctx, o.pull.Subject(), func(s *review.Subject) {
			if o.newest(s) {
				s.Paused = false
			}
		})
	})
	if f != nil || err != nil {
		return f, err
	}
	return o.done("Reviews of this pull request start by themselves again.")
}

// What a dismissal comes to.
const (
	dismissed   = "dismissed"
	dismissNone = "none"
	dismissLate = "late"
)

// dismiss notes that a finding is not wanted: that of the thread, or the one that is named.
func (o *order) dismiss() (*engine.Failure, error) {
	var became string
	f, err := step(o.session, o.step("dismiss"), &became, func(ctx context.Context) (string, error) {
		err := o.noted(ctx, o.pull.Subject(), func(people *lifecycle.People) error { return o.dismissMeant(ctx, people) })
		switch {
		case err == nil:
			return dismissed, nil
		case errors.Is(err, review.ErrNotFound):
			return dismissNone, nil
		case errors.Is(err, review.ErrSubjectClosed):
			return dismissLate, nil
		}
		return "", err
	})
	switch {
	case f != nil || err != nil:
		return f, err
	case became == dismissed:
		if f, err := o.showAgain(o.step("reshow"), o.pull.Subject(), o.requestID("reshow")); f != nil || err != nil {
			return f, err
		}
		return o.done("The finding is dismissed.")
	case became == dismissLate:
		return o.say("late", "The pull request is closed; its findings stay as they are.")
	}
	return o.say("unknown", "There is no such finding here. Use `/witan dismiss` in the finding's own thread, or name it: `/witan dismiss ID reason`.")
}

// dismissMeant dismisses the finding that the command is about, with its reason. review.ErrNotFound, review.ErrSubjectClosed.
func (o *order) dismissMeant(ctx context.Context, people *lifecycle.People) error {
	subject := o.pull.Subject()
	because := func(reason string) func(review.Known) review.Known {
		return lifecycle.As(o.event.GetSender(), func(k review.Known) review.Known { return lifecycle.Dismiss(k, reason) })
	}
	if word, rest, _ := strings.Cut(o.Text, " "); word != "" {
		_, err := people.ByID(ctx, subject, strings.ToLower(strings.Trim(word, "`")), because(strings.TrimSpace(rest)))
		if !errors.Is(err, review.ErrNotFound) {
			return err
		}
	}
	root := o.comment.GetInReplyTo()
	if root == 0 {
		return review.ErrNotFound
	}
	_, err := people.ByComment(ctx, subject, root, because(o.Text))
	return err
}

// kind is where the comment stands.
func (o *order) kind() publish.Kind {
	switch o.comment.GetPlace() {
	case reviewv1.CommentWritten_THREAD:
		return publish.KindInline
	case reviewv1.CommentWritten_REVIEW:
		return publish.KindReview
	default:
		return publish.KindConversation
	}
}

// done tells the sender that the command was carried out where nothing else shows it: by a sign, or in words at the text of a
// review, which takes no signs.
func (o *order) done(words string) (*engine.Failure, error) {
	if o.kind() == publish.KindReview {
		return o.say("done", words)
	}
	return o.react("done", publish.ReactionUp)
}

// react gives the comment a sign. Where that is not permitted, or the comment is gone, nothing is lost. The text of a review
// takes none: strangers are not answered there, and what was begun shows itself.
func (o *order) react(what string, r publish.Reaction) (*engine.Failure, error) {
	if o.p.Publisher == nil || o.kind() == publish.KindReview || o.given[r] {
		return nil, nil //nolint:nilnil // no failure
	}
	o.given[r] = true
	var done bool
	return step(o.session, o.step(what), &done, func(ctx context.Context) (bool, error) {
		err := o.p.Publisher.React(ctx, o.session.pull(o.comment.GetNumber()), o.kind(), o.comment.GetCommentId(), r)
		if err == nil || waits(err) {
			return err == nil, err
		}
		if errors.Is(err, publish.ErrAmbiguous) {
			return false, fmt.Errorf("%w: %w", review.ErrUnavailable, err)
		}
		o.p.Logger.WarnContext(ctx, "a comment took no reaction", "comment", o.comment.GetCommentId(), "error", err)
		return false, ctx.Err()
	})
}

func waits(err error) bool {
	_, limit := errors.AsType[*review.LimitError](err)
	return limit || errors.Is(err, review.ErrUnavailable)
}

// say answers the comment, in its thread where it has one. The answer is known by the comment's ID: a second delivery of it
// gets no second answer.
func (o *order) say(what, heading string, lines ...string) (*engine.Failure, error) {
	return o.reply(what, heading, "", lines)
}

func (o *order) reply(what, heading, text string, lines []string) (*engine.Failure, error) {
	if o.p.Publisher == nil {
		return nil, nil //nolint:nilnil // no failure
	}
	key := o.p.Keys.Key(o.pull.Subject(), "answer", o.key("answer"))
	body := render.Answer(heading, text, lines, publish.Mark(key))
	var done publish.Placed
	tried := false
	return step(o.session, o.step(what), &done, func(ctx context.Context) (publish.Placed, error) {
		desk := &publish.Desk{
			Forge: o.p.Publisher, Ref: o.pull.PullRef, Begun: map[string]bool{key: tried || o.session.run.Epoch() > 1},
			Begin: func(context.Context, []string) error { return nil }, Wait: o.p.Wait, Logger: o.p.Logger,
		}
		tried = true
		return desk.Say(ctx, key, o.root(), body)
	})
}

// root is the thread that is answered in; 0 for the conversation.
func (o *order) root() int64 {
	if o.comment.GetPlace() != reviewv1.CommentWritten_THREAD {
		return 0
	}
	if root := o.comment.GetInReplyTo(); root != 0 {
		return root
	}
	return o.comment.GetCommentId()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// job names the job for others.
func (o *order) job() string { return wire.JobName(o.session.run.Job().ID) }
