package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/datadir"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/test/e2e/process"
)

// owner is what makes a caller the data folder's owner.
func (n *node) owner() (header string, credentials grpc.CallOption) {
	n.t.Helper()
	holder, err := datadir.FindHolder(n.Data)
	require.NoError(n.t, err)
	require.Equal(n.t, n.GRPC, holder.Address)
	return "Bearer " + holder.Token, grpc.PerRPCCredentials(rpc.Bearer(secret.New(holder.Token)))
}

const unknownID = "aaaaaaaaaaaaaaaaaaaaaaaaaa"

// TestUnusableSourcesAreRefused: the same reasons over REST, gRPC and on the command line, and no job is left behind.
func TestUnusableSourcesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	n := w.serve()
	repo, plain := storeRepository(t), t.TempDir()
	header, credentials := n.owner()
	data := func(text string) *reviewv1.Source {
		return &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{Data: []byte(text)}}}}
	}
	for name, c := range map[string]struct {
		source *reviewv1.Source
		args   []string
		code   codes.Code
		http   int
		reason string
	}{
		"not a repository": {
			gitRange(plain, "HEAD~1", "HEAD"),
			[]string{"--repo", plain, "--base", "HEAD~1"},
			codes.FailedPrecondition, http.StatusBadRequest, "NOT_A_REPOSITORY",
		},
		"no such folder": {
			gitRange(filepath.Join(plain, "none"), "HEAD~1", "HEAD"),
			[]string{"--repo", filepath.Join(plain, "none"), "--base", "HEAD~1"},
			codes.FailedPrecondition, http.StatusBadRequest, "NOT_A_REPOSITORY",
		},
		"unknown revision": {
			gitRange(repo.Dir, "nowhere", "HEAD"),
			[]string{"--repo", repo.Dir, "--base", "nowhere"},
			codes.InvalidArgument, http.StatusBadRequest, "REVISION_UNKNOWN",
		},
		"a revision like an option": {
			gitRange(repo.Dir, "--output=x", "HEAD"),
			[]string{"--repo", repo.Dir, "--base=--output=x"},
			codes.InvalidArgument, http.StatusBadRequest, "REVISION_UNKNOWN",
		},
		"nothing changed": {
			gitRange(repo.Dir, "HEAD", "HEAD"),
			[]string{"--repo", repo.Dir, "--base", "HEAD"},
			codes.InvalidArgument, http.StatusBadRequest, "NO_CHANGES",
		},
		"an empty diff": {data(""), []string{"--diff", w.write("empty.diff", "")}, codes.InvalidArgument, http.StatusBadRequest, "NO_CHANGES"},
		"no diff": {
			data("Dear reviewer,\nplease look.\n"),
			[]string{"--diff", w.write("letter.diff", "Dear reviewer,\nplease look.\n")},
			codes.InvalidArgument, http.StatusBadRequest, "NOT_A_DIFF",
		},
		"a broken diff": {
			data(strings.Replace(storeDiff, "+1,10", "+1,99", 1)),
			[]string{"--diff", w.write("broken.diff", strings.Replace(storeDiff, "+1,10", "+1,99", 1))},
			codes.InvalidArgument, http.StatusBadRequest, "NOT_A_DIFF",
		},
	} {
		_, err := n.Reviews.CreateReview(bounded(t), &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: c.source}}, credentials)
		require.Equal(t, c.code, status.Code(err), "%s: %v", name, err)
		require.Equal(t, c.reason, info(err).GetReason(), name)

		r := n.do("POST", "/v1/reviews", restSource(t, c.source), "Authorization", header)
		require.Equal(t, c.http, r.Code, "%s: %s", name, r.Body)
		require.Equal(t, c.reason, r.reason(), "%s: %s", name, r.Body)

		run := w.run(append([]string{"review"}, c.args...)...)
		require.Equal(t, 2, run.Code, "%s: %s", name, run.Stderr)
		require.Contains(t, run.Stderr, c.reason, name)
		require.Empty(t, run.Stdout, name)
	}
	for _, source := range []*reviewv1.Source{gitRange(repo.Dir, "HEAD~1", "HEAD")} {
		r := n.do("POST", "/v1/reviews", restSource(t, source))
		require.Equal(t, http.StatusForbidden, r.Code, "%s", r.Body)
		require.Equal(t, "LOCAL_SOURCE_REFUSED", r.reason(), "paths are for the folder's owner")
	}
	n.requireNoJobs()
}

