package e2e_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	jobsv1 "witan.dev/gen/witan/jobs/v1"
	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/testdata"
	"witan.dev/internal/testserver"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/services/review/github/githubtest"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

// hubSecret is what the simulated GitHub signs its deliveries with.
const hubSecret = "a secret of the hook that is long enough"

// doubly has ada report that credentials are encoded twice, which ben confirms and cyd rejects, and ben report a word, which
// nobody confirms. Both quote code of the shared pull request gofr-dev/gofr#1355.
const doubly = `
timing: {first_token: 10ms, latency: 80ms, chunk_bytes: 64}
rules:
  - when: {model: ada, stage: propose}
    then:
      json:
        findings:
          - {path: pkg/gofr/datasource/mongo/mongo.go, code: "\t\tu.User = url.UserPassword(url.QueryEscape(config.User), url.QueryEscape(config.Password))",
             start_line: 150, end_line: 150, side: RIGHT, category: CORRECTNESS, severity: HIGH, claim: "Credentials are encoded twice",
             reason: "UserPassword encodes already.", suggestion: "\t\tu.User = url.UserPassword(config.User, config.Password)", confidence: 0.9}
  - when: {model: ben, stage: propose}
    then:
      json:
        findings:
          - {path: pkg/gofr/datasource/mongo/mongo.go, code: "errIncorrectURI = errors.New(\"incorrect URI for mongo\")", start_line: 46, end_line: 46, side: RIGHT,
             category: MAINTAINABILITY, severity: LOW, claim: "The product is called MongoDB", reason: "As everywhere else.", suggestion: "", confidence: 0.3}
  - {when: {model: cyd, stage: propose}, then: {json: {findings: []}}}
  - when: {model: cyd, stage: cross_examine}
    then:
      labels:
        - {match: "encoded twice", set: {vote: REJECTED, severity: LOW, reason: "Nobody has such passwords.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "Hard to say.", duplicate_of: ""}}
  - when: {stage: cross_examine}
    then:
      labels:
        - {match: "encoded twice", set: {vote: CONFIRMED, severity: HIGH, reason: "Visible in the change.", duplicate_of: ""}}
        - {match: ".", set: {vote: UNCERTAIN, severity: LOW, reason: "A matter of taste.", duplicate_of: ""}}
`

// neighbour is a file of the repository that no change touches, with code like that of the shared pull request.
const neighbour = "pkg/gofr/datasource/cassandra/address.go"

const neighbourText = `package cassandra

import (
	"errors"
	"net/url"
)

var errNotCassandra = errors.New("this is no address of a cluster")

// getClusterHost returns whom an address names.
func getClusterHost(address string) (host string, err error) {
	parsedURL, err := url.Parse(address)
	if err != nil {
		return "", err
	}

	if parsedURL.Scheme != "cassandra" || parsedURL.Hostname() == "" {
		return "", errNotCassandra
	}

	return parsedURL.Hostname(), nil
}
`

// hub is a simulated GitHub with two pull requests of the shared benchmark in one repository: the first one's files are what
// there is beside the second one's, and neighbour.
type hub struct {
	*githubtest.Server

	t testing.TB
	// secret is what deliveries are signed with.
	secret string
	app    githubtest.App
	pull   *githubtest.PullRequest // gofr-dev/gofr#1355
}

// startForge starts one without a repository, and adds to the world's configuration how it is reached. Deliveries are recorded
// and not sent before deliver or flush.
func (w *world) startForge(t testing.TB) *hub {
	t.Helper()
	h := &hub{Server: githubtest.New(t, githubtest.Options{}), t: t, secret: hubSecret}
	h.SetWebhook(githubtest.Webhook{URL: "http://127.0.0.1:9/", Secret: hubSecret, Hold: true})
	var err error
	h.app, err = h.App()
	require.NoError(t, err)
	key, secrets := w.write("app.pem", string(h.app.PrivateKey)), w.write("hook.secrets", hubSecret+"\n")
	w.write("witan.yaml", readFile(t, w.Config)+fmt.Sprintf(`
github: {base_url: %q, app_id: %d, private_key_file: %q, write_pace: 1ms}
webhooks: {github: {secrets_file: %q}}
reviews: {debounce: 200ms}
`, h.URL, h.app.ID, key, secrets))
	return h
}

// startHub starts it with its pull requests.
func (w *world) startHub() *hub {
	w.t.Helper()
	h := w.startForge(w.t)
	all, err := githubtest.LoadBench(testdata.Path(w.t, "bench"))
	require.NoError(w.t, err)
	var chosen []*githubtest.BenchPullRequest
	for _, b := range all {
		if b.Repo == "gofr-dev/gofr" && slices.Contains([]int{1325, 1355}, b.Number()) {
			chosen = append(chosen, b)
		}
	}
	require.Len(w.t, chosen, 2)
	chosen[0].Base[neighbour] = neighbourText
	pulls, err := h.AddBench(w.t.Context(), chosen)
	require.NoError(w.t, err)
	h.pull = pulls[1]
	return h
}

