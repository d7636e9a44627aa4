package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	councilv1 "witan.dev/gen/witan/council/v1"
	jobsv1 "witan.dev/gen/witan/jobs/v1"
	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/freeport"
	"witan.dev/internal/job/engine/dbos"
	"witan.dev/internal/llm/simulated"
	"witan.dev/internal/llm/simulator"
	"witan.dev/internal/testserver"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/e2e/process"
)

// The stores that the whole program is run on.
const (
	sqliteStore   = "sqlite"
	postgresStore = "postgres"
)

// scene is something that callers have the program do. They repeat what was not answered, as callers do.
type scene struct {
	name string
	// script is that of the models.
	script string
	// files lie in the repository beside its code.
	files map[string]string
	// forge says that there is a GitHub, with a pull request that was opened.
	forge bool
	// comesBy are the points that it must come by, beside others.
	comesBy []crashpoint.Point
	// sample says which of n hits of a point is in the sample, 0: none.
	sample func(p crashpoint.Point, n int) int
	// before is what happened before, in a process that nobody kills; nil: nothing did.
	before func(p *play)
	play   func(p *play)
}

func scenes() []scene {
	return []scene{
		{
			name: "deliberation", script: ranked,
			comesBy: []crashpoint.Point{crashpoint.BeforeCreate, crashpoint.AfterIntent, crashpoint.BeforeClose, crashpoint.EndOfStep, crashpoint.AfterFinish, crashpoint.AfterOutcome},
			sample: func(p crashpoint.Point, n int) int {
				if slices.Contains([]crashpoint.Point{crashpoint.AfterIntent, crashpoint.AfterCommit}, p) {
					return (n + 1) / 2
				}
				return 0
			},
			play: (*play).deliberate,
		},
		{
			name: "review", script: disputed, forge: true,
			comesBy: []crashpoint.Point{crashpoint.BeforePut, crashpoint.AfterDone, crashpoint.BeforePost, crashpoint.AfterPost, crashpoint.EndOfStep, crashpoint.AfterOutcome},
			sample: func(p crashpoint.Point, n int) int {
				if p == crashpoint.BeforePost || p == crashpoint.AfterPost {
					return (n + 1) / 2
				}
				return 0
			},
			play: (*play).review,
		},
		{
			name: "push", script: mended, forge: true,
			comesBy: []crashpoint.Point{crashpoint.BeforePut, crashpoint.AfterDone, crashpoint.BeforePost, crashpoint.AfterPost, crashpoint.EndOfStep, crashpoint.AfterOutcome},
			sample: func(p crashpoint.Point, _ int) int {
				if p == crashpoint.AfterPost {
					return 2 // the answer in the finding's thread
				}
				return 0
			},
			before: (*play).review, play: (*play).push,
		},
		{
			name: "hand-over", script: disputed, forge: true, files: map[string]string{".witan.yaml": "version: 1\nreview: {auto: []}\n"},
			comesBy: slices.Concat(crashpoint.Outside(), []crashpoint.Point{crashpoint.BeforeCreate, crashpoint.AfterCreate}),
			sample: func(p crashpoint.Point, n int) int {
				if slices.Contains(crashpoint.Outside()[:7], p) {
					return min(n, 1)
				}
				return 0
			},
			play: (*play).handOver,
		},
	}
}

// ranked has the members agree on whose answer is best.
const ranked = `
timing: {first_token: 5ms, latency: 20ms, chunk_bytes: 4096}
rules:
  - {when: {model: ada, stage: answer}, then: {text: "Alpha answers."}}
  - {when: {model: ben, stage: answer}, then: {text: "Beta answers."}}
  - {when: {model: cyd, stage: answer}, then: {text: "Gamma answers."}}
  - {when: {model: chair}, then: {text: "Alpha it is."}}
  - {when: {stage: rank}, then: {prefer: ["Alpha", "Beta", "Gamma"]}}
`

// mended has ada report the loop once: the push after it mends it.
const mended = `
timing: {first_token: 5ms, latency: 20ms, chunk_bytes: 4096}
rules:
  - when: {model: ada, stage: propose, call: "1"}
    then:
      json:
        findings:
          - {path: store/store.go, code: "for i := 0; i <= len(items); i++ {", start_line: 6, end_line: 6, side: RIGHT, category: CORRECTNESS, severity: HIGH,
             claim: "The loop reads one element past the end", reason: "i reaches len(items), so items[i] panics.", suggestion: "", confidence: 0.9}
  - {when: {stage: propose}, then: {json: {findings: []}}}
  - when: {stage: cross_examine}
    then:
      labels:
        - {match: ".", set: {vote: CONFIRMED, severity: HIGH, reason: "Visible in the change.", duplicate_of: ""}}
`

