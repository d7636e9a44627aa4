package server_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/gateway/server"
)

const (
	runPath = "/v1/jobs:run"
	runBody = `{"deliberation":{"deliberation":{"question":{"text":"why?"}},"request_id":"7c2b1c7e-30a5-4a6d-8c25-1f1f5f0e6a11"},"omitDeltas":true}`
	// lateBody asks for a review of a diff, which is refused.
	lateBody = `{"review":{"review":{"source":{"diff":{"data":"eA=="}}}}}`
)

// post sends a body and reads the stream that it answers with.
func (f fixture) post(body, accept string) *viewer {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+runPath, strings.NewReader(body))
	require.NoError(f.t, err)
	req.Header.Set("Accept", accept)
	resp, err := f.client.Do(req)
	require.NoError(f.t, err)
	f.t.Cleanup(func() {
		cancel()
		require.NoError(f.t, resp.Body.Close())
	})
	return &viewer{t: f.t, resp: resp, body: bufio.NewReader(resp.Body), stop: cancel}
}

func TestRunStreamsAsWatchDoes(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	v, l := f.post(runBody, acceptSSE), f.post(runBody, "application/json")
	require.Equal(t, "text/event-stream", v.resp.Header.Get("Content-Type"))
	require.Equal(t, "application/x-ndjson", l.resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", l.resp.Header.Get("Cache-Control"))
	v.frame()
	require.Contains(t, v.frame(), "id: 1\nevent: job.snapshot\n")
	require.Equal(t, jobName, l.line().GetSnapshot().GetName())
	f.jobs.add(true, "end")
	require.Contains(t, v.frame(), "id: 2\n")
	require.Equal(t, "event: done\ndata: {}\n", v.frame())
	v.requireEnd()
	require.True(t, l.line().GetFinal())
	l.requireEnd()
	require.Equal(t, "why?", f.jobs.run.GetDeliberation().GetDeliberation().GetQuestion().GetText())
	require.True(t, f.jobs.run.GetOmitDeltas())
}

func TestRunRefusesBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	for name, c := range map[string]struct {
		path, body     string
		code           int
		status, reason string
	}{
		"the owner's refusal": {runPath, lateBody, 400, "FAILED_PRECONDITION", "NO_CHANGES"},
		"nothing":             {runPath, `{}`, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"no body":             {runPath, ``, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"no JSON":             {runPath, `{`, 400, "INVALID_ARGUMENT", "MALFORMED_BODY"},
		"unknown field":       {runPath, `{"deliberations":{}}`, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"bad field":           {runPath, strings.Replace(runBody, "7c2b", "xyz", 1), 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"parameter":           {runPath + "?omit_deltas=true", runBody, 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
	} {
		for _, accept := range []string{acceptSSE, "application/json"} {
			t.Run(name+" "+accept, func(t *testing.T) {
				t.Parallel()
				f := f
				f.t = t
				f.requireError(f.do("POST", c.path, c.body, "Accept", accept), c.code, c.status, c.reason)
			})
		}
	}
}

// TestALateRefusalOfARunKeepsItsStatus: to create may take longer than what a watch waits for before it begins.
func TestALateRefusalOfARunKeepsItsStatus(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{Heartbeat: 10 * time.Millisecond})
	f.jobs.slow = time.After(1500 * time.Millisecond)
	f.requireError(f.do("POST", runPath, lateBody, "Accept", acceptSSE), 400, "FAILED_PRECONDITION", "NO_CHANGES")
}

func TestARunThatTheStopMeetsIsAskedForAgain(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.slow = make(chan time.Time)
	f.http.Drain()
	got := f.do("POST", runPath, runBody)
	f.requireError(got, 503, "UNAVAILABLE", "SERVER_STOPPING")
	require.Equal(t, "1", got.header.Get("Retry-After"))
}
