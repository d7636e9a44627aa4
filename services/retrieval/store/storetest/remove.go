package storetest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// deleteIndex deletes an index and collects what it leaves.
func (s suite) deleteIndex(t *testing.T, id retrieval.ID) {
	t.Helper()
	require.NoError(t, s.Transact(t.Context(), func(ctx context.Context, tx job.Tx) error { return s.Store.Delete(ctx, tx, id) }))
	for {
		n, err := s.Store.Collect(t.Context(), 3)
		require.NoError(t, err)
		if n == 0 {
			return
		}
	}
}

// words counts the chunks in the text index that hold a word.
func (s suite) words(t *testing.T, word string) int {
	t.Helper()
	n := 0
	require.NoError(t, s.Store.Lexical(t.Context(), []string{word}, func(retrieval.ChunkRef) bool { n++; return true }))
	return n
}

func (s suite) remove(t *testing.T) {
	s.put(t, content("b1", "badger"), content("b2", "walrus"), content("b3", "ocelot"))
	first := s.view(t, "a", "a.go=b1", "b.go=b2", "copy.go=b1")
	s.finish(t, "a")
	second := s.view(t, "b", "a.go=b1", "c.go=b3")
	s.finish(t, "b")
	require.NoError(t, s.Store.PutEdges(t.Context(), s.Transact, "a", map[int64]retrieval.FileEdges{first[0].ID: {Outgoing: []retrieval.Edge{{From: 1}}}}))

	s.deleteIndex(t, "a")
	_, err := s.Store.Get(t.Context(), "a")
	require.ErrorIs(t, err, retrieval.ErrIndexNotFound)
	files, err := s.Store.Files(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, second, files, "what another index names stays")
	require.Equal(t, []int{1, 0, 1}, []int{s.words(t, "badger"), s.words(t, "walrus"), s.words(t, "ocelot")}, "copy.go and b.go are gone")
	chunks, err := s.Store.Chunks(t.Context(), second[0].Parse)
	require.NoError(t, err)
	require.NotEmpty(t, chunks)
	chunks, err = s.Store.Chunks(t.Context(), first[1].Parse)
	require.NoError(t, err)
	require.Empty(t, chunks)
	named, err := s.Store.Named(t.Context(), "fetchAll")
	require.NoError(t, err)
	require.Len(t, named, 2)

	s.deleteIndex(t, "b")
	s.deleteIndex(t, "b")
	require.Zero(t, s.words(t, "badger"))
	named, err = s.Store.Named(t.Context(), "fetchAll")
	require.NoError(t, err)
	require.Empty(t, named)

	s.put(t, content("b2", "walrus"))
	again := s.view(t, "c", "b.go=b2")
	require.Greater(t, again[0].Parse, second[1].Parse, "no ID is given twice")
	require.Greater(t, again[0].ID, second[1].ID)
}

func (s suite) collectBeside(t *testing.T) {
	s.put(t, content("b1", "badger"))
	s.view(t, "a", "a.go=b1", "b.go=b1")
	s.finish(t, "a")
	s.insert(t, index("b"))
	require.Zero(t, s.stageFiles(t, "b", "a.go=b1").New, "it is known, and not parsed again")
	s.deleteIndex(t, "a")
	require.Equal(t, 1, s.words(t, "badger"))
	files, _, err := s.Store.StagedView(t.Context(), "b", version)
	require.NoError(t, err)
	require.Len(t, files, 1)
	s.finish(t, "b")
	s.deleteIndex(t, "b")
	require.Zero(t, s.words(t, "badger"))

	s.insert(t, index("failed"))
	s.stageFiles(t, "failed", "c.go=b9")
	s.put(t, content("b9", "ocelot"))
	s.deleteIndex(t, "failed")
	named, err := s.Store.Named(t.Context(), "fetchAll")
	require.NoError(t, err)
	require.Empty(t, named, "a build that never ended leaves nothing either")
}
