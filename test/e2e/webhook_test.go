package e2e_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/secret"
	"witan.dev/internal/testdata"
	"witan.dev/internal/testserver"
	"witan.dev/services/ingest"
	"witan.dev/test/cluster"
	"witan.dev/test/e2e/process"
)

const hookSecret = "what the hook knows"

// nowhere is a GitHub at which nobody answers: reviews of its pull requests are made, and wait.
const nowhere = "127.0.0.1:9"

// hooked writes a configuration that takes webhooks and reviews pull requests.
func (w *world) hooked() {
	w.t.Helper()
	w.write("secrets", hookSecret+"\n")
	w.write("github.token", "a token that nobody asks for")
	w.write("witan.yaml", readFile(w.t, w.Config)+`webhooks: {addr: "127.0.0.1:0", github: {secrets_file: `+w.Dir+`/secrets}}
github: {base_url: "http://`+nowhere+`", token_file: `+w.Dir+`/github.token}
`)
}

// openedPull is the webhook of a pull request that was opened.
func openedPull(number int) []byte {
	return fmt.Appendf(nil, `{"action":"opened","number":%d,"pull_request":{"number":%d},"repository":{"id":7,"name":"shop","full_name":"ada/shop",`+
		`"html_url":"http://%s/ada/shop","default_branch":"main"},"sender":{"login":"ada","type":"User"}}`, number, number, nowhere)
}

// sendHook sends a webhook once; 0 where nobody answered.
func sendHook(ctx context.Context, url, text, event, id string, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/webhooks/github", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", event)
	req.Header.Set("X-GitHub-Delivery", id)
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(ingest.Sign(secret.New(text), body)))
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode
}

// deliveryOf is what became of a webhook; the zero value where nobody answers.
func (n *node) deliveryOf(ctx context.Context, id string) (d struct{ State, StateReason, Resource string }) {
	answer, err := n.request(ctx, http.MethodGet, "/v1/deliveries/"+id, nil)
	if err != nil {
		return d
	}
	defer func() { _ = answer.Body.Close() }()
	_ = json.NewDecoder(answer.Body).Decode(&d)
	return d
}

// storm is a stream of webhooks that are each sent up to three times, by senders who try until one is accepted.
type storm struct {
	t        *testing.T
	secret   string
	urls     func() []string
	accepted sync.Map // IDs that were told so
	sent     atomic.Int64
	told     atomic.Int64 // how many are accepted
	work     sync.WaitGroup
}

// begin sends webhooks until stop is closed.
func (s *storm) begin(stop <-chan struct{}) {
	var next atomic.Int64
	for range 4 {
		s.work.Go(func() {
			pace := time.NewTicker(100 * time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pace.C:
				}
				number := int(next.Add(1))
				for range 1 + rand.IntN(3) { //nolint:gosec // a spread, no secret
					s.send(number)
				}
			}
		})
	}
}

// more waits until n further webhooks are accepted.
func (s *storm) more(n int64) {
	s.t.Helper()
	want := s.told.Load() + n
	require.Eventually(s.t, func() bool { return s.told.Load() >= want }, patience, 5*time.Millisecond, "nothing is accepted any more")
}

