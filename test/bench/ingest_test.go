package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/internal/secret"
	"witan.dev/internal/testdata"
	"witan.dev/internal/testserver"
	"witan.dev/internal/webhook"
	"witan.dev/services/ingest"
	"witan.dev/test/e2e/process"
)

const (
	hookSecret = "It's a Secret to Everybody"
	// hooksPerSecond is the rate of BenchmarkIngestAck; senders how many connections BenchmarkIngestRate keeps busy.
	hooksPerSecond = 500
	senders        = 32
	// rounds is how often the two that are compared take their turns.
	rounds = 5
	// ticksPerSecond is the unit of times in /proc, USER_HZ.
	ticksPerSecond = 100
)

// hookSeconds is how long a measurement takes: 10 s, or WITAN_BENCH_INGEST_SECONDS.
func hookSeconds() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("WITAN_BENCH_INGEST_SECONDS")); err == nil {
		return time.Duration(n) * time.Second
	}
	return 10 * time.Second
}

// hook is a signed webhook.
type hook struct {
	event, signature string
	body             []byte
}

// hooks are the real payloads: mean 13.7 kB.
func hooks(b *testing.B) (all []hook) {
	b.Helper()
	raw, err := os.ReadFile(testdata.Path(b, "webhooks/index.json"))
	require.NoError(b, err)
	var index []struct{ File, Event string }
	require.NoError(b, json.Unmarshal(raw, &index))
	for _, p := range index {
		body, err := os.ReadFile(testdata.Path(b, "webhooks/payloads/"+filepath.Base(p.File)))
		require.NoError(b, err)
		all = append(all, hook{p.Event, "sha256=" + hex.EncodeToString(ingest.Sign(secret.New(hookSecret), body)), body})
	}
	return all
}

// sending is what one measurement found.
type sending struct {
	mu       sync.Mutex
	took     []time.Duration
	late     []time.Duration // from when it was due to its answer
	refused  int
	accepted atomic.Int64
}

func (s *sending) note(took, late time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ok {
		s.refused++
		return
	}
	s.accepted.Add(1)
	s.took, s.late = append(s.took, took), append(s.late, late)
}

func quantile(of []time.Duration, q float64) float64 {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return float64(of[int(q*float64(len(of)-1))]) / float64(time.Millisecond)
}

// sender posts webhooks over connections that stay open.
type sender struct {
	url    string
	client *http.Client
	hooks  []hook
	run    string // makes the deliveries of each measurement new ones
	next   atomic.Int64
}

func newSender(b *testing.B, url string) *sender {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256, MaxIdleConns: 256, DisableCompression: true}
	b.Cleanup(transport.CloseIdleConnections)
	return &sender{url: url + "/webhooks/github", client: &http.Client{Transport: transport, Timeout: 10 * time.Second}, hooks: hooks(b), run: strconv.FormatInt(time.Now().UnixNano(), 36)}
}

// send sends the next webhook and says whether it was taken.
func (s *sender) send(ctx context.Context) bool {
	n := s.next.Add(1)
	h := s.hooks[int(n)%len(s.hooks)]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(h.body))
	if err != nil {
		return false
	}
	req.Header = http.Header{
		"Content-Type": {"application/json"}, "X-Github-Event": {h.event}, "X-Github-Delivery": {fmt.Sprintf("%s-%d", s.run, n)},
		"X-Hub-Signature-256": {h.signature}, "User-Agent": {"GitHub-Hookshot/bench"},
	}
	answer, err := s.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return answer.StatusCode/100 == 2
}

// pace sends at a rate, whatever becomes of those before.
func (s *sender) pace(ctx context.Context, rate int, length time.Duration) *sending {
	found := &sending{}
	var work sync.WaitGroup
	start := time.Now()
	total := int(length.Seconds() * float64(rate))
	for n := range total {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			<-time.After(wait)
		}
		work.Go(func() {
			begun := time.Now()
			ok := s.send(ctx)
			found.note(time.Since(begun), time.Since(due), ok)
		})
	}
	work.Wait()
	return found
}

// flood sends as fast as its connections are answered, with as little work of its own as it can.
func (s *sender) flood(b *testing.B, length time.Duration) *sending {
	b.Helper()
	found := &sending{}
	var work sync.WaitGroup
	end := time.Now().Add(length)
	host := strings.TrimSuffix(strings.TrimPrefix(s.url, "http://"), webhook.Path)
	for range senders {
		var dial net.Dialer
		conn, err := dial.DialContext(b.Context(), "tcp", host)
		require.NoError(b, err)
		work.Go(func() {
			defer func() { _ = conn.Close() }()
			answers := bufio.NewReader(conn)
			for time.Now().Before(end) {
				begun := time.Now()
				ok, err := s.sendOn(conn, answers)
				if err != nil {
					b.Error(err)
					return
				}
				found.note(time.Since(begun), time.Since(begun), ok)
			}
		})
	}
	work.Wait()
	return found
}

