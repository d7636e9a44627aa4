package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/apierr"
	"witan.dev/services/gateway/server"
)

const (
	watchPath = "/v1/" + jobName + ":watch"
	acceptSSE = "text/event-stream, */*"
)

// viewer reads one stream frame by frame.
type viewer struct {
	t    *testing.T
	resp *http.Response
	body *bufio.Reader
	stop context.CancelFunc
}

func (f fixture) view(query string, headers ...string) *viewer {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+watchPath+query, nil)
	require.NoError(f.t, err)
	setHeaders(req, headers)
	resp, err := f.client.Do(req)
	require.NoError(f.t, err)
	v := &viewer{t: f.t, resp: resp, body: bufio.NewReader(resp.Body), stop: cancel}
	f.t.Cleanup(func() {
		cancel()
		require.NoError(f.t, resp.Body.Close())
	})
	return v
}

// frame is the text up to the next empty line, without it.
func (v *viewer) frame() string {
	v.t.Helper()
	var text strings.Builder
	for {
		line, err := v.body.ReadString('\n')
		require.NoError(v.t, err, "after %q", text.String())
		if line == "\n" {
			return text.String()
		}
		text.WriteString(line)
	}
}

// line is the next line of newline-delimited JSON.
func (v *viewer) line() *jobsv1.JobEvent {
	v.t.Helper()
	line, err := v.body.ReadString('\n')
	require.NoError(v.t, err)
	return v.event(line)
}

func (v *viewer) event(text string) *jobsv1.JobEvent {
	v.t.Helper()
	var e jobsv1.JobEvent
	require.NoError(v.t, protojson.Unmarshal([]byte(text), &e), "%s", text)
	return &e
}

func (v *viewer) requireEnd() {
	v.t.Helper()
	rest, err := io.ReadAll(v.body)
	require.NoError(v.t, err)
	require.Empty(v.t, string(rest))
}

func TestG04_SSEFrames(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	require.Equal(t, 200, v.resp.StatusCode)
	require.Equal(t, "text/event-stream", v.resp.Header.Get("Content-Type"))
	require.Equal(t, "no-store", v.resp.Header.Get("Cache-Control"))
	require.Equal(t, "no", v.resp.Header.Get("X-Accel-Buffering"))
	hello := v.frame()
	require.Contains(t, hello, "retry: 1000\n")
	require.Contains(t, hello, ": connected\n")
	first := v.frame()
	require.True(t, strings.HasPrefix(first, "id: 1\nevent: council.member_delta\ndata: {\"seq\":\"1\","), first)
	f.jobs.add(true, "two", "end")
	require.Contains(t, v.frame(), "id: 2\n")
	final := v.frame()
	require.Contains(t, final, "id: 3\nevent: job.state_changed\n")
	require.Contains(t, final, `"final":true`)
	require.Equal(t, "event: done\ndata: {}\n", v.frame())
	v.requireEnd()
}

func TestG13_StreamsBeginBeforeAnythingHappens(t *testing.T) {
	t.Parallel()
	for _, mute := range []bool{false, true} {
		f := setup(t, server.Config{})
		f.jobs.mute = mute
		v := f.view("?after_seq=0", "Accept", acceptSSE)
		require.Contains(t, v.frame(), "connected")
		require.Equal(t, 200, f.view("").resp.StatusCode)
	}
}

func TestG05_SnapshotHasItsPlaceAsID(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one", "two")
	v := f.view("", "Accept", acceptSSE)
	v.frame()
	snapshot := v.frame()
	require.Contains(t, snapshot, "id: 2\nevent: job.snapshot\n")
	require.Contains(t, snapshot, `data: {"seq":"0"`)
	f.jobs.add(true, "end")
	require.Contains(t, v.frame(), "id: 3\n")
	require.Contains(t, v.frame(), "event: done\n")

	v = f.view("", "Accept", acceptSSE) // a finished job is a snapshot and done
	v.frame()
	require.Contains(t, v.frame(), "id: 3\nevent: job.snapshot\n")
	require.Equal(t, "event: done\ndata: {}\n", v.frame())
	v.requireEnd()
}

func TestLinesAreEventsAlone(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one\ntwo")
	v := f.view("?after_seq=0")
	require.Equal(t, "application/x-ndjson", v.resp.Header.Get("Content-Type"))
	require.Equal(t, "one\ntwo", v.line().GetCouncil().GetMemberDelta().GetText())
	f.jobs.add(true, "end")
	require.True(t, v.line().GetFinal())
	v.requireEnd()
}

