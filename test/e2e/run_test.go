package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

const runBody = `{"deliberation":{"request_id":"7c2b1c7e-30a5-4a6d-8c25-1f1f5f0e6a11","deliberation":{"council":"councils/default","question":{"text":"why?"}}}}`

// A job that is created and watched in one call goes on when that call is cut, and the same request leads back to it.
func TestRunCreatesAndWatchesInOneCall(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	resp, err := n.request(bounded(t), "POST", "/v1/jobs:run", []byte(runBody))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	line, err := bufio.NewReader(resp.Body).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close()) // cut
	var first struct {
		Snapshot struct{ Name, AsOfSeq string }
	}
	require.NoError(t, json.Unmarshal(line, &first))
	job := first.Snapshot.Name
	require.Regexp(t, `^jobs/`, job, "the first line says which job it is: %s", line)

	resp, err = n.request(bounded(t), "POST", "/v1/jobs:run", []byte(runBody), "Accept", "text/event-stream")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var seen []string
	behind, done := 0, false
	for e, err := range sse.Read(resp.Body, &sse.ReadConfig{MaxEventSize: 1 << 20}) {
		require.NoError(t, err)
		switch e.Type {
		case "job.snapshot":
			require.Contains(t, e.Data, job)
			behind = seqOf(e.LastEventID)
		case "done":
			done = true
		default:
			seen = append(seen, compact(t, []byte(e.Data)))
		}
	}
	require.True(t, done)
	all := n.pages(job)
	require.Equal(t, all[behind:], seen)
	require.Equal(t, "SUCCEEDED", n.job(job).GetState().String())
	require.Len(t, n.log(), 7, "nothing was asked twice")

	stream, err := n.Jobs.RunJob(bounded(t), &jobsv1.RunJobRequest{Create: &jobsv1.RunJobRequest_Deliberation{
		Deliberation: &councilv1.CreateDeliberationRequest{
			RequestId: "7c2b1c7e-30a5-4a6d-8c25-1f1f5f0e6a11",
			Deliberation: &councilv1.Deliberation{
				Council: "councils/default", Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: "why?"}},
			},
		},
	}})
	require.NoError(t, err)
	e, err := stream.Recv()
	require.NoError(t, err)
	require.Equal(t, job, e.GetSnapshot().GetName())
	require.NotNil(t, e.GetSnapshot().GetDeliberation())
	_, err = stream.Recv()
	require.ErrorIs(t, err, io.EOF)
}

// Who runs a job may do what it may do otherwise, and no more.
func TestRunGivesNobodyMoreThanItHas(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	body := fmt.Sprintf(`{"review":{"review":{"source":{"local_change":{"dir":%q,"mode":"UNCOMMITTED"}}}}}`, n.Dir)
	r := n.do("POST", "/v1/jobs:run", body)
	require.Equal(t, http.StatusForbidden, r.Code, "%s", r.Body)
	require.Equal(t, "LOCAL_SOURCE_REFUSED", r.reason())
	r = n.do("POST", "/v1/jobs:run", runBody, "Authorization", "Bearer nonsense")
	require.Equal(t, http.StatusUnauthorized, r.Code)
}

// Each way to follow a job says the same about positions.
func TestG06_PositionsMeanTheSameInEveryFormat(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	job := n.ask(question("why?")).GetJob()
	n.wait(job)
	last := len(n.pages(job))
	for _, accept := range []string{"text/event-stream", "application/json"} {
		r := n.do("GET", fmt.Sprintf("/v1/%s:watch?after_seq=%d", job, last), "", "Accept", accept)
		require.Equal(t, http.StatusNoContent, r.Code)
		r = n.do("GET", fmt.Sprintf("/v1/%s:watch?after_seq=%d", job, last+1), "", "Accept", accept)
		require.Equal(t, http.StatusBadRequest, r.Code)
		require.Equal(t, "SEQUENCE_AHEAD", r.reason())
		once := n.do("GET", fmt.Sprintf("/v1/%s:watch?from=BEGINNING", job), "", "Accept", accept)
		require.Equal(t, string(once.Body), string(n.do("GET", fmt.Sprintf("/v1/%s:watch?after_seq=0", job), "", "Accept", accept).Body),
			"a replay is the same bytes")
	}
	watch := func(after int64) error {
		stream, err := n.Jobs.WatchJob(bounded(t), &jobsv1.WatchJobRequest{Name: job, AfterSeq: &after})
		require.NoError(t, err)
		_, err = stream.Recv()
		return err
	}
	require.ErrorIs(t, watch(int64(last)), io.EOF)
	err := watch(int64(last + 1))
	require.Equal(t, codes.OutOfRange, status.Code(err))
	require.Equal(t, "SEQUENCE_AHEAD", info(err).GetReason())
}
