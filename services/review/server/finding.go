package server

import (
	"context"
	"errors"
	"strings"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/wire"
)

// ErrFindingsNotYours refuses a say on findings that are another owner's too.
var ErrFindingsNotYours = apierr.PermissionDenied(apierr.ReasonForgeNotYours,
	"the findings of this pull request or repository are kept for another owner, who was there first")

// UpdateFinding implements reviewv1.ReviewServiceServer.
func (s *Server) UpdateFinding(ctx context.Context, req *reviewv1.UpdateFindingRequest) (*reviewv1.Finding, error) {
	if s.p.Ledger == nil {
		return nil, apierr.Unimplemented(apierr.ReasonNotImplemented, "this server does not keep what people think of findings")
	}
	parent, _, _ := strings.Cut(req.GetName(), "/findings/")
	r, err := s.p.Store.Get(ctx, id(parent), auth.Owner(ctx))
	if err != nil {
		return nil, err
	}
	f, err := s.finding(ctx, &r, req.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.mine(ctx, r.Pinned.Subject); err != nil {
		return nil, err
	}
	people := &lifecycle.People{Ledger: s.p.Ledger, Subjects: s.p.Subjects}
	first := review.Known{Subject: r.Pinned.Subject, ID: lifecycle.KnownID(f.Name), Finding: f, LastReview: parent}
	k, err := people.ByFinding(ctx, r.Pinned.Subject, first, func(k review.Known) review.Known {
		switch req.GetAction() {
		case reviewv1.UpdateFindingRequest_DISMISS:
			return lifecycle.Dismiss(k, req.GetReason())
		case reviewv1.UpdateFindingRequest_REOPEN:
			return lifecycle.Reopen(k)
		default:
			return lifecycle.Accept(k, req.GetReason())
		}
	})
	if err != nil {
		return nil, err
	}
	if s.p.Forge && r.Pinned.Source.Kind == review.SourcePull && req.GetAction() != reviewv1.UpdateFindingRequest_ACCEPT {
		if err := events.Reshow(ctx, s.p.Jobs, auth.Owner(ctx), r.Pinned.Subject, parent, ""); err != nil {
			return nil, err
		}
	}
	lifecycle.Said(&f, &k)
	return wire.Finding(&f), nil
}

// mine refuses what a subject shares with the reviews of another owner: a review of one's own of the same pull request gives
// nobody a say on theirs.
func (s *Server) mine(ctx context.Context, subject string) error {
	p := auth.From(ctx)
	if s.p.Subjects == nil || p.Trusted || p.Open {
		return nil
	}
	known, err := s.p.Subjects.Subject(ctx, subject)
	switch {
	case errors.Is(err, review.ErrNotFound):
		return nil
	case err != nil:
		return err
	case known.Owner != p.Owner:
		return ErrFindingsNotYours
	}
	return nil
}

// finding returns a finding of the review by its resource name.
func (s *Server) finding(ctx context.Context, r *review.Review, name string) (finding.Finding, error) {
	var out *finding.Finding
	err := s.each(ctx, r, func(f *review.NumberedFinding) {
		if f.Name == name {
			out = &f.Finding
		}
	})
	if err != nil {
		return finding.Finding{}, err
	}
	if out == nil {
		return finding.Finding{}, review.ErrFindingNotFound
	}
	return *out, nil
}

// people returns what people said of the subject's findings, by the findings' IDs.
func (s *Server) people(ctx context.Context, r *review.Review) (map[string]*review.Known, error) {
	if s.p.Ledger == nil {
		return nil, nil
	}
	known, err := s.p.Ledger.Known(ctx, r.Pinned.Subject)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*review.Known)
	for i := range known {
		if k := &known[i]; k.Feedback != "" || k.ChangedIn == "" {
			out[k.ID] = k
		}
	}
	return out, nil
}
