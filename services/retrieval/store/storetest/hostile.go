package storetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
)

// distinct is text of n different words of 16 letters that nothing compresses well.
func distinct(n int) string {
	text := make([]byte, 0, n*17)
	for i := range n {
		hash := uint64(i+1) * 0x9e3779b97f4a7c15
		for range 16 {
			text = append(text, byte('a'+hash%16))
			hash /= 16
		}
		text = append(text, ' ')
	}
	return string(text)
}

func (s suite) hostile(t *testing.T) {
	long := strings.ReplaceAll(distinct(600), " ", "/")
	path := long + "x." + strings.ReplaceAll(long, "/", "")
	p := content("b1", "")
	p.Chunks[0].Text = "badger\x00 " + distinct(50_000)
	p.Hint = retrieval.HintOf(path)
	p.Definitions[0].Name = "nul\x00" + long
	p.Definitions[0].Qualified = strings.Repeat("ocelot", 5000) + " " + distinct(5000)
	p.Chunks[1].Heading, p.Chunks[1].Text = "he\x00ad", "'quoted' \\ \":*& \uFFFD"
	s.put(t, p)
	files := s.view(t, "a", path+"=b1")
	require.Len(t, files, 1)
	require.Equal(t, path, files[0].Path)
	chunks, err := s.Store.Chunks(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, p.Chunks[0].Text, chunks[0].Text)
	require.Equal(t, []string{"he\x00ad", "'quoted' \\ \":*& \uFFFD"}, []string{chunks[1].Heading, chunks[1].Text})
	definitions, err := s.Store.Definitions(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, p.Definitions, definitions)
	named, err := s.Store.Named(t.Context(), p.Definitions[0].Name)
	require.NoError(t, err)
	require.Equal(t, []retrieval.DefinitionAt{{Parse: files[0].Parse}}, named)
	require.Equal(t, 1, s.words(t, "badger"), "the beginning at least is found")
	s.finish(t, "a")
	staging := s.stageAs(t, "b", path+"=b1")
	require.Zero(t, staging.New, "it is known by its long path")
	require.NoError(t, s.Store.Lexical(t.Context(), []string{"nul\x00byte", "\xff\xfe"}, func(retrieval.ChunkRef) bool { return true }))
}

// stageAs stages files for a new index.
func (s suite) stageAs(t *testing.T, id retrieval.ID, paths ...string) retrieval.Staging {
	t.Helper()
	s.insert(t, index(string(id)))
	return s.stageFiles(t, id, paths...)
}

func (s suite) empties(t *testing.T) {
	var paths []string
	for i := range 450 {
		paths = append(paths, fmt.Sprintf("p%d/x.go=empty", i))
	}
	s.put(t, retrieval.Parsed{BlobKey: retrieval.BlobKey{Blob: "empty", Hint: ".go"}, Status: "OK"})
	staging := s.stageAs(t, "a", paths...)
	require.Equal(t, retrieval.Staging{Files: 450, New: 450, Batches: 3}, staging)
	for batch := range staging.Batches {
		files, err := s.Store.Batch(t.Context(), "a", version, batch)
		require.NoError(t, err)
		s.putFiles(t, files...)
	}
	files, _, err := s.Store.StagedView(t.Context(), "a", version)
	require.NoError(t, err)
	require.Len(t, files, 450)
	s.finish(t, "a")
	require.Equal(t, retrieval.Staging{Files: 450}, s.stageAs(t, "b", paths...))
	s.deleteIndex(t, "b")
	left, err := s.Store.Files(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, files, left)
	s.deleteIndex(t, "a")
	_, err = s.Store.Definitions(t.Context(), files[0].Parse)
	require.Error(t, err, "the content is gone")
}
