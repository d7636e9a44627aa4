package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/rpc"
	"witan.dev/services/jobs/server"
)

// council creates jobs that nobody runs, for whoever asks, and refuses every question that is empty of sense.
type council struct {
	councilv1.UnimplementedCouncilServiceServer

	jobs      *job.Manager
	requestID string
}

func (c *council) CreateDeliberation(ctx context.Context, req *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	if req.GetDeliberation().GetQuestion().GetText() == "nothing" {
		return nil, apierr.Precondition(apierr.ReasonNoModelConfigured, "configure a model").With("hint", "doctor")
	}
	c.requestID = rpc.RequestID(ctx)
	j, _, err := c.jobs.Create(ctx, job.Creation{
		ID: job.NewID(), Kind: job.KindCouncil, Owner: auth.Owner(ctx), Method: "CreateDeliberation", RequestID: req.GetRequestId(),
	})
	return &councilv1.Deliberation{Job: "jobs/" + string(j.ID)}, err
}

func question(text string) *jobsv1.RunJobRequest {
	return &jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Deliberation{Deliberation: &councilv1.CreateDeliberationRequest{
		RequestId:    "7c2b1c7e-30a5-4a6d-8c25-1f1f5f0e6a11",
		Deliberation: &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: text}}},
	}}}
}

func (f *fixture) run(ctx context.Context, t *testing.T, req *jobsv1.RunJobRequest) grpc.ServerStreamingClient[jobsv1.JobEvent] {
	t.Helper()
	stream, err := f.client.RunJob(ctx, req)
	require.NoError(t, err)
	return stream
}

func TestG01_RunningAJobIsCreatingAndWatchingIt(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	ctx, cut := context.WithCancel(metadata.AppendToOutgoingContext(ask(t), rpc.RequestIDHeader, "asked-here"))
	stream := f.run(ctx, t, question("why?"))
	_, err := stream.Header()
	require.NoError(t, err)
	first := receive(t, stream)
	require.Zero(t, first.GetSeq())
	require.Equal(t, int64(1), first.GetSnapshot().GetAsOfSeq())
	require.Equal(t, jobsv1.Job_QUEUED, first.GetSnapshot().GetState())
	id := job.ID(first.GetSnapshot().GetName()[len("jobs/"):])
	require.Equal(t, "asked-here", f.council.requestID, "one request, one ID in all logs")
	j, err := f.store.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, me, j.Owner, "created for who asked")

	j, w, err := f.store.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 10)
	require.NoError(t, err)
	f.bus.Publish(t.Context(), job.SeqTopic(id), w.LastSeq)
	require.Equal(t, int64(2), receive(t, stream).GetSeq())
	before := f.get(t, first.GetSnapshot().GetName())
	cut()
	_, err = stream.Recv()
	require.Error(t, err)
	equal(t, before, f.get(t, first.GetSnapshot().GetName()))

	again := f.run(ask(t), t, question("why?"))
	require.Equal(t, first.GetSnapshot().GetName(), receive(t, again).GetSnapshot().GetName(), "the same request is the same job")
	fence := job.Fence{ID: id, Epoch: j.Epoch, Attempt: j.Attempt}
	f.delta(t, fence, "m1", 1, 0, "because")
	f.finish(t, fence)
	rest := drain(t, again)
	require.Len(t, rest, 2)
	require.True(t, rest[1].GetFinal())
	require.NotNil(t, receive(t, f.run(ask(t), t, question("why?"))).GetSnapshot().GetDeliberation(), "also when it is over")
}

func TestRunningAJobFiltersAsWatchingItDoes(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	req := question("why?")
	req.OmitDeltas, req.Types = true, []string{"council.member_answered"}
	stream := f.run(ask(t), t, req)
	id := job.ID(receive(t, stream).GetSnapshot().GetName()[len("jobs/"):])
	j, _, err := f.store.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 10)
	require.NoError(t, err)
	fence := job.Fence{ID: id, Epoch: j.Epoch, Attempt: j.Attempt}
	f.delta(t, fence, "m1", 1, 0, "x")
	f.answered(t, fence, "m1")
	f.finish(t, fence)
	rest := drain(t, stream)
	require.Len(t, rest, 2)
	require.Equal(t, int64(4), rest[0].GetSeq())
	require.Equal(t, int64(5), rest[1].GetSeq())
}

func TestWhatCannotBeRunIsRefusedBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	dry := question("why?")
	dry.GetDeliberation().ValidateOnly = true
	invalid := question("why?")
	invalid.GetDeliberation().RequestId = "1"
	for what, c := range map[string]struct {
		req    *jobsv1.RunJobRequest
		code   codes.Code
		reason string
	}{
		"the owner's refusal": {question("nothing"), codes.FailedPrecondition, "NO_MODEL_CONFIGURED"},
		"a dry run":           {dry, codes.InvalidArgument, "INVALID_REQUEST"},
		"a bad field":         {invalid, codes.InvalidArgument, "INVALID_REQUEST"},
		"nothing":             {&jobsv1.RunJobRequest{}, codes.InvalidArgument, "INVALID_REQUEST"},
		"no such owner": {&jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Review{Review: &reviewv1.CreateReviewRequest{
			Review: &reviewv1.Review{Source: &reviewv1.Source{Source: &reviewv1.Source_LocalChange{LocalChange: &reviewv1.LocalChange{
				Dir: "/x", Mode: reviewv1.LocalChange_STAGED,
			}}}},
		}}}, codes.Unimplemented, "NOT_IMPLEMENTED"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			stream := f.run(ask(t), t, proto.CloneOf(c.req))
			header, err := stream.Header()
			require.NoError(t, err)
			require.Nil(t, header, "headers are the sign that something runs")
			_, err = stream.Recv()
			refused(t, err, c.code, c.reason)
		})
	}
	_, err := f.run(as(t.Context(), ""), t, question("why?")).Recv()
	refused(t, err, codes.Unauthenticated, "TOKEN_INVALID")
}
