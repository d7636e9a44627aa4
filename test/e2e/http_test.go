package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"
)

// reply is an HTTP answer, read to its end.
type reply struct {
	Code   int
	Header http.Header
	Body   []byte
}

// reason is the error's reason, empty where there is none.
func (r reply) reason() string {
	var e struct {
		Error struct {
			Details []struct {
				Reason string `json:"reason"`
			} `json:"details"`
		} `json:"error"`
	}
	if json.Unmarshal(r.Body, &e) != nil {
		return ""
	}
	for _, d := range e.Error.Details {
		if d.Reason != "" {
			return d.Reason
		}
	}
	return ""
}

// request sends one HTTP request. headers are pairs.
func (n *node) request(ctx context.Context, method, path string, body []byte, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, n.HTTP+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if n.token != "" {
		req.Header.Set("Authorization", "Bearer "+n.token)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	return http.DefaultClient.Do(req)
}

// do sends a request and reads its answer.
func (n *node) do(method, path, body string, headers ...string) reply {
	n.t.Helper()
	resp, err := n.request(bounded(n.t), method, path, []byte(body), headers...)
	require.NoError(n.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(n.t, err)
	return reply{resp.StatusCode, resp.Header, raw}
}

// get reads JSON.
func (n *node) get(path string, into any) {
	n.t.Helper()
	r := n.do("GET", path, "")
	require.Equal(n.t, http.StatusOK, r.Code, "%s", r.Body)
	require.NoError(n.t, json.Unmarshal(r.Body, into))
}

// pages is a job's log as REST gives it: one compact JSON an event.
func (n *node) pages(job string) []string {
	n.t.Helper()
	var all []string
	for token := ""; ; {
		var page struct {
			Events        []json.RawMessage `json:"events"`
			NextPageToken string            `json:"nextPageToken"`
		}
		n.get(fmt.Sprintf("/v1/%s/events?after_seq=0&page_size=13&page_token=%s", job, token), &page)
		for _, e := range page.Events {
			all = append(all, compact(n.t, e))
		}
		if token = page.NextPageToken; token == "" {
			return all
		}
	}
}

func compact(t testing.TB, raw []byte) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Compact(&out, raw))
	return out.String()
}

// format is one of the ways to follow a job.
type format struct {
	name string
	// read follows a job behind last ("": from the beginning) and returns at most limit events (0: all of them), each
	// as JSON, with the position to resume from. ended says that the stream ended by itself.
	read func(t testing.TB, n *node, job, last string, limit int) (events []string, next string, ended bool)
}

func formats() []format {
	return []format{{"SSE", readSSE}, {"newline-JSON", readLines}, {"gRPC", readGRPC}}
}

// readSSE reads with a stranger's parser, as a browser does: it repeats the first address and says in Last-Event-ID where
// it stands.
func readSSE(t testing.TB, n *node, job, last string, limit int) (events []string, next string, ended bool) {
	t.Helper()
	ctx, cut := context.WithTimeout(t.Context(), patience)
	defer cut()
	headers := []string{"Accept", "text/event-stream"}
	if last != "" {
		headers = append(headers, "Last-Event-ID", last)
	}
	resp, err := n.request(ctx, "GET", "/v1/"+job+":watch?after_seq=0", nil, headers...)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusNoContent:
		return nil, last, true
	case http.StatusServiceUnavailable:
		return nil, last, false // ask again
	}
	require.Equal(t, http.StatusOK, resp.StatusCode)
	next = last
	for e, err := range sse.Read(resp.Body, &sse.ReadConfig{MaxEventSize: 1 << 20}) {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return events, next, false // the server went away
		}
		require.NoError(t, err)
		if e.Type == "done" {
			return events, next, true
		}
		require.Equal(t, fmt.Sprint(len(events)+1+seqOf(last)), e.LastEventID)
		events, next = append(events, compact(t, []byte(e.Data))), e.LastEventID
		if len(events) == limit {
			return events, next, false
		}
	}
	return events, next, false
}

func seqOf(position string) int {
	var n int
	_, _ = fmt.Sscan(position, &n)
	return n
}

func readLines(t testing.TB, n *node, job, last string, limit int) (events []string, next string, ended bool) {
	t.Helper()
	ctx, cut := context.WithTimeout(t.Context(), patience)
	defer cut()
	resp, err := n.request(ctx, "GET", fmt.Sprintf("/v1/%s:watch?after_seq=%d", job, seqOf(last)), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return nil, last, true
	}
	require.Equal(t, http.StatusOK, resp.StatusCode)
	next = last
	decoder := json.NewDecoder(resp.Body)
	for {
		var line json.RawMessage
		if err := decoder.Decode(&line); err != nil {
			return events, next, errors.Is(err, io.EOF)
		}
		var e struct {
			Seq   string `json:"seq"`
			Final bool   `json:"final"`
		}
		require.NoError(t, json.Unmarshal(line, &e))
		if e.Seq == "0" {
			continue // a heartbeat
		}
		events, next = append(events, compact(t, line)), e.Seq
		if len(events) == limit {
			return events, next, false
		}
	}
}

// follow reads a job to its end, cut after each of cuts, and resumed each time.
func follow(t testing.TB, n *node, f format, job string, cuts ...int) []string {
	t.Helper()
	var all []string
	last := ""
	for _, limit := range append(cuts, 0) {
		events, next, _ := f.read(t, n, job, last, limit)
		all, last = append(all, events...), next
		if len(all) > 0 && strings.Contains(all[len(all)-1], `"final":true`) {
			return all
		}
	}
	return all
}
