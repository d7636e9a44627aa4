package job_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
)

func TestMain(m *testing.M) {
	if runCrashHelper() || runWorker() || runScript() {
		return
	}
	goleak.VerifyTestMain(m)
}

// system is one life of jobs in a database.
type system struct {
	*job.Manager

	store job.Store
	db    io.Closer
}

// fast are limits with which tests need not wait.
func fast() job.Config {
	return job.Config{
		Backoff: time.Millisecond, ErrorRetries: 2, MaxStalled: 5,
		CancelPoll: 20 * time.Millisecond, Sweep: 20 * time.Millisecond,
	}
}

func open(ctx context.Context, path string, logger *slog.Logger, cfg job.Config) (*system, error) {
	db, err := sqlite.Open(ctx, path, logger)
	if err != nil {
		return nil, err
	}
	eng, err := dbos.NewSQLite(ctx, db, logger)
	if err != nil {
		return nil, err
	}
	store := jobsqlite.New(db, nil)
	return &system{Manager: job.NewManager(store, eng, inprocess.New(), logger, cfg), store: store, db: db}, nil
}

// migrated is a database file that is up to date, made once: migrating takes longer than most of the tests.
//
//nolint:gochecknoglobals // made once for all tests
var migrated = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "witan-job-test")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "witan.db")
	ctx := context.Background()
	s, err := open(ctx, path, slog.New(slog.DiscardHandler), job.Config{})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Stop(ctx), s.db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path) //nolint:gosec // made above
})

// waitsForDatabase is what is logged when a write has met a database that is away.
const waitsForDatabase = "the database is away; a write waits for it"

// heard calls tell when message is logged, whatever its level.
type heard struct {
	slog.Handler

	message string
	tell    func()
}

func (h heard) Enabled(context.Context, slog.Level) bool { return true }

func (h heard) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.message {
		h.tell()
	}
	if !h.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h heard) WithAttrs(attrs []slog.Attr) slog.Handler {
	return heard{Handler: h.Handler.WithAttrs(attrs), message: h.message, tell: h.tell}
}

func (h heard) WithGroup(name string) slog.Handler {
	return heard{Handler: h.Handler.WithGroup(name), message: h.message, tell: h.tell}
}

// setup opens a system whose end is the test's; start it after Handle.
func setup(tb testing.TB) *system {
	tb.Helper()
	return setupWith(tb, fast())
}

func setupWith(tb testing.TB, cfg job.Config) *system {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "witan.db")
	content, err := migrated()
	require.NoError(tb, err)
	require.NoError(tb, os.WriteFile(path, content, 0o600))
	s, err := open(tb.Context(), path, slog.New(slog.DiscardHandler), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { s.end(tb) })
	return s
}

func (s *system) end(tb testing.TB) {
	tb.Helper()
	require.NoError(tb, s.Stop(context.WithoutCancel(tb.Context())))
	require.NoError(tb, s.db.Close())
}

const owner = "local"

func creation() job.Creation {
	id := job.NewID()
	return job.Creation{ID: id, Kind: job.KindCouncil, Owner: owner, Method: "CreateDeliberation", Resource: "deliberations/" + string(id)}
}

func create(tb testing.TB, s *system) job.Job {
	tb.Helper()
	j, reused, err := s.Create(tb.Context(), creation())
	require.NoError(tb, err)
	require.False(tb, reused)
	return j
}

// await looks at the job until it has ended.
func await(tb testing.TB, s *system, id job.ID) job.Job {
	tb.Helper()
	var j job.Job
	require.Eventually(tb, func() bool {
		var err error
		j, err = s.Get(tb.Context(), id, owner)
		require.NoError(tb, err)
		return j.State.Terminal()
	}, time.Minute, 2*time.Millisecond)
	return j
}

// dense reads the whole log and requires that it has no gap and one final event, the last.
func dense(tb testing.TB, s *system, j job.Job) []job.Event {
	tb.Helper()
	events, err := s.Events(tb.Context(), j.ID, 0, 1000)
	require.NoError(tb, err)
	require.Len(tb, events, int(j.LastSeq))
	for i, e := range events {
		require.Equal(tb, int64(i+1), e.Seq)
		require.Equal(tb, i == len(events)-1 && j.State.Terminal(), e.Final, "event %d %s", e.Seq, e.Key)
	}
	return events
}
