package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	councilv1 "witan.dev/gen/witan/council/v1"
	ingestv1 "witan.dev/gen/witan/ingest/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/gateway/server"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const folderToken = "open-sesame"

// fixture is a gateway on a real port over a real gRPC server.
type fixture struct {
	t      *testing.T
	jobs   *memoryJobs
	rpc    *rpc.Server
	http   *server.Server
	base   string
	client *http.Client
	last   *lastRequest
}

// lastRequest keeps what reached the council.
type lastRequest struct {
	councilv1.UnimplementedCouncilServiceServer
	create  *councilv1.CreateDeliberationRequest
	trusted bool
}

func (l *lastRequest) CreateDeliberation(ctx context.Context, r *councilv1.CreateDeliberationRequest) (*councilv1.Deliberation, error) {
	l.create, l.trusted = r, auth.From(ctx).Trusted
	return &councilv1.Deliberation{Name: "deliberations/x", Job: "jobs/x"}, nil
}

func setup(t *testing.T, cfg server.Config) fixture {
	t.Helper()
	registry := prometheus.NewRegistry()
	logger := slog.New(slog.DiscardHandler)
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{Logger: logger, Metrics: registry, Auth: auth.NewFolder(secret.New(folderToken))})
	require.NoError(t, err)
	f := fixture{t: t, jobs: newMemoryJobs(), rpc: srv, last: &lastRequest{}}
	require.NoError(t, srv.Register(func(r grpc.ServiceRegistrar) {
		jobsv1.RegisterJobServiceServer(r, f.jobs)
		councilv1.RegisterCouncilServiceServer(r, f.last)
		ingestv1.RegisterIngestServiceServer(r, ingestv1.UnimplementedIngestServiceServer{})
		reviewv1.RegisterReviewServiceServer(r, exporter{})
	}))
	require.NoError(t, srv.Start(t.Context()))
	conn, err := srv.InProcess(secret.Text{})
	require.NoError(t, err)
	cfg.Addr = "127.0.0.1:0"
	f.http, err = server.New(cfg, server.Deps{Conn: conn, Logger: logger, Metrics: registry})
	require.NoError(t, err)
	require.NoError(t, f.http.Start(t.Context()))
	f.base = "http://" + f.http.Addr().String()
	transport := &http.Transport{}
	f.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		require.NoError(t, f.http.Stop(ctx))
		require.NoError(t, conn.Close())
		require.NoError(t, srv.Stop(ctx))
	})
	return f
}

// answer is a response that was read to its end.
type answer struct {
	code   int
	header http.Header
	body   []byte
	err    error // of reading the body
}

// do sends a request; headers are name, value pairs.
func (f fixture) do(method, path, body string, headers ...string) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.base+path, strings.NewReader(body))
	require.NoError(f.t, err)
	setHeaders(req, headers)
	return f.send(req)
}

func (f fixture) send(req *http.Request) answer {
	f.t.Helper()
	resp, err := f.client.Do(req)
	require.NoError(f.t, err)
	return read(f.t, resp)
}

func read(t *testing.T, resp *http.Response) answer {
	t.Helper()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	return answer{resp.StatusCode, resp.Header, raw, err}
}

func setHeaders(req *http.Request, headers []string) {
	for pair := range slices.Chunk(headers, 2) {
		if pair[0] == "Host" {
			req.Host = pair[1]
		}
		req.Header.Set(pair[0], pair[1])
	}
}

// apiError is AIP-193's form.
type apiError struct {
	Error struct {
		Code    int
		Status  string
		Message string
		Details []struct {
			Type            string `json:"@type"`
			Reason, Domain  string
			Metadata        map[string]string
			FieldViolations []struct{ Field, Description string }
		}
	}
}

func (f fixture) requireError(got answer, code int, status, reason string) apiError {
	f.t.Helper()
	require.NoError(f.t, got.err)
	require.Equal(f.t, code, got.code, "%s", got.body)
	require.Equal(f.t, "application/json", got.header.Get("Content-Type"))
	var e apiError
	require.NoError(f.t, json.Unmarshal(got.body, &e), "%s", got.body)
	require.Equal(f.t, code, e.Error.Code)
	require.Equal(f.t, status, e.Error.Status)
	require.NotEmpty(f.t, e.Error.Message)
	require.NotEmpty(f.t, e.Error.Details)
	require.Equal(f.t, "type.googleapis.com/google.rpc.ErrorInfo", e.Error.Details[0].Type)
	require.Equal(f.t, "witan.dev", e.Error.Details[0].Domain)
	require.Equal(f.t, reason, e.Error.Details[0].Reason)
	return e
}