func (s *storm) send(number int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	id := fmt.Sprint("storm-", number)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		urls := s.urls()
		if s.sent.Add(1); sendHook(ctx, urls[n%len(urls)], s.secret, "pull_request", id, openedPull(number)) == http.StatusAccepted {
			if _, before := s.accepted.LoadOrStore(id, true); !before {
				s.told.Add(1)
			}
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// settled waits until everything that was accepted has been handed over, and holds each to a review of its own.
func (s *storm) settled(n *node) {
	s.t.Helper()
	s.work.Wait()
	resources := map[string]string{}
	s.accepted.Range(func(key, _ any) bool {
		id, _ := key.(string)
		require.Eventually(s.t, func() bool { return n.deliveryOf(s.t.Context(), id).State == "HANDLED" }, 2*patience, 50*time.Millisecond,
			"%s: %+v", id, n.deliveryOf(s.t.Context(), id))
		d := n.deliveryOf(s.t.Context(), id)
		require.Empty(s.t, resources[d.Resource], "%s and %s are one review", id, resources[d.Resource])
		resources[d.Resource] = id
		return true
	})
	require.NotEmpty(s.t, resources)
	reviews := n.reviewNames()
	require.Len(s.t, reviews, len(resources), "no webhook made two reviews")
	for _, name := range reviews {
		require.NotEmpty(s.t, resources[name], "%s came of no webhook", name)
	}
	s.t.Logf("%d webhooks in %d requests, one review each", len(resources), s.sent.Load())
}

// reviewNames are all reviews that there are.
func (n *node) reviewNames() (names []string) {
	n.t.Helper()
	token := ""
	for {
		var page struct {
			Reviews       []struct{ Name string }
			NextPageToken string
		}
		n.get("/v1/reviews?page_size=500&page_token="+token, &page)
		for _, r := range page.Reviews {
			names = append(names, r.Name)
		}
		if token = page.NextPageToken; token == "" {
			return names
		}
	}
}

// stormTime is how long processes are killed: a short sample, or minutes with WITAN_TEST_LONG.
func stormTime() time.Duration {
	if os.Getenv("WITAN_TEST_LONG") != "" {
		return 5 * time.Minute
	}
	return 12 * time.Second
}

// TestP01_KilledAnywhereInACluster kills ingest, Redis, intake and workers at random while webhooks arrive by both ways.
func TestP01_KilledAnywhereInACluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.hooked()
	redis := testserver.StartRedis(t, "--appendonly", "yes", "--appendfsync", "everysec")
	c := w.joinCluster(cluster.Params{
		Binary: process.Plain(t), Folder: w.Dir, Database: testserver.StartPostgres(t).URL, Redis: redis.URL,
		Config: strings.Replace(readFile(t, w.Config), `addr: "127.0.0.1:0", `, "", 1), Workers: 2, Queues: []string{"intake", "review"},
	})
	stop := make(chan struct{})
	s := &storm{t: t, secret: c.WebhookSecret(), urls: func() []string { return []string{c.Webhooks(), c.node.HTTP} }}
	s.begin(stop)
	victims := []string{"ingest", "redis", "worker-intake-1", "worker-intake-2", "worker-review-1", "ingest", "redis"}
	killed := 0
	for end := time.Now().Add(stormTime()); time.Now().Before(end); killed++ {
		s.more(int64(rand.IntN(20)))               //nolint:gosec // a spread, no secret
		victim := victims[rand.IntN(len(victims))] //nolint:gosec // a spread, no secret
		if victim == "redis" {
			require.NoError(t, redis.Kill())
			require.NoError(t, redis.Start(t.Context()))
			continue
		}
		require.NoError(t, c.Cluster.Process(victim).Kill())
		require.NoError(t, c.Cluster.Restart(t.Context(), victim))
	}
	close(stop)
	t.Logf("%d processes were killed", killed)
	s.settled(c.node)
}

// TestP01_KilledAnywhereAlone does the same to the one process of an embedded Witan.
func TestP01_KilledAnywhereAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.hooked()
	n := w.serve()
	var url atomic.Value
	url.Store(n.HTTP)
	stop := make(chan struct{})
	s := &storm{t: t, secret: hookSecret, urls: func() []string { text, _ := url.Load().(string); return []string{text} }}
	s.begin(stop)
	for range 4 {
		s.more(int64(5 + rand.IntN(10))) //nolint:gosec // a spread, no secret
		n = n.restart()
		url.Store(n.HTTP)
	}
	close(stop)
	s.settled(n)
}

