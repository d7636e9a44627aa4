package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/rpc"
	"witan.dev/services/jobs"
)

// Creators are the owners of what RunJob creates, as their generated clients are. Their connection has no credentials of
// its own: each call shows what the caller of RunJob showed, so it may do what the caller may. One that is nil makes
// RunJob refuse what it would create.
type Creators struct {
	Reviews  ReviewCreator
	Councils DeliberationCreator
	Indexes  IndexCreator
}

// ReviewCreator creates reviews. reviewv1.ReviewServiceClient is one.
type ReviewCreator interface {
	CreateReview(ctx context.Context, req *reviewv1.CreateReviewRequest, opts ...grpc.CallOption) (*reviewv1.Review, error)
}

// DeliberationCreator creates deliberations. councilv1.CouncilServiceClient is one.
type DeliberationCreator interface {
	CreateDeliberation(ctx context.Context, req *councilv1.CreateDeliberationRequest, opts ...grpc.CallOption) (*councilv1.Deliberation, error)
}

// IndexCreator creates indexes. retrievalv1.RetrievalServiceClient is one.
type IndexCreator interface {
	CreateIndex(ctx context.Context, req *retrievalv1.CreateIndexRequest, opts ...grpc.CallOption) (*retrievalv1.Index, error)
}

// NewCreators reaches all owners by one connection.
func NewCreators(conn grpc.ClientConnInterface) Creators {
	return Creators{
		Reviews: reviewv1.NewReviewServiceClient(conn), Councils: councilv1.NewCouncilServiceClient(conn),
		Indexes: retrievalv1.NewRetrievalServiceClient(conn),
	}
}

// RunJob implements JobService.
func (s *Server) RunJob(req *jobsv1.RunJobRequest, stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
	ctx := stream.Context()
	name, err := s.creators.create(asCaller(ctx), req)
	if err != nil {
		return err
	}
	j, err := s.own(ctx, name)
	if err != nil {
		return err
	}
	return s.stream(stream, j, view{
		after: j.LastSeq, snapshot: true, filter: jobs.Filter{OmitDeltas: req.GetOmitDeltas(), Types: req.GetTypes()},
	})
}

// create lets the owner create what was asked for and returns the name of the job. The owner's refusals go to the caller
// as they are.
func (c Creators) create(ctx context.Context, req *jobsv1.RunJobRequest) (string, error) {
	switch what := req.GetCreate().(type) {
	case *jobsv1.RunJobRequest_Review:
		if c.Reviews != nil {
			made, err := c.Reviews.CreateReview(ctx, what.Review)
			return made.GetJob(), err
		}
	case *jobsv1.RunJobRequest_Deliberation:
		if what.Deliberation.GetValidateOnly() {
			return "", jobs.ErrNothingToRun.Field("deliberation.validate_only", "creates nothing that could run")
		}
		if c.Councils != nil {
			made, err := c.Councils.CreateDeliberation(ctx, what.Deliberation)
			return made.GetJob(), err
		}
	case *jobsv1.RunJobRequest_Index:
		if c.Indexes != nil {
			made, err := c.Indexes.CreateIndex(ctx, what.Index)
			return made.GetJob(), err
		}
	}
	return "", jobs.ErrNotImplemented.With("rpc", "RunJob")
}

// asCaller makes calls show what the caller showed, and be logged under the same request ID.
func asCaller(ctx context.Context) context.Context {
	shown := metadata.MD{}
	for _, key := range []string{"authorization", auth.OwnerKey} {
		if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
			shown.Set(key, values...)
		}
	}
	if id := rpc.RequestID(ctx); id != "" {
		shown.Set(rpc.RequestIDHeader, id)
	}
	return metadata.NewOutgoingContext(ctx, shown)
}
