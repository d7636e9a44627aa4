package server

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// ErrTriggerRefused: only the service itself says what a review was started by.
var ErrTriggerRefused = apierr.PermissionDenied(apierr.ReasonTriggerRefused,
	"review.trigger is for the service itself; leave it out")

// errOtherSource refuses what is for pull requests only.
var errOtherSource = apierr.Invalid(apierr.ReasonInvalidRequest, "the request is not valid")

// defaultHost is the forge of a pull request that names none, where none is configured.
const defaultHost = "github.com"

// pullOf reads the pull request that is to be reviewed. Nothing is asked of the forge: the caller waits.
func (s *Server) pullOf(ctx context.Context, in *reviewv1.PullRequest, rev *reviewv1.Review) (review.Source, error) {
	if !s.p.Forge {
		return review.Source{}, review.ErrNoForge
	}
	p := auth.From(ctx)
	if rev.GetTrigger() != reviewv1.Review_TRIGGER_UNSPECIFIED && !p.Service && !p.Trusted && !p.Open {
		return review.Source{}, ErrTriggerRefused
	}
	ref := review.PullRef{Number: in.GetNumber(), Repo: review.Repo{
		Host: strings.ToLower(cmp.Or(in.GetHost(), s.p.Host, defaultHost)), Owner: in.GetOwner(), Name: in.GetRepo(), ID: in.GetRepositoryId(),
		Installation: in.GetInstallationId(),
	}}
	return review.Source{Kind: review.SourcePull, Pull: ref}, nil
}

// onlyForPulls refuses settings that mean nothing for other sources.
func onlyForPulls(r *reviewv1.Review) error {
	for field, set := range map[string]bool{
		"review.trigger": r.GetTrigger() != reviewv1.Review_TRIGGER_UNSPECIFIED, "review.trigger_label": r.GetTriggerLabel() != "",
		"review.publish": r.GetPublish(), "review.scope": r.GetScope() != reviewv1.Review_SCOPE_UNSPECIFIED,
	} {
		if set {
			return errOtherSource.Field(field, "is for pull requests only")
		}
	}
	return nil
}

// requested fills in what the caller said of the review of a pull request.
func requested(rev *review.Review, in *reviewv1.Review) {
	rev.Trigger, rev.TriggerLabel = wire.TriggerFrom(in.GetTrigger()), in.GetTriggerLabel()
	rev.Publish, rev.Scope = in.GetPublish(), wire.ScopeFrom(in.GetScope())
}

// admit takes the request in at its subject, in the transaction that makes the review or notes which other one answers the
// request. Reviews that nothing is published of concern nobody else.
func (s *Server) admit(ctx context.Context, tx job.Tx, rev *review.Review, c *job.Creation) error {
	subject, err := s.p.Subjects.Lock(ctx, tx, rev.Pinned.Subject, rev.Owner)
	if err != nil {
		return err
	}
	unfinished, err := s.unfinished(ctx, tx, subject.Current, subject.Running)
	if err != nil {
		return err
	}
	a := subject.Admit(rev, s.p.Clock().UTC(), unfinished)
	if err := s.p.Subjects.Put(ctx, tx, subject); err != nil {
		return err
	}
	c.Existing, rev.Supersedes = a.Join, a.Supersedes
	if a.Join != "" {
		return nil
	}
	if c.Spec, err = json.Marshal(rev); err != nil {
		return fmt.Errorf("encode the spec of review %s: %w", rev.ID, err)
	}
	return nil
}

// unfinished looks which of some jobs have not ended.
func (s *Server) unfinished(ctx context.Context, tx job.Tx, ids ...job.ID) (func(job.ID) bool, error) {
	states, err := s.p.Jobs.StatesTx(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	return func(id job.ID) bool {
		state, known := states[id]
		return known && !state.Terminal()
	}, nil
}

// stopTime bounds the attempt to stop a superseded review at once (own choice). The newer review does it again.
const stopTime = 5 * time.Second

// stop cancels the review whose place a new one took. Should it be missed, the new one does it, and the old one finds out
// before it publishes.
func (s *Server) stop(ctx context.Context, id job.ID) {
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if _, err := s.p.Jobs.Cancel(ctx, id, ""); err != nil {
		s.p.Logger.WarnContext(ctx, "a superseded review was not stopped yet", "review", string(id), "error", err)
	}
}