// TestP01_EverySharedPayloadIsSettled sends all real payloads to a running server: each is handled or ignored for a reason, as
// the table of what they mean says; none is left, unreadable or dead. What is about repositories and pull requests of which the
// server knows nothing may be ignored by those whom it concerns.
func TestP01_EverySharedPayloadIsSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.hooked()
	n := w.serve()
	folder := testdata.Path(t, "webhooks")
	var payloads []struct{ File, Event string }
	require.NoError(t, json.Unmarshal([]byte(readFile(t, filepath.Join(folder, "index.json"))), &payloads))
	require.Len(t, payloads, 115)
	states := map[string]int{}
	for i, p := range payloads {
		body := []byte(readFile(t, filepath.Join(folder, "payloads", filepath.Base(p.File))))
		id := fmt.Sprintf("shared-%d", i)
		require.Eventually(t, func() bool {
			return sendHook(t.Context(), n.HTTP, hookSecret, p.Event, id, body) == http.StatusAccepted
		}, patience, 50*time.Millisecond, "%s: the store may be slower than its limit", p.File)
		means, err := ingest.Route(p.Event, body, ingest.Self{})
		require.NoError(t, err, p.File)
		var got struct{ State, StateReason, Resource string }
		require.Eventually(t, func() bool {
			got = n.deliveryOf(t.Context(), id)
			return got.State == "HANDLED" || got.State == "IGNORED"
		}, patience, 20*time.Millisecond, p.File)
		states[got.State]++
		switch {
		case means.Ignored != "":
			require.Equal(t, "IGNORED "+means.Ignored, got.State+" "+got.StateReason, p.File)
		case len(means.Reviews) > 0:
			require.Equal(t, "HANDLED", got.State, p.File)
			require.True(t, strings.HasPrefix(got.Resource, "reviews/"), "%s: %s", p.File, got.Resource)
		default:
			require.True(t, strings.HasPrefix(got.Resource, "jobs/") || got.StateReason != "", "%s: %+v", p.File, got)
		}
	}
	require.Greater(t, states["HANDLED"], 20, "%v", states)
}

// TestWebhooksReachTheSameByEveryWay sends to the port of its own and to the gateway, at the limits of size as well.
func TestWebhooksReachTheSameByEveryWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.hooked()
	n := w.serveWith(process.Plain(t)) // 25 MiB under the race detector take longer than a sender waits
	edge := "http://" + n.Expect(`msg=serving .*webhooks_addr=(\S+)`)[1]
	sized := func(size int) []byte { return []byte(`{"pad":"` + strings.Repeat("x", size-10) + `"}`) }
	for name, url := range map[string]string{"edge": edge, "gateway": n.HTTP} {
		for _, size := range []int{ingest.MaxBody} {
			id, code := name, 0
			for range 10 { // a busy disk may take longer than the limit; the sender delivers it again
				if code = sendHook(bounded(t), url, hookSecret, "ping", id, sized(size)); code < http.StatusInternalServerError && code > 0 {
					break
				}
			}
			require.Equal(t, http.StatusAccepted, code, "%s, %d bytes", name, size)
			require.Eventually(t, func() bool { return n.deliveryOf(t.Context(), id).StateReason == "PING" }, patience, 20*time.Millisecond)
		}
		for _, size := range []int{ingest.MaxBody + 1, 26_000_000 + 1<<20} {
			code := sendHook(bounded(t), url, hookSecret, "ping", "large", sized(size))
			require.Contains(t, []int{0, http.StatusRequestEntityTooLarge}, code, "0: it hung up before all was sent")
		}
		require.Equal(t, http.StatusUnauthorized, sendHook(bounded(t), url, "someone else's secret", "ping", "x", []byte(`{}`)))
	}
	require.Empty(t, n.deliveryOf(t.Context(), "large").State)

	// The secret is exchanged while the process runs.
	w.write("secrets.new", "what the hook will know\n"+hookSecret+"\n")
	require.NoError(t, os.Rename(w.Dir+"/secrets.new", w.Dir+"/secrets"))
	require.Eventually(t, func() bool {
		return sendHook(t.Context(), edge, "what the hook will know", "ping", "new", []byte(`{}`)) == http.StatusAccepted
	}, patience, 50*time.Millisecond)
	require.Equal(t, http.StatusAccepted, sendHook(bounded(t), edge, hookSecret, "ping", "old", []byte(`{}`)))
}

