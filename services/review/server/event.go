package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/commands"
	"witan.dev/services/review/events"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// ErrEventRefused: only the service itself says what happened at a forge.
var ErrEventRefused = apierr.PermissionDenied(apierr.ReasonEventRefused, "events of a forge are taken from the service itself only")

// Why an event changes nothing. The words are stored with the delivery: they never change.
const (
	ignoredBot       = "BOT"
	ignoredOurs      = "OURS"
	ignoredNoCommand = "NO_COMMAND"
	ignoredNotOurs   = "NOT_OURS"
	ignoredFrozen    = "SUBJECT_CLOSED"
	ignoredUnknown   = "NO_REVIEWS_HERE"
	ignoredRecorded  = "RECORDED"
	ignoredNoForge   = "FORGE_NOT_CONFIGURED"
)

// effect is what an event comes to: nothing, for a reason, or a job of kind delivery.
type effect struct {
	ignored  string
	commands []commands.Command
	// onSubject changes the locked subject. It returns the reviews that the job ends.
	subject   string
	onSubject func(*review.Subject) []job.ID
	// onTip takes a push in at the locked subject, which is a repository, and returns the job that answers it: id, or the newest
	// one for its tip.
	onTip func(row *review.Subject, id job.ID, unfinished bool) job.ID
	// priority is the job's; 0: of what a person waits for.
	priority uint
	// write changes what is kept beside it.
	write func(ctx context.Context, tx job.Tx) error
	// publishing says of what is ignored that a review writes meanwhile: it may be about a comment that nobody noted yet.
	publishing bool
}

// putTries is how often a row is read again that somebody else changed meanwhile.
const putTries = 5

// HandleEvent implements reviewv1.ReviewServiceServer. What an event changes at once is changed in the transaction that makes
// its job, so that events follow each other in the order in which they were taken in. That need not be the order in which
// they happened: where it matters, the job asks the forge.
func (s *Server) HandleEvent(ctx context.Context, req *reviewv1.HandleEventRequest) (*reviewv1.HandleEventResponse, error) {
	if p := auth.From(ctx); !p.Service && !p.Trusted {
		return nil, ErrEventRefused
	}
	for try := 1; ; try++ {
		answer, err := s.handle(ctx, req)
		if !errors.Is(err, review.ErrChanged) || try == putTries {
			return answer, err
		}
	}
}

func (s *Server) handle(ctx context.Context, req *reviewv1.HandleEventRequest) (*reviewv1.HandleEventResponse, error) {
	e, err := s.effect(ctx, req.GetEvent())
	if err != nil {
		return nil, err
	}
	if e.ignored != "" {
		return &reviewv1.HandleEventResponse{IgnoredReason: e.ignored}, nil
	}
	id, err := s.deliver(ctx, req, &e)
	if err != nil {
		return nil, err
	}
	return &reviewv1.HandleEventResponse{Resource: wire.JobName(id)}, nil
}

// deliver makes the job with what the event changes.
func (s *Server) deliver(ctx context.Context, req *reviewv1.HandleEventRequest, e *effect) (job.ID, error) {
	encode := proto.MarshalOptions{Deterministic: true}
	event, err := encode.Marshal(req.GetEvent())
	if err != nil {
		return "", fmt.Errorf("encode the event of %s: %w", req.GetEvent().GetDelivery(), err)
	}
	kept, err := encode.Marshal(withoutWords(req.GetEvent()))
	if err != nil {
		return "", fmt.Errorf("encode the event of %s: %w", req.GetEvent().GetDelivery(), err)
	}
	owner := auth.Owner(ctx)
	spec := events.Spec{Event: kept, Commands: e.commands}
	raw, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("encode the spec of %s: %w", req.GetEvent().GetDelivery(), err)
	}
	c := job.Creation{
		ID: job.NewID(), Kind: job.KindDelivery, Owner: owner, Method: reviewv1.ReviewService_HandleEvent_FullMethodName,
		RequestID: req.GetRequestId(), BodySHA256: sha256.Sum256(event), Resource: req.GetEvent().GetDelivery(), Spec: raw, Write: e.write,
		Priority: e.priority,
	}
	if e.onTip != nil {
		c.Admit = func(ctx context.Context, tx job.Tx, c *job.Creation) error { return s.admitTip(ctx, tx, owner, e, c) }
	}
	if e.onSubject != nil {
		c.Admit = func(ctx context.Context, tx job.Tx, c *job.Creation) error {
			subject, err := s.p.Subjects.Lock(ctx, tx, e.subject, owner)
			if err != nil {
				return err
			}
			spec.Cancel = e.onSubject(&subject)
			if c.Spec, err = json.Marshal(spec); err != nil {
				return fmt.Errorf("encode the spec of %s: %w", req.GetEvent().GetDelivery(), err)
			}
			return s.p.Subjects.Put(ctx, tx, subject)
		}
	}
	j, _, err := s.p.Jobs.Create(ctx, c)
	return j.ID, err
}

