package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
)

// scriptSettings makes this binary a process that goes through everything that may happen to jobs, and goes on where an
// earlier one was killed.
const scriptSettings = "WITAN_TEST_SCRIPT"

type script struct {
	// Target is a file, or the URL of a Postgres.
	Target string
	// Journal takes a line for each call that is sent.
	Journal string
}

// brisk is a liveness for processes that are killed at once and replaced.
func brisk() dbos.Liveness {
	return dbos.Liveness{Beat: 100 * time.Millisecond, TTL: time.Second, Sweep: 100 * time.Millisecond}
}

func (s script) open(ctx context.Context) (*system, error) {
	cfg := fast()
	cfg.MaxStalled = 100
	logger := slog.New(slog.DiscardHandler)
	if strings.HasPrefix(s.Target, "postgres") {
		return openCluster(ctx, s.Target, brisk(), logger, cfg)
	}
	return open(ctx, s.Target, logger, cfg)
}

func runScript() bool {
	raw := os.Getenv(scriptSettings)
	if raw == "" {
		return false
	}
	var s script
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		panic(err)
	}
	if err := s.run(context.Background()); err != nil {
		panic(err)
	}
	return true
}

// The jobs of the script, named by what happens to them.
const (
	roleCouncil = "council" // runs to its end
	roleCancel  = "cancel"  // is cancelled while it runs
	roleRetry   = "retry"   // fails and is retried
	roleError   = "error"   // its body returns an error once
	roleLost    = "lost"    // the engine does not know it
	roleAway    = "away"    // its body gives up once because the database is away
	roleFamily  = "family"  // starts another, and its body panics
	roleChild   = "child"   // is started by that one, and nothing computes it
	roleExpire  = "expire"  // nothing computes it in time
	roleGone    = "gone"    // fails and is deleted
)

// roles are those that callers ask for.
func roles() []string {
	return []string{roleCouncil, roleCancel, roleRetry, roleError, roleLost, roleAway, roleFamily, roleExpire, roleGone}
}

// asked is the creation of a job of the script: again and again the same request.
func asked(role string) job.Creation {
	c := creation()
	c.RequestID, c.Spec, c.Labels = role, []byte(role), map[string]string{"role": role}
	switch role {
	case roleChild:
		c.Kind = job.KindReview
	case roleExpire:
		c.Kind, c.QueueTimeout = job.KindReview, time.Millisecond
	}
	return c
}