func restSource(t testing.TB, s *reviewv1.Source) string {
	t.Helper()
	source := map[string]any{}
	if g := s.GetGitRange(); g != nil {
		source["git_range"] = map[string]string{"dir": g.GetDir(), "base": g.GetBase(), "head": g.GetHead()}
	} else {
		source["diff"] = map[string]string{"data": base64.StdEncoding.EncodeToString(s.GetDiff().GetData())}
	}
	raw, err := json.Marshal(map[string]any{"source": source})
	require.NoError(t, err)
	return string(raw)
}

func (n *node) requireNoJobs() {
	n.t.Helper()
	page, err := n.Jobs.ListJobs(bounded(n.t), &jobsv1.ListJobsRequest{})
	require.NoError(n.t, err)
	require.Empty(n.t, page.GetJobs(), "what was refused left a job")
	require.Equal(n.t, http.StatusOK, n.do("GET", "/readyz", "").Code)
}

// raw sends bytes as they are, for messages that no generated client would send.
type raw struct{}

var errRaw = errors.New("neither bytes nor an empty message")

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, errRaw
	}
	return b, nil
}

func (raw) Unmarshal([]byte, any) error { return nil }

func TestUnusableRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.write("witan.yaml", readFile(t, w.Config)+"max_body: 65536\n")
	n := w.serve()
	large := strings.Repeat("x", 70<<10)
	ask := func(text string) string { return fmt.Sprintf(`{"question":{"text":%q}}`, text) }
	for name, c := range map[string]struct {
		method, path, body string
		code               int
		reason             string
	}{
		"unknown job":                  {"GET", "/v1/jobs/" + unknownID, "", 404, "JOB_NOT_FOUND"},
		"unknown job's events":         {"GET", "/v1/jobs/" + unknownID + "/events", "", 404, "JOB_NOT_FOUND"},
		"unknown job watched":          {"GET", "/v1/jobs/" + unknownID + ":watch?after_seq=0", "", 404, "JOB_NOT_FOUND"},
		"unknown job waited for":       {"GET", "/v1/jobs/" + unknownID + ":wait", "", 404, "JOB_NOT_FOUND"},
		"unknown job cancelled":        {"POST", "/v1/jobs/" + unknownID + ":cancel", "{}", 404, "JOB_NOT_FOUND"},
		"malformed job":                {"GET", "/v1/jobs/NOT-AN-ID", "", 400, "INVALID_REQUEST"},
		"malformed job watched":        {"GET", "/v1/jobs/%2e%2e:watch", "", 400, "INVALID_REQUEST"},
		"unknown deliberation":         {"GET", "/v1/deliberations/" + unknownID, "", 404, "DELIBERATION_NOT_FOUND"},
		"unknown review":               {"GET", "/v1/reviews/" + unknownID, "", 404, "REVIEW_NOT_FOUND"},
		"unknown conversation":         {"POST", "/v1/conversations/" + unknownID + "/deliberations", ask("?"), 404, "CONVERSATION_NOT_FOUND"},
		"malformed conversation":       {"GET", "/v1/conversations/X", "", 400, "INVALID_REQUEST"},
		"unknown council":              {"POST", "/v1/deliberations", `{"council":"councils/nobody","question":{"text":"?"}}`, 404, "COUNCIL_NOT_FOUND"},
		"no task":                      {"POST", "/v1/deliberations", `{}`, 400, "INVALID_REQUEST"},
		"an empty question":            {"POST", "/v1/deliberations", ask(""), 400, "INVALID_REQUEST"},
		"a malformed request_id":       {"POST", "/v1/deliberations?request_id=1", ask("?"), 400, "INVALID_REQUEST"},
		"an unknown field":             {"POST", "/v1/deliberations", `{"qestion":{"text":"?"}}`, 400, "INVALID_REQUEST"},
		"no JSON":                      {"POST", "/v1/deliberations", `question=?`, 400, "MALFORMED_BODY"},
		"half a JSON":                  {"POST", "/v1/deliberations", `{"question":{"text":"`, 400, "MALFORMED_BODY"},
		"invalid UTF-8":                {"POST", "/v1/deliberations", "{\"question\":{\"text\":\"\xff\xfe\"}}", 400, "INVALID_UTF8"},
		"a body over the limit":        {"POST", "/v1/deliberations", ask(large), 413, "BODY_TOO_LARGE"},
		"an unknown parameter":         {"GET", "/v1/jobs?sise=1", "", 400, "QUERY_PARAMETER_UNKNOWN"},
		"a malformed page token":       {"GET", "/v1/jobs?page_token=x", "", 400, "PAGE_TOKEN_INVALID"},
		"a method that is not":         {"PUT", "/v1/jobs", "", 405, "METHOD_NOT_ALLOWED"},
		"a route that is not":          {"GET", "/v1/nothing", "", 404, "RPC_UNKNOWN"},
		"a position that is no number": {"GET", "/v1/jobs/" + unknownID + "/events?after_seq=x", "", 400, "INVALID_REQUEST"},
	} {
		r := n.do(c.method, c.path, c.body)
		require.Equal(t, c.code, r.Code, "%s: %s", name, r.Body)
		require.Equal(t, c.reason, r.reason(), "%s: %s", name, r.Body)
	}
	for name, c := range map[string]struct {
		err    error
		code   codes.Code
		reason string
	}{
		"unknown job":   {second(n.Jobs.GetJob(bounded(t), &jobsv1.GetJobRequest{Name: "jobs/" + unknownID})), codes.NotFound, "JOB_NOT_FOUND"},
		"malformed job": {second(n.Jobs.GetJob(bounded(t), &jobsv1.GetJobRequest{Name: "jobs/../x"})), codes.InvalidArgument, "INVALID_REQUEST"},
		"too large": {
			second(n.Council.CreateDeliberation(bounded(t), &councilv1.CreateDeliberationRequest{Deliberation: question(large)})),
			codes.ResourceExhausted, "", // refused by the transport, before any of ours sees it
		},
		"invalid UTF-8": { // GetJobRequest{name: "\xff"}, which gRPC refuses before any of ours sees it
			n.conn.Invoke(bounded(t), jobsv1.JobService_GetJob_FullMethodName, []byte("\x0a\x01\xff"), &emptypb.Empty{}, grpc.ForceCodec(raw{})),
			codes.Internal, "",
		},
		"no message": {
			n.conn.Invoke(bounded(t), jobsv1.JobService_GetJob_FullMethodName, []byte("\xff\xff\xff"), &emptypb.Empty{}, grpc.ForceCodec(raw{})),
			codes.Internal, "",
		},
	} {
		require.Equal(t, c.code, status.Code(c.err), "%s: %v", name, c.err)
		if c.reason != "" {
			require.Equal(t, c.reason, info(c.err).GetReason(), "%s: %v", name, c.err)
		}
	}
	for name, c := range map[string]struct {
		args []string
		said string
	}{
		"unknown job":      {[]string{"attach", unknownID}, "JOB_NOT_FOUND"},
		"malformed job":    {[]string{"attach", "no such job"}, "INVALID_REQUEST"},
		"unknown to get":   {[]string{"jobs", "get", unknownID}, "JOB_NOT_FOUND"},
		"unknown council":  {[]string{"ask", "?", "--council", "nobody"}, "COUNCIL_NOT_FOUND"},
		"invalid UTF-8":    {[]string{"ask", "\xff\xfe"}, "UTF-8"},
		"too large":        {[]string{"ask", large}, "MESSAGE_TOO_LARGE"},
		"unknown flag":     {[]string{"ask", "?", "--sever", "x"}, "unknown flag"},
		"no question":      {[]string{"ask"}, "accepts 1 arg"},
		"unknown format":   {[]string{"review", "--format", "html"}, "--format"},
		"no such severity": {[]string{"review", "--fail-on", "awful"}, "--fail-on"},
		"no such file":     {[]string{"review", "--diff", "none.diff"}, "no such file"},
	} {
		run := w.run(c.args...)
		require.Equal(t, 2, run.Code, "%s: %s", name, run.Stderr)
		require.Contains(t, run.Stderr, c.said, name)
		require.Empty(t, run.Stdout, name)
	}
	away := w.run("ask", "?", "--server", "127.0.0.1:1")
	require.Equal(t, 69, away.Code, away.Stderr)
	n.requireNoJobs()
}