// sendOn is send on one connection.
func (s *sender) sendOn(conn net.Conn, answers *bufio.Reader) (bool, error) {
	n := s.next.Add(1)
	h := s.hooks[int(n)%len(s.hooks)]
	head := fmt.Appendf(nil, "POST "+webhook.Path+" HTTP/1.1\r\nHost: witan\r\nContent-Type: application/json\r\nX-GitHub-Event: %s\r\n"+
		"X-GitHub-Delivery: %s-%d\r\nX-Hub-Signature-256: %s\r\nUser-Agent: GitHub-Hookshot/bench\r\nContent-Length: %d\r\n\r\n",
		h.event, s.run, n, h.signature, len(h.body))
	request := net.Buffers{head, h.body}
	if _, err := request.WriteTo(conn); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode/100 == 2, errors.Join(err, answer.Body.Close())
}

// refusedAfter is how long a refused webhook counts as having taken, which is sent again much later if at all: longer than any
// goal.
const refusedAfter = 10 * time.Second

func (s *sending) report(b *testing.B, length time.Duration) {
	b.Helper()
	refused := slices.Repeat([]time.Duration{refusedAfter}, s.refused)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(quantile(slices.Concat(s.took, refused), 0.5), "p50-ms")
	b.ReportMetric(quantile(slices.Concat(s.took, refused), 0.99), "p99-ms")
	b.ReportMetric(quantile(s.took, 1), "max-ms")
	b.ReportMetric(quantile(slices.Concat(s.late, refused), 0.99), "p99-due-ms")
	b.ReportMetric(float64(s.accepted.Load())/length.Seconds(), "acks/s")
	b.ReportMetric(float64(s.refused), "refused")
}

// place is somewhere that takes webhooks: where, where its parser is, and the processes that it consists of.
type place struct {
	url, parser string
	processes   []int
}

// worked is the processor time that a place has used.
func (p place) worked(b *testing.B) (sum time.Duration) {
	b.Helper()
	for _, pid := range p.processes {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		require.NoError(b, err)
		_, rest, found := bytes.Cut(raw, []byte(") ")) // the name before may have blanks
		require.True(b, found)
		fields := strings.Fields(string(rest))
		for _, ticks := range fields[11:13] { // of the process itself and of the kernel for it, proc_pid_stat(5)
			n, err := strconv.Atoi(ticks)
			require.NoError(b, err)
			sum += time.Duration(n) * time.Second / ticksPerSecond
		}
	}
	return sum
}

func configured(b *testing.B, rest string) string {
	b.Helper()
	folder := b.TempDir()
	require.NoError(b, os.WriteFile(filepath.Join(folder, "secrets"), []byte(hookSecret), 0o600))
	require.NoError(b, os.WriteFile(filepath.Join(folder, "witan.yaml"), []byte(`webhooks: {addr: "127.0.0.1:0", github: {secrets_file: `+folder+"/secrets}}\n"+rest), 0o600))
	return folder
}

// edge is an ingest process on a Redis that writes to its disk every second, as most are run.
func edge(b *testing.B) place {
	b.Helper()
	redis := testserver.StartRedis(b, "--appendonly", "yes", "--appendfsync", "everysec")
	drain(b, redis.URL)
	folder := configured(b, "redis: "+redis.URL+"\n")
	p := process.StartBinary(b, process.Plain(b), folder, nil, "serve", "--config", "witan.yaml", "--services", "ingest", "--grpc-addr", "127.0.0.1:0")
	parser := process.StartBinary(b, process.Plain(b), folder, nil, "serve", "--services", "parser", "--grpc-addr", "127.0.0.1:0")
	return place{
		url: "http://" + p.Expect(`msg=serving .*webhooks_addr=(\S+)`)[1], parser: parser.Expect(`msg=serving .*grpc_addr=(\S+)`)[1],
		processes: []int{p.PID(), redis.PID()},
	}
}

// embedded is one process on a data folder, its intake included.
func embedded(b *testing.B) place {
	b.Helper()
	folder := configured(b, "")
	p := process.StartBinary(b, process.Plain(b), folder, nil, "serve", "--config", "witan.yaml", "--data", folder+"/data", "--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0")
	found := p.Expect(`msg=serving .*grpc_addr=(\S+) http_addr=\S+ webhooks_addr=(\S+)`)
	return place{url: "http://" + found[2], parser: found[1], processes: []int{p.PID()}}
}