// withoutWords is an event as a job is told it: the commands of a comment are all that it needs, and what people write may hold
// secrets.
func withoutWords(e *reviewv1.ForgeEvent) *reviewv1.ForgeEvent {
	if e.GetComment() == nil {
		return e
	}
	kept := proto.CloneOf(e)
	kept.GetComment().Body = ""
	return kept
}

// admitTip takes a push in at the row of its repository.
func (s *Server) admitTip(ctx context.Context, tx job.Tx, owner string, e *effect, c *job.Creation) error {
	row, err := s.p.Subjects.Lock(ctx, tx, e.subject, owner)
	if err != nil {
		return err
	}
	states, err := s.p.Jobs.StatesTx(ctx, tx, row.Tip.Job)
	if err != nil {
		return err
	}
	state, there := states[row.Tip.Job]
	if by := e.onTip(&row, c.ID, there && !state.Terminal() && state != job.StateCancelling); by != c.ID {
		c.Existing = by
	}
	return s.p.Subjects.Put(ctx, tx, row)
}

func (s *Server) effect(ctx context.Context, e *reviewv1.ForgeEvent) (effect, error) {
	switch what := e.GetEvent().(type) {
	case *reviewv1.ForgeEvent_Closed:
		return s.known(ctx, e, what.Closed.GetNumber(), effect{onSubject: events.Unended})
	case *reviewv1.ForgeEvent_Drafted:
		return s.known(ctx, e, what.Drafted.GetNumber(), effect{onSubject: func(subject *review.Subject) []job.ID {
			if subject.RunningAsked || subject.Waiting { // a person waits for it, or it finds out by itself
				return nil
			}
			return events.Unended(subject)
		}})
	case *reviewv1.ForgeEvent_Comment:
		return s.comment(ctx, e, what.Comment)
	case *reviewv1.ForgeEvent_CommentDeleted:
		return s.onFinding(ctx, e, what.CommentDeleted.GetNumber(), []int64{what.CommentDeleted.GetCommentId()}, lifecycle.Deleted)
	case *reviewv1.ForgeEvent_Thread:
		if !s.p.Forge {
			return effect{ignored: ignoredNoForge}, nil
		}
		out, err := s.onFinding(ctx, e, what.Thread.GetNumber(), what.Thread.GetCommentIds(), lifecycle.Resolved)
		if out.ignored == ignoredNotOurs && out.publishing {
			out.ignored = "" // the job waits for what the review notes of its comments
		}
		out.write = nil // the job asks first whether the sender may
		return out, err
	case *reviewv1.ForgeEvent_Pushed:
		return s.pushed(ctx, e, what.Pushed)
	case *reviewv1.ForgeEvent_BranchDeleted:
		return s.branchDeleted(ctx, e, what.BranchDeleted)
	case *reviewv1.ForgeEvent_Installation:
		if what.Installation.GetChange() != reviewv1.InstallationChanged_REMOVED {
			return effect{ignored: ignoredRecorded}, nil
		}
		return effect{}, nil
	case *reviewv1.ForgeEvent_RepositoryChanged:
		if what.RepositoryChanged.GetChange() == reviewv1.RepositoryChanged_PRIVATIZED {
			return effect{ignored: ignoredRecorded}, nil
		}
		return effect{}, nil
	case *reviewv1.ForgeEvent_CheckAction:
		return s.checked(what.CheckAction), nil
	default:
		return effect{ignored: ignoredRecorded}, nil
	}
}

// background is the priority of what nobody waits for.
const background = 2 * job.DefaultPriority

// pushed is the effect of a push to a default branch. Where no review of the owner's had the code indexed there is nobody whom
// it would help: an installation may have many repositories.
func (s *Server) pushed(ctx context.Context, e *reviewv1.ForgeEvent, p *reviewv1.BranchPushed) (effect, error) {
	row, err := s.p.Subjects.Subject(ctx, events.Repo(e.GetRepository()).Row())
	switch {
	case errors.Is(err, review.ErrNotFound) || err == nil && !slices.Contains(row.Indexers, auth.Owner(ctx)):
		return effect{ignored: ignoredUnknown}, nil
	case err != nil:
		return effect{}, err
	case !s.p.Forge:
		return effect{ignored: ignoredNoForge}, nil
	}
	return effect{subject: row.Name, priority: background, onTip: func(row *review.Subject, id job.ID, unfinished bool) job.ID {
		return row.Tip.Pushed(p.GetBranch(), id, s.p.Clock().UTC(), unfinished)
	}}, nil
}