func second[T any](_ T, err error) error { return err }

func TestServeSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	serve := func(dir string, args ...string) process.Result {
		args = append([]string{"serve", "--data", filepath.Join(w.Dir, dir), "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"}, args...)
		return process.Run(t, w.Dir, nil, args...)
	}
	wrong := w.write("wrong.yaml", "modles: []\nhttp_adr: x\nlog: {levl: debug, format: xml}\ndrain: -1s\nmodels:\n  - {name: m, provider: psychic, api_key: sk-123}\n")
	misspelled := serve("other", "--config", wrong)
	require.Equal(t, 2, misspelled.Code, misspelled.Stderr)
	for _, key := range []string{"modles", "http_adr", "levl", "log.format", "drain", "psychic", "api_key"} {
		require.Contains(t, misspelled.Stderr, key, "all problems are told at once")
	}
	require.NotContains(t, misspelled.Stderr, "sk-123")
	variable := process.Run(t, w.Dir, []string{"WITAN_HTTP_ADR=x"}, "serve", "--data", filepath.Join(w.Dir, "other"))
	require.Equal(t, 2, variable.Code, variable.Stderr)
	require.Contains(t, variable.Stderr, "WITAN_HTTP_ADR")
	missing := serve("other", "--config", filepath.Join(w.Dir, "none.yaml"))
	require.Equal(t, 2, missing.Code, missing.Stderr)
	require.Contains(t, missing.Stderr, "none.yaml")
	open := serve("other", "--http-addr", "0.0.0.0:0")
	require.Equal(t, 2, open.Code, open.Stderr)
	require.Contains(t, open.Stderr, "http_addr")

	n := w.serve()
	d := n.ask(question("Still there?"))
	held := process.Run(t, w.Dir, nil, "serve", "--config", w.Config, "--data", w.Data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	require.Equal(t, 2, held.Code, held.Stderr)
	require.Contains(t, held.Stderr, "DATA_FOLDER_IN_USE")
	for flag, addr := range map[string]string{"--http-addr": strings.TrimPrefix(n.HTTP, "http://"), "--grpc-addr": n.GRPC} {
		taken := serve("third", "--config", w.Config, flag, addr)
		require.Equal(t, 2, taken.Code, taken.Stderr)
		require.Contains(t, taken.Stderr, addr)
		require.Contains(t, taken.Stderr, "in use")
	}
	require.Equal(t, jobsv1.Job_SUCCEEDED, n.wait(d.GetJob()).GetState(), "the one that runs is not disturbed")
}

