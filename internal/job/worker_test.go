package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobpostgres "witan.dev/internal/job/postgres"
	"witan.dev/internal/secret"
)

// workerSettings makes this binary a worker process of a cluster.
const workerSettings = "WITAN_TEST_WORKER"

// settings are what a worker process is told.
type settings struct {
	// Name tells the workers of a test apart, Folder holds their journal.
	Name, Folder string
	URL          string
	Liveness     dbos.Liveness
	// Call is how long each call takes, Drain what a stop waits for.
	Call, Drain time.Duration
}

// shut is a function as a closer.
type shut func()

func (s shut) Close() error { s(); return nil }

func openCluster(ctx context.Context, url string, live dbos.Liveness, logger *slog.Logger, cfg job.Config) (*system, error) {
	db, err := postgres.Open(ctx, postgres.Params{URL: secret.New(url), MaxConns: 8, Logger: logger})
	if err != nil {
		return nil, err
	}
	eng, err := dbos.NewPostgres(ctx, dbos.Params{URL: secret.New(url), MaxConns: 8, Liveness: live, Logger: logger})
	if err != nil {
		db.Close()
		return nil, err
	}
	store := jobpostgres.New(db, nil, eng.Identity)
	return &system{Manager: job.NewManager(store, eng, inprocess.New(), logger, cfg), store: store, db: shut(db.Close)}, nil
}

// runWorker is a worker process: it works until it is told to stop, or the test that started it is gone.
func runWorker() bool {
	raw := os.Getenv(workerSettings)
	if raw == "" {
		return false
	}
	var s settings
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		panic(err)
	}
	if err := s.work(); err != nil {
		panic(err)
	}
	return true
}

func (s settings) work() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		orphaned()
	}()
	journal, err := os.OpenFile(filepath.Join(s.Folder, "begun.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	note := func(line string) { _, _ = fmt.Fprintln(journal, s.Name+" "+line) }
	logger := slog.New(heard{
		Handler: slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}),
		message: waitsForDatabase, tell: func() { note("waits") },
	}).With("worker", s.Name)
	sys, err := openCluster(context.WithoutCancel(ctx), s.URL, s.Liveness, logger, fast())
	if err != nil {
		return err
	}
	sys.Handle(job.KindCouncil, 0, s.body(note))
	if err := sys.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	note("up")
	<-ctx.Done()
	note("stops")
	limited, cancel := context.WithTimeout(context.Background(), s.Drain+time.Millisecond)
	defer cancel()
	err = errors.Join(sys.Stop(limited), sys.db.Close())
	note("stopped")
	return err
}

// body is the council-shaped one with each call and each answer that was kept written down.
func (s settings) body(note func(string)) job.Body {
	return func(r *job.Run) error {
		id := string(r.Job().ID)
		note("begin " + id)
		return councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
			name := id + "/" + key.Stage + "/" + key.Subject
			note("call " + name)
			select {
			case <-time.After(s.Call):
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
			return atOnce(ctx, key, attempt)
		})(r)
	}
}

// worker is a running worker process.
type worker struct {
	cmd  *exec.Cmd
	name string
	wait func() error
}

func startWorker(t *testing.T, s settings) *worker {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary) //nolint:gosec // this test's own binary
	cmd.Env = append(os.Environ(), workerSettings+"="+string(raw))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	w := &worker{cmd: cmd, name: s.Name, wait: sync.OnceValue(cmd.Wait)}
	t.Cleanup(func() {
		w.signal(t, syscall.SIGCONT)
		w.signal(t, syscall.SIGKILL)
		_ = w.wait()
		_ = in.Close()
	})
	require.Eventually(t, func() bool { return len(noted(t, s.Folder, s.Name+" up")) > 0 }, time.Minute, 10*time.Millisecond)
	return w
}

func (w *worker) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := w.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		require.NoError(t, err)
	}
}