// TestG03_CutAnywhereAndResumed cuts after each event and reads on: the pieces together are what ListJobEvents says, for
// both formats, for two viewers at once, during the job and after it.
func TestG03_CutAnywhereAndResumed(t *testing.T) {
	t.Parallel()
	const total = 12
	for _, accept := range []string{acceptSSE, "application/json"} {
		for cut := range total {
			t.Run(fmt.Sprintf("%s after %d", strings.Fields(accept)[0], cut), func(t *testing.T) {
				t.Parallel()
				f := setup(t, server.Config{})
				f.jobs.add(false, texts(total/2)...)
				first, other := f.view("?after_seq=0", "Accept", accept), f.view("?after_seq=0", "Accept", accept)
				var got []*jobsv1.JobEvent
				for range min(cut, total/2) {
					got = append(got, nextEvent(first, accept))
				}
				f.jobs.add(true, texts(total-total/2)...)
				for range cut - len(got) {
					got = append(got, nextEvent(first, accept))
				}
				first.stop()
				second := f.view("?after_seq=0", "Accept", accept, "Last-Event-ID", fmt.Sprint(cut))
				got = append(got, rest(second, accept)...)
				want := f.pages()
				require.Len(t, want, total)
				require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
				require.Empty(t, cmp.Diff(want, rest(other, accept), protocmp.Transform()))
				require.Empty(t, cmp.Diff(want, rest(f.view("?from=BEGINNING", "Accept", accept), accept), protocmp.Transform()))
			})
		}
	}
}

func texts(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("piece %d\nwith a line break", i))
	}
	return all
}

func (f fixture) pages() []*jobsv1.JobEvent {
	f.t.Helper()
	var page jobsv1.ListJobEventsResponse
	require.NoError(f.t, protojson.Unmarshal(f.do("GET", "/v1/"+jobName+"/events?after_seq=0&page_size=100", "").body, &page))
	return page.GetEvents()
}

// nextEvent skips what is not in the log.
func nextEvent(v *viewer, accept string) *jobsv1.JobEvent {
	v.t.Helper()
	if accept != acceptSSE {
		return v.line()
	}
	for {
		frame := v.frame()
		if !strings.HasPrefix(frame, "id: ") {
			continue
		}
		_, data, _ := strings.Cut(frame, "data: ")
		return v.event(data)
	}
}

// rest reads a stream to its end, with a stranger's reader for server-sent events.
func rest(v *viewer, accept string) []*jobsv1.JobEvent {
	v.t.Helper()
	var all []*jobsv1.JobEvent
	if accept != acceptSSE {
		for {
			line, err := v.body.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return all
			}
			require.NoError(v.t, err)
			all = append(all, v.event(line))
		}
	}
	done := false
	for event, err := range sse.Read(v.body, nil) {
		require.NoError(v.t, err)
		if event.Type == "done" {
			done = true
			continue
		}
		require.False(v.t, done, "nothing comes after done")
		all = append(all, v.event(event.Data))
	}
	require.True(v.t, done)
	return all
}

func TestG08_CaughtUpWithAFinishedJobIs204(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(true, "one", "end")
	for _, query := range []string{"?after_seq=2", "?from=NOW", "?after_seq=0"} {
		headers := []string{"Accept", acceptSSE}
		if query == "?after_seq=0" {
			headers = append(headers, "Last-Event-ID", "2") // the header beats the address
		}
		require.Equal(t, http.StatusNoContent, f.view(query, headers...).resp.StatusCode, query)
	}
	require.Equal(t, http.StatusOK, f.view("?after_seq=1", "Accept", acceptSSE).resp.StatusCode)
}

func TestG04_HeaderBeatsWhereTheFirstConnectionBegan(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(true, "one", "two", "end")
	for _, first := range []string{"?from=NOW", "?after_seq=0", "?after_seq=3"} {
		require.Len(t, rest(f.view(first, "Accept", acceptSSE, "Last-Event-ID", "1"), acceptSSE), 2, first)
	}
}

