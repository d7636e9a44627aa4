package retrieval_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/worker"
)

// meeting lets no build parse before a second one is about to, and counts the contents that are parsed alone.
type meeting struct {
	worker.Store

	begun, alone atomic.Int64
	met          chan struct{}
}

func (m *meeting) BeginParsing(ctx context.Context, id retrieval.ID, version string, keys []retrieval.BlobKey) (map[retrieval.BlobKey]int, error) {
	before, err := m.Store.BeginParsing(ctx, id, version, keys)
	if m.begun.Add(1) == 2 {
		close(m.met)
	}
	select {
	case <-m.met:
	case <-ctx.Done():
	case <-time.After(30 * time.Second): // then the test has failed anyway
	}
	return before, err
}

func (m *meeting) BeginAlone(ctx context.Context, id retrieval.ID, version string, key retrieval.BlobKey) error {
	m.alone.Add(1)
	return m.Store.BeginAlone(ctx, id, version, key)
}

// TestTwoBuildsOfOneContentAreNoCrash: who is killed while two builds parse the same content has crashed over it once,
// not twice, and who is not has not crashed at all.
func TestTwoBuildsOfOneContentAreNoCrash(t *testing.T) {
	t.Parallel()
	m := &meeting{met: make(chan struct{})}
	s, err := open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), func(s worker.Store) worker.Store { m.Store = s; return m })
	require.NoError(t, err)
	t.Cleanup(func() { s.stop(t) })
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
