package server_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/job"
	"witan.dev/services/jobs/server"
)

// failed is a job that ended without a result.
func (f *fixture) failed(t *testing.T) job.Fence {
	t.Helper()
	fence := f.running(t)
	_, err := f.store.Finish(t.Context(), fence, job.Outcome{
		State: job.StateFailed, Reason: "NO_ANSWER", Error: &job.Error{Code: 14, Reason: "NO_ANSWER", Message: "nobody"},
	})
	require.NoError(t, err)
	return fence
}

func (f *fixture) get(t *testing.T, name string) *jobsv1.Job {
	t.Helper()
	j, err := f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name})
	require.NoError(t, err)
	return j
}

func TestRetryingAJob(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.failed(t)
	before := f.get(t, name(fence))
	req := &jobsv1.RetryJobRequest{Name: name(fence), RequestId: uuid.NewString(), Etag: before.GetEtag()}
	for range 2 { // the second one says that it is known, although the etag is another by now
		j, err := f.client.RetryJob(ask(t), req)
		require.NoError(t, err)
		require.Equal(t, jobsv1.Job_QUEUED, j.GetState())
		require.Equal(t, int32(2), j.GetAttempt())
		require.Equal(t, before.GetLastSeq()+1, j.GetLastSeq())
		require.Empty(t, j.GetStateReason())
		require.Nil(t, j.GetError())
		require.Nil(t, j.GetEndTime())
	}
	_, err := f.client.RetryJob(ask(t), &jobsv1.RetryJobRequest{Name: name(fence), RequestId: req.GetRequestId()})
	refused(t, err, codes.AlreadyExists, "REQUEST_ID_REUSED")
	events := f.list(t, name(fence), 0)
	last, end := events[len(events)-1], events[len(events)-2]
	require.True(t, end.GetFinal())
	require.False(t, last.GetFinal())
	require.Equal(t, int32(2), last.GetStateChanged().GetAttempt())
	require.Equal(t, jobsv1.Job_QUEUED, last.GetStateChanged().GetState())
}

func TestRetriesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	running, failed := f.running(t), f.failed(t)
	succeeded := f.running(t)
	f.finish(t, succeeded)
	for what, c := range map[string]struct {
		name, etag string
		code       codes.Code
		reason     string
	}{
		"running":      {name(running), "", codes.FailedPrecondition, "JOB_NOT_FINISHED"},
		"succeeded":    {name(succeeded), "", codes.FailedPrecondition, "JOB_NOT_RETRYABLE"},
		"stale":        {name(failed), "1", codes.Aborted, "ETAG_MISMATCH"},
		"no etag":      {name(failed), "0", codes.Aborted, "ETAG_MISMATCH"},
		"foreign etag": {name(failed), "W/x", codes.Aborted, "ETAG_MISMATCH"},
		"unknown":      {"jobs/" + string(job.NewID()), "", codes.NotFound, "JOB_NOT_FOUND"},
	} {
		_, err := f.client.RetryJob(ask(t), &jobsv1.RetryJobRequest{Name: c.name, Etag: c.etag})
		require.Error(t, err, what)
		refused(t, err, c.code, c.reason)
	}
	_, err := f.client.RetryJob(as(t.Context(), "somebody else"), &jobsv1.RetryJobRequest{Name: name(failed)})
	refused(t, err, codes.NotFound, "JOB_NOT_FOUND")
	require.Equal(t, int32(1), f.get(t, name(failed)).GetAttempt())
}

func TestDeletingAJob(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	running, failed := f.running(t), f.failed(t)
	for what, c := range map[string]struct {
		name, etag string
		code       codes.Code
		reason     string
	}{
		"running": {name(running), "", codes.FailedPrecondition, "JOB_NOT_FINISHED"},
		"stale":   {name(failed), "1", codes.Aborted, "ETAG_MISMATCH"},
	} {
		_, err := f.client.DeleteJob(ask(t), &jobsv1.DeleteJobRequest{Name: c.name, Etag: c.etag})
		require.Error(t, err, what)
		refused(t, err, c.code, c.reason)
	}
	_, err := f.client.DeleteJob(as(t.Context(), "somebody else"), &jobsv1.DeleteJobRequest{Name: name(failed)})
	refused(t, err, codes.NotFound, "JOB_NOT_FOUND")
	_, err = f.client.DeleteJob(ask(t), &jobsv1.DeleteJobRequest{Name: name(failed), Etag: f.get(t, name(failed)).GetEtag()})
	require.NoError(t, err)
	_, err = f.client.GetJob(ask(t), &jobsv1.GetJobRequest{Name: name(failed)})
	refused(t, err, codes.NotFound, "JOB_NOT_FOUND")
	_, err = f.client.DeleteJob(ask(t), &jobsv1.DeleteJobRequest{Name: name(failed)})
	refused(t, err, codes.NotFound, "JOB_NOT_FOUND")
}

func TestTextsOfAnEarlierAttemptAreNobodys(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	fence := f.running(t)
	f.delta(t, fence, "m1", 1, 0, "half a sen")
	_, err := f.store.Finish(t.Context(), fence, job.Outcome{State: job.StateFailed})
	require.NoError(t, err)
	_, err = f.client.RetryJob(ask(t), &jobsv1.RetryJobRequest{Name: name(fence)})
	require.NoError(t, err)
	j, _, err := f.store.Begin(t.Context(), job.Attempt{ID: fence.ID, Number: 2}, 10)
	require.NoError(t, err)
	f.delta(t, job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt}, "m2", 1, 0, "anew")
	frame := receive(t, f.watch(t, &jobsv1.WatchJobRequest{Name: name(fence)}))
	texts := frame.GetSnapshot().GetPartialTexts()
	require.Len(t, texts, 1)
	require.Equal(t, "anew", texts[0].GetText())
}
