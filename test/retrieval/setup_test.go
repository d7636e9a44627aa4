// Package retrieval_test runs the index service as it runs in production: real git repositories, the real parser and
// retrieval over gRPC with all interceptors, jobs on the real engine, everything in one SQLite file or in one Postgres.
package retrieval_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	parserv1 "witan.dev/gen/witan/parser/v1"
	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	blobpostgres "witan.dev/internal/blob/postgres"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
	jobpostgres "witan.dev/internal/job/postgres"
	jobsqlite "witan.dev/internal/job/sqlite"
	"witan.dev/internal/rpc"
	"witan.dev/internal/secret"
	"witan.dev/services/parser"
	"witan.dev/services/parser/enry"
	parserserver "witan.dev/services/parser/server"
	"witan.dev/services/parser/treesitter"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/gittree"
	"witan.dev/services/retrieval/parserclient"
	"witan.dev/services/retrieval/server"
	"witan.dev/services/retrieval/snapshots"
	pgstore "witan.dev/services/retrieval/store/postgres"
	store "witan.dev/services/retrieval/store/sqlite"
	"witan.dev/services/retrieval/store/storetest"
	"witan.dev/services/retrieval/vek"
	"witan.dev/services/retrieval/worker"
)

func TestMain(m *testing.M) {
	if runCrashHelper() {
		return
	}
	goleak.VerifyTestMain(m)
}

// system is one life of the service on a database.
type system struct {
	retrievalv1.RetrievalServiceClient
	storage

	path string // of the database file
	conn *grpc.ClientConn

	snapshots *snapshots.Snapshots
	jobs      *job.Manager
	rpc       *rpc.Server
	parsed    *atomic.Int64 // files that the parser was given
}

// storage is what a system keeps in its database.
type storage struct {
	store    storetest.Store
	blobs    blob.Store
	jobStore job.Store
	engine   engine.Engine
	close    func() error
}

// inFile is storage in a database file.
func inFile(ctx context.Context, path string) (storage, error) {
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(ctx, path, logger)
	if err != nil {
		return storage{}, err
	}
	eng, err := dbos.NewSQLite(ctx, db, logger)
	return storage{store.New(db), blobsqlite.New(db, nil), jobsqlite.New(db, nil), eng, db.Close}, err
}

// inPostgres is storage in a database that others share.
func inPostgres(ctx context.Context, url secret.Text) (storage, error) {
	logger := slog.New(slog.DiscardHandler)
	db, err := postgres.Open(ctx, postgres.Params{URL: url, MaxConns: 4, Logger: logger})
	if err != nil {
		return storage{}, err
	}
	eng, err := dbos.NewPostgres(ctx, dbos.Params{URL: url, MaxConns: 4, Logger: logger})
	if err != nil {
		return storage{}, err
	}
	return storage{
		pgstore.New(db), blobpostgres.New(db, nil), jobpostgres.New(db, nil, eng.Identity), eng, func() error { db.Close(); return nil },
	}, nil
}

const folderToken = "0123456789abcdef0123456789abcdef"

// start opens a system on path.
func start(tb testing.TB, path string) *system {
	tb.Helper()
	s, err := open(tb.Context(), path, func(s worker.Store) worker.Store { return s })
	require.NoError(tb, err)
	return s
}

// open is start without a test. wrap stands between the worker and its store.
func open(ctx context.Context, path string, wrap func(worker.Store) worker.Store) (*system, error) {
	kept, err := inFile(ctx, path)
	if err != nil {
		return nil, err
	}
	s, err := run(ctx, kept, stored(kept), 2, wrap)
	if s != nil {
		s.path = path
	}
	return s, err
}

// stored is a library that needs nothing but what is kept.
func stored(kept storage) retrieval.LibraryParams {
	return retrieval.LibraryParams{Store: kept.store, Rankings: retrieval.NewStored(kept.store, vek.Products)}
}

// run serves what is kept and works on a number of builds at a time.
func run(ctx context.Context, kept storage, library retrieval.LibraryParams, builds int, wrap func(worker.Store) worker.Store) (*system, error) {
	logger := slog.New(slog.DiscardHandler)
	jobs := job.NewManager(kept.jobStore, kept.engine, inprocess.New(), logger, job.Config{})
	srv, err := rpc.NewServer(rpc.Config{}, rpc.Deps{Logger: logger, Metrics: prometheus.NewRegistry(), Auth: auth.NewFolder(secret.New(folderToken))})
	if err != nil {
		return nil, err
	}
	conn, err := srv.InProcess(secret.New(folderToken))
	if err != nil {
		return nil, err
	}
	s := &system{storage: kept, conn: conn, jobs: jobs, rpc: srv, parsed: &atomic.Int64{}}
	client := parserclient.New(counting{conn, s.parsed})
	s.snapshots = snapshots.New(s.blobs, "")
	trees := retrieval.Either(gittree.New(""), s.snapshots)
	index := server.New(server.Params{
		Catalog: s.store, Library: retrieval.NewLibrary(library), Trees: trees, Snapshots: s.snapshots, Blobs: s.blobs, Parser: client, Jobs: jobs,
	})
	parse := parserserver.New(parser.NewService(enry.Detector{}, treesitter.New(), logger))
	jobs.Handle(job.KindIndex, builds, worker.New(worker.Params{Store: wrap(s.store), Rankings: library.Rankings, Trees: trees, Parser: client, Logger: logger}).Body)
	s.RetrievalServiceClient = retrievalv1.NewRetrievalServiceClient(conn)
	return s, errors.Join(srv.Register(parse.Register), srv.Register(index.Register), srv.Start(ctx), jobs.Start(ctx))
}

