package server

import (
	"cmp"
	"context"
	"strings"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/starter"
	"witan.dev/services/review/wire"
)

// ErrTriggerRefused: only the service itself says what a review was started by.
var ErrTriggerRefused = apierr.PermissionDenied(apierr.ReasonTriggerRefused,
	"review.trigger is for the service itself; leave it out")

// ErrForgeNotYours: with credentials that are one owner's, others see nothing of the forge.
var ErrForgeNotYours = apierr.PermissionDenied(apierr.ReasonForgeNotYours,
	"this server's access to the forge is another owner's: pull requests are reviewed for the owner of its webhooks (webhooks.github.owner)")

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
	if s.p.ForgeOwner != "" && p.Owner != s.p.ForgeOwner && !p.Trusted && !p.Open {
		return review.Source{}, ErrForgeNotYours
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

// startPull starts the review of a pull request.
func (s *Server) startPull(ctx context.Context, req *reviewv1.CreateReviewRequest, rev review.Review, unread error) (*reviewv1.Review, error) {
	body, err := bodyHash(req)
	if err != nil {
		return nil, err
	}
	made, err := s.starter.Start(ctx, rev, starter.Request{
		Method: reviewv1.ReviewService_CreateReview_FullMethodName, ID: req.GetRequestId(), Body: body,
		Also: func(ctx context.Context, tx job.Tx, id job.ID) error {
			if unread != nil { // a report; what an earlier request made is answered all the same
				return unread
			}
			return s.refer(ctx, tx, &rev, id)
		},
	})
	if err != nil {
		return nil, err
	}
	return wire.Review(&made, nil), nil
}
