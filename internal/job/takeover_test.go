package job_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

func TestG10_AKilledWorkersJobRunsElsewhereInLessThanTenSeconds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	c.live, c.call = dbos.Liveness{}, 500*time.Millisecond // those of production
	a := c.worker(t, "a")
	id := create(t, c.system).ID
	c.noted(t, 7, "a call") // five answers, and ballots in flight
	c.worker(t, "b")
	require.Eventually(t, func() bool { return mustGet(t, c.system, id).Ledger.CallsCompleted >= 6 }, time.Minute, time.Millisecond)
	a.signal(t, syscall.SIGKILL)
	killed := time.Now()
	require.Error(t, a.wait())
	done := mustGet(t, c.system, id).Ledger.CallsCompleted // nobody writes now: the other one does not know yet
	before := dense(t, c.system, mustGet(t, c.system, id))
	c.noted(t, 1, "b begin "+string(id))
	took := time.Since(killed)
	t.Logf("picked up %s after the kill", took.Round(10*time.Millisecond))
	require.Less(t, took, 10*time.Second)
	c.judge(t, id)
	j := mustGet(t, c.system, id)
	require.Equal(t, int64(1), j.Ledger.Recoveries)
	require.LessOrEqual(t, int64(len(c.calls(t, id))), 11+11-done, "no answered call was made again")
	require.Equal(t, before, dense(t, c.system, j)[:len(before)], "what viewers saw is the beginning of what is there")
}

func TestG10_WhatAllWorkersHadWhenTheyWereKilledGoesOnInLessThanTenSeconds(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	c.live, c.call = dbos.Liveness{}, 500*time.Millisecond // those of production
	workers := []*worker{c.worker(t, "a"), c.worker(t, "b"), c.worker(t, "c")}
	ids := []job.ID{create(t, c.system).ID, create(t, c.system).ID, create(t, c.system).ID}
	for _, id := range ids {
		require.Eventually(t, func() bool { return len(c.calls(t, id)) > 0 }, time.Minute, time.Millisecond)
	}
	for _, w := range workers {
		w.signal(t, syscall.SIGKILL)
	}
	killed := time.Now()
	for _, w := range workers {
		require.Error(t, w.wait())
	}
	away := time.NewTimer(4 * time.Second) // as long as whoever restarts them takes
	<-away.C
	for _, name := range []string{"d", "e", "f"} {
		c.worker(t, name)
	}
	up := time.Since(killed)
	begins := func(line string) bool { return strings.Contains(line, " begin ") }
	require.Eventually(t, func() bool { return c.count(t, begins) >= 2*len(ids) }, time.Minute, 5*time.Millisecond)
	took := time.Since(killed)
	t.Logf("restarted %s after the kill, picked up after %s", up.Round(10*time.Millisecond), took.Round(10*time.Millisecond))
	require.Less(t, took, 10*time.Second)
	c.judge(t, ids...)
}

func TestG10_AFrozenWorkerIsRefusedWhenItThawsAndGoesOnUnderANewIdentity(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	a := c.worker(t, "a")
	ids := []job.ID{create(t, c.system).ID, create(t, c.system).ID, create(t, c.system).ID}
	for _, id := range ids {
		c.noted(t, 1, "a call "+string(id))
	}
	a.signal(t, syscall.SIGSTOP) // before the other one starts, which takes longer than these jobs
	b := c.worker(t, "b")
	frozen := map[job.ID]int{}
	for _, id := range ids {
		frozen[id] = c.epochs(t, id)[1]
	}
	c.judge(t, ids...)
	a.signal(t, syscall.SIGCONT)
	b.signal(t, syscall.SIGTERM)
	require.NoError(t, b.wait())
	next := create(t, c.system).ID
	c.noted(t, 1, "a begin "+string(next))
	c.judge(t, append(ids, next)...)
	for _, id := range ids {
		require.Equal(t, frozen[id], c.epochs(t, id)[1], "nothing was written under the old epoch after the thaw")
		require.Len(t, slices.DeleteFunc(c.noted(t, 2, ""), func(line string) bool { return line != "a begin "+string(id) && line != "b begin "+string(id) }), 2)
	}
	require.Zero(t, mustGet(t, c.system, next).Ledger.Recoveries)
}