// play is one performance of a scene: a system of its own, which is killed once at most.
type play struct {
	t      *testing.T
	binary string
	scene  scene
	w      *world
	h      *hub
	repo   *githubtest.Repository
	// database is the URL of Postgres, empty: there is a data folder.
	database string
	n        *node // at addresses that stay
	args     []string
	counts   string

	proc    *process.Process
	env     []string
	killed  bool
	atKill  left
	sent    int // how many calls the models had answered, or given up, before it was started again
	viewers map[string]*frames
}

// newPlay makes a system that is not started yet.
func newPlay(t *testing.T, binary string, s scene, store string) *play {
	t.Helper()
	w := &world{t: t, Dir: t.TempDir()}
	w.Data, w.Config, w.calls = filepath.Join(w.Dir, "data"), filepath.Join(w.Dir, "witan.yaml"), filepath.Join(w.Dir, "calls.jsonl")
	p := &play{t: t, binary: binary, scene: s, w: w, counts: filepath.Join(w.Dir, "counts"), viewers: map[string]*frames{}}
	p.simulate()
	var config strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&config, format+"\n", args...) }
	say("models:")
	for _, name := range []string{"ada", "ben", "cyd", "chair"} {
		say("  - {name: %s, provider: openai, base_url: %q, json_schema: true}", name, w.endpoint)
	}
	say("councils:\n  - {name: default, members: [ada, ben, cyd], chairman: {model: chair}, ranking: {early_consensus: 'OFF'}}")
	say("liveness: {beat: 200ms, ttl: 600ms, sweep: 200ms}\ndrain: 2s\nstreams: {heartbeat: 1500ms, grace: 3s}") // a tenth of the usual times
	if s.forge {
		p.openForge()
		say("github: {base_url: %q, app_id: %d, private_key_file: %q, write_pace: 1ms, list_lag: 1500ms}", p.h.URL, p.h.app.ID, w.write("app.pem", string(p.h.app.PrivateKey)))
		say("webhooks: {lease: 1s, github: {secrets_file: %q}}", w.write("hook.secrets", hubSecret+"\n"))
		say("reviews: {debounce: 20ms, debounce_max: 1s, council_pause: 6s}")
	}
	if store == postgresStore {
		p.database = postgrestest.Prepared(t, "engine", dbos.MigratePostgres)
		redis := testserver.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
		say("database_file: %q\nredis: %q", w.write("database.url", p.database), redis.URL)
	}
	w.write("witan.yaml", config.String())
	p.address()
	return p
}

// simulate serves the models from this process.
func (p *play) simulate() {
	p.t.Helper()
	script, err := simulated.ParseScript([]byte(p.scene.script))
	require.NoError(p.t, err)
	calls, err := os.OpenFile(p.w.calls, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(p.t, err)
	models := simulator.New(simulator.Params{Addr: "127.0.0.1:0", Script: script, CallLog: calls})
	require.NoError(p.t, models.Start(p.t.Context()))
	p.w.endpoint = models.URL()
	p.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(p.t.Context()), patience)
		defer cancel()
		require.NoError(p.t, models.Stop(ctx))
		require.NoError(p.t, calls.Close())
	})
}

// openForge starts a GitHub with a pull request.
func (p *play) openForge() {
	p.t.Helper()
	ctx := p.t.Context()
	h := &hub{Server: githubtest.New(p.t, githubtest.Options{AppPermissions: githubtest.ResolvingPermissions()}), t: p.t, secret: hubSecret}
	h.SetWebhook(githubtest.Webhook{URL: "http://127.0.0.1:9/", Secret: hubSecret, Hold: true})
	files := map[string]string{"README.md": "shop\n", "store/store.go": storeBefore}
	maps.Copy(files, p.scene.files)
	repo, err := h.AddRepository(ctx, githubtest.RepositorySpec{Owner: "acme", Name: "shop", Files: files})
	require.NoError(p.t, err)
	h.app, err = h.App()
	require.NoError(p.t, err)
	_, err = repo.Commit(ctx, githubtest.Commit{Branch: "sum", Parent: "main", Message: "Sum", Files: map[string]string{"store/store.go": storeAfter}})
	require.NoError(p.t, err)
	h.open(repo, githubtest.PullRequestSpec{Title: "Sum", Head: "sum"})
	p.h, p.repo = h, repo
}

