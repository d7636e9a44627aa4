package peers_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/peers"
)

// answers is a parser that sends the same answers to whatever is asked.
type answers struct {
	parserv1.UnimplementedParserServiceServer

	ids []string
}

func (a answers) ParseMany(stream parserv1.ParserService_ParseManyServer) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	for _, id := range a.ids {
		if err := stream.Send(&parserv1.ParseManyResponse{Response: &parserv1.ParseResponse{Id: id}}); err != nil {
			return err
		}
	}
	<-stream.Context().Done() // the stream stays open: the caller must end it
	return stream.Context().Err()
}

func serve(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	memory, server := bufconn.Listen(1<<16), grpc.NewServer()
	register(server)
	done := make(chan error, 1)
	go func() { done <- server.Serve(memory) }()
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return memory.DialContext(ctx) }))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-done)
	})
	return conn
}

func TestAnswersThatNobodyWaitsForEndTheParsing(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", review.MaxText+1)
	for name, c := range map[string]struct {
		ids   []string
		words string
	}{
		"twice":    {[]string{"0", "0"}, "twice"},
		"not sent": {[]string{"1"}, "not sent"},
		"unknown":  {[]string{"7"}, "not sent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := serve(t, func(s *grpc.Server) { parserv1.RegisterParserServiceServer(s, answers{ids: c.ids}) })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := peers.NewParser(conn).Parse(ctx, []review.ParseInput{{Path: "a.go"}, {Path: "b.go", Content: []byte(large)}})
			require.ErrorContains(t, err, c.words)
		})
	}
}

// jobs is a job service that notes what it is asked.
type jobs struct {
	jobsv1.UnimplementedJobServiceServer

	watched   chan *jobsv1.WatchJobRequest
	listed    chan *jobsv1.ListJobsRequest
	cancelled chan string
}

func (j *jobs) WatchJob(req *jobsv1.WatchJobRequest, stream jobsv1.JobService_WatchJobServer) error {
	j.watched <- req
	return stream.Send(&jobsv1.JobEvent{Event: &jobsv1.JobEvent_Snapshot{Snapshot: &jobsv1.Job{State: jobsv1.Job_SUCCEEDED}}})
}

func (j *jobs) ListJobs(_ context.Context, req *jobsv1.ListJobsRequest) (*jobsv1.ListJobsResponse, error) {
	j.listed <- req
	if req.GetPageToken() == "" {
		return &jobsv1.ListJobsResponse{Jobs: []*jobsv1.Job{{Name: "jobs/one"}}, NextPageToken: "more"}, nil
	}
	return &jobsv1.ListJobsResponse{Jobs: []*jobsv1.Job{{Name: "jobs/two"}}}, nil
}

func (j *jobs) CancelJob(_ context.Context, req *jobsv1.CancelJobRequest) (*jobsv1.Job, error) {
	j.cancelled <- req.GetName()
	return &jobsv1.Job{}, nil
}

func TestJobsAreFollowedByTheirStatesAndCancelledByTheirParent(t *testing.T) {
	t.Parallel()
	service := &jobs{watched: make(chan *jobsv1.WatchJobRequest, 1), listed: make(chan *jobsv1.ListJobsRequest, 2), cancelled: make(chan string, 2)}
	client := peers.NewJobs(serve(t, func(s *grpc.Server) { jobsv1.RegisterJobServiceServer(s, service) }))
	state, err := client.Wait(t.Context(), "jobs/one")
	require.NoError(t, err)
	require.Equal(t, "SUCCEEDED", state.State)
	req := <-service.watched
	require.True(t, req.GetOmitDeltas())
	require.Equal(t, []string{job.TypeStateChanged}, req.GetTypes())

	require.NoError(t, client.CancelStarted(t.Context(), "jobs/parent", job.KindCouncil))
	require.Equal(t, "jobs/one", <-service.cancelled)
	require.Equal(t, "jobs/two", <-service.cancelled)
	asked := <-service.listed
	require.Equal(t, "jobs/parent", asked.GetParentJob())
	require.Equal(t, "council", asked.GetKind())
}
