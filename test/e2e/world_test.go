package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/llm/simulator"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/test/e2e/gittest"
	"witan.dev/test/e2e/process"
)

// patience bounds what a test waits for one thing. Nothing here takes a tenth of it on an idle machine.
const patience = 60 * time.Second

// quick is a script whose answers take long enough to be cut in their middle.
const quick = "timing: {first_token: 10ms, latency: 120ms, chunk_bytes: 32}\n"

// world is a model endpoint in a process of its own, and a configuration with three members and a chairman on it.
type world struct {
	t testing.TB
	// Dir holds the configuration, Data is the data folder, calls the endpoint's log.
	Dir, Data, Config, calls string
	// endpoint is the base URL of the simulated models, which simulator serves.
	endpoint  string
	simulator *process.Process
}

// newWorld starts the simulator with a script. The council's members are ada, ben and cyd; its chairman has a model of its
// own, so that the call log tells it from them.
func newWorld(t testing.TB, script string) *world {
	t.Helper()
	w := &world{t: t, Dir: t.TempDir()}
	w.Data, w.Config, w.calls = filepath.Join(w.Dir, "data"), filepath.Join(w.Dir, "witan.yaml"), filepath.Join(w.Dir, "calls.jsonl")
	w.write("script.yaml", script)
	w.simulate("127.0.0.1:0")
	w.configure(`councils:
  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}}
`, "ada", "ben", "cyd", "chair")
	return w
}

// simulate starts the simulator at an address.
func (w *world) simulate(addr string) {
	w.t.Helper()
	w.simulator = process.Start(w.t, w.Dir, nil, "models", "simulate", "--addr", addr, "--script", "script.yaml", "--log", w.calls, "--log-messages")
	w.endpoint = w.simulator.Expect(`(http://127\.0\.0\.1:\d+/v1)`)[1]
}

func (w *world) write(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.Dir, name)
	require.NoError(w.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// configure writes the configuration: councils, and models of these names at the endpoint.
func (w *world) configure(rest string, models ...string) {
	w.t.Helper()
	var text strings.Builder
	text.WriteString("models:\n")
	for _, name := range models {
		fmt.Fprintf(&text, "  - {name: %s, provider: openai, base_url: %q, json_schema: true}\n", name, w.endpoint)
	}
	w.write("witan.yaml", text.String()+rest)
}

// run runs a command of witan on the world's data folder.
func (w *world) run(args ...string) process.Result {
	w.t.Helper()
	return process.Run(w.t, w.Dir, nil, append(args, "--config", w.Config, "--data", w.Data)...)
}

// log is what the endpoint wrote down.
func (w *world) log() []simulator.Entry {
	w.t.Helper()
	raw, err := os.ReadFile(w.calls)
	require.NoError(w.t, err)
	var entries []simulator.Entry
	for line := range bytes.Lines(raw) {
		var e simulator.Entry
		require.NoError(w.t, json.Unmarshal(line, &e))
		entries = append(entries, e)
	}
	return entries
}

// node is a running `witan serve`.
type node struct {
	*world
	*process.Process

	HTTP, GRPC string
	token      string // what requests show; empty: nothing
	conn       *grpc.ClientConn
	Jobs       jobsv1.JobServiceClient
	Council    councilv1.CouncilServiceClient
	Reviews    reviewv1.ReviewServiceClient
}

// serve starts a server on the world's data folder.
func (w *world) serve() *node {
	w.t.Helper()
	return w.serveWith(process.Binary(w.t))
}

// serveWith is serve of a certain build, with more variables.
func (w *world) serveWith(binary string, env ...string) *node {
	w.t.Helper()
	n := &node{world: w, Process: process.StartBinary(w.t, binary, w.Dir, env,
		"serve", "--config", w.Config, "--data", w.Data, "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")}
	ready := n.Expect(`msg=serving .*grpc_addr=(\S+) http_addr=(\S+)`)
	n.GRPC, n.HTTP = ready[1], "http://"+ready[2]
	n.dial()
	return n
}

// dial makes the clients.
func (n *node) dial(options ...grpc.DialOption) {
	n.t.Helper()
	conn, err := grpc.NewClient(n.GRPC, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(n.t, err)
	n.t.Cleanup(func() { _ = conn.Close() })
	n.conn, n.Jobs = conn, jobsv1.NewJobServiceClient(conn)
	n.Council, n.Reviews = councilv1.NewCouncilServiceClient(conn), reviewv1.NewReviewServiceClient(conn)
}

// signIn lets the clients show a token.
func (n *node) signIn(token secret.Text) {
	n.t.Helper()
	n.dial(grpc.WithPerRPCCredentials(rpc.Bearer(token)))
}

// restart kills the server as a crash would and starts the next one on the same folder.
func (n *node) restart() *node {
	n.t.Helper()
	n.Kill()
	return n.serve()
}

// bounded is a context that ends before the test's patience does.
func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func question(text string) *councilv1.Deliberation {
	return &councilv1.Deliberation{Task: &councilv1.Deliberation_Question{Question: &councilv1.Question{Text: text}}}
}

// ask starts a deliberation.
func (n *node) ask(d *councilv1.Deliberation) *councilv1.Deliberation {
	n.t.Helper()
	made, err := n.Council.CreateDeliberation(bounded(n.t), &councilv1.CreateDeliberationRequest{Deliberation: d})
	require.NoError(n.t, err)
	return made
}

// reviewCommit starts the review of a repository's newest commit, as the folder's owner: nobody else may name paths.
func (n *node) reviewCommit(repo *gittest.Repo) *reviewv1.Review {
	n.t.Helper()
	_, credentials := n.owner()
	made, err := n.Reviews.CreateReview(bounded(n.t),
		&reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: gitRange(repo.Dir, "HEAD~1", "HEAD")}}, credentials)
	require.NoError(n.t, err)
	return made
}