func setup(tb testing.TB) *system {
	tb.Helper()
	s := start(tb, filepath.Join(tb.TempDir(), "witan.db"))
	tb.Cleanup(func() { s.stop(tb) })
	return s
}

func (s *system) stop(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 20*time.Second)
	defer cancel()
	require.NoError(tb, s.jobs.Stop(ctx))
	require.NoError(tb, s.conn.Close())
	require.NoError(tb, s.rpc.Stop(ctx))
	require.NoError(tb, s.snapshots.Close())
	require.NoError(tb, s.close())
}

// counting counts the files that are sent to the parser.
type counting struct {
	grpc.ClientConnInterface

	n *atomic.Int64
}

func (c counting) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, o ...grpc.CallOption) (grpc.ClientStream, error) {
	stream, err := c.ClientConnInterface.NewStream(ctx, d, method, o...)
	return countingStream{stream, c.n}, err
}

type countingStream struct {
	grpc.ClientStream

	n *atomic.Int64
}

func (c countingStream) SendMsg(m any) error {
	if _, isParse := m.(*parserv1.ParseManyRequest); isParse {
		c.n.Add(1)
	}
	return c.ClientStream.SendMsg(m)
}

// index builds the index of a commit or tree and waits for it.
func (s *system) index(tb testing.TB, dir, object string, objectDirs ...string) *retrievalv1.Index {
	tb.Helper()
	created := s.create(tb, dir, object, objectDirs...)
	return s.await(tb, created)
}

func (s *system) create(tb testing.TB, dir, object string, objectDirs ...string) *retrievalv1.Index {
	tb.Helper()
	created, err := s.CreateIndex(tb.Context(), &retrievalv1.CreateIndexRequest{Index: &retrievalv1.Index{
		Source: &retrievalv1.Index_GitTree{GitTree: &retrievalv1.GitTree{Dir: dir, ObjectId: object, ObjectDirs: objectDirs}},
	}})
	require.NoError(tb, err)
	return created
}

func (s *system) await(tb testing.TB, created *retrievalv1.Index) *retrievalv1.Index {
	tb.Helper()
	id := job.ID(strings.TrimPrefix(created.GetJob(), "jobs/"))
	require.Eventually(tb, func() bool {
		j, err := s.jobs.Get(tb.Context(), id, "")
		require.NoError(tb, err)
		if j.State.Terminal() {
			require.Equal(tb, job.StateSucceeded, j.State, "%+v", j.Error)
		}
		return j.State.Terminal()
	}, 12*time.Minute, 5*time.Millisecond) // 6,000 files under the race detector, beside whole clusters of other tests
	ready, err := s.GetIndex(tb.Context(), &retrievalv1.GetIndexRequest{Name: created.GetName()})
	require.NoError(tb, err)
	return ready
}

// git runs git in dir and returns what it said.
func git(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	return gitWith(tb, dir, "", nil, args...)
}

// gitWith is git with input and more environment.
func gitWith(tb testing.TB, dir, stdin string, env []string, args ...string) string {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "git", args...) //nolint:gosec // fixed arguments
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org", "GIT_AUTHOR_DATE=2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE=2026-01-01T00:00:00Z"), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(tb, err, "git %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// repository makes a repository with one commit of files.
func repository(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	git(tb, dir, "init", "-q", "-b", "main")
	commit(tb, dir, files)
	return dir
}

// commit writes files (removes those with the content "-") and commits them.
func commit(tb testing.TB, dir string, files map[string]string) string {
	tb.Helper()
	for name, content := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if content == "-" {
			require.NoError(tb, os.Remove(p))
			continue
		}
		require.NoError(tb, os.MkdirAll(filepath.Dir(p), 0o750))
		require.NoError(tb, os.WriteFile(p, []byte(content), 0o600))
	}
	git(tb, dir, "add", "-A")
	git(tb, dir, "commit", "-q", "-m", "change")
	return head(tb, dir)
}

func head(tb testing.TB, dir string) string {
	tb.Helper()
	return git(tb, dir, "rev-parse", "HEAD")
}

// reason is the ErrorInfo's reason of an error.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, isInfo := d.(*errdetails.ErrorInfo); isInfo {
			return info.GetReason()
		}
	}
	return ""
}

// insert is the part of a creation that stores an index.
func insert(s *system, index retrieval.Index) func(context.Context, job.Tx) error {
	return func(ctx context.Context, tx job.Tx) error { return s.store.Insert(ctx, tx, index) }
}