// flush sends every delivery that nobody has accepted yet, the oldest first, until somebody does.
func (h *hub) flush(to string) {
	h.t.Helper()
	h.SetWebhook(githubtest.Webhook{URL: to + "/webhooks/github", Secret: h.secret, Hold: true})
	for _, d := range h.Deliveries() {
		if !slices.Contains(d.Statuses, 202) {
			h.accepted(d)
		}
	}
}

// accepted sends a delivery until it is accepted.
func (h *hub) accepted(d githubtest.Delivery) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		status, err := h.Redeliver(h.t.Context(), d.ID)
		if err == nil && status != 503 { // the store was slower than 80 ms, or nobody answers: the sender tries again
			require.Equal(h.t, 202, status)
		}
		return err == nil && status == 202
	}, patience, 50*time.Millisecond)
}

// deliver sends the pull request's newest delivery to a server, until it is accepted, and again under the same ID as often
// as asked.
func (h *hub) deliver(to string, again int) {
	h.t.Helper()
	h.SetWebhook(githubtest.Webhook{URL: to + "/webhooks/github", Secret: h.secret, Hold: true})
	deliveries := h.Deliveries()
	for _, d := range slices.Backward(deliveries) {
		if d.Event != "pull_request" || !strings.Contains(string(d.Body), fmt.Sprintf(`"number":%d`, h.pull.Number())) {
			continue
		}
		for range again + 1 {
			h.accepted(d)
		}
		return
	}
	require.FailNow(h.t, "there is no such delivery")
}

// reviewOf waits for the only review that webhooks have started.
func (n *node) reviewOf(h *hub) *reviewv1.Review {
	n.t.Helper()
	var made []*reviewv1.Review
	require.Eventually(n.t, func() bool {
		list, err := n.Reviews.ListReviews(bounded(n.t), &reviewv1.ListReviewsRequest{})
		made = list.GetReviews()
		return err == nil && len(made) > 0
	}, patience, 20*time.Millisecond)
	require.Len(n.t, made, 1, "%d deliveries of one event", len(h.Deliveries()))
	return made[0]
}

// publishes waits for the end of the only review, which must be whole, and returns what stands at the pull request then.
func (n *node) publishes(h *hub, when string) []string {
	n.t.Helper()
	ended := n.wait(n.reviewOf(h).GetJob())
	require.Equal(n.t, jobsv1.Job_SUCCEEDED, ended.GetState(), "%s: %s %v", when, ended.GetStateReason(), ended.GetError())
	n.reviewOf(h)
	h.requirePublished()
	return h.shown()
}

// own is what differs from one system to the next: markers, names of resources, addresses, and what the simulated chairman
// draws.
var own = regexp.MustCompile(`<!-- witan:1 [^>]*-->|\b[a-z0-9]{26}\b|127\.0\.0\.1:\d+|No model wrote this summary.*`)

// shown is what stands at the pull request, without what differs from one system to the next.
func (h *hub) shown() []string {
	var out []string
	for _, p := range h.PostedBy(h.app.Bot) {
		out = append(out, fmt.Sprintf("%s %s %s:%d-%d %s %s\n%s", p.Kind, p.Path, p.Side, p.StartLine, p.Line, p.Status, p.Conclusion, own.ReplaceAllString(p.Body, "…")))
	}
	slices.Sort(out)
	return out
}

// requirePublished requires the comment that the members agreed upon, at its line with its votes, one walkthrough, and a
// check run that says that there is something; nothing twice.
func (h *hub) requirePublished() {
	h.t.Helper()
	require.NoError(h.t, h.CheckPositions(h.t.Context()))
	require.Empty(h.t, h.Rejected(), "no position is refused")
	count := map[githubtest.Kind]int{}
	for _, p := range h.PostedBy(h.app.Bot) {
		count[p.Kind]++
		switch p.Kind {
		case githubtest.KindReviewComment:
			if !strings.Contains(p.Body, "encoded twice") {
				continue
			}
			require.Equal(h.t, "pkg/gofr/datasource/mongo/mongo.go", p.Path)
			require.Equal(h.t, "RIGHT", p.Side)
			require.Equal(h.t, 156, p.Line)
			require.Equal(h.t, h.pull.Head(), p.Commit)
			for _, part := range []string{"2 confirmed, 1 rejected", "by ada", "cyd: rejected: Nobody has such passwords", "```suggestion"} {
				require.Contains(h.t, p.Body, part, "the comment shows votes and dissent")
			}
		case githubtest.KindCheckRun:
			require.Equal(h.t, "completed", p.Status)
			require.Equal(h.t, "failure", p.Conclusion, "a finding of high severity")
		case githubtest.KindReview, githubtest.KindFileComment, githubtest.KindReply, githubtest.KindReaction:
		case githubtest.KindIssueComment:
			require.Contains(h.t, p.Body, "mongo_test.go", "every changed file is named")
		}
	}
	require.Equal(h.t, 1, count[githubtest.KindReviewComment], "%v", h.shown())
	require.Equal(h.t, 1, count[githubtest.KindIssueComment])
	require.Equal(h.t, 1, count[githubtest.KindCheckRun])
}

