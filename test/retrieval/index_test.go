package retrieval_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
)

// own is the checkout that this test is part of.
func own(tb testing.TB) string {
	tb.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	require.NoError(tb, err)
	return dir
}

func TestThisRepositoryIsIndexedAndSearched(t *testing.T) {
	t.Parallel()
	s := setup(t)
	dir := own(t)
	index := s.index(t, dir, head(t, dir))
	t.Logf("%v", index.GetCounts())
	require.Greater(t, index.GetCounts().GetFiles(), int64(100))
	found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: "split identifiers into words"})
	require.NoError(t, err)
	for _, h := range found.GetHits() {
		t.Log(h.GetPath(), h.GetLines(), h.GetSymbol(), h.GetScore(), h.GetRanks())
	}
}
