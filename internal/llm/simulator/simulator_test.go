package simulator_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/llmtest"
	"witan.dev/internal/llm/openai"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/llm/simulator"
	"witan.dev/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a call log that a test can read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) entries(t *testing.T) []simulator.Entry {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []simulator.Entry
	lines := bufio.NewScanner(bytes.NewReader(j.buf.Bytes()))
	for lines.Scan() {
		var e simulator.Entry
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		out = append(out, e)
	}
	return out
}

func start(t *testing.T, script string) (*simulator.Server, *journal) {
	t.Helper()
	s, err := simulated.ParseScript([]byte(script))
	require.NoError(t, err)
	j := &journal{}
	server := simulator.New(simulator.Params{Addr: "127.0.0.1:0", Script: s, CallLog: j})
	require.NoError(t, server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, server.Stop(context.WithoutCancel(t.Context()))) })
	return server, j
}

func client(t *testing.T, url string, streaming bool, name string) llm.Model {
	t.Helper()
	adapter := openai.NewAdapter()
	t.Cleanup(adapter.Close)
	r, err := llm.NewRegistry(llm.RegistryParams{
		Configs:   []llm.Config{{Name: "alpha", Provider: "openai", BaseURL: url, Model: name, APIKey: secret.New("any"), Streaming: &streaming}},
		Providers: map[string]llm.Provider{"openai": adapter.Model},
	})
	require.NoError(t, err)
	m, ok := r.Model("alpha")
	require.True(t, ok)
	return m
}

func TestConformanceThroughHTTP(t *testing.T) {
	t.Parallel()
	for name, streaming := range map[string]bool{"streamed": true, "whole": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			llmtest.Run(t, func(t *testing.T, s llmtest.Situation) llm.Model {
				t.Helper()
				server, _ := start(t, llmtest.Script(s))
				return client(t, server.URL(), streaming, "simulated-a")
			})
		})
	}
}

func TestTheCallLogSaysWhatHappened(t *testing.T) {
	t.Parallel()
	server, j := start(t, `
rules:
  - {when: {stage: rank, call: "1"}, then: {status: 503}}
  - {when: {stage: rank, call: "2"}, then: {fault: cut, after: 5}}
`)
	m := client(t, server.URL(), true, "simulated-a")
	req := llmtest.Request()
	req.Schema = llmtest.Ballot("A", "B")
	for range 3 {
		_, _ = m.Generate(t.Context(), req, nil)
	}
	req.Schema, req.IdempotencyKey = nil, ""
	resp, err := m.Generate(t.Context(), req, nil)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(resp.Text, "[simulated]"), resp.Text)

	entries := j.entries(t)
	require.Len(t, entries, 4)
	for i, want := range []simulator.Entry{
		{Schema: "rank", N: 1, Outcome: simulator.OutcomeFailed, Status: 503, IdempotencyKey: "key-1"},
		{Schema: "rank", N: 2, Outcome: simulator.OutcomeCut, Status: 200, IdempotencyKey: "key-1"},
		{Schema: "rank", N: 3, Outcome: simulator.OutcomeAnswered, Status: 200, IdempotencyKey: "key-1"},
		{N: 1, Outcome: simulator.OutcomeAnswered, Status: 200},
	} {
		got := entries[i]
		require.False(t, got.Time.IsZero())
		require.Len(t, got.MessagesSHA256, 64)
		want.Time, want.MessagesSHA256, want.DurationMS, want.Model, want.Stream = got.Time, got.MessagesSHA256, got.DurationMS, "simulated-a", true
		require.Equal(t, want, got)
	}
	require.Equal(t, entries[0].MessagesSHA256, entries[2].MessagesSHA256, "the same messages")
}

func TestACallerThatLeavesIsACutCall(t *testing.T) {
	t.Parallel()
	server, j := start(t, `timing: {latency: 1m, chunk_bytes: 5}`)
	ctx, leave := context.WithCancel(t.Context())
	_, err := client(t, server.URL(), true, "simulated-a").Generate(ctx, llmtest.Request(), func(string) error { leave(); return nil })
	llmtest.CheckError(t, err, llm.ClassCancelled)
	require.NoError(t, server.Stop(t.Context())) // waits for the handler
	require.Equal(t, simulator.OutcomeCut, j.entries(t)[0].Outcome)
}