// reviewSteps are events of a review whose council sits, in their order.
func reviewSteps() []string {
	return []string{"review.resolved", "review.fetched", "review.deliberation_started", "review.comment_published"}
}

// TestP01_AWebhookBecomesComments is one server with nothing but a data folder: a webhook, sent three times, becomes a review
// whose comments stand on their lines; killed in its middle, it becomes the same ones.
func TestP01_AWebhookBecomesComments(t *testing.T) {
	t.Parallel()
	w := newWorld(t, doubly)
	h := w.startHub()
	n := w.serve()
	h.deliver(n.HTTP, 2)
	whole := n.publishes(h, "left alone")

	for _, event := range reviewSteps() {
		again := newWorld(t, doubly)
		h := again.startHub()
		n := again.serve()
		h.deliver(n.HTTP, 0)
		made := n.reviewOf(h)
		n.until(made.GetJob(), nth(1, event))
		n = n.restart()
		h.deliver(n.HTTP, 1)
		require.Equal(t, whole, n.publishes(h, "killed after "+event), "killed after %s", event)
	}
}

// inCluster starts a cluster of processes, each service alone, beside what stands in for Qdrant, and hands it the webhook at
// the port that takes nothing else. What is called before may change the configuration.
func (w *world) inCluster(before ...func()) (*clustered, *hub, *qdranttest.Server) {
	w.t.Helper()
	h := w.startHub()
	for _, change := range before {
		change()
	}
	search := qdranttest.New(nil)
	at := serveSearch(w.t, search)
	postgres, redis := testserver.StartPostgres(w.t), testserver.StartRedis(w.t, "--appendonly", "yes", "--appendfsync", "always")
	c := w.joinCluster(cluster.Params{
		Binary: process.Plain(w.t), Folder: w.Dir, Database: postgres.URL, Redis: redis.URL, Qdrant: at,
		Config: readFile(w.t, w.Config), Workers: 2,
	})
	c.postgres, c.redis = postgres, redis
	h.secret = c.WebhookSecret()
	h.deliver(c.Webhooks(), 1)
	return c, h, search
}

// strike kills processes, those of Postgres and Redis too, and starts them again in the order in which a cluster starts.
func (c *clustered) strike(names ...string) {
	c.t.Helper()
	servers := map[string]*testserver.Server{"postgres": c.postgres, "redis": c.redis}
	for _, name := range names {
		if server := servers[name]; server != nil {
			require.NoError(c.t, server.Kill())
			continue
		}
		require.NoError(c.t, c.Cluster.Process(name).Kill())
	}
	for _, name := range names {
		if server := servers[name]; server != nil {
			require.NoError(c.t, server.Start(c.t.Context()))
			continue
		}
		require.NoError(c.t, c.Restart(c.t.Context(), name))
	}
}

// around is the heading of code that a member is shown beside the change: the file, and why.
var around = regexp.MustCompile(`Context ([^ :]+):\d+-\d+ \(([^)]*)\)`)

// requireShownWhatQdrantFound requires that every member was shown code of a file beside the change, for no other reason than
// that it resembles what changed, and that what ranked it so is Qdrant, which was asked each time.
func (c *clustered) requireShownWhatQdrantFound(search *qdranttest.Server) {
	c.t.Helper()
	found := 0
	for _, call := range search.Calls() {
		require.Empty(c.t, call.Code, "%+v", call)
		if call.Method == "/qdrant.Points/Query" && slices.Contains(call.Found, neighbour) {
			found++
		}
	}
	require.Positive(c.t, found, "Qdrant found it")
	require.NotContains(c.t, c.Output(), "answered without the search index")
	shown := map[string]int{}
	for _, call := range c.log() {
		for _, piece := range around.FindAllStringSubmatch(string(call.Messages), -1) {
			if piece[1] == neighbour {
				require.Regexp(c.t, "^similar of ", piece[2], "nothing else leads there")
				shown[call.Model]++
			}
		}
	}
	for _, member := range []string{"ada", "ben", "cyd"} {
		require.Positive(c.t, shown[member], "%s was not shown it", member)
	}
}