// octokit is a server that verifies and does nothing else.
func octokit(b *testing.B) place {
	b.Helper()
	if _, err := os.Stat("octokit/node_modules"); err != nil {
		b.Skip("needs npm packages: run it by `make ingest-load`")
	}
	cmd := exec.CommandContext(b.Context(), "node", "octokit/server.mjs", hookSecret)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	cmd.Stderr = os.Stderr
	require.NoError(b, cmd.Start())
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return place{url: strings.TrimSpace(strings.TrimPrefix(line, "listening on ")), processes: []int{cmd.Process.Pid}}
}

// drain takes what waits out of a Redis until the benchmark ends, as an intake does: what stays would fill its memory, and be
// written anew whenever it rewrites its log.
func drain(b *testing.B, url string) {
	b.Helper()
	var dial net.Dialer
	conn, err := dial.DialContext(b.Context(), "tcp", strings.TrimPrefix(url, "redis://"))
	require.NoError(b, err)
	var work sync.WaitGroup
	b.Cleanup(func() { _ = conn.Close(); work.Wait() })
	work.Go(func() {
		answers := bufio.NewReader(conn)
		for range time.Tick(100 * time.Millisecond) {
			if _, err := conn.Write([]byte("XTRIM witan:ingest MAXLEN 0\r\n")); err != nil {
				return
			}
			if _, err := answers.ReadString('\n'); err != nil {
				return
			}
		}
	})
}

// saturate keeps every core busy with parsing, by twice as many callers as there are cores, until the benchmark ends.
func saturate(b *testing.B, address string) {
	b.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	b.Cleanup(func() { cancel(); work.Wait(); _ = conn.Close() })
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "net/http").Output()
	require.NoError(b, err)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "server.go"))
	require.NoError(b, err)
	parsed := make(chan struct{}, 1)
	for range 2 * runtime.NumCPU() {
		work.Go(func() {
			for ctx.Err() == nil {
				_, err := parserv1.NewParserServiceClient(conn).Parse(ctx, &parserv1.ParseRequest{Path: "server.go", Content: source})
				if err == nil {
					select {
					case parsed <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-parsed
}

// BenchmarkIngestAck sends 500 webhooks a second for a while and measures how long a sender waits for its answer: from
// sending, and from when it was due. All else that the machine does is in the figures, the sender included.
func BenchmarkIngestAck(b *testing.B) {
	for _, c := range []struct {
		name string
		at   func(*testing.B) place
		busy bool
	}{
		{"redis", edge, false}, {"redis-busy", edge, true}, {"embedded", embedded, false}, {"embedded-busy", embedded, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				p := c.at(b)
				s := newSender(b, p.url)
				s.pace(b.Context(), 100, time.Second) // connections and caches
				if c.busy {
					saturate(b, p.parser)
				}
				s.pace(b.Context(), hooksPerSecond, hookSeconds()).report(b, hookSeconds())
			}
		})
	}
}

// BenchmarkIngestRate drives @octokit/webhooks, which keeps nothing, and ingest with Redis by turns, with as many connections,
// as fast as they are answered; ratio is that of the acks of one turn to those of the turn before. Then the embedded system.
func BenchmarkIngestRate(b *testing.B) {
	b.Run("pairs", func(b *testing.B) {
		for range b.N {
			places := []place{octokit(b), edge(b)}
			var acks [2][]float64
			var took [2]time.Duration
			var ratios []float64
			var refused int
			for round := range rounds + 1 {
				for i, p := range places {
					s, before := newSender(b, p.url), p.worked(b)
					length := hookSeconds() / rounds
					found := s.flood(b, length)
					if round == 0 {
						continue // compilers, connections and caches
					}
					refused += found.refused
					took[i] += p.worked(b) - before
					acks[i] = append(acks[i], float64(found.accepted.Load())/length.Seconds())
				}
				if round > 0 {
					ratios = append(ratios, acks[1][round-1]/acks[0][round-1])
				}
			}
			b.Logf("acks/s by turns: octokit %.0f, redis %.0f; ratios %.2f", acks[0], acks[1], ratios)
			b.ReportMetric(0, "ns/op")
			for i, name := range []string{"octokit", "redis"} {
				all := 0.0
				for _, n := range acks[i] {
					all += n * (hookSeconds() / rounds).Seconds()
				}
				slices.Sort(acks[i])
				b.ReportMetric(acks[i][rounds/2], name+"-acks/s")
				b.ReportMetric(took[i].Seconds()/all*1e6, name+"-cpu-us/ack")
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[0], "min-ratio")
			b.ReportMetric(ratios[rounds/2], "ratio")
			b.ReportMetric(ratios[rounds-1], "max-ratio")
			b.ReportMetric(float64(refused), "refused")
		}
	})
	b.Run("embedded", func(b *testing.B) {
		for range b.N {
			s := newSender(b, embedded(b).url)
			s.pace(b.Context(), 100, time.Second)
			s.flood(b, hookSeconds()).report(b, hookSeconds())
		}
	})
}