func TestG06_RefusalsComeBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one", "two", "three", "four")
	f.jobs.expire(2)
	for name, c := range map[string]struct {
		query, lastEventID string
		code               int
		status, reason     string
	}{
		"expired":         {"?after_seq=0", "", 410, "OUT_OF_RANGE", "HISTORY_EXPIRED"},
		"expired header":  {"", "1", 410, "OUT_OF_RANGE", "HISTORY_EXPIRED"},
		"ahead":           {"?after_seq=5", "", 400, "OUT_OF_RANGE", "SEQUENCE_AHEAD"},
		"negative":        {"?after_seq=-1", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"no number":       {"?after_seq=0", "abc", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"two starts":      {"?after_seq=3&from=NOW", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"unknown start":   {"?from=YESTERDAY", "", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_INVALID"},
		"unknown":         {"?afterseq=3", "", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"malformed types": {"?types=all", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
	} {
		for _, accept := range []string{acceptSSE, "application/json"} {
			t.Run(name+" "+accept, func(t *testing.T) {
				t.Parallel()
				f := f
				f.t = t
				headers := []string{"Accept", accept}
				if c.lastEventID != "" {
					headers = append(headers, "Last-Event-ID", c.lastEventID)
				}
				f.requireError(read(t, f.view(c.query, headers...).resp), c.code, c.status, c.reason)
			})
		}
	}
	require.Equal(t, 200, f.do("GET", "/v1/"+jobName, "").code)
	f.requireError(f.do("GET", "/v1/jobs/aaaaaaaaaaaaaaaaaaaaaaaaaa:watch", "", "Accept", acceptSSE), 404, "NOT_FOUND", "JOB_NOT_FOUND")
}

func TestLateFailureIsAnEventWithoutID(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	v, l := f.view("?after_seq=0", "Accept", acceptSSE), f.view("?after_seq=0")
	v.frame()
	v.frame()
	l.line()
	f.jobs.breakOff(apierr.Unavailable(apierr.ReasonViewerTooSlow, "too slow").With("seq", "1"))
	frame := v.frame()
	require.True(t, strings.HasPrefix(frame, "event: stream_error\ndata: {\"error\":{\"code\":503"), frame)
	require.Contains(t, frame, "VIEWER_TOO_SLOW")
	v.requireEnd()
	line, err := l.body.ReadBytes('\n')
	require.NoError(t, err)
	var e apiError
	require.NoError(t, json.Unmarshal(line, &e))
	require.Equal(t, "VIEWER_TOO_SLOW", e.Error.Details[0].Reason)
	l.requireEnd()
}

func TestG13_SilenceIsFilledWithHeartbeats(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{Heartbeat: 20 * time.Millisecond})
	f.jobs.add(false, "one")
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	v.frame()
	v.frame()
	require.Equal(t, ": heartbeat 1\n", v.frame())
	require.Equal(t, ": heartbeat 1\n", v.frame())
	l := f.view("?after_seq=0")
	require.Equal(t, int64(1), l.line().GetSeq())
	beat := l.line()
	require.Zero(t, beat.GetSeq())
	require.Equal(t, int64(1), beat.GetHeartbeat().GetLastSeq())
}

func TestG13_StopEndsStreamsCleanlyAndWithoutDone(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	v.frame()
	v.frame()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, f.http.Stop(ctx))
	v.requireEnd()
}

// TestABrowserThatComesDuringAStopComesBack: EventSource gives up for good on an answer that is no event stream.
func TestABrowserThatComesDuringAStopComesBack(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.http.Drain()
	for range 20 { // whichever of the two comes first
		v := f.view("?after_seq=0", "Accept", acceptSSE)
		require.Equal(t, http.StatusOK, v.resp.StatusCode)
		require.Equal(t, "text/event-stream", v.resp.Header.Get("Content-Type"))
	}
}

func TestG13_AgedStreamEndsWithoutDone(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	v, snapshot := f.view("?after_seq=0", "Accept", acceptSSE), f.view("", "Accept", acceptSSE)
	for range 2 {
		v.frame()
		snapshot.frame()
	}
	f.jobs.age()
	v.requireEnd()
	snapshot.requireEnd()
}

func TestViewersThatLeaveAreForgotten(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	v.frame()
	v.stop()
	require.Eventually(t, func() bool {
		f.jobs.mu.Lock()
		defer f.jobs.mu.Unlock()
		return f.jobs.viewers == 0
	}, 10*time.Second, 5*time.Millisecond)
}

func TestStreamsOverUnencryptedHTTP2(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(true, "one", "end")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	f.client = &http.Client{Transport: transport}
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	require.Equal(t, 2, v.resp.ProtoMajor)
	require.Len(t, rest(v, acceptSSE), 2)
}

func TestTwelveBrowserStreamsAtOnce(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	f.jobs.add(false, "one")
	var viewers []*viewer
	for range 12 {
		viewers = append(viewers, f.view("?after_seq=0", "Accept", acceptSSE))
	}
	f.jobs.add(true, "end")
	for _, v := range viewers {
		require.Len(t, rest(v, acceptSSE), 2)
	}
}

func TestG09_StalledViewerIsCutOff(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{WriteTimeout: 50 * time.Millisecond})
	v := f.view("?after_seq=0", "Accept", acceptSSE)
	v.frame() // and reads no more
	big := strings.Repeat("x", 64<<10)
	gone := func() bool {
		f.jobs.mu.Lock()
		defer f.jobs.mu.Unlock()
		return f.jobs.viewers == 0
	}
	require.Eventually(t, func() bool {
		f.jobs.add(false, big)
		return gone()
	}, 20*time.Second, time.Millisecond)
	f.jobs.add(true, "end")
	require.Len(t, rest(f.view("?from=NOW", "Accept", acceptSSE, "Last-Event-ID", fmt.Sprint(f.jobs.last()-1)), acceptSSE), 1)
}