// address chooses addresses that stay over restarts, and dials them.
func (p *play) address() {
	p.t.Helper()
	free, err := freeport.Addresses(p.t.Context(), 2)
	require.NoError(p.t, err)
	p.n = &node{world: p.w, GRPC: free[0], HTTP: "http://" + free[1]}
	p.n.dial(grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1, MaxDelay: 20 * time.Millisecond}}),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	p.args = []string{"serve", "--config", p.w.Config, "--grpc-addr", free[0], "--http-addr", free[1]}
	if p.database == "" {
		p.args = append(p.args, "--data", p.w.Data)
	}
}

// perform plays the scene and returns how it ended. The zero hit kills nobody.
func (p *play) perform(h hit) end {
	p.t.Helper()
	if p.scene.before != nil {
		p.start(nil)
		p.scene.before(p)
		p.proc.Stop()
		require.False(p.t, p.killed)
	}
	env := []string{crashpoint.CountVariable + "=" + p.counts}
	if h.n > 0 {
		env = append(env, crashpoint.Variable+"="+h.String())
	}
	p.start(env)
	p.scene.play(p)
	p.rest()
	p.settle()
	return p.gather()
}

// start starts the process.
func (p *play) start(env []string) {
	p.t.Helper()
	p.env, p.proc = env, process.StartBinary(p.t, p.binary, p.w.Dir, env, p.args...)
}

// tend starts the process again where it was killed, or ended since its database did not answer in time when it began, as on a
// machine that has too much to do.
func (p *play) tend() {
	p.t.Helper()
	select {
	case <-p.proc.Done():
	default:
		return
	}
	if p.proc.EndedBy() < 0 && strings.Contains(p.proc.Output(), "DATABASE_AWAY") {
		p.start(p.env)
		return
	}
	require.False(p.t, p.killed, "it ended a second time")
	require.Equal(p.t, syscall.SIGKILL, p.proc.EndedBy(), "it died where it was told to")
	p.killed, p.atKill, p.sent = true, p.read(), len(p.w.log())
	p.start(nil)
}

// until tends the process until something is so.
func (p *play) until(what string, so func() bool) {
	p.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); ; <-tick.C {
		p.tend()
		if so() {
			return
		}
		require.Less(p.t, time.Since(begun), 2*patience, "%s", what)
	}
}

// call makes a call until it is answered.
func (p *play) call(do func(ctx context.Context) error) {
	p.t.Helper()
	p.until("a call is answered", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
		defer cancel()
		err := do(ctx)
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			return false
		}
		require.NoError(p.t, err)
		return true
	})
}

// settle waits until all jobs have ended, and watches each of them.
func (p *play) settle() {
	p.t.Helper()
	p.until("all jobs end", func() bool {
		ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
		defer cancel()
		list, err := p.n.Jobs.ListJobs(ctx, &jobsv1.ListJobsRequest{PageSize: 100})
		if err != nil || len(list.GetJobs()) == 0 {
			return false
		}
		done := true
		for _, j := range list.GetJobs() {
			p.watch(j.GetName())
			done = done && j.GetEndTime() != nil
		}
		return done
	})
}

// rest waits until the process comes by nothing any more, or is killed after all.
func (p *play) rest() {
	p.t.Helper()
	size, since := int64(-1), time.Now()
	p.until("it rests", func() bool {
		info, err := os.Stat(p.counts)
		if err == nil && info.Size() != size {
			size, since = info.Size(), time.Now()
		}
		return p.killed || time.Since(since) > 2*time.Second
	})
}

// hits is how often the process came by each point.
func (p *play) hits() map[crashpoint.Point]int {
	p.t.Helper()
	hits := map[crashpoint.Point]int{}
	for line := range strings.Lines(readFile(p.t, p.counts)) {
		hits[crashpoint.Point(strings.TrimSpace(line))]++
	}
	return hits
}

// deliberate asks the council.
func (p *play) deliberate() {
	p.t.Helper()
	p.call(func(ctx context.Context) error {
		made, err := p.n.Council.CreateDeliberation(ctx, &councilv1.CreateDeliberationRequest{
			RequestId: "7c2b1c7e-30a5-4a6d-8c25-1f1f5f0e6a11", Deliberation: question("What does a crash cost?"),
		})
		if err == nil {
			p.watch(made.GetJob())
		}
		return err
	})
	p.settle()
}