func (s script) run(ctx context.Context) error {
	journal, err := os.OpenFile(s.Journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	sys, err := s.open(ctx)
	if err != nil {
		return err
	}
	sys.Handle(job.KindCouncil, 0, roleBody(sys, func(line string) { _, _ = fmt.Fprintln(journal, line) }))
	if err := sys.Start(ctx); err != nil {
		return err
	}
	ids := make(map[string]job.ID)
	for _, role := range roles() {
		j, _, err := s.create(ctx, sys, role)
		for errors.Is(err, database.ErrAway) {
			j, _, err = s.create(ctx, sys, role)
		}
		if role == roleGone && errors.Is(err, job.ErrDeleted) {
			continue
		}
		if err != nil {
			return err
		}
		ids[role] = j.ID
	}
	for open := true; open; {
		if open, err = drive(ctx, sys, ids); err != nil && !errors.Is(err, database.ErrAway) {
			return err
		}
		open = open || err != nil
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // a process of its own, which polls until it is killed
	}
	return errors.Join(sys.Stop(ctx), sys.db.Close())
}

func (s script) create(ctx context.Context, sys *system, role string) (job.Job, bool, error) {
	if role == roleLost {
		return sys.store.Create(ctx, asked(role), func(context.Context, job.Tx) error { return nil })
	}
	return sys.Create(ctx, asked(role))
}

// drive does what callers do to the jobs, and says whether one is open still.
func drive(ctx context.Context, sys *system, ids map[string]job.ID) (open bool, err error) {
	for role, id := range ids {
		j, err := sys.Get(ctx, id, owner)
		if role == roleGone && errors.Is(err, job.ErrNotFound) {
			continue
		}
		if err != nil {
			return false, err
		}
		started, _, err := sys.List(ctx, job.ListQuery{Owner: owner, Parent: id})
		if err != nil {
			return false, err
		}
		switch {
		case role == roleCancel && j.State == job.StateRunning:
			_, err = sys.Cancel(ctx, id, owner)
		case role == roleRetry && j.State == job.StateFailed && j.Attempt == 1:
			_, err = sys.Retry(ctx, job.Retrial{ID: id, Owner: owner, RequestID: "again"})
		case role == roleGone && j.State.Terminal():
			if err = sys.Delete(ctx, job.Deletion{IDs: []job.ID{id}, Owner: owner}); errors.Is(err, job.ErrNotFound) {
				err = nil // another process was faster
			}
		}
		if err != nil {
			return false, err
		}
		open = open || !j.State.Terminal() || role == roleRetry && j.Attempt == 1 ||
			slices.ContainsFunc(started, func(j job.Job) bool { return !j.State.Terminal() })
	}
	return open, nil
}

// roleBody does what the job's role asks for, each call written down before it is made.
func roleBody(sys *system, note func(string)) job.Body {
	return func(r *job.Run) error {
		role := string(r.Job().Spec)
		council := councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
			note("call " + role + "/" + key.Stage + "/" + key.Subject)
			return atOnce(ctx, key, attempt)
		})
		switch role {
		case roleCancel:
			if _, _, err := job.Step(r, "wait", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
				<-ctx.Done()
				return 0, nil, context.Cause(ctx)
			}); err != nil {
				return err
			}
			return finish(r, job.StateCancelled)
		case roleRetry:
			if r.Attempt() == 1 {
				return finish(r, job.StateFailed)
			}
		case roleAway:
			if r.Epoch() == 1 {
				return database.ErrAway.Wrap(errors.New("once"))
			}
		case roleFamily:
			c := asked(roleChild)
			c.Parent = r.Job().ID
			if _, _, err := sys.Create(r.Context(), c); err != nil {
				return err
			}
			panic("nobody cancels what was started")
		case roleGone:
			return finish(r, job.StateFailed)
		case roleError:
			if r.Epoch() == 1 {
				_, _, err := job.Step(r, "plan", engine.Policy{}, func(context.Context) (string, *engine.Failure, error) {
					return "", nil, errors.New("once")
				})
				return err
			}
		}
		return council(r)
	}
}

// tagged is this test's binary with the crash points, there as long as a test uses it.
var tagged struct { //nolint:gochecknoglobals // built once for all tests
	mu     sync.Mutex
	users  int
	folder string
}

// crashing builds the binary with the crash points, or takes the one that another test has built.
func crashing(t *testing.T) string {
	t.Helper()
	tagged.mu.Lock()
	defer tagged.mu.Unlock()
	if tagged.users == 0 {
		dir, err := os.MkdirTemp("", "witan-crash-test") //nolint:usetesting // several tests share it
		require.NoError(t, err)
		tagged.folder = dir
	}
	tagged.users++
	t.Cleanup(func() {
		tagged.mu.Lock()
		defer tagged.mu.Unlock()
		if tagged.users--; tagged.users == 0 {
			_ = os.RemoveAll(tagged.folder)
		}
	})
	binary := filepath.Join(tagged.folder, "job.test")
	if _, err := os.Stat(binary); err != nil {
		out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "crashpoints", "-o", binary, ".").CombinedOutput() //nolint:gosec // the package under test
		require.NoError(t, err, "%s", out)
	}
	return binary
}

// start starts a process of the script. crash is where it dies, "" nowhere; count is the file that counts.
func (s script) start(t *testing.T, binary, crash, count string) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, binary)
	cmd.Env = append(os.Environ(), scriptSettings+"="+string(raw), crashpoint.Variable+"="+crash, crashpoint.CountVariable+"="+count)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	return cmd
}

// left is what is stored after a kill, or at the end.
type left struct {
	jobs   map[string]job.Job
	events map[string][]job.Event
}

func (s script) left(t *testing.T) left {
	t.Helper()
	sys, err := s.open(t.Context())
	require.NoError(t, err)
	defer sys.end(t)
	jobs := settled(t, sys)
	l := left{jobs: map[string]job.Job{}, events: map[string][]job.Event{}}
	for _, j := range jobs {
		require.NotContains(t, l.jobs, j.Labels["role"], "one job for each request")
		l.jobs[j.Labels["role"]], l.events[j.Labels["role"]] = j, whole(t, sys, j)
	}
	return l
}

