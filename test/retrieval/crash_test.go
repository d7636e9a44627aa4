package retrieval_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/worker"
)

// mortal kills its process at the n-th touch of the store by a build, before or after it.
type mortal struct {
	worker.Store

	touches atomic.Int64
	deadly  int64
	poison  string
}

func (m *mortal) touch() {
	if m.touches.Add(1) == m.deadly {
		die()
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // until the signal arrives
}

func (m *mortal) Stage(ctx context.Context, fence retrieval.Fence, id retrieval.ID, version string, files []retrieval.Entry) (retrieval.Staging, error) {
	defer m.touch()
	m.touch()
	return m.Store.Stage(ctx, fence, id, version, files)
}

func (m *mortal) BeginParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	before, err := m.Store.BeginParsing(ctx, id, version, keys)
	m.touch()
	for _, k := range keys { // what the parser would do to the process
		if k.Blob == m.poison && before[k] == 0 {
			die()
		}
	}
	return before, err
}

func (m *mortal) BeginAlone(ctx context.Context, id retrieval.ID, version string, key retrieval.BlobKey) error {
	defer func() {
		if key.Blob == m.poison {
			die()
		}
		m.touch()
	}()
	return m.Store.BeginAlone(ctx, id, version, key)
}

func (m *mortal) PutParsed(ctx context.Context, version string, results []retrieval.Parsed) error {
	defer m.touch()
	m.touch()
	return m.Store.PutParsed(ctx, version, results)
}

func (m *mortal) PutFiles(ctx context.Context, version string, files []retrieval.Staged) error {
	defer m.touch()
	m.touch()
	return m.Store.PutFiles(ctx, version, files)
}

func (m *mortal) PutEdges(ctx context.Context, fence retrieval.Fence, id retrieval.ID, edges map[int64]retrieval.FileEdges) error {
	defer m.touch()
	m.touch()
	return m.Store.PutEdges(ctx, fence, id, edges)
}

func (m *mortal) PutRarity(ctx context.Context, fence retrieval.Fence, id retrieval.ID, rarity retrieval.Rarity) error {
	defer m.touch()
	m.touch()
	return m.Store.PutRarity(ctx, fence, id, rarity)
}

func (m *mortal) Activate(ctx context.Context, tx job.Tx, a retrieval.Activation) error {
	defer m.touch()
	m.touch()
	return m.Store.Activate(ctx, tx, a)
}

// helperVariable holds the database, the repository, the commit, the deadly touch and the poisonous blob of a helper.
const helperVariable = "WITAN_TEST_INDEX_HELPER"

// runCrashHelper is the process that gets killed: it builds the index and prints how often the store was touched.
func runCrashHelper() bool {
	args := strings.Split(os.Getenv(helperVariable), "\n")
	if len(args) != 5 {
		return false
	}
	if err := help(args[0], args[1], args[2], args[3], args[4]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // a process of its own
	}
	return true
}