func TestG10_APartitionedWorkerLosesItsJobsAndIsRefusedWhenItIsBack(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	proxy := testserver.StartProxy(t, c.url)
	c.workerAt(t, "a", proxy.URL)
	ids := []job.ID{create(t, c.system).ID, create(t, c.system).ID}
	for _, id := range ids {
		c.noted(t, 1, "a call "+string(id))
	}
	proxy.Freeze() // before the other one starts, which takes longer than these jobs
	b := c.worker(t, "b")
	c.noted(t, 2, "b begin")
	lost := map[job.ID]int{}
	for _, id := range ids {
		lost[id] = c.epochs(t, id)[1]
	}
	c.judge(t, ids...)
	proxy.Thaw()
	b.signal(t, syscall.SIGTERM)
	require.NoError(t, b.wait())
	next := create(t, c.system).ID
	c.noted(t, 1, "a begin "+string(next))
	c.judge(t, append(ids, next)...)
	for _, id := range ids {
		require.Equal(t, lost[id], c.epochs(t, id)[1], "nothing was written under the old epoch")
	}
}

func TestG10_JobsOutliveADatabaseThatIsKilledAndRestarted(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t)
	_, err := postgres.Migrate(t.Context(), secret.New(server.URL))
	require.NoError(t, err)
	require.NoError(t, dbos.MigratePostgres(t.Context(), secret.New(server.URL)))
	c := newCluster(t, server.URL)
	for _, name := range []string{"a", "b", "c"} {
		c.worker(t, name)
	}
	var ids []job.ID
	for range 9 {
		ids = append(ids, create(t, c.system).ID)
	}
	for range 2 {
		sent := c.sent(t) + 10
		require.Eventually(t, func() bool { return c.sent(t) >= sent }, time.Minute, 5*time.Millisecond) // in the middle, with calls in flight
		before := c.waiting(t)
		require.NoError(t, server.Kill())
		// Calls in flight end while nobody can keep their answers.
		require.Eventually(t, func() bool { return c.waiting(t) > before }, time.Minute, 5*time.Millisecond)
		require.NoError(t, server.Start(t.Context()))
		require.Eventually(t, func() bool { _, err := c.Get(t.Context(), ids[0], owner); return err == nil }, time.Minute, 10*time.Millisecond)
	}
	c.judge(t, ids...)
	for _, id := range ids {
		sent := c.calls(t, id)
		slices.Sort(sent)
		require.Len(t, slices.Compact(slices.Clone(sent)), 11)
		require.LessOrEqual(t, int64(len(sent)), 11+mustGet(t, c.system, id).Ledger.CallsRepaid, "an answer that was kept is not asked for again")
	}
}

func TestG10_AStoppingWorkerLetsItsCallsEndAndHandsOver(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	c.call = time.Second
	workers := map[string]*worker{"a": c.worker(t, "a"), "b": c.worker(t, "b")}
	id := create(t, c.system).ID
	first, other := "a", "b" // whoever takes the job
	require.Eventually(t, func() bool {
		if len(noted(t, c.folder, "b begin "+string(id))) > 0 {
			first, other = "b", "a"
		}
		return len(noted(t, c.folder, first+" begin "+string(id))) > 0
	}, time.Minute, 5*time.Millisecond)
	c.noted(t, 5, first+" call")
	workers[first].signal(t, syscall.SIGTERM)
	require.NoError(t, workers[first].wait())
	stopped := time.Now()
	require.Equal(t, int64(5), mustGet(t, c.system, id).Ledger.CallsCompleted, "the answers that were on their way are kept")
	c.noted(t, 1, other+" begin "+string(id))
	require.Less(t, time.Since(stopped), 2*time.Second)
	c.judge(t, id)
	j := mustGet(t, c.system, id)
	require.Zero(t, j.Ledger.CallsRepaid)
	require.Len(t, c.calls(t, id), 11, "nothing was asked twice")
	require.Zero(t, j.Stalled)
}

func TestManyCleanStopsInARowDoNotEndAJob(t *testing.T) {
	t.Parallel()
	c := newCluster(t, clusterURL(t))
	c.call = time.Hour
	id := create(t, c.system).ID
	for n := range fast().MaxStalled + 2 {
		w := startWorker(t, settings{Name: string(rune('a' + n)), Folder: c.folder, URL: c.url, Liveness: c.live, Call: c.call})
		c.noted(t, 1, w.name+" call "+string(id))
		w.signal(t, syscall.SIGTERM)
		require.NoError(t, w.wait())
	}
	require.Equal(t, job.StateRunning, mustGet(t, c.system, id).State)
	c.call = time.Millisecond
	c.worker(t, "last")
	require.Equal(t, job.StateSucceeded, await(t, c.system, id).State)
}