// branchDeleted is the effect of the end of a branch: only default branches have indexes of their own.
func (s *Server) branchDeleted(ctx context.Context, e *reviewv1.ForgeEvent, b *reviewv1.BranchDeleted) (effect, error) {
	row, err := s.p.Subjects.Subject(ctx, events.Repo(e.GetRepository()).Row())
	if errors.Is(err, review.ErrNotFound) || err == nil && row.Tip.Branch != b.GetBranch() {
		return effect{ignored: ignoredRecorded}, nil
	}
	return effect{priority: background}, err
}

// known is the effect on a pull request of which there were reviews.
func (s *Server) known(ctx context.Context, e *reviewv1.ForgeEvent, number int64, then effect) (effect, error) {
	then.subject = subjectOf(e, number)
	_, err := s.p.Subjects.Subject(ctx, then.subject)
	if errors.Is(err, review.ErrNotFound) {
		return effect{ignored: ignoredUnknown}, nil
	}
	return then, err
}

func subjectOf(e *reviewv1.ForgeEvent, number int64) string {
	return review.PullRef{Repo: events.Repo(e.GetRepository()), Number: number}.Subject()
}

// comment is the effect of a comment: its commands, or a person's answer in one of our threads.
func (s *Server) comment(ctx context.Context, e *reviewv1.ForgeEvent, c *reviewv1.CommentWritten) (effect, error) {
	if e.GetSenderBot() {
		return effect{ignored: ignoredBot}, nil
	}
	if publish.Marked(c.GetBody()) != "" { // with a token we write as a person does
		return effect{ignored: ignoredOurs}, nil
	}
	if found := commands.Parse(c.GetBody(), s.p.App); len(found) > 0 {
		if !s.p.Forge {
			return effect{ignored: ignoredNoForge}, nil
		}
		return effect{commands: found}, s.redact(ctx, c.GetBody(), found)
	}
	if c.GetInReplyTo() == 0 {
		return effect{ignored: ignoredNoCommand}, nil
	}
	out, err := s.onFinding(ctx, e, c.GetNumber(), []int64{c.GetInReplyTo()}, lifecycle.Answered)
	if out.ignored == ignoredNotOurs {
		out.ignored = ignoredNoCommand
	}
	return out, err
}

// redact takes the secrets of a comment out of its commands, which are stored with the job. Of what cannot be scanned for them
// nothing is kept but the commands' names.
func (s *Server) redact(ctx context.Context, body string, found []commands.Command) error {
	var redactor *secrets.Redactor
	if s.p.Secrets != nil {
		redactor = s.p.Secrets.NewRedactor()
		texts := []secrets.Text{{Text: body}}
		for i := range found {
			texts = append(texts, secrets.Text{Text: found[i].Text})
		}
		if err := redactor.Learn(ctx, texts...); err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.p.Logger.WarnContext(ctx, "a comment could not be scanned for secrets: its commands lose their words", "error", err)
			redactor = nil
		}
	}
	for i := range found {
		if redactor == nil {
			found[i].Text = ""
			continue
		}
		found[i].Text = redactor.ApplyCut(found[i].Text) // it is cut at its length
	}
	return nil
}

// onFinding is the effect on the finding whose comment is among some. What is closed is frozen.
func (s *Server) onFinding(
	ctx context.Context, e *reviewv1.ForgeEvent, number int64, comments []int64, change func(review.Known) review.Known,
) (effect, error) {
	if e.GetSenderBot() {
		return effect{ignored: ignoredBot}, nil
	}
	name := subjectOf(e, number)
	subject, err := s.p.Subjects.Subject(ctx, name)
	switch {
	case errors.Is(err, review.ErrNotFound):
		return effect{ignored: ignoredUnknown}, nil
	case err != nil:
		return effect{}, err
	case subject.Closed:
		return effect{ignored: ignoredFrozen}, nil
	}
	for _, id := range comments {
		known, err := s.p.Ledger.KnownByComment(ctx, name, id)
		if errors.Is(err, review.ErrNotFound) {
			continue
		}
		if err != nil {
			return effect{}, err
		}
		return effect{write: func(ctx context.Context, tx job.Tx) error { return s.p.Ledger.PutKnown(ctx, tx, change(known)) }}, nil
	}
	return effect{ignored: ignoredNotOurs, publishing: subject.Publishing}, nil
}

func (s *Server) checked(c *reviewv1.CheckAction) effect {
	switch {
	case c.GetAction() != review.CheckActionAgain && c.GetAction() != review.CheckActionWhole:
		return effect{ignored: ignoredRecorded}
	case !s.p.Forge:
		return effect{ignored: ignoredNoForge}
	}
	return effect{}
}
