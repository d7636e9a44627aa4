package rpc_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/rpc"
)

func TestEachCallGoesToTheConnectionOfItsService(t *testing.T) {
	t.Parallel()
	asked := 0
	f := setup(t, rpc.Config{}, &jobs{
		get: func(context.Context) (*jobsv1.Job, error) { asked++; return &jobsv1.Job{}, nil },
		watch: func(stream grpc.ServerStreamingServer[jobsv1.JobEvent]) error {
			return stream.Send(&jobsv1.JobEvent{Seq: 7})
		},
	}, "")
	router := rpc.NewRouter(map[string]grpc.ClientConnInterface{"jobs": f.conn})
	_, err := jobsv1.NewJobServiceClient(router).GetJob(t.Context(), &jobsv1.GetJobRequest{Name: jobName})
	require.NoError(t, err)
	require.Equal(t, 1, asked)
	stream, err := jobsv1.NewJobServiceClient(router).WatchJob(t.Context(), &jobsv1.WatchJobRequest{Name: jobName})
	require.NoError(t, err)
	event, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, int64(7), event.GetSeq())

	_, err = councilv1.NewCouncilServiceClient(router).ListModels(t.Context(), &councilv1.ListModelsRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Contains(t, err.Error(), "services")
}
