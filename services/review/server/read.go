package server

import (
	"cmp"
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/pagetoken"
	"witan.dev/services/review"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/wire"
)

const (
	defaultPage = 50
	// maxMessage bounds what GetReview answers; the rest is in ListFindings and ExportReview.
	maxMessage = 3 << 20
	// findingsPage is how many findings are read from the store at once.
	findingsPage = 500
)

func id(name string) job.ID { return job.ID(strings.TrimPrefix(name, "reviews/")) }

// GetReview implements reviewv1.ReviewServiceServer.
func (s *Server) GetReview(ctx context.Context, req *reviewv1.GetReviewRequest) (*reviewv1.Review, error) {
	r, err := s.p.Store.Get(ctx, id(req.GetName()), auth.Owner(ctx))
	if err != nil {
		return nil, err
	}
	if req.GetView() == reviewv1.Review_BASIC {
		return s.basic(ctx, &r)
	}
	out, err := s.full(ctx, &r)
	if err != nil {
		return nil, err
	}
	shorten(out)
	return out, nil
}

func (s *Server) basic(ctx context.Context, r *review.Review) (*reviewv1.Review, error) {
	if r.Disposition == "" {
		return wire.Review(r, nil), nil
	}
	counts, err := s.p.Store.Count(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	return wire.Review(r, counts), nil
}

// full is the review with every file and finding.
func (s *Server) full(ctx context.Context, r *review.Review) (*reviewv1.Review, error) {
	out, err := s.basic(ctx, r)
	if err != nil || r.Disposition == "" {
		return out, err
	}
	wire.Files(out, r.Coverage)
	err = s.each(ctx, r, func(f *review.NumberedFinding) {
		out.Findings = append(out.Findings, wire.Finding(&f.Finding))
	})
	return out, err
}

// each calls fn with every finding of a review in its order.
func (s *Server) each(ctx context.Context, r *review.Review, fn func(*review.NumberedFinding)) error {
	people, err := s.people(ctx, r)
	if err != nil {
		return err
	}
	q := review.FindingQuery{Review: r.ID, Limit: findingsPage}
	for {
		page, err := s.p.Store.Findings(ctx, q)
		if err != nil {
			return err
		}
		for i := range page {
			if k := people[lifecycle.KnownID(page[i].Name)]; k != nil {
				lifecycle.Said(&page[i].Finding, k)
			}
			fn(&page[i])
			q.After = page[i].Ordinal
		}
		if len(page) < findingsPage {
			return nil
		}
	}
}

// shorten takes findings, then files, off a review until it fits a message, and names what was cut.
func shorten(r *reviewv1.Review) {
	size := proto.Size(r)
	if size > maxMessage {
		r.Cut = append(r.Cut, "findings")
		for size > maxMessage && len(r.GetFindings()) > 0 {
			last := len(r.GetFindings()) - 1
			size -= proto.Size(r.GetFindings()[last])
			r.Findings = r.GetFindings()[:last]
		}
	}
	if size > maxMessage {
		r.Cut = append(r.Cut, "coverage.files")
		for size > maxMessage && len(r.GetCoverage().GetFiles()) > 0 {
			last := len(r.GetCoverage().GetFiles()) - 1
			size -= proto.Size(r.GetCoverage().GetFiles()[last])
			r.Coverage.Files = r.GetCoverage().GetFiles()[:last]
		}
	}
}

// ListReviews implements reviewv1.ReviewServiceServer.
func (s *Server) ListReviews(ctx context.Context, req *reviewv1.ListReviewsRequest) (*reviewv1.ListReviewsResponse, error) {
	size := int(cmp.Or(req.GetPageSize(), defaultPage))
	filter := "reviews\x00" + auth.Owner(ctx) + "\x00" + req.GetSubject()
	var after struct {
		Created int64
		ID      job.ID
	}
	if err := pagetoken.Read(req.GetPageToken(), filter, &after); err != nil {
		return nil, err
	}
	q := review.ListQuery{Owner: auth.Owner(ctx), Subject: req.GetSubject(), Limit: size + 1}
	if after.ID != "" {
		q.After = review.Position{CreatedAt: time.UnixMicro(after.Created), ID: after.ID}
	}
	list, err := s.p.Store.List(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &reviewv1.ListReviewsResponse{}
	if len(list) > size {
		list = list[:size]
		after.Created, after.ID = list[size-1].CreatedAt.UnixMicro(), list[size-1].ID
		if out.NextPageToken, err = pagetoken.Write(filter, after); err != nil {
			return nil, err
		}
	}
	for i := range list {
		r, err := s.basic(ctx, &list[i])
		if err != nil {
			return nil, err
		}
		out.Reviews = append(out.Reviews, r)
	}
	return out, nil
}

// ListFindings implements reviewv1.ReviewServiceServer.
func (s *Server) ListFindings(ctx context.Context, req *reviewv1.ListFindingsRequest) (*reviewv1.ListFindingsResponse, error) {
	r, err := s.p.Store.Get(ctx, id(req.GetParent()), auth.Owner(ctx))
	if err != nil {
		return nil, err
	}
	size := int(cmp.Or(req.GetPageSize(), defaultPage))
	filter := "findings\x00" + string(r.ID) + "\x00" + req.GetMinSeverity().String() + "\x00" + req.GetOutcome().String()
	var after int
	if err := pagetoken.Read(req.GetPageToken(), filter, &after); err != nil {
		return nil, err
	}
	page, err := s.p.Store.Findings(ctx, review.FindingQuery{
		Review: r.ID, MinSeverity: wire.SeverityFrom(req.GetMinSeverity()), Outcome: wire.OutcomeFrom(req.GetOutcome()),
		After: after, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	out := &reviewv1.ListFindingsResponse{}
	if len(page) > size {
		page = page[:size]
		if out.NextPageToken, err = pagetoken.Write(filter, page[size-1].Ordinal); err != nil {
			return nil, err
		}
	}
	people, err := s.people(ctx, &r)
	if err != nil {
		return nil, err
	}
	for i := range page {
		if k := people[lifecycle.KnownID(page[i].Name)]; k != nil {
			lifecycle.Said(&page[i].Finding, k)
		}
		out.Findings = append(out.Findings, wire.Finding(&page[i].Finding))
	}
	return out, nil
}