func help(path, dir, commit, deadly, poison string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	m := &mortal{poison: poison}
	m.deadly, _ = strconv.ParseInt(deadly, 10, 64)
	s, err := open(ctx, path, func(s worker.Store) worker.Store { m.Store = s; return m })
	if err != nil {
		return err
	}
	index, err := s.CreateIndex(ctx, &retrievalv1.CreateIndexRequest{
		Index: &retrievalv1.Index{Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: dir, ObjectId: commit}}},
	})
	if err != nil {
		return err
	}
	for {
		j, err := s.jobs.Get(ctx, job.ID(strings.TrimPrefix(index.GetJob(), "jobs/")), "")
		if err != nil {
			return err
		}
		if j.State.Terminal() {
			_, err := fmt.Fprintln(os.Stdout, m.touches.Load())
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// helper runs the process and returns what it printed; killed says that it died on the way.
func helper(t *testing.T, path, dir, commit string, deadly int64, poison string) (touches int64, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), helperVariable+"="+strings.Join([]string{path, dir, commit, strconv.FormatInt(deadly, 10), poison}, "\n"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if cmd.ProcessState != nil && !cmd.ProcessState.Success() {
		state, isUnix := cmd.ProcessState.Sys().(syscall.WaitStatus)
		require.True(t, isUnix && state.Signaled() && state.Signal() == syscall.SIGKILL, "%v %s", err, stderr.String())
		return 0, true
	}
	require.NoError(t, err, stderr.String())
	touches, err = strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	require.NoError(t, err)
	return touches, false
}

// TestABuildThatIsKilledAnywhereEndsInTheSameIndex kills the process at every touch of the store, then lets another one
// go on: the counts are those of an undisturbed build, and the log has no gap and no double.
func TestABuildThatIsKilledAnywhereEndsInTheSameIndex(t *testing.T) {
	t.Parallel()
	files := map[string]string{"go.mod": "module example.org/x\n"}
	for i := range 12 {
		files[fmt.Sprintf("p%d/a.go", i)] = fmt.Sprintf("package p%d\n\nfunc F%d() {}\n\nfunc G%d() { F%d() }\n", i, i, i, i)
	}
	dir := repository(t, files)
	calm := filepath.Join(t.TempDir(), "witan.db")
	touches, killed := helper(t, calm, dir, head(t, dir), 0, "")
	require.False(t, killed)
	require.GreaterOrEqual(t, touches, int64(13))
	want := outcome(t, calm, dir)
	for deadly := int64(1); deadly <= touches; deadly++ {
		t.Run(fmt.Sprintf("touch %d", deadly), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "witan.db")
			_, killed := helper(t, path, dir, head(t, dir), deadly, "")
			require.True(t, killed)
			require.Equal(t, want, outcome(t, path, dir))
		})
	}
}

// outcome finishes the build in this process and returns what can be seen of it.
func outcome(t *testing.T, path, dir string) string {
	t.Helper()
	s := start(t, path)
	defer s.stop(t)
	index := s.index(t, dir, head(t, dir))
	index.GetCounts().Parsed = 0 // known contents of a killed step are not parsed again
	j, err := s.jobs.Get(t.Context(), job.ID(strings.TrimPrefix(index.GetJob(), "jobs/")), "")
	require.NoError(t, err)
	events, err := s.jobs.Events(t.Context(), j.ID, 0, 1000)
	require.NoError(t, err)
	seen := map[string]bool{}
	var types []string
	for i, e := range events {
		require.Equal(t, int64(i+1), e.Seq)
		require.False(t, seen[e.Key], e.Key)
		seen[e.Key] = true
		if strings.HasPrefix(e.Type, "index.") {
			types = append(types, e.Type)
		}
	}
	c := index.GetCounts()
	return fmt.Sprint(c.GetFiles(), c.GetChunks(), c.GetDefinitions(), c.GetReferences(), c.GetEdges(), c.GetLeftOut(), types, s.hits(t, index, "f3"))
}

// TestContentThatKillsTheProcessTwiceIsLeftOut: the first time its batch is suspected, the second time it alone.
func TestContentThatKillsTheProcessTwiceIsLeftOut(t *testing.T) {
	t.Parallel()
	dir := repository(t, map[string]string{"a.go": "package p\n\nfunc Alpha() {}\n", "poison.go": "package p\n\nfunc Poison() {}\n", "z.go": "package p\n\nfunc Zulu() {}\n"})
	poison := git(t, dir, "rev-parse", "HEAD:poison.go")
	path := filepath.Join(t.TempDir(), "witan.db")
	for range 2 {
		_, killed := helper(t, path, dir, head(t, dir), 0, poison)
		require.True(t, killed)
	}
	_, killed := helper(t, path, dir, head(t, dir), 0, poison)
	require.False(t, killed)
	s := start(t, path)
	defer s.stop(t)
	index := s.index(t, dir, head(t, dir))
	require.Equal(t, map[string]int64{"CRASHED": 1}, index.GetCounts().GetLeftOut())
	require.Equal(t, int64(2), index.GetCounts().GetFiles())
	require.Equal(t, []string{"z.go:3"}, s.hits(t, index, "zulu")[:1])
}