// deliver sends a delivery until it is accepted, and waits until it has come to something.
func (p *play) deliver(event, action string) {
	p.t.Helper()
	p.h.SetWebhook(githubtest.Webhook{URL: p.n.HTTP + "/webhooks/github", Secret: hubSecret, Hold: true})
	id := ""
	for _, d := range p.h.Deliveries() { // the newest
		if d.Event == event && d.Action == action {
			id = d.ID
		}
	}
	require.NotEmpty(p.t, id, "%s.%s", event, action)
	p.until("it is accepted", func() bool {
		answer, err := p.h.Redeliver(p.t.Context(), id)
		return err == nil && answer == http.StatusAccepted
	})
	p.until("it is handed over", func() bool {
		return slices.Contains([]string{"HANDLED", "IGNORED"}, p.n.deliveryOf(p.t.Context(), id).State)
	})
}

// review has the pull request reviewed.
func (p *play) review() {
	p.t.Helper()
	p.deliver("pull_request", "opened")
	p.settle()
}

// push has the pull request reviewed again, when its finding is mended.
func (p *play) push() {
	p.t.Helper()
	_, err := p.h.pull.Push(p.t.Context(), githubtest.Commit{Message: "Mend", Files: map[string]string{"store/store.go": strings.Replace(storeAfter, "<=", "<", 1)}})
	require.NoError(p.t, err)
	p.deliver("pull_request", "synchronize")
	p.settle()
}

// handOver hands over a pull request that is not to be reviewed, a question in a comment, and what means nothing.
func (p *play) handOver() {
	p.t.Helper()
	p.deliver("pull_request", "opened")
	p.settle()
	for _, text := range []string{"/witan help", "Good work."} {
		if _, err := p.h.pull.Comment(p.t.Context(), "acme", text); err != nil {
			require.NoError(p.t, err)
		}
		p.deliver("issue_comment", "created")
	}
	p.settle()
}

// watch attaches a viewer to a job that has none.
func (p *play) watch(job string) {
	p.t.Helper()
	if p.viewers[job] != nil {
		return
	}
	v := &frames{n: p.n, job: job, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(p.t.Context())
	p.t.Cleanup(cancel)
	p.viewers[job] = v
	go v.follow(ctx)
}

// frames is a viewer over server-sent events, and every byte of the events that it received.
type frames struct {
	n     *node
	job   string
	ended chan struct{}

	mu  sync.Mutex
	all []string
}

// follow receives to the end of the log, over as many connections as that takes.
func (f *frames) follow(ctx context.Context) {
	defer close(f.ended)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !f.receive(ctx) {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// receive takes what one connection brings, and says whether the log is at its end.
func (f *frames) receive(ctx context.Context) bool {
	f.mu.Lock()
	seen := len(f.all)
	f.mu.Unlock()
	resp, err := f.n.request(ctx, http.MethodGet, "/v1/"+f.job+":watch?after_seq=0", nil, "Accept", "text/event-stream", "Last-Event-ID", fmt.Sprint(seen))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusNoContent {
		return true
	}
	if resp.StatusCode != http.StatusOK {
		return false
	}
	in := bufio.NewReader(resp.Body)
	var frame bytes.Buffer
	for {
		line, err := in.ReadString('\n')
		if err != nil { // a frame that was cut is none
			return false
		}
		frame.WriteString(line)
		if strings.TrimSpace(line) != "" {
			continue
		}
		text := frame.String()
		frame.Reset()
		switch {
		case strings.Contains(text, "event: done"):
			return true
		case strings.HasPrefix(text, "id:") || strings.Contains(text, "\nid:"):
			f.mu.Lock()
			f.all = append(f.all, text)
			f.mu.Unlock()
		}
	}
}

// received waits for the end of the log.
func (f *frames) received() []string {
	<-f.ended
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.all
}

// whole is the log as a viewer gets it who comes now.
func (f *frames) whole(t *testing.T) []string {
	t.Helper()
	select {
	case <-f.ended:
	case <-time.After(patience):
		require.FailNow(t, "a viewer does not come to the end of the log", "%s", f.job)
	}
	late := &frames{n: f.n, job: f.job, ended: make(chan struct{})}
	require.True(t, late.receive(bounded(t)), "%s", f.job)
	return late.all
}
