package peers

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/job"
	"witan.dev/services/review"
)

const (
	// firstPause and maxPause are how long to wait before a lost watch is opened again.
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// Jobs is a review.Jobs over gRPC. Safe for concurrent use.
type Jobs struct {
	client jobsv1.JobServiceClient
}

var _ review.Jobs = (*Jobs)(nil)

// NewJobs returns a follower of jobs that are reached over the connection.
func NewJobs(conn grpc.ClientConnInterface) *Jobs {
	return &Jobs{client: jobsv1.NewJobServiceClient(conn)}
}

// Wait implements review.Jobs: it watches like any client does, and watches again from a snapshot when the stream ends
// before the job.
func (j *Jobs) Wait(ctx context.Context, name string) (review.JobState, error) {
	pause := firstPause
	for {
		state, alive, err := j.watch(ctx, name)
		if state.State != "" || ctx.Err() != nil {
			return state, context.Cause(ctx)
		}
		if err != nil {
			if failed := callError(ctx, "watch "+name, err); !errors.Is(failed, review.ErrUnavailable) {
				return review.JobState{}, failed
			}
		}
		if alive {
			pause = firstPause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return review.JobState{}, context.Cause(ctx)
		}
		pause = min(2*pause, maxPause)
	}
}

// Retry implements review.Jobs.
func (j *Jobs) Retry(ctx context.Context, name, requestID string) error {
	_, err := j.client.RetryJob(ctx, &jobsv1.RetryJobRequest{Name: name, RequestId: requestID})
	err = callError(ctx, "retry "+name, err)
	if errors.Is(err, job.ErrNotRetryable) || errors.Is(err, job.ErrNotFinished) {
		return nil
	}
	return err
}

// Cancel implements review.Jobs.
func (j *Jobs) Cancel(ctx context.Context, name string) error {
	_, err := j.client.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: name})
	if err = callError(ctx, "cancel "+name, err); errors.Is(err, job.ErrNotFound) {
		return nil
	}
	return err
}

// CancelStarted implements review.Jobs.
func (j *Jobs) CancelStarted(ctx context.Context, parent string, kind job.Kind) error {
	req := &jobsv1.ListJobsRequest{
		Kind: string(kind), ParentJob: parent, States: []jobsv1.Job_State{jobsv1.Job_QUEUED, jobsv1.Job_RUNNING},
	}
	for {
		page, err := j.client.ListJobs(ctx, req)
		if err != nil {
			return callError(ctx, "list what "+parent+" started", err)
		}
		for _, started := range page.GetJobs() {
			if _, err := j.client.CancelJob(ctx, &jobsv1.CancelJobRequest{Name: started.GetName()}); err != nil {
				return callError(ctx, "cancel "+started.GetName(), err)
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			return nil
		}
	}
}

// watch follows one stream: states are all that it needs, so that the server neither reads nor sends anything else. It returns a state only when the job has ended; alive says that anything came.
func (j *Jobs) watch(ctx context.Context, name string) (state review.JobState, alive bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := j.client.WatchJob(ctx, &jobsv1.WatchJobRequest{
		Name: name, From: jobsv1.WatchJobRequest_SNAPSHOT, OmitDeltas: true, Types: []string{job.TypeStateChanged},
	})
	if err != nil {
		return review.JobState{}, false, err
	}
	for {
		event, err := stream.Recv()
		if err != nil {
			return review.JobState{}, alive, ignoreEOF(err)
		}
		alive = true
		if s := event.GetSnapshot(); s != nil && terminal(s.GetState()) {
			return review.JobState{State: s.GetState().String(), Reason: s.GetStateReason()}, true, nil
		}
		if c := event.GetStateChanged(); c != nil && terminal(c.GetState()) {
			return review.JobState{State: c.GetState().String(), Reason: c.GetStateReason()}, true, nil
		}
	}
}

func terminal(s jobsv1.Job_State) bool {
	switch s {
	case jobsv1.Job_SUCCEEDED, jobsv1.Job_PARTIALLY_SUCCEEDED, jobsv1.Job_FAILED, jobsv1.Job_CANCELLED, jobsv1.Job_EXPIRED:
		return true
	case jobsv1.Job_STATE_UNSPECIFIED, jobsv1.Job_QUEUED, jobsv1.Job_RUNNING, jobsv1.Job_CANCELLING:
		return false
	}
	return false
}

// ignoreEOF makes the orderly end of a stream no error: the server drained, or closed at the maximum age.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
