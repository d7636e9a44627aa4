package openai_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/llm"
	"witan.dev/internal/llm/llmtest"
	"witan.dev/internal/llm/openai"
	"witan.dev/internal/secret"
)

func TestMain(m *testing.M) {
	// Nothing of the environment may reach a call: with these set, every test would send them.
	for _, name := range []string{"OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"} {
		if err := os.Setenv(name, "leaked-"+name); err != nil {
			panic(err)
		}
	}
	for name, value := range map[string]string{"OPENAI_BASE_URL": "http://127.0.0.1:1/leaked", "OPENAI_CUSTOM_HEADERS": "X-Leaked: leaked"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

const key = "sk-" + "test-0123456789"

func model(t *testing.T, base string, change func(*llm.Config)) llm.Model {
	t.Helper()
	adapter := openai.NewAdapter()
	t.Cleanup(adapter.Close)
	cfg := llm.Config{Name: "alpha", Provider: "openai", BaseURL: base, Model: "simulated-a", APIKey: secret.New(key)}
	if change != nil {
		change(&cfg)
	}
	r, err := llm.NewRegistry(llm.RegistryParams{Configs: []llm.Config{cfg}, Providers: map[string]llm.Provider{"openai": adapter.Model}})
	require.NoError(t, err)
	m, ok := r.Model("alpha")
	require.True(t, ok)
	return m
}

func whole(c *llm.Config) { no := false; c.Streaming = &no }

// chunk is one event of a stream; parts are fields of its choice and, behind "|", of the whole.
func chunk(choice string) string {
	return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[` + choice + `]}` + "\n\n"
}

func delta(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return chunk(`{"index":0,"delta":{"content":` + string(quoted) + `},"finish_reason":null}`)
}

func finish(reason string) string {
	return chunk(`{"index":0,"delta":{},"finish_reason":"` + reason + `"}`)
}

const (
	done  = "data: [DONE]\n\n"
	usage = `{"prompt_tokens":42,"completion_tokens":17,"total_tokens":59,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"reasoning_tokens":5}}`
	tail  = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":` + usage + "}\n\n" + done
)

func sse(body string) llmtest.Exchange {
	return llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "text/event-stream"}, Body: body}
}

func failure(status int) llmtest.Exchange {
	return llmtest.Exchange{
		Status: status, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"error":{"message":"` + llmtest.Words + `","type":"some_type","code":"some_code","param":null}}`,
	}
}

// provider hand-writes each situation in the provider's wire format, streamed.
func provider(s llmtest.Situation) llmtest.Exchange {
	half := llmtest.Text[:len(llmtest.Text)/2]
	switch s {
	case llmtest.Answers:
		return sse(delta("") + delta(half) + delta(llmtest.Text[len(half):]) + finish("stop") + tail)
	case llmtest.Empty:
		return sse(delta("") + finish("stop") + tail)
	case llmtest.Refuses:
		return sse(chunk(`{"index":0,"delta":{"refusal":"I will not."},"finish_reason":null}`) + finish("stop") + tail)
	case llmtest.Filtered:
		return sse(finish("content_filter") + tail)
	case llmtest.TooLong:
		return sse(delta(half) + finish("length") + tail)
	case llmtest.RateLimited:
		x := failure(http.StatusTooManyRequests)
		x.Header["Retry-After"] = "2"
		return x
	case llmtest.NoKey:
		return failure(http.StatusUnauthorized)
	case llmtest.BadRequest:
		return failure(http.StatusBadRequest)
	case llmtest.Down:
		return failure(http.StatusInternalServerError)
	case llmtest.WebPage:
		return llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html><title>Welcome</title></html>"}
	case llmtest.Malformed:
		return sse("data: {\"choices\": [}\n\n")
	case llmtest.Cut:
		x := sse(delta(half) + `data: {"id":"c`)
		x.Break = true
		return x
	case llmtest.NoEnd:
		return sse(delta(llmtest.Text))
	case llmtest.Hangs:
	}
	return llmtest.Exchange{}
}

func TestConformanceStreamed(t *testing.T) {
	t.Parallel()
	llmtest.Run(t, func(t *testing.T, s llmtest.Situation) llm.Model {
		t.Helper()
		if s == llmtest.Hangs {
			return model(t, silent(t), nil)
		}
		return model(t, llmtest.Replay(t, provider(s), nil), nil)
	})
}

// silent is an endpoint that takes requests and answers nothing until the client goes away.
func silent(t *testing.T) string {
	t.Helper()
	return llmtest.ReplayFunc(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that the client went away
		<-r.Context().Done()
	})
}