// settled lists the jobs when no commit is on its way any more: Postgres finishes what a process sent before it died.
func settled(t *testing.T, sys *system) []job.Job {
	t.Helper()
	list := func() []job.Job {
		jobs, err := sys.store.List(t.Context(), job.ListQuery{Limit: 100})
		require.NoError(t, err)
		return jobs
	}
	jobs := list()
	require.Eventually(t, func() bool {
		before := jobs
		jobs = list()
		return cmp.Equal(before, jobs)
	}, time.Minute, 50*time.Millisecond)
	return jobs
}

// whole is the log, which has no gap, and one final event for each attempt that ended.
func whole(t *testing.T, sys *system, j job.Job) []job.Event {
	t.Helper()
	events, err := sys.store.Events(t.Context(), j.ID, 0, 1000)
	require.NoError(t, err)
	require.Len(t, events, int(j.LastSeq))
	ends := 0
	for i, e := range events {
		require.Equal(t, int64(i+1), e.Seq)
		if e.Final {
			ends++
		}
	}
	want := int(j.Attempt)
	if !j.State.Terminal() {
		want--
	}
	require.Equal(t, want, ends)
	return events
}

// answered are the calls whose answers are in the log.
func (l left) answered() []string {
	var out []string
	for role, events := range l.events {
		for _, e := range events {
			if _, call, ok := strings.Cut(e.Key, "/"); ok && e.Type == "council.member_answered" {
				stage, rest, _ := strings.Cut(call, "/answered/")
				out = append(out, "call "+role+"/"+stage+"/"+strings.TrimSuffix(rest, "/0"))
			}
		}
	}
	return out
}

// as holds an end against the one of a run that nothing disturbed.
func (l left) as(t *testing.T, undisturbed left) {
	t.Helper()
	for _, role := range append(roles(), roleChild) {
		want, got := undisturbed.jobs[role], l.jobs[role]
		require.Equal(t, []any{want.State, want.StateReason, want.Stage, want.Attempt, want.Result, want.Error, want.Ledger.CallsCompleted},
			[]any{got.State, got.StateReason, got.Stage, got.Attempt, got.Result, got.Error, got.Ledger.CallsCompleted}, role)
		require.Equal(t, contents(undisturbed.events[role]), contents(l.events[role]), role)
	}
}

// contents are the events that do not depend on how often a job began or a call was sent.
func contents(events []job.Event) []string {
	var out []string
	for _, e := range events {
		if e.Type != job.TypeStateChanged && !strings.Contains(e.Key, "/started/") && !strings.Contains(e.Key, "/delta/") {
			out = append(out, fmt.Sprintf("%s %s %s", e.Key, e.Type, e.Payload))
		}
	}
	slices.Sort(out)
	return out
}

// journal are the calls that were sent.
func (s script) journal(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(s.Journal)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(raw)), "\n")
}

// stores are where the script is run.
func stores() map[string]func(t *testing.T) script {
	return map[string]func(t *testing.T) script{
		"sqlite": func(t *testing.T) script {
			dir := t.TempDir()
			content, err := migrated()
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "witan.db"), content, 0o600))
			return script{Target: filepath.Join(dir, "witan.db"), Journal: filepath.Join(dir, "journal")}
		},
		"postgres": func(t *testing.T) script {
			return script{Target: clusterURL(t), Journal: filepath.Join(t.TempDir(), "journal")}
		},
	}
}

// undisturbed runs the script once and counts the points that it comes by.
func undisturbed(t *testing.T, binary string, s script) (left, map[crashpoint.Point]int) {
	t.Helper()
	count := filepath.Join(t.TempDir(), "count")
	require.NoError(t, s.start(t, binary, "", count).Wait())
	raw, err := os.ReadFile(count) //nolint:gosec // made above
	require.NoError(t, err)
	hits := map[crashpoint.Point]int{}
	for line := range strings.Lines(string(raw)) {
		hits[crashpoint.Point(strings.TrimSpace(line))]++
	}
	for _, p := range crashpoint.Points() {
		require.Positive(t, hits[p], "the script never comes by %s", p)
	}
	return s.left(t), hits
}

