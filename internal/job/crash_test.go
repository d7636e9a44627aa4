package job_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	jobsqlite "witan.dev/internal/job/sqlite"
)

// crashFolder names the folder in which a helper process works; its presence makes this binary one.
const crashFolder = "WITAN_TEST_CRASH_FOLDER"

// runCrashHelper is the process that gets killed: it works off the jobs of a folder and writes down each step and call
// that it begins.
func runCrashHelper() bool {
	folder := os.Getenv(crashFolder)
	if folder == "" {
		return false
	}
	if err := work(context.Background(), folder); err != nil {
		panic(err)
	}
	return true
}

func work(ctx context.Context, folder string) error {
	journal, err := os.OpenFile(filepath.Join(folder, "begun.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the test that started this process made the folder
	if err != nil {
		return err
	}
	note := func(line string) { _, _ = fmt.Fprintln(journal, line) }
	s, err := open(ctx, filepath.Join(folder, "witan.db"), slog.New(slog.DiscardHandler), job.Config{MaxStalled: 1000})
	if err != nil {
		return err
	}
	s.Handle(job.KindCouncil, 0, crashBody(note))
	if err := s.Start(ctx); err != nil {
		return err
	}
	note("up")
	for {
		jobs, _, err := s.List(ctx, job.ListQuery{})
		if err != nil {
			return err
		}
		open := 0
		for _, j := range jobs {
			if !j.State.Terminal() {
				open++
			}
		}
		if open == 0 {
			return s.Stop(ctx)
		}
		time.Sleep(2 * time.Millisecond) //nolint:forbidigo // a process of its own, which polls until it is killed
	}
}

// crashBody is the council-shaped body with every begin written down.
func crashBody(note func(string)) job.Body {
	body := councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
		note("call " + key.Stage + "/" + key.Subject)
		select {
		case <-time.After(time.Duration(rand.IntN(8)) * time.Millisecond): //nolint:gosec // spreads the moments of a kill
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		return atOnce(ctx, key, attempt)
	})
	return func(r *job.Run) error {
		if _, _, err := job.Step(r, "first", engine.Policy{}, func(context.Context) (int, *engine.Failure, error) {
			note("step first of " + string(r.Job().ID))
			return 1, nil, nil
		}); err != nil {
			return err
		}
		if _, _, err := job.Step(r, "second", engine.Policy{}, func(context.Context) (int, *engine.Failure, error) {
			note("step second of " + string(r.Job().ID))
			return 1, nil, nil
		}); err != nil {
			return err
		}
		return body(r)
	}
}

// begun reads what the helpers have written down.
func begun(t *testing.T, folder string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join(folder, "begun.log")) //nolint:gosec // the test's own folder
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	var lines []string
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// stored is what a killed process has left: the log of each job, and the calls whose answers were committed.
type stored struct {
	logs     map[job.ID][]job.Event
	answered map[job.ID]int64
}

func read(t *testing.T, folder string) stored {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(folder, "witan.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	store := jobsqlite.New(db, nil)
	jobs, err := store.List(t.Context(), job.ListQuery{Limit: 100})
	require.NoError(t, err)
	out := stored{logs: map[job.ID][]job.Event{}, answered: map[job.ID]int64{}}
	for _, j := range jobs {
		events, err := store.Events(t.Context(), j.ID, 0, 10_000)
		require.NoError(t, err)
		require.Len(t, events, int(j.LastSeq), "the log is dense after a kill")
		out.logs[j.ID], out.answered[j.ID] = events, j.Ledger.CallsCompleted
	}
	return out
}

func TestKilledAtAnyMomentTheNextProcessFinishes(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	require.NoError(t, err)
	folder := t.TempDir()
	ids := enqueueJobs(t, folder, 6)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3)) //nolint:gosec // other moments in each run
	before := read(t, folder)
	kills := 0
	for {
		// later and later, so that the jobs get on however slow the machine is
		done := runAndKill(t, binary, folder, 1+rng.IntN(15)+kills, time.Duration(rng.IntN(5))*time.Millisecond)
		after := read(t, folder)
		for id, log := range before.logs {
			require.Equal(t, log, after.logs[id][:len(log)], "what was seen is the beginning of what is there")
		}
		before = after
		if done {
			break
		}
		if kills++; kills > 200 {
			require.FailNow(t, "the jobs do not get on")
		}
	}
	require.Positive(t, kills)
	judge(t, folder, ids, kills)
}

// enqueueJobs creates jobs in a process that computes none.
func enqueueJobs(t *testing.T, folder string, n int) []job.ID {
	t.Helper()
	s, err := open(t.Context(), filepath.Join(folder, "witan.db"), slog.New(slog.DiscardHandler), job.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context()))
	var ids []job.ID
	for range n {
		ids = append(ids, create(t, s).ID)
	}
	s.end(t)
	return ids
}

// runAndKill starts a helper and kills it when it has begun more things than before, or says that it ended by itself.
func runAndKill(t *testing.T, binary, folder string, more int, after time.Duration) (done bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Env = append(os.Environ(), crashFolder+"="+folder)
	cmd.Stderr = os.Stderr
	lines := len(begun(t, folder))
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for len(begun(t, folder)) < lines+more {
		select {
		case err := <-ended:
			require.NoError(t, err)
			return true
		case <-tick.C:
		}
	}
	select {
	case err := <-ended:
		require.NoError(t, err)
		return true
	case <-time.After(after):
	}
	require.NoError(t, cmd.Process.Kill())
	return <-ended == nil
}

// judge compares what ended with what was begun on the way.
func judge(t *testing.T, folder string, ids []job.ID, kills int) {
	t.Helper()
	s, err := open(t.Context(), filepath.Join(folder, "witan.db"), slog.New(slog.DiscardHandler), job.Config{})
	require.NoError(t, err)
	defer s.end(t)
	var started, repaid int64
	for _, id := range ids {
		j := mustGet(t, s, id)
		require.Equal(t, job.StateSucceeded, j.State)
		require.Equal(t, int64(11), j.Ledger.CallsCompleted)
		require.Equal(t, 11+j.Ledger.CallsRepaid, j.Ledger.CallsStarted)
		require.LessOrEqual(t, j.Ledger.CallsRepaid, 5*j.Ledger.Recoveries, "at most the calls in flight at each kill")
		require.LessOrEqual(t, j.Ledger.Recoveries, int64(kills))
		dense(t, s, j)
		started += j.Ledger.CallsStarted
		repaid += j.Ledger.CallsRepaid
	}
	var calls int64
	passed := map[string]bool{}
	for _, line := range begun(t, folder) {
		switch {
		case strings.HasPrefix(line, "call "):
			calls++
		case strings.HasPrefix(line, "step first of "):
			id := strings.TrimPrefix(line, "step first of ")
			require.False(t, passed[id], "a step ran again after the next one had begun: %s", line)
		case strings.HasPrefix(line, "step second of "):
			passed[strings.TrimPrefix(line, "step second of ")] = true
		}
	}
	require.LessOrEqual(t, calls, started, "no call was sent without its intent")
	t.Logf("%d kills, %d calls begun, %d answered, %d repaid", kills, calls, 11*len(ids), repaid)
}