func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	classes := map[int]llm.Class{400: llm.ClassInvalidRequest, 401: llm.ClassAuth, 429: llm.ClassRateLimit}
	for _, f := range llmtest.Fixtures(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			m := model(t, llmtest.Replay(t, f.Exchange, nil), func(c *llm.Config) { c.Streaming = &f.Streamed })
			resp, err := m.Generate(t.Context(), llmtest.Request(), nil)
			switch {
			case f.API != "openai.chat" || f.Name == "openai-embeddings": // another dialect must never look like an answer
				require.Error(t, err)
				require.NotEqual(t, llm.ClassCancelled, llm.ClassOf(err))
			case f.Exchange.Status != http.StatusOK:
				llmtest.CheckError(t, err, classes[f.Exchange.Status])
				require.Contains(t, err.Error(), *f.Expected.Error)
			case len(f.Expected.ToolCalls) > 0: // nobody offered tools
				llmtest.CheckError(t, err, llm.ClassProvider)
			case *f.Expected.Stop == "content_filter":
				llmtest.CheckError(t, err, llm.ClassRefusal)
			default:
				require.NoError(t, err)
				require.Equal(t, f.Expected.Text, resp.Text)
				require.Equal(t, f.Expected.Usage["prompt_tokens"], resp.Usage.InputTokens)
				require.Equal(t, f.Expected.Usage["completion_tokens"], resp.Usage.OutputTokens)
				require.Equal(t, len(f.Expected.Usage) > 0, resp.Usage.Reported, "no usage is unknown, not zero")
			}
		})
	}
}

func TestNoBeginningOfAStreamIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, f := range llmtest.Fixtures(t) {
		if f.API != "openai.chat" || !f.Streamed || f.Exchange.Status != http.StatusOK {
			continue
		}
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			body := f.Exchange.Body
			cuts := []int{0, 1, len(body) - 1, len(body) - 2, len(body) - len(done), len(body) - len(done) - 1}
			for i := range 30 {
				cuts = append(cuts, i*len(body)/30)
			}
			for _, at := range cuts {
				x := f.Exchange
				x.Body = body[:at]
				for _, x.Break = range []bool{false, true} {
					_, err := model(t, llmtest.Replay(t, x, nil), nil).Generate(t.Context(), llmtest.Request(), nil)
					llmtest.CheckError(t, err, llm.ClassProvider)
				}
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	half, seed := 0.5, int64(7)
	req := llmtest.Request()
	req.Temperature, req.Seed, req.Schema = &half, &seed, llmtest.Ballot("A", "B")
	req.Stage, req.Member = "secret-stage", "secret-member"
	tests := map[string]struct {
		change func(*llm.Config)
		check  func(t *testing.T, body map[string]any)
	}{
		"schema": {nil, func(t *testing.T, body map[string]any) {
			sent, err := json.Marshal(body["response_format"])
			require.NoError(t, err)
			require.JSONEq(t, `{"type":"json_schema","json_schema":{"name":"rank","strict":true,"schema":`+string(req.Schema.JSON)+`}}`, string(sent))
			require.Equal(t, true, body["stream"])
			require.Equal(t, map[string]any{"include_usage": true}, body["stream_options"])
			require.InDelta(t, 0.5, body["temperature"], 0)
			require.InDelta(t, 7, body["seed"], 0)
			require.InDelta(t, 1000, body["max_tokens"], 0)
		}},
		"json object and words": {func(c *llm.Config) { c.Model = "deepseek-chat" }, func(t *testing.T, body map[string]any) {
			require.Equal(t, map[string]any{"type": "json_object"}, body["response_format"])
			require.Contains(t, fmt.Sprint(body["messages"]), `JSON schema "rank"`)
		}},
		"words alone": {func(c *llm.Config) { c.Model = "nobody-knows" }, func(t *testing.T, body map[string]any) {
			require.NotContains(t, body, "response_format")
			require.Contains(t, fmt.Sprint(body["messages"]), `JSON schema "rank"`)
		}},
		"not streamed": {whole, func(t *testing.T, body map[string]any) {
			require.NotContains(t, body, "stream")
			require.NotContains(t, body, "stream_options")
		}},
		"no temperature": {func(c *llm.Config) { c.Model = "o3-mini" }, func(t *testing.T, body map[string]any) {
			require.NotContains(t, body, "temperature")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var raw []byte
			var header http.Header
			url := llmtest.Replay(t, inOnePiece(), func(r *http.Request) {
				raw, _ = io.ReadAll(r.Body)
				header = r.Header
			})
			_, err := model(t, url, tt.change).Generate(t.Context(), req, nil)
			require.NoError(t, err)
			var body map[string]any
			require.NoError(t, json.Unmarshal(raw, &body))
			tt.check(t, body)
			require.Equal(t, "key-1", header.Get("Idempotency-Key"))
			require.Equal(t, "Bearer "+key, header.Get("Authorization"))
			sent := strings.ToLower(string(raw) + fmt.Sprint(header))
			require.NotContains(t, sent, "leaked", "nothing comes from the environment")
			require.NotContains(t, sent, "secret-", "what the call is for stays here")
		})
	}
}

func TestFailuresOfTheWire(t *testing.T) {
	t.Parallel()
	page := func(status int) llmtest.Exchange {
		return llmtest.Exchange{Status: status, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html><h1>Bad Gateway</h1></html>"}
	}
	tests := map[string]struct {
		exchange llmtest.Exchange
		class    llm.Class
		status   int
		says     string
	}{
		"web page with 502":        {page(502), llm.ClassProvider, 502, "Bad Gateway"},
		"web page with 401":        {page(401), llm.ClassAuth, 401, "HTML"},
		"redirect":                 {llmtest.Exchange{Status: 307, Header: map[string]string{"Location": "http://127.0.0.1:1/"}}, llm.ClassProvider, 307, "Redirect"},
		"empty 503":                {llmtest.Exchange{Status: 503}, llm.ClassProvider, 503, "Service Unavailable"},
		"unknown model":            {failure(404), llm.ClassInvalidRequest, 404, llmtest.Words},
		"no money":                 {failure(402), llm.ClassAuth, 402, llmtest.Words},
		"overloaded":               {failure(529), llm.ClassProvider, 529, llmtest.Words},
		"filtered prompt":          {llmtest.Exchange{Status: 400, Body: `{"error":{"code":"content_filter","message":"no"}}`}, llm.ClassRefusal, 400, "no"},
		"error as text":            {llmtest.Exchange{Status: 400, Body: `{"error":"model is loading"}`}, llm.ClassInvalidRequest, 400, "model is loading"},
		"error as success":         {llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"error":{"code":429,"message":"slow down"}}`}, llm.ClassRateLimit, 429, "slow down"},
		"error in stream":          {sse(delta("a") + "data: {\"error\":{\"message\":\"overloaded\",\"code\":502}}\n\n"), llm.ClassProvider, 502, "overloaded"},
		"error in stream, no form": {sse("data: {\"error\":[]}\n\n"), llm.ClassProvider, 0, "[]"},
		"event of another kind":    {sse("data: {\"type\":\"message_start\"}\n\n" + done), llm.ClassProvider, 0, "message_start"},
		"empty stream":             {sse(""), llm.ClassProvider, 0, "no event"},
		"only an end":              {sse(done), llm.ClassProvider, 0, "no event"},
		"end without a reason":     {sse(delta("a") + done), llm.ClassProvider, 0, "end mark"},
		"reason without an end":    {sse(delta("a") + finish("stop")), llm.ClassProvider, 0, "end mark"},
		"unknown reason":           {sse(delta("a") + finish("tool_calls") + done), llm.ClassProvider, 0, "tool_calls"},
		"no JSON at all":           {llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: "Hello"}, llm.ClassProvider, 0, "Hello"},
		"half of JSON":             {llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"choices":[{"mess`}, llm.ClassProvider, 0, "choices"},
		"no choices":               {llmtest.Exchange{Status: 200, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"choices":[]}`}, llm.ClassProvider, 0, "no choice"},
		"endless text":             {sse(strings.Repeat(delta(strings.Repeat("x", 100_000)), 12) + finish("stop") + done), llm.ClassProvider, 0, "longer than"},
		"endless line":             {sse("data: " + strings.Repeat("x", 33<<20)), llm.ClassProvider, 0, "larger than"},
		"key in the words":         {llmtest.Exchange{Status: 401, Body: `{"error":{"message":"Incorrect API key provided: ` + key + `. Use Bearer abcdefghijk"}}`}, llm.ClassAuth, 401, "[redacted]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := model(t, llmtest.Replay(t, tt.exchange, nil), nil).Generate(t.Context(), llmtest.Request(), nil)
			llmtest.CheckError(t, err, tt.class)
			e, ok := errors.AsType[*llm.Error](err)
			require.True(t, ok)
			require.Equal(t, tt.status, e.HTTPStatus)
			require.Contains(t, e.Detail, tt.says)
			require.NotContains(t, e.Detail, key)
			require.NotContains(t, e.Detail, "abcdefghijk")
		})
	}
}

func inOnePiece() llmtest.Exchange {
	return llmtest.Exchange{
		Status: 200, Header: map[string]string{"Content-Type": "application/json"},
		Body: `{"id":"c1","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":` + usage[:len(usage)-1] + `,"cost":0.0025}}`,
	}
}

func TestAServerThatCannotStreamIsUnderstood(t *testing.T) {
	t.Parallel()
	resp, err := model(t, llmtest.Replay(t, inOnePiece(), nil), nil).Generate(t.Context(), llmtest.Request(), nil)
	require.NoError(t, err)
	require.Equal(t, "hello", resp.Text)
	require.Equal(t, int64(2500), *resp.Usage.CostMicros)
	require.Equal(t, "USD", resp.Usage.CostCurrency)
}

func TestAnEndpointThatIsDown(t *testing.T) {
	t.Parallel()
	_, err := model(t, "http://127.0.0.1:1/v1", nil).Generate(t.Context(), llmtest.Request(), nil)
	llmtest.CheckError(t, err, llm.ClassProvider)
	require.Contains(t, err.Error(), "cannot be reached")
}

func TestThinkingIsASignOfLife(t *testing.T) {
	t.Parallel()
	thinking := chunk(`{"index":0,"delta":{"content":null,"reasoning_content":"hm"},"finish_reason":null}`)
	url := llmtest.Replay(t, sse(thinking+delta("yes")+finish("stop")+done), nil)
	adapter := openai.NewAdapter()
	t.Cleanup(adapter.Close)
	bare, err := adapter.Model(llm.Config{Name: "alpha", BaseURL: url}, llm.Info{Streaming: true})
	require.NoError(t, err)
	for m, want := range map[llm.Model][]string{bare: {"", "yes", ""}, model(t, url, nil): {"yes"}} {
		var heard []string
		resp, err := m.Generate(t.Context(), llmtest.Request(), func(s string) error { heard = append(heard, s); return nil })
		require.NoError(t, err)
		require.Equal(t, "yes", resp.Text)
		require.Equal(t, want, heard)
	}
}

func TestWrongConfigurations(t *testing.T) {
	t.Parallel()
	adapter := openai.NewAdapter()
	for _, base := range []string{"ftp://x/v1", "http://", "http://user:pass@x/v1", "::", ""} {
		_, err := adapter.Model(llm.Config{Name: "a", BaseURL: base}, llm.Info{})
		require.Error(t, err, base)
	}
	_, err := adapter.Model(llm.Config{Name: "a", BaseURL: "http://127.0.0.1:1/v1"}, llm.Info{})
	require.NoError(t, err, "an endpoint on this machine needs no key")
}

func TestListOfModels(t *testing.T) {
	t.Parallel()
	adapter := openai.NewAdapter()
	t.Cleanup(adapter.Close)
	good := llmtest.Replay(t, llmtest.Exchange{Status: 200, Body: `{"object":"list","data":[{"id":"b"},{"id":"a"}]}`}, nil)
	names, err := adapter.List(t.Context(), good, secret.New(key))
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, names)
	for _, x := range []llmtest.Exchange{{Status: 200, Body: "<html>"}, failure(401), {Status: 200, Body: `{"data":[`, Break: true}} {
		_, err := adapter.List(t.Context(), llmtest.Replay(t, x, nil), secret.New(key))
		require.Error(t, err)
	}
}

// canned answers without a network.
type canned struct {
	body     string
	streamed bool
}

// RoundTrip answers.
func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := "application/json"
	if c.streamed {
		kind = "text/event-stream"
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(c.body)),
	}, nil
}

func FuzzStream(f *testing.F) {
	f.Add(provider(llmtest.Answers).Body, true)
	f.Add(provider(llmtest.Refuses).Body, true)
	f.Add("data: {\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}\n\n", true)
	f.Add("event: x\r\ndata:[DONE]\r\n\r\n", true)
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"\\ud800\"}}]}\n\n"+finish("stop")+done, true)
	f.Add(`{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`, false)
	f.Add(`{"choices":[{"message":{"content":[1]},"finish_reason":7}],"usage":{"prompt_tokens":-1}}`, false)
	f.Fuzz(func(t *testing.T, body string, streamed bool) {
		var heard strings.Builder
		adapter := openai.NewAdapterOver(canned{body, streamed})
		m, err := adapter.Model(llm.Config{Name: "a", BaseURL: "http://canned/v1"}, llm.Info{Streaming: true})
		require.NoError(t, err)
		resp, err := m.Generate(t.Context(), llmtest.Request(), func(s string) error { heard.WriteString(s); return nil })
		if err == nil {
			require.Equal(t, llm.FinishStop, resp.Finish)
			require.NotEmpty(t, resp.Text)
			require.Equal(t, resp.Text, heard.String())
			require.True(t, !streamed || strings.Contains(body, "[DONE]"))
		} else {
			llmtest.CheckError(t, err, llm.ClassOf(err))
		}
		require.GreaterOrEqual(t, resp.Usage.InputTokens, int64(0))
	})
}