// TestG10_AProcessKilledAtAnyCrashPointIsFollowedByOneThatFinishes kills at the first time that each point is come by, and
// with WITAN_TEST_LONG at every time.
func TestG10_AProcessKilledAtAnyCrashPointIsFollowedByOneThatFinishes(t *testing.T) {
	t.Parallel()
	binary := crashing(t)
	for name, newScript := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, hits := undisturbed(t, binary, newScript(t))
			for _, p := range crashpoint.Points() {
				times := 1
				if os.Getenv("WITAN_TEST_LONG") != "" || p == crashpoint.BeforeAbandon { // only one of those jobs has started another
					times = hits[p]
				}
				for n := range times {
					t.Run(fmt.Sprintf("%s-%d", p, n+1), func(t *testing.T) {
						t.Parallel()
						killedAt(t, binary, newScript(t), p, n+1, want)
					})
				}
			}
		})
	}
}

func killedAt(t *testing.T, binary string, s script, p crashpoint.Point, n int, want left) {
	t.Helper()
	err := s.start(t, binary, fmt.Sprintf("%s:%d", p, n), "").Wait()
	if err == nil {
		require.Greater(t, n, 1, "it never came by %s: a run may do that less often than the counted one, but not never", p)
		s.left(t).as(t, want)
		return
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.Equal(t, syscall.SIGKILL, status.Signal(), "it died where it was told to")
	before, sent := s.left(t), len(s.journal(t))
	require.NoError(t, s.start(t, binary, "", "").Wait())
	after := s.left(t)
	after.as(t, want)
	again := s.journal(t)[sent:]
	for _, call := range before.answered() {
		require.NotContains(t, again, call, "a call with a stored answer was made again")
	}
	for role, j := range before.jobs {
		if role == roleGone {
			continue
		}
		log := before.events[role]
		require.Equal(t, log, after.events[role][:len(log)], "what was seen is the beginning of what is there")
		inFlight := j.Ledger.CallsStarted - j.Ledger.CallsCompleted - j.Ledger.CallsRepaid
		require.LessOrEqual(t, after.jobs[role].Ledger.CallsRepaid-j.Ledger.CallsRepaid, inFlight, role)
	}
}

// TestG10_AProcessStoppedAtACrashPointIsRefusedWhenItGoesOn stops a process for longer than others wait for it.
func TestG10_AProcessStoppedAtACrashPointIsRefusedWhenItGoesOn(t *testing.T) {
	t.Parallel()
	binary := crashing(t)
	newScript := stores()["postgres"]
	want, _ := undisturbed(t, binary, newScript(t))
	for _, p := range []crashpoint.Point{
		crashpoint.BeforeBegin, crashpoint.AfterBegin, crashpoint.BeforeIntent, crashpoint.EndOfStep, crashpoint.AfterStep,
		crashpoint.BeforeClose, crashpoint.BeforeFinish, crashpoint.BeforeGiveBack,
	} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			s := newScript(t)
			late := s.start(t, binary, string(p)+":1:stop", "")
			require.Eventually(t, func() bool { return stopped(t, late.Process.Pid) }, time.Minute, 5*time.Millisecond)
			require.NoError(t, s.start(t, binary, "", "").Wait())
			before, rows := s.left(t), s.rows(t)
			before.as(t, want)
			require.NoError(t, late.Process.Signal(syscall.SIGCONT))
			require.NoError(t, late.Wait())
			require.Equal(t, before, s.left(t), "nothing was written after the thaw")
			require.Equal(t, rows, s.rows(t), "not even what was there already")
		})
	}
}

// rows are those of all tables of jobs, each with the transaction that wrote it.
func (s script) rows(t *testing.T) map[string][]string {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.Target)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close(context.WithoutCancel(t.Context()))) }()
	out := map[string][]string{}
	for _, table := range []string{"jobs", "calls", "job_events", "requests"} {
		found, err := db.Query(t.Context(), "SELECT xmin::text || ' ' || to_jsonb(r)::text FROM "+table+" r ORDER BY 1")
		require.NoError(t, err)
		out[table], err = pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(t, err)
		require.NotEmpty(t, out[table])
	}
	return out
}

// stopped reads the state of a process.
func stopped(t *testing.T, pid int) bool {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(raw), ") ")
	return strings.HasPrefix(rest, "T")
}