// TestModelEndpointsThatMisbehave seats one bad member beside two good ones: what it did is told by its class, the others'
// work stands. What passes when tried again leaves no mark but in the log.
func TestModelEndpointsThatMisbehave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
rules:
  - {when: {model: wrong-key}, then: {status: 401, message: the key is wrong}}
  - {when: {model: busy}, then: {status: 429, retry_after: 20ms, message: slow down}}
  - {when: {model: broken}, then: {status: 500, message: out of order}}
  - {when: {model: page}, then: {fault: html}}
  - {when: {model: half}, then: {fault: cut, after: 30}}
  - {when: {model: endless}, then: {fault: no_end}}
  - {when: {model: garbled}, then: {fault: malformed}}
  - {when: {model: empty}, then: {fault: empty}}
  - {when: {model: unwilling}, then: {fault: refusal}}
  - {when: {model: silent}, then: {fault: hang}}
  - {when: {model: babbling, stage: rank}, then: {fault: invalid_json}}
  - {when: {model: shaky, call: "1"}, then: {status: 429, retry_after: 20ms}}
  - {when: {model: flaky, call: "1"}, then: {fault: cut, after: 30}}
  - {when: {model: stammering, stage: rank, call: "1"}, then: {fault: invalid_json}}
`)
	classes := map[string]councilv1.Failure_Class{
		"down": councilv1.Failure_PROVIDER, "wrong-key": councilv1.Failure_AUTH, "busy": councilv1.Failure_RATE_LIMIT,
		"broken": councilv1.Failure_PROVIDER, "page": councilv1.Failure_PROVIDER, "half": councilv1.Failure_PROVIDER,
		"endless": councilv1.Failure_PROVIDER, "garbled": councilv1.Failure_PROVIDER, "empty": councilv1.Failure_EMPTY,
		"unwilling": councilv1.Failure_REFUSAL, "silent": councilv1.Failure_TIMEOUT,
	}
	passing := []string{"shaky", "flaky", "stammering"}
	models := append([]string{"ada", "ben", "babbling"}, passing...)
	councils := "  - {name: down, provider: openai, base_url: \"http://127.0.0.1:1/v1\"}\ncouncils:\n"
	seat := func(model string, attempts int) {
		councils += fmt.Sprintf("  - {name: %s, members: [{id: odd, model: %s, max_attempts: %d, attempt_timeout: 2s}, ada, ben], chairman: {model: ada}}\n", model, model, attempts)
	}
	for name := range classes {
		if name != "down" {
			models = append(models, name)
		}
		seat(name, 1)
	}
	for _, name := range append(passing, "babbling") {
		seat(name, 2)
	}
	w.configure(councils, models...)
	n := w.serve()
	asked := map[string]*councilv1.Deliberation{}
	for _, name := range append([]string{"down"}, models[2:]...) { // the first two are the good ones
		d := question("Who is there?")
		d.Council = "councils/" + name
		asked[name] = n.ask(d)
	}
	for name, d := range asked {
		j := n.wait(d.GetJob())
		log := n.events(d.GetJob())
		requireDense(t, log)
		r := j.GetDeliberation()
		require.Equal(t, councilv1.DeliberationResult_CHAIRMAN, r.GetOrigin(), "%s: the others' work stands", name)
		class, bad := classes[name]
		switch {
		case bad:
			require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, j.GetState(), name)
			require.Equal(t, "MEMBER_MISSING", j.GetStateReason(), name)
			missing := r.GetCoverage().GetStages()[0].GetMissing()
			require.Len(t, missing, 1, name)
			require.Equal(t, class, missing[0].GetClass(), name)
			require.Len(t, r.GetAnswers(), 2, name)
			said := failures(log)
			require.NotEmpty(t, said, name)
			require.NotEmpty(t, said[0].GetMessage(), name)
			require.False(t, said[0].GetWillRetry(), name)
		case name == "babbling":
			require.Equal(t, jobsv1.Job_PARTIALLY_SUCCEEDED, j.GetState(), name)
			require.Equal(t, "BALLOT_INVALID", j.GetStateReason(), name)
			require.Len(t, r.GetAnswers(), 3, name)
		default:
			require.Equal(t, jobsv1.Job_SUCCEEDED, j.GetState(), "%s: %s", name, j.GetStateReason())
			require.Len(t, r.GetAnswers(), 3, name)
			if name != "stammering" {
				require.True(t, failures(log)[0].GetWillRetry(), name)
			}
		}
	}
}

func failures(log []*jobsv1.JobEvent) []*councilv1.MemberFailed {
	var out []*councilv1.MemberFailed
	for _, e := range log {
		if f := e.GetCouncil().GetMemberFailed(); f != nil {
			out = append(out, f)
		}
	}
	return out
}

// TestReviewWithoutItsCouncil: where the endpoint is away, what the static reviewers found is published all the same.
func TestReviewWithoutItsCouncil(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "rules: [{when: {}, then: {status: 401, message: the key is wrong}}]")
	repo := storeRepository(t)
	quiet := w.run("review", "--repo", repo.Dir, "--base", "HEAD~1", "--format", "json")
	require.Equal(t, 5, quiet.Code, quiet.Stderr)
	repo.Commit("leak", map[string]string{"deploy.py": "REGION = 'eu'\naws_key = '" + leakedKey() + "'\n"})
	found := w.run("review", "--repo", repo.Dir, "--base", "HEAD~1", "--format", "text")
	require.Equal(t, 1, found.Code, found.Stderr)
	require.Contains(t, found.Stdout, "deploy.py")
	require.NotContains(t, found.Stdout+found.Stderr, leakedKey())
}
