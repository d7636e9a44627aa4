package retrieval

import (
	"cmp"
	"testing"

	"github.com/stretchr/testify/require"
)

func byFile(a, b ChunkRef) int { return cmp.Compare(a.File, b.File) }

func TestFusionAddsReciprocalRanks(t *testing.T) {
	t.Parallel()
	a, b, c := ChunkRef{File: 1}, ChunkRef{File: 2}, ChunkRef{File: 3}
	fused := Fuse([]List{{Name: "x", Weight: 2, Chunks: []ChunkRef{a, b}}, {Name: "y", Weight: 1, Chunks: []ChunkRef{c, b}}}, byFile)
	require.Equal(t, []ChunkRef{b, a, c}, []ChunkRef{fused[0].ChunkRef, fused[1].ChunkRef, fused[2].ChunkRef}, "in both lists beats first in one")
	require.InDelta(t, 2.0/62+1.0/62, fused[0].Score, 1e-12)
	require.Equal(t, map[string]int{"x": 2, "y": 2}, fused[0].Ranks)
	require.Equal(t, map[string]int{"y": 1}, fused[2].Ranks)
}

func TestFusionBreaksTiesByOrderAndIgnoresRepeats(t *testing.T) {
	t.Parallel()
	a, b := ChunkRef{File: 1}, ChunkRef{File: 2}
	fused := Fuse([]List{{Name: "x", Weight: 1, Chunks: []ChunkRef{b, b}}, {Name: "y", Weight: 1, Chunks: []ChunkRef{a}}}, byFile)
	require.Len(t, fused, 2)
	require.Equal(t, a, fused[0].ChunkRef)
	require.Empty(t, Fuse(nil, byFile))
}
