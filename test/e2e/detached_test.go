package e2e_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
)

// post starts a deliberation over REST.
func (n *node) post(text string) (job string) {
	n.t.Helper()
	body, err := json.Marshal(map[string]any{"council": "councils/default", "question": map[string]string{"text": text}})
	require.NoError(n.t, err)
	r := n.do("POST", "/v1/deliberations", string(body))
	require.Equal(n.t, http.StatusOK, r.Code, "%s", r.Body)
	var made struct {
		Job string `json:"job"`
	}
	require.NoError(n.t, json.Unmarshal(r.Body, &made))
	return made.Job
}

// TestStreamsCutAnywhereAreTheLog cuts the streams of one job: two viewers a format while it runs, at random events, then
// each format after every event of the finished log, also across a kill of the server.
func TestStreamsCutAnywhereAreTheLog(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	job := n.post("What do we know?")
	var viewers errgroup.Group
	running := make([][]string, 2*len(formats()))
	for i := range running {
		f := formats()[i/2]
		viewers.Go(func() error {
			running[i] = follow(t, n, f, job, 1+rand.IntN(6), 1+rand.IntN(9), 1+rand.IntN(12)) //nolint:gosec // any cut will do
			return nil
		})
	}
	require.NoError(t, viewers.Wait())
	log := n.pages(job)
	require.Greater(t, len(log), 20)
	for i, got := range running {
		require.Equal(t, log, got, "%s, cut while the job ran", formats()[i/2].name)
	}
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.job(job).GetState())

	everyCut(t, n, job, log)
	n = n.restart()
	require.Equal(t, log, n.pages(job))
	everyCut(t, n, job, log)
}

func everyCut(t *testing.T, n *node, job string, log []string) {
	t.Helper()
	for _, f := range formats() {
		for cut := 1; cut < len(log); cut++ {
			first, position, _ := f.read(t, n, job, "", cut)
			rest, _, ended := f.read(t, n, job, position, 0)
			require.Equal(t, log, append(first, rest...), "%s cut after event %d", f.name, cut)
			require.True(t, ended, f.name)
		}
	}
	for _, headers := range [][]string{{"Accept", "text/event-stream"}, nil} {
		headers = append(headers, "Last-Event-ID", strconv.Itoa(len(log)))
		require.Equal(t, http.StatusNoContent, n.do("GET", "/v1/"+job+":watch?after_seq=0", "", headers...).Code)
	}
	ahead := n.do("GET", "/v1/"+job+":watch", "", "Last-Event-ID", strconv.Itoa(len(log)+1))
	require.Equal(t, http.StatusBadRequest, ahead.Code)
	require.Equal(t, "SEQUENCE_AHEAD", ahead.reason())
}

// TestJobsCareForNobodyWhoWatches: the same question ends the same way with nobody, and with viewers that all go away.
func TestJobsCareForNobodyWhoWatches(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	watched, alone := n.post("Does it matter?"), n.post("Does it matter?")
	for cut := 1; cut <= 3; cut++ {
		for _, f := range formats() {
			got, _, _ := f.read(t, n, watched, "", cut) // and away it goes
			require.Len(t, got, cut)
		}
	}
	a, b := n.wait(watched), n.wait(alone)
	for _, j := range []*jobsv1.Job{a, b} {
		require.Equal(t, jobsv1.Job_SUCCEEDED, j.GetState())
		require.Equal(t, int64(7), j.GetLedger().GetCallsCompleted())
		require.Zero(t, j.GetLedger().GetCallsRepaid())
		require.Equal(t, int32(1), j.GetEpoch())
		requireDense(t, n.events(j.GetName()))
	}
	require.Len(t, n.log(), 14)
}

func TestASnapshotThenWhatFollows(t *testing.T) {
	t.Parallel()
	n := newWorld(t, quick).serve()
	job := n.post("Where were we?")
	n.until(job, nth(1, "council.member_answered"))
	stream, err := n.Jobs.WatchJob(bounded(t), &jobsv1.WatchJobRequest{Name: job})
	require.NoError(t, err)
	first, err := stream.Recv()
	require.NoError(t, err)
	at := first.GetSnapshot().GetAsOfSeq()
	require.Positive(t, at)
	require.Zero(t, first.GetSeq())
	var rest []string
	for {
		e, err := stream.Recv()
		require.NoError(t, err)
		if e.GetSeq() > 0 {
			rest = append(rest, eventJSON(t, e))
		}
		if e.GetFinal() {
			break
		}
	}
	require.Equal(t, n.pages(job)[at:], rest, "nothing falls between the snapshot and the stream")
}