// requireCommandObeyed comments on the pull request and requires the answer: what is no review is handed over, too.
func (c *clustered) requireCommandObeyed(h *hub) {
	c.t.Helper()
	_, err := h.pull.Comment(c.t.Context(), "gofr-dev", "/witan help")
	require.NoError(c.t, err)
	h.flush(c.Webhooks())
	require.Eventually(c.t, func() bool {
		return slices.ContainsFunc(h.PostedBy(h.app.Bot), func(p githubtest.Post) bool { return strings.Contains(p.Body, "`/witan help`") })
	}, patience, 20*time.Millisecond, "%+v", h.PostedBy(h.app.Bot))
	for _, d := range h.Deliveries() {
		require.Contains(c.t, []string{"", "HANDLED", "IGNORED"}, c.deliveryOf(c.t.Context(), d.ID).State, d.Event)
	}
}

// TestP01_AWebhookBecomesCommentsInACluster is the same with every service in a process of its own, on Postgres, Redis and
// a Qdrant that holds the code around the change: the same comments as alone, and a command obeyed, once left to itself, and
// once with each process killed at some step. TestP01_EachProcessKilledAtEachStep kills each at each.
func TestP01_AWebhookBecomesCommentsInACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, doubly)
	h := w.startHub()
	n := w.serveWith(process.Plain(t))
	h.deliver(n.HTTP, 0)
	whole := n.publishes(h, "alone")
	n.Stop()

	c, h, search := newWorld(t, doubly).inCluster()
	require.Equal(t, whole, c.publishes(h, "left to itself"), "apart as alone")
	c.requireShownWhatQdrantFound(search)
	c.requireCommandObeyed(h)
	require.NoError(t, c.Kill())

	c, h, _ = newWorld(t, doubly).inCluster()
	c.strike("ingest", "worker-intake-1", "worker-intake-2")
	h.deliver(c.Webhooks(), 0)
	made := c.reviewOf(h)
	c.until(made.GetJob(), nth(1, "review.resolved"))
	c.strike(c.runner("review", made.GetJob()).Name)
	c.until(made.GetJob(), nth(1, "review.fetched"))
	c.strike("retrieval", "parser", "worker-index-1", "worker-index-2")
	c.until(made.GetJob(), nth(1, "review.deliberation_started"))
	c.strike("council", "worker-council-1", "worker-council-2", "jobs", "review", "gateway")
	c.until(made.GetJob(), nth(1, "review.comment_published"))
	if c.job(made.GetJob()).GetEndTime() == nil {
		c.strike("worker-review-1", "worker-review-2")
	}
	require.Equal(t, whole, c.publishes(h, "each killed"), "each process was killed")
	require.NoError(t, c.Kill())
}

// TestP01_EachProcessKilledAtEachStep kills one process of a cluster, Postgres and Redis among them, at each step that a review
// tells of, and once all of them at each; each time the same comments stand there in the end, once. It takes one process at
// one step as a sample; WITAN_TEST_LONG takes all.
func TestP01_EachProcessKilledAtEachStep(t *testing.T) {
	t.Parallel()
	c, h, _ := newWorld(t, doubly).inCluster()
	whole := c.publishes(h, "left to itself")
	var steps []string
	for _, e := range c.events(c.reviewOf(h).GetJob()) {
		if step := name(e); strings.HasPrefix(step, "review.") && !slices.Contains(steps, step) {
			steps = append(steps, step)
		}
	}
	require.Subset(t, steps, reviewSteps())
	victims := append([]string{"postgres", "redis"}, c.Names()...)
	require.NoError(t, c.Kill())

	kill := func(step string, names ...string) {
		t.Run(fmt.Sprintf("%s/%s", strings.TrimPrefix(step, "review."), strings.Join(names, ",")), func(t *testing.T) {
			t.Parallel()
			c, h, _ := newWorld(t, doubly).inCluster()
			c.until(c.reviewOf(h).GetJob(), nth(1, step))
			c.strike(names...)
			h.deliver(c.Webhooks(), 0) // GitHub sends it once more
			require.Equal(t, whole, c.publishes(h, "killed"))
			require.NoError(t, c.Kill())
		})
	}
	if os.Getenv("WITAN_TEST_LONG") == "" {
		kill("review.comment_published", "postgres")
		return
	}
	for _, step := range steps {
		for _, victim := range victims {
			kill(step, victim)
		}
		kill(step, victims...)
	}
	t.Logf("%d steps %v, %d processes %v", len(steps), steps, len(victims), victims)
}