// reviewDiff starts the review of a diff.
func (n *node) reviewDiff() *reviewv1.Review {
	n.t.Helper()
	source := &reviewv1.Source{Source: &reviewv1.Source_Diff{Diff: &reviewv1.Material{Content: &reviewv1.Material_Data{Data: []byte(storeDiff)}}}}
	made, err := n.Reviews.CreateReview(bounded(n.t), &reviewv1.CreateReviewRequest{Review: &reviewv1.Review{Source: source}})
	require.NoError(n.t, err)
	return made
}

// job reads a job.
func (n *node) job(name string) *jobsv1.Job {
	n.t.Helper()
	j, err := n.Jobs.GetJob(bounded(n.t), &jobsv1.GetJobRequest{Name: name})
	require.NoError(n.t, err)
	return j
}

// wait waits for a job's end without watching it. A server that says that it cannot answer at the moment is asked again.
func (n *node) wait(name string) *jobsv1.Job {
	n.t.Helper()
	ctx := bounded(n.t)
	for {
		j, err := n.Jobs.WaitJob(ctx, &jobsv1.WaitJobRequest{Name: name})
		if status.Code(err) == codes.Unavailable && ctx.Err() == nil {
			continue
		}
		require.NoError(n.t, err)
		if j.GetEndTime() != nil {
			return j
		}
	}
}

// events is a job's log, read in pages.
func (n *node) events(name string) []*jobsv1.JobEvent {
	n.t.Helper()
	var all []*jobsv1.JobEvent
	for token := ""; ; {
		page, err := n.Jobs.ListJobEvents(bounded(n.t), &jobsv1.ListJobEventsRequest{Parent: name, PageSize: 17, PageToken: token})
		require.NoError(n.t, err)
		all = append(all, page.GetEvents()...)
		if token = page.GetNextPageToken(); token == "" {
			return all
		}
	}
}

// until watches a job from its beginning and returns what came up to the first event that is wanted. The end of the log,
// or of the server, ends it too.
func (n *node) until(name string, wanted func(*jobsv1.JobEvent) bool) []*jobsv1.JobEvent {
	n.t.Helper()
	return n.untilWithin(patience, name, wanted)
}

// untilWithin is until for a job that others keep waiting.
func (n *node) untilWithin(d time.Duration, name string, wanted func(*jobsv1.JobEvent) bool) []*jobsv1.JobEvent {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), d)
	defer cancel()
	start := int64(0)
	stream, err := n.Jobs.WatchJob(ctx, &jobsv1.WatchJobRequest{Name: name, AfterSeq: &start})
	require.NoError(n.t, err)
	var seen []*jobsv1.JobEvent
	for {
		e, err := stream.Recv()
		require.NoError(n.t, err, "the stream ended after %d events without the one that is wanted", len(seen))
		if e.GetSeq() == 0 {
			continue
		}
		if seen = append(seen, e); wanted(e) {
			return seen
		}
	}
}

// conversation reads a conversation.
func (n *node) conversation(name string) *councilv1.Conversation {
	n.t.Helper()
	c, err := n.Council.GetConversation(bounded(n.t), &councilv1.GetConversationRequest{Name: name})
	require.NoError(n.t, err)
	return c
}

// name is the event's kind as server-sent events spell it, council.ballot_cast for example.
func name(e *jobsv1.JobEvent) string {
	m := e.ProtoReflect()
	field := m.WhichOneof(m.Descriptor().Oneofs().ByName("event"))
	switch {
	case field == nil:
		return ""
	case e.GetCouncil() != nil, e.GetReview() != nil, e.GetIndex() != nil:
		inner := m.Get(field).Message()
		kind := inner.WhichOneof(inner.Descriptor().Oneofs().Get(0))
		return string(field.Name()) + "." + string(kind.Name())
	default:
		return "job." + string(field.Name())
	}
}

// nth wants the n-th event of a kind.
func nth(n int, kind string) func(*jobsv1.JobEvent) bool {
	return func(e *jobsv1.JobEvent) bool {
		if name(e) == kind {
			n--
		}
		return n == 0
	}
}

func names(events []*jobsv1.JobEvent) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = name(e)
	}
	return out
}

// requireDense requires the numbers 1, 2, 3 … and one final event, the last.
func requireDense(t testing.TB, events []*jobsv1.JobEvent) {
	t.Helper()
	for i, e := range events {
		require.Equal(t, int64(i+1), e.GetSeq(), "the log has a gap or a double")
		require.Equal(t, i == len(events)-1, e.GetFinal(), "event %d", e.GetSeq())
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path) //nolint:gosec // the test's own file
	require.NoError(t, err)
	return string(raw)
}