func TestASchemaInWordsIsFollowedToo(t *testing.T) {
	t.Parallel()
	server, j := start(t, "")
	req := llmtest.Request()
	req.Schema = llmtest.Ballot("A", "B", "C")
	resp, err := client(t, server.URL(), true, "nobody-knows").Generate(t.Context(), req, nil)
	require.NoError(t, err)
	var ballot struct{ Ranking []string }
	require.NoError(t, json.Unmarshal([]byte(resp.Text), &ballot))
	require.ElementsMatch(t, []string{"A", "B", "C"}, ballot.Ranking)
	require.Equal(t, "rank", j.entries(t)[0].Schema)
}

func TestAScriptThatDoesNotFitIsLoud(t *testing.T) {
	t.Parallel()
	server, _ := start(t, `rules: [{then: {text: "${label /nowhere/}"}}]`)
	_, err := client(t, server.URL(), true, "simulated-a").Generate(t.Context(), llmtest.Request(), nil)
	llmtest.CheckError(t, err, llm.ClassInvalidRequest)
	require.ErrorContains(t, err, "nothing in the prompt fits")
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	server, _ := start(t, "")
	for _, body := range []string{
		"", "null", "[]", "{", `{"model":"m"}`, `{"model":"m","messages":[]}`, `{"model":"m","messages":[{"role":"tool","content":"x"}]}`,
		`{"model":"","messages":[{"role":"user","content":"x"}]}`, `{"model":"m","messages":[{"role":"user","content":7}]}`,
		`{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":-1}`,
		`{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":3}}}`,
	} {
		require.Equal(t, http.StatusBadRequest, post(t, server.URL()+"/chat/completions", body), body)
	}
	require.Equal(t, http.StatusRequestEntityTooLarge, post(t, server.URL()+"/chat/completions", strings.Repeat("x", 17<<20)))
	require.Equal(t, http.StatusNotFound, post(t, server.URL()+"/embeddings", "{}"))
	require.Equal(t, http.StatusOK, post(t, server.URL()+"/chat/completions",
		`{"model":"m","messages":[{"role":"developer","content":"x"},{"role":"user","content":[{"type":"text","text":"hi"}]}]}`))
}

func post(t *testing.T, url, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestModelsAreListedAsSimulated(t *testing.T) {
	t.Parallel()
	server, _ := start(t, "")
	adapter := openai.NewAdapter()
	t.Cleanup(adapter.Close)
	d := llm.Discover(t.Context(), func(name string) string {
		return map[string]string{"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": server.URL(), "OLLAMA_HOST": strings.TrimSuffix(server.URL(), "/v1")}[name]
	}, adapter.List)
	require.Len(t, d.Models, 6)
	require.Equal(t, "openai/simulated-a", d.Models[0].Name)
	require.Equal(t, "ollama/simulated-c", d.Models[5].Name)
	require.Equal(t, 4096, d.Models[5].ContextTokens)
}

func TestStartAndStopInAnyOrder(t *testing.T) {
	t.Parallel()
	server := simulator.New(simulator.Params{Addr: "127.0.0.1:0"})
	require.NoError(t, server.Stop(t.Context()))
	require.Empty(t, server.URL())
	require.NoError(t, server.Start(t.Context()))
	require.Error(t, server.Start(t.Context()))
	other := simulator.New(simulator.Params{Addr: strings.TrimSuffix(strings.TrimPrefix(server.URL(), "http://"), "/v1")})
	require.Error(t, other.Start(t.Context()), "the port is taken")
	require.NoError(t, server.Stop(t.Context()))
	require.NoError(t, server.Stop(t.Context()))
}

func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"system","content":"conforms to the JSON schema \"rank\": {\"type\":\"object\""}]}`))
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"$ref":"#"}}}}`))
	handler := simulator.New(simulator.Params{}).Handler()
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", bytes.NewReader(body))
		require.NoError(t, err)
		w := &recorder{header: http.Header{}}
		handler.ServeHTTP(w, req)
		require.Contains(t, []int{200, 400}, w.status)
	})
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(s int)   { r.status = s }
func (r *recorder) Flush()              {}
func (r *recorder) Write(p []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return len(p), nil
}