// TestP01_WithoutASecretNoWebhookIsTaken holds an ingest process alone to not starting, and the whole to saying why not.
func TestP01_WithoutASecretNoWebhookIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	n := w.serve()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodPost, n.HTTP+"/webhooks/github", strings.NewReader(`{}`))
	require.NoError(t, err)
	req.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	raw, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusBadRequest, answer.StatusCode)
	require.Contains(t, string(raw), "WEBHOOK_SECRET_MISSING")

	alone := process.Run(t, w.Dir, []string{"WITAN_REDIS=redis://127.0.0.1:9"}, "serve", "--services", "ingest", "--grpc-addr", "127.0.0.1:0")
	require.NotZero(t, alone.Code)
	require.Contains(t, alone.Stderr, "no webhook secret is configured")
}

// TestWithoutAServiceTokenNoIntakeStarts: a review service elsewhere would refuse what it hands over, so it says what is missing
// instead of making a dead letter of every webhook, and doctor says so too.
func TestWithoutAServiceTokenNoIntakeStarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "cluster.yaml")
	require.NoError(t, os.WriteFile(config, []byte(`{redis: "redis://127.0.0.1:9", services: {review: ["127.0.0.1:9"]}}`), 0o600))
	env := []string{"WITAN_DATABASE=postgres://127.0.0.1:9/witan?connect_timeout=1"}
	intake := process.Run(t, dir, env, "work", "--config", config, "--queues", "intake")
	require.NotZero(t, intake.Code)
	require.Contains(t, intake.Stderr, "auth.service_token_file: needed where webhooks are handed to a review service in another process")
	doctor := process.Run(t, dir, env, "doctor", "--config", config)
	require.NotZero(t, doctor.Code)
	require.Regexp(t, `!!  auth +auth\.service_token_file: needed`, doctor.Stdout)
}

// TestDeliveriesAreListedShownAndHandledAgain goes through what the command line can do with webhooks.
func TestDeliveriesAreListedShownAndHandledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, quick)
	w.hooked()
	n := w.serve()
	for id, hook := range map[string]struct{ event, body string }{"a-ping": {"ping", `{"zen":"x"}`}, "no-comment": {"issue_comment", `{"action":"created","issue":7}`}} {
		require.Eventually(t, func() bool { // a busy disk may take longer than the limit
			return sendHook(t.Context(), n.HTTP, hookSecret, hook.event, id, []byte(hook.body)) == http.StatusAccepted
		}, patience, 20*time.Millisecond)
	}
	for id, state := range map[string]string{"a-ping": "IGNORED", "no-comment": "UNPARSED"} {
		require.Eventually(t, func() bool { return n.deliveryOf(t.Context(), id).State == state }, patience, 20*time.Millisecond, id)
	}
	listed := w.run("deliveries", "list", "--state", "unparsed")
	require.Zero(t, listed.Code, listed.Stderr)
	require.Regexp(t, `deliveries/no-comment\s+issue_comment\s+created\s+UNPARSED\s+PAYLOAD_UNREADABLE`, listed.Stdout)
	require.NotContains(t, listed.Stdout, "a-ping")
	require.Len(t, strings.Split(strings.TrimSpace(w.run("deliveries", "list", "--limit", "1").Stdout), "\n"), 2, "a head and one")

	shown := w.run("deliveries", "show", "a-ping")
	require.Zero(t, shown.Code, shown.Stderr)
	require.Contains(t, shown.Stdout, `"stateReason": "PING"`)
	again := w.run("deliveries", "redeliver", "deliveries/no-comment", "a-ping")
	require.Zero(t, again.Code, again.Stderr)
	require.Regexp(t, `^deliveries/no-comment~1\tSTORED\ndeliveries/a-ping~1\tSTORED\n$`, again.Stdout)
	require.Eventually(t, func() bool { return n.deliveryOf(t.Context(), "a-ping~1").State == "IGNORED" }, patience, 20*time.Millisecond)
	unknown := w.run("deliveries", "redeliver", "never-seen")
	require.Equal(t, 2, unknown.Code)
	require.Contains(t, unknown.Stderr, "DELIVERY_NOT_FOUND")
}
