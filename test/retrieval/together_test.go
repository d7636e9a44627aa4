package retrieval_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job/engine/dbos"
	"witan.dev/internal/secret"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/worker"
)

// meeting lets no build parse before a second one is about to, and counts the contents that are parsed alone.
type meeting struct {
	begun, alone atomic.Int64
	met          chan struct{}
}

func newMeeting() *meeting { return &meeting{met: make(chan struct{})} }

// guest is a store whose builds meet those of others.
type guest struct {
	worker.Store

	meeting *meeting
}

func (m *meeting) invite(s worker.Store) worker.Store { return guest{s, m} }

func (g guest) BeginParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	before, err := g.Store.BeginParsing(ctx, id, version, keys)
	if g.meeting.begun.Add(1) == 2 {
		close(g.meeting.met)
	}
	select {
	case <-g.meeting.met:
	case <-ctx.Done():
	case <-time.After(30 * time.Second): // then the test has failed anyway
	}
	return before, err
}

func (g guest) BeginAlone(ctx context.Context, id retrieval.ID, version string, key retrieval.BlobKey) error {
	g.meeting.alone.Add(1)
	return g.Store.BeginAlone(ctx, id, version, key)
}

// TestTwoBuildsOfOneContentAreNoCrash: who is killed while two builds parse the same content has crashed over it once,
// not twice, and who is not has not crashed at all.
func TestTwoBuildsOfOneContentAreNoCrash(t *testing.T) {
	t.Parallel()
	m := newMeeting()
	s, err := open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), m.invite)
	require.NoError(t, err)
	t.Cleanup(func() { s.stop(t) })
	s.meet(t, m)
}

// meet builds two indexes at the same time that share a content.
func (s *system) meet(t *testing.T, m *meeting) {
	t.Helper()
	dir := repository(t, map[string]string{"a.go": "package p\n\nfunc Alpha() {}\n"})
	first := head(t, dir)
	second := commit(t, dir, map[string]string{"b.go": "package p\n\nfunc Beta() {}\n"})
	for i, created := range []*retrievalv1.Index{s.create(t, dir, first), s.create(t, dir, second)} {
		index := s.await(t, created)
		require.Equal(t, int64(i+1), index.GetCounts().GetFiles())
		require.Empty(t, index.GetCounts().GetLeftOut())
	}
	require.Equal(t, int64(2), m.begun.Load())
	require.Zero(t, m.alone.Load())
}

// Two processes that share a Postgres build over the same content at the same time; what one has built the other one finds.
func TestTwoProcessesBuildInOnePostgres(t *testing.T) {
	t.Parallel()
	url := secret.New(postgrestest.Prepared(t, "engine", dbos.MigratePostgres))
	m := newMeeting()
	one, other := joinPostgres(t, url, m.invite), joinPostgres(t, url, m.invite)
	one.meet(t, m)
	require.Positive(t, one.parsed.Load())
	require.Positive(t, other.parsed.Load(), "each has built one of them, since each builds one at a time")

	dir := repository(t, map[string]string{
		"go.mod": "module example.org/x\n", "a/a.go": "package a\n\n// ParseHTTPRequest reads a request.\nfunc ParseHTTPRequest() {}\n",
		"b/b.go": "package b\n\nimport \"example.org/x/a\"\n\nfunc Caller() { a.ParseHTTPRequest() }\n",
	})
	first := one.index(t, dir, head(t, dir))
	require.Equal(t, int64(3), first.GetCounts().GetFiles())
	second := other.index(t, dir, commit(t, dir, map[string]string{"b/b.go": "-", "c.go": "package x\n\nfunc Other() {}\n"}))
	require.Equal(t, int64(1), second.GetCounts().GetParsed(), "what the one has parsed is known to the other")
	for _, s := range []*system{one, other} {
		require.Equal(t, "a/a.go:3", s.hits(t, first, "request")[0])
		require.Equal(t, []string{"c.go:3"}, s.hits(t, second, "other")[:1])
		got := s.related(t, first, "a/a.go", 4, "ParseHTTPRequest", retrievalv1.Piece_CALLERS)
		require.Len(t, got.GetPieces(), 1)
		require.Equal(t, "b/b.go", got.GetPieces()[0].GetPath())
	}
}

// joinPostgres is one process of several, which builds one index at a time.
func joinPostgres(t *testing.T, url secret.Text, wrap func(worker.Store) worker.Store) *system {
	t.Helper()
	kept, err := inPostgres(t.Context(), url)
	require.NoError(t, err)
	s, err := run(t.Context(), kept, stored(kept), 1, wrap)
	require.NoError(t, err)
	t.Cleanup(func() { s.stop(t) })
	return s
}
