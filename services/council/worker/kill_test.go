package worker_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/services/council"
	"witan.dev/services/council/counciltest"
)

const (
	// lifeFolder names the folder of a life that is to be killed; without it TestLife is not one.
	lifeFolder = "WITAN_TEST_COUNCIL_LIFE"
	// begun is what a life says when its deliberations are under way.
	begun     = "begun"
	lifeJobs  = 6
	lifeCalls = 9 // four answers, four ballots, one text
)

// TestLife is one process that works off the deliberations of a folder. TestKilledAtAnyMoment starts and kills it.
func TestLife(t *testing.T) { //nolint:paralleltest // it is the only test of its process
	folder := os.Getenv(lifeFolder)
	if folder == "" {
		return
	}
	journal, err := os.OpenFile(filepath.Join(folder, "calls.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	s := counciltest.Open(t, counciltest.Config{
		Folder: folder, Script: "timing: {first_token: 10ms, latency: 400ms, chunk_bytes: 50}",
		Models: []string{"a", "b", "c", "d"}, Presets: []council.Preset{preset("a", "b", "c", "d")},
		Calls: &counciltest.Calls{Note: func(c counciltest.Call) { _, _ = fmt.Fprintln(journal, c.Stage, c.Key) }},
	})
	var ids []job.ID
	for i := range lifeJobs {
		n := question(fmt.Sprint("question ", i))
		n.Request = council.Request{ID: fmt.Sprint("request ", i)} // each life asks; the first one made them
		ids = append(ids, start(t, s, n).ID)
	}
	_, err = os.Stdout.WriteString(begun + "\n")
	require.NoError(t, err)
	for _, id := range ids {
		s.Await(t, id)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	require.NoError(t, err)
	folder := t.TempDir()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)) //nolint:gosec // other moments in each run
	kills := 0
	for life(t, binary, folder, time.Duration(100+rng.IntN(500))*time.Millisecond, kills < 6) {
		kills++
	}
	require.GreaterOrEqual(t, kills, 2, "a life is too short for two of the three stages")

	db, err := sqlite.Open(t.Context(), filepath.Join(folder, "witan.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	store := jobsqlite.New(db, nil)
	jobs, err := store.List(t.Context(), job.ListQuery{Limit: 100})
	require.NoError(t, err)
	require.Len(t, jobs, lifeJobs)
	var repaid int64
	for _, j := range jobs {
		require.Equal(t, job.StateSucceeded, j.State, j.StateReason)
		require.Equal(t, int64(lifeCalls), j.Ledger.CallsCompleted, "no committed call was made again")
		require.Equal(t, lifeCalls+j.Ledger.CallsRepaid, j.Ledger.CallsStarted)
		require.LessOrEqual(t, j.Ledger.CallsRepaid, 4*j.Ledger.Recoveries, "at most the calls in flight")
		repaid += j.Ledger.CallsRepaid
		events, err := store.Events(t.Context(), j.ID, 0, 10_000)
		require.NoError(t, err)
		require.Len(t, events, int(j.LastSeq))
	}
	log, err := os.ReadFile(filepath.Join(folder, "calls.log")) //nolint:gosec // the test's own folder
	require.NoError(t, err)
	require.LessOrEqual(t, int64(bytes.Count(log, []byte{'\n'})), lifeJobs*lifeCalls+repaid)
	t.Logf("%d kills, %d calls repaid", kills, repaid)
}

// life runs a process, kills it some time after its deliberations have begun, and reports whether that was before they had
// ended.
func life(t *testing.T, binary, folder string, after time.Duration, kill bool) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run=^TestLife$")
	cmd.Env = append(os.Environ(), lifeFolder+"="+folder)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if kill && lines.Text() == begun {
			timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			defer timer.Stop()
		}
	}
	err = cmd.Wait()
	if err != nil && !kill {
		require.NoError(t, err, complaints.String())
	}
	return err != nil
}