func TestBadRequestsGetClearErrors(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{MaxBody: 1 << 10})
	const good = `{"question":{"text":"why?"}}`
	for name, c := range map[string]struct {
		method, path, body string
		code               int
		status, reason     string
	}{
		"unknown route":          {"GET", "/v1/nothing", "", 404, "UNIMPLEMENTED", "RPC_UNKNOWN"},
		"below the root":         {"GET", "/index.html", "", 404, "UNIMPLEMENTED", "RPC_UNKNOWN"},
		"the page is only read":  {"POST", "/", "", 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"},
		"wrong method":           {"PUT", "/v1/" + jobName, "", 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"},
		"wrong method of a verb": {"GET", "/v1/" + jobName + ":cancel", "", 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"},
		"unknown verb":           {"GET", "/v1/" + jobName + ":explode", "", 404, "UNIMPLEMENTED", "RPC_UNKNOWN"},
		"unknown parameter":      {"GET", "/v1/" + jobName + "?foo=1", "", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"unknown on a list":      {"GET", "/v1/jobs?pageSise=1", "", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"parameter of the path":  {"GET", "/v1/" + jobName + "?name=jobs/other", "", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"parameter of the body":  {"POST", "/v1/deliberations?deliberation.job=x", good, 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"parameter with a body":  {"POST", "/v1/" + jobName + ":cancel?force=1", "{}", 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN"},
		"unreadable parameter":   {"GET", "/v1/jobs?page_size=many", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"parameter twice":        {"GET", "/v1/jobs?page_size=1&page_size=2", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"parameter out of range": {"GET", "/v1/jobs?page_size=5000", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"parameter not UTF-8":    {"GET", "/v1/jobs?page_token=%ff", "", 400, "INVALID_ARGUMENT", "INVALID_UTF8"},
		"path not UTF-8":         {"GET", "/v1/jobs/%ff%fe", "", 400, "INVALID_ARGUMENT", "INVALID_UTF8"},
		"malformed name":         {"GET", "/v1/jobs/short", "", 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"unknown job":            {"GET", "/v1/jobs/aaaaaaaaaaaaaaaaaaaaaaaaaa", "", 404, "NOT_FOUND", "JOB_NOT_FOUND"},
		"body no JSON":           {"POST", "/v1/deliberations", `{"question":`, 400, "INVALID_ARGUMENT", "MALFORMED_BODY"},
		"body and more":          {"POST", "/v1/deliberations", good + `{}`, 400, "INVALID_ARGUMENT", "MALFORMED_BODY"},
		"body not UTF-8":         {"POST", "/v1/deliberations", "{\"question\":{\"text\":\"\xff\"}}", 400, "INVALID_ARGUMENT", "INVALID_UTF8"},
		"unknown field":          {"POST", "/v1/deliberations", `{"question":{"txet":"why?"}}`, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"missing task":           {"POST", "/v1/deliberations", `{}`, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"no body":                {"POST", "/v1/deliberations", ``, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"body too large":         {"POST", "/v1/deliberations", good + strings.Repeat(" ", 1<<10), 413, "RESOURCE_EXHAUSTED", "BODY_TOO_LARGE"},
		"request ID no UUID":     {"POST", "/v1/deliberations?request_id=1", good, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"},
		"not in this version":    {"GET", "/v1/deliveries", "", 501, "UNIMPLEMENTED", "NOT_IMPLEMENTED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := f
			f.t = t
			f.requireError(f.do(c.method, c.path, c.body), c.code, c.status, c.reason)
		})
	}
}

func TestWrongMethodNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	require.Equal(t, "DELETE, GET", f.do("PUT", "/v1/"+jobName, "").header.Get("Allow"))
	require.Equal(t, "GET, POST", f.do("PATCH", "/v1/deliberations", "").header.Get("Allow"))
}

func TestBadFieldsAreNamed(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	e := f.requireError(f.do("POST", "/v1/deliberations", `{"council":"Councils/x","question":{"text":""}}`), 400, "INVALID_ARGUMENT", "INVALID_REQUEST")
	var fields []string
	for _, v := range e.Error.Details[1].FieldViolations {
		fields = append(fields, v.Field)
	}
	require.ElementsMatch(t, []string{"deliberation.council", "deliberation.question.text"}, fields)
}

func TestBodyOverTheLimitWithoutLength(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{MaxBody: 1 << 10})
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.base+"/v1/deliberations",
		io.MultiReader(strings.NewReader(`{"question":{"text":"`), bytes.NewReader(bytes.Repeat([]byte("x"), 1<<20))))
	require.NoError(t, err)
	req.ContentLength = -1
	f.requireError(f.send(req), 413, "RESOURCE_EXHAUSTED", "BODY_TOO_LARGE")
}

func TestCreateTakesTheResourceAsBody(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	const id = "9f1c2f52-6a55-4b6e-8d35-6b6d0a6f7e01"
	resp := f.do("POST", "/v1/conversations/aaaaaaaaaaaaaaaaaaaaaaaaaa/deliberations?requestId="+id,
		`{"council":"councils/default","question":{"text":"why?"},"timeout":"60s"}`, "Authorization", "Bearer "+folderToken, "X-Request-Id", "mine")
	require.Equal(t, 200, resp.code, "%s", resp.body)
	require.Equal(t, "mine", resp.header.Get("X-Request-Id"))
	require.Contains(t, string(resp.body), `"jobs/x"`)
	require.Equal(t, id, f.last.create.GetRequestId())
	require.Equal(t, "conversations/aaaaaaaaaaaaaaaaaaaaaaaaaa", f.last.create.GetDeliberation().GetConversation())
	require.Equal(t, "why?", f.last.create.GetDeliberation().GetQuestion().GetText())
	require.True(t, f.last.trusted, "the caller's token is passed on")
}

func TestCallersWithoutTokenAreNotTrusted(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	require.Equal(t, 200, f.do("POST", "/v1/deliberations", `{"question":{"text":"why?"}}`).code)
	require.False(t, f.last.trusted)
	resp := f.do("GET", "/v1/"+jobName, "", "Authorization", "Bearer guess")
	f.requireError(resp, 401, "UNAUTHENTICATED", "TOKEN_INVALID")
	require.Equal(t, "Bearer", resp.header.Get("WWW-Authenticate"))
}

func TestPagesOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{AllowHosts: []string{"witan.example"}})
	const body = `{"question":{"text":"why?"}}`
	f.requireError(f.do("POST", "/v1/deliberations", body, "Origin", "https://evil.example"), 403, "PERMISSION_DENIED", "CROSS_ORIGIN")
	f.requireError(f.do("GET", "/v1/jobs", "", "Host", "evil.example"), 403, "PERMISSION_DENIED", "CROSS_ORIGIN")
	require.Equal(t, 200, f.do("GET", "/v1/jobs", "", "Host", "witan.example:7480").code)
	require.Equal(t, 200, f.do("GET", "/v1/jobs", "", "Host", "localhost:7480").code)
	require.Equal(t, 200, f.do("POST", "/v1/deliberations", body, "Origin", f.base).code)
}

func TestOperations(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	require.Equal(t, 200, f.do("GET", "/healthz", "").code)
	require.Equal(t, 200, f.do("GET", "/readyz", "").code)
	require.Equal(t, 200, f.do("GET", "/v1/jobs", "").code)

	require.Contains(t, string(f.do("GET", "/metrics", "").body), `witan_rpc_calls_total{code="OK",method="ListJobs",service="witan.jobs.v1.JobService"} 1`)

	var api struct {
		Paths map[string]map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal(f.do("GET", "/openapi.json", "").body, &api))
	require.Contains(t, api.Paths["/v1/deliberations"], "post")

	f.rpc.SetServing("", false)
	require.Equal(t, 503, f.do("GET", "/readyz", "").code)
	f.rpc.SetServing("", true)
	f.http.Drain()
	require.Equal(t, 503, f.do("GET", "/readyz", "").code)
	require.Equal(t, 200, f.do("GET", "/healthz", "").code)
	require.Equal(t, 200, f.do("GET", "/v1/jobs", "").code)
}

// TestEveryRouteChecksItsQuery proves that the routes read from the protos are those that the mux serves.
func TestEveryRouteChecksItsQuery(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	var api struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	require.NoError(t, json.Unmarshal(f.do("GET", "/openapi.json", "").body, &api))
	checked := 0
	for path, methods := range api.Paths {
		for method := range methods {
			path := fill(path)
			f.requireError(f.do(strings.ToUpper(method), path+"?no_such_parameter=1", ""), 400, "INVALID_ARGUMENT", "QUERY_PARAMETER_UNKNOWN")
			checked++
		}
	}
	require.Greater(t, checked, 30)
}

// fill replaces "{name}" and the like by a value.
func fill(path string) string {
	var out strings.Builder
	for path != "" {
		before, rest, found := strings.Cut(path, "{")
		out.WriteString(before)
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		if _, pattern, ok := strings.Cut(name, "="); ok {
			out.WriteString(strings.ReplaceAll(pattern, "*", "aaaaaaaaaaaaaaaaaaaaaaaaaa"))
		} else {
			out.WriteString("aaaaaaaaaaaaaaaaaaaaaaaaaa")
		}
		path = after
	}
	return out.String()
}

func TestStopBeforeStartTwiceAndPortInUse(t *testing.T) {
	t.Parallel()
	f := setup(t, server.Config{})
	other, err := server.New(server.Config{Addr: f.http.Addr().String()}, server.Deps{
		Conn: &grpc.ClientConn{}, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.ErrorContains(t, other.Start(t.Context()), "address already in use")
	require.NoError(t, other.Stop(t.Context()))
	require.NoError(t, other.Stop(t.Context()))
	require.Error(t, other.Start(t.Context()))
}
