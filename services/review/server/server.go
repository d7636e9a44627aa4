// Package server answers the RPCs of witan.review.v1.ReviewService. It translates, checks what can be checked before a
// job exists, and leaves everything else to the worker.
package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/linters"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/starter"
	"witan.dev/services/review/wire"
)

// Jobs creates the jobs that compute reviews, and looks at them.
type Jobs = starter.Jobs

// Params are what a server needs.
type Params struct {
	Jobs       Jobs
	Store      review.Store
	Subjects   review.Subjects
	Ledger     review.Ledger // nil: findings have no life beyond their review
	Repository review.Repository
	Blobs      blob.Store
	Council    review.Council
	// Forge says that there are credentials for a forge, so that pull requests can be reviewed.
	Forge bool
	// ForgeOwner is the only owner who may have pull requests reviewed with these credentials; empty: every caller may.
	ForgeOwner string
	// App is the account's name without "[bot]", by which comments mention us; empty: they do not.
	App string
	// Secrets are taken out of what is stored of comments; nil: of their commands only the names are stored.
	Secrets *secrets.Reviewer
	// Host is the forge of pull requests that name none; empty: github.com.
	Host   string
	Logger *slog.Logger // nil: nothing is logged
	// Version is the program's, as exports show it.
	Version string
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
}

// Server is the ReviewService. Safe for concurrent use.
type Server struct {
	reviewv1.UnimplementedReviewServiceServer

	p       Params
	starter *starter.Starter
}

// New returns a server.
func New(p Params) *Server {
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return &Server{p: p, starter: starter.New(starter.Params{
		Jobs: p.Jobs, Store: p.Store, Subjects: p.Subjects, Logger: p.Logger, Clock: p.Clock,
	})}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { reviewv1.RegisterReviewServiceServer(r, s) }

const (
	// uploadKeep is how long uploaded material waits for a request that names it.
	uploadKeep = 24 * time.Hour
	// inlineKeep is how long a diff inside a request waits for its review, which is made at once.
	inlineKeep = 10 * time.Minute
)

// defaultFailOn is the severity from which clients fail when the caller did not say.
const defaultFailOn = finding.SeverityMedium

// CreateReview implements reviewv1.ReviewServiceServer.
func (s *Server) CreateReview(ctx context.Context, req *reviewv1.CreateReviewRequest) (*reviewv1.Review, error) {
	owner := auth.Owner(ctx)
	source, err := s.source(ctx, owner, req.GetReview())
	if err != nil {
		return nil, err
	}
	if name := req.GetReview().GetCouncil(); name != "" {
		if _, err := s.p.Council.Describe(ctx, name); err != nil && !errors.Is(err, review.ErrUnavailable) {
			return nil, err
		}
	}
	rev := review.Review{
		ID: job.NewID(), Owner: owner, Labels: req.GetReview().GetLabels(), Council: req.GetReview().GetCouncil(),
		FailOn: wire.SeverityFrom(req.GetReview().GetFailOn()), CreatedAt: s.p.Clock().UTC().Truncate(time.Microsecond), Revision: 1,
	}
	var pinError error
	source.Reports, pinError = s.reports(ctx, owner, req.GetReview().GetSource().GetReports())
	if source.Kind == review.SourcePull { // pinned by its job, which asks the forge; so is what it fails on
		requested(&rev, req.GetReview())
		rev.Pinned = review.Pinned{Source: source, Subject: source.Pull.Subject()}
		if pinError != nil && req.GetRequestId() == "" {
			return nil, pinError
		}
		return s.startPull(ctx, req, rev, pinError)
	}
	if rev.FailOn == finding.SeverityUnspecified {
		rev.FailOn = defaultFailOn
	}
	// An earlier request with the same ID is answered even when its source has gone meanwhile: the error counts only
	// where a review is really made.
	if pinError == nil {
		rev.Pinned, pinError = s.p.Repository.Pin(ctx, rev.ID, source)
	}
	if pinError != nil && req.GetRequestId() == "" {
		return nil, pinError
	}
	made, err := s.create(ctx, req, &rev, pinError)
	if err != nil {
		return nil, errors.Join(err, s.p.Repository.Release(context.WithoutCancel(ctx), rev.ID))
	}
	return made, nil
}

// create makes review and job together, or returns those that an earlier call with the same request ID made.
func (s *Server) create(ctx context.Context, req *reviewv1.CreateReviewRequest, rev *review.Review, pinError error) (*reviewv1.Review, error) {
	spec, err := json.Marshal(rev)
	if err != nil {
		return nil, fmt.Errorf("encode the spec of review %s: %w", rev.ID, err)
	}
	body, err := bodyHash(req)
	if err != nil {
		return nil, err
	}
	creation := job.Creation{
		ID: rev.ID, Kind: job.KindReview, Owner: rev.Owner, Method: reviewv1.ReviewService_CreateReview_FullMethodName,
		RequestID: req.GetRequestId(), BodySHA256: body, Resource: wire.ReviewName(rev.ID), Labels: rev.Labels, Spec: spec,
		Write: func(ctx context.Context, tx job.Tx) error {
			if pinError != nil {
				return pinError
			}
			if err := s.p.Store.Create(ctx, tx, *rev); err != nil {
				return err
			}
			return s.refer(ctx, tx, rev, rev.ID)
		},
	}
	j, reused, err := s.p.Jobs.Create(ctx, creation)
	if err != nil {
		return nil, err
	}
	if !reused {
		return wire.Review(rev, nil), nil
	}
	if err := s.p.Repository.Release(ctx, rev.ID); err != nil {
		return nil, err
	}
	first, err := s.p.Store.Get(ctx, j.ID, rev.Owner)
	if err != nil {
		return nil, err
	}
	return wire.Review(&first, nil), nil
}

// refer keeps the uploaded diff and reports as long as a review needs them: the one of that ID, which answers the request.
func (s *Server) refer(ctx context.Context, tx job.Tx, rev *review.Review, id job.ID) error {
	var blobs []string
	if !rev.Pinned.HasTree() {
		blobs = append(blobs, rev.Pinned.Source.Blob)
	}
	for _, r := range rev.Pinned.Source.Reports {
		blobs = append(blobs, r.Blob)
	}
	for _, b := range blobs {
		sum, err := blob.ParseSHA256(b)
		if err != nil {
			return err
		}
		if err := s.p.Blobs.ReferTx(ctx, tx, rev.Owner, wire.ReviewName(id), sum); err != nil {
			return err
		}
	}
	return nil
}

// bodyHash is the digest of the request without its ID.
func bodyHash(req *reviewv1.CreateReviewRequest) ([sha256.Size]byte, error) {
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(&reviewv1.CreateReviewRequest{Review: req.GetReview()})
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("hash the request: %w", err)
	}
	return sha256.Sum256(body), nil
}