// noted are the lines of the workers' journal that begin with prefix.
func noted(t *testing.T, folder, prefix string) []string {
	t.Helper()
	var lines []string
	for _, line := range begun(t, folder) {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}

// cluster is a database with a client that computes nothing.
type cluster struct {
	*system

	url, folder string
	live        dbos.Liveness
	call        time.Duration
}

// quick is a liveness with which tests need not wait long, and which a loaded machine still keeps.
func quick() dbos.Liveness {
	return dbos.Liveness{Beat: 300 * time.Millisecond, TTL: 2 * time.Second, Sweep: 300 * time.Millisecond}
}

func newCluster(t *testing.T, url string) *cluster {
	t.Helper()
	s, err := openCluster(t.Context(), url, dbos.Liveness{}, slog.New(slog.DiscardHandler), job.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	t.Cleanup(func() { s.end(t) })
	return &cluster{system: s, url: url, folder: t.TempDir(), live: quick(), call: 100 * time.Millisecond}
}

func clusterURL(t *testing.T) string {
	t.Helper()
	return postgrestest.Prepared(t, "engine", dbos.MigratePostgres)
}

func (c *cluster) worker(t *testing.T, name string) *worker {
	t.Helper()
	return c.workerAt(t, name, c.url)
}

func (c *cluster) workerAt(t *testing.T, name, url string) *worker {
	t.Helper()
	return startWorker(t, settings{Name: name, Folder: c.folder, URL: url, Liveness: c.live, Call: c.call, Drain: 20 * time.Second})
}

// noted waits for n lines of the journal that begin with prefix.
func (c *cluster) noted(t *testing.T, n int, prefix string) []string {
	t.Helper()
	require.Eventually(t, func() bool { return len(noted(t, c.folder, prefix)) >= n }, time.Minute, 5*time.Millisecond, prefix)
	return noted(t, c.folder, prefix)
}

// waiting counts the writes that have met a database that is away.
func (c *cluster) waiting(t *testing.T) int {
	t.Helper()
	return c.count(t, func(line string) bool { return strings.HasSuffix(line, " waits") })
}

// sent counts the calls that were sent, of all jobs.
func (c *cluster) sent(t *testing.T) int {
	t.Helper()
	return c.count(t, func(line string) bool { return strings.Contains(line, " call ") })
}

// count counts the lines of the workers' journal that are meant.
func (c *cluster) count(t *testing.T, meant func(line string) bool) int {
	t.Helper()
	n := 0
	for _, line := range begun(t, c.folder) {
		if meant(line) {
			n++
		}
	}
	return n
}

// judge waits for the jobs and holds them against what the workers have begun.
func (c *cluster) judge(t *testing.T, ids ...job.ID) {
	t.Helper()
	for _, id := range ids {
		j := await(t, c.system, id)
		require.Equal(t, job.StateSucceeded, j.State)
		require.Equal(t, int64(11), j.Ledger.CallsCompleted)
		require.Equal(t, 11+j.Ledger.CallsRepaid, j.Ledger.CallsStarted)
		require.LessOrEqual(t, j.Ledger.CallsRepaid, 5*j.Ledger.Recoveries, "at most the calls in flight at each loss")
		require.LessOrEqual(t, int64(len(c.calls(t, id))), j.Ledger.CallsStarted, "no call was sent without its intent")
		dense(t, c.system, j)
	}
}

// calls are the calls of a job that were sent, by any worker.
func (c *cluster) calls(t *testing.T, id job.ID) []string {
	t.Helper()
	var sent []string
	for _, line := range begun(t, c.folder) {
		if _, call, ok := strings.Cut(line, " call "+string(id)+"/"); ok {
			sent = append(sent, call)
		}
	}
	return sent
}

// epochs counts the events of a job by epoch.
func (c *cluster) epochs(t *testing.T, id job.ID) map[int64]int {
	t.Helper()
	events, err := c.store.Events(t.Context(), id, 0, 1000)
	require.NoError(t, err)
	out := map[int64]int{}
	for _, e := range events {
		out[e.Epoch]++
	}
	return out
}