// source translates what to review. Paths on this machine are taken from trusted callers only; contents go to the blob
// store.
func (s *Server) source(ctx context.Context, owner string, rev *reviewv1.Review) (review.Source, error) {
	in := rev.GetSource()
	if from := in.GetPullRequest(); from != nil {
		return s.pullOf(ctx, from, rev)
	}
	if err := onlyForPulls(rev); err != nil {
		return review.Source{}, err
	}
	switch from := in.GetSource().(type) {
	case *reviewv1.Source_GitRange:
		if err := auth.RequireTrusted(ctx); err != nil {
			return review.Source{}, err
		}
		r := from.GitRange
		return review.Source{Kind: review.SourceRange, Dir: r.GetDir(), Base: r.GetBase(), Head: r.GetHead()}, nil
	case *reviewv1.Source_LocalChange:
		if err := auth.RequireTrusted(ctx); err != nil {
			return review.Source{}, err
		}
		kind := review.SourceUncommitted
		if from.LocalChange.GetMode() == reviewv1.LocalChange_STAGED {
			kind = review.SourceStaged
		}
		return review.Source{Kind: kind, Dir: from.LocalChange.GetDir()}, nil
	case *reviewv1.Source_Diff:
		return s.patch(ctx, owner, from.Diff)
	case *reviewv1.Source_Snapshots:
		return review.Source{}, review.ErrSourceNotSupported.Field("review.source.snapshots", "snapshots are not read yet; send a diff")
	default:
		return review.Source{}, apierr.Invalid(apierr.ReasonInvalidRequest, "the request names nothing to review").Field("review.source", "is required")
	}
}

func (s *Server) patch(ctx context.Context, owner string, m *reviewv1.Material) (review.Source, error) {
	out := review.Source{Kind: review.SourceDiff, Title: m.GetTitle(), Owner: owner, Blob: m.GetBlob()}
	if out.Blob != "" {
		return out, nil
	}
	var err error
	out.Blob, err = s.keep(ctx, owner, m.GetData())
	return out, err
}

// keep packs content that came inside a request and stores it until the review refers to it.
func (s *Server) keep(ctx context.Context, owner string, content []byte) (string, error) {
	packed, err := review.PackPatch(content)
	if err != nil {
		return "", err
	}
	ref, err := s.p.Blobs.Upload(ctx, owner, bytes.NewReader(packed), s.p.Clock().Add(inlineKeep))
	if err != nil {
		return "", fmt.Errorf("keep what came with the request: %w", err)
	}
	return ref.SHA256.String(), nil
}

// reports reads the reports of other tools once, so that what cannot be read is refused before a job exists, and stores
// those that came inside the request.
func (s *Server) reports(ctx context.Context, owner string, in []*reviewv1.Material) ([]review.ReportRef, error) {
	var out []review.ReportRef
	var tools []linters.Tool
	for _, m := range in {
		ref, content := review.ReportRef{Title: m.GetTitle(), Blob: m.GetBlob()}, m.GetData()
		var err error
		if ref.Blob == "" {
			ref.Blob, err = s.keep(ctx, owner, content)
		} else {
			content, err = review.ReadReport(ctx, s.p.Blobs, owner, ref)
		}
		if err != nil {
			return nil, err
		}
		if tools, err = linters.Collect(tools, m.GetTitle(), content); err != nil {
			return nil, err
		}
		out = append(out, ref)
	}
	return out, nil
}
