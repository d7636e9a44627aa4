package treesitter

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func newExtractor(t testing.TB) *Extractor {
	t.Helper()
	e := New()
	t.Cleanup(e.Close)
	return e
}

func TestSomeCPUsAreLeftToOthers(t *testing.T) {
	t.Parallel()
	for others, want := range map[int]int{0: runtime.GOMAXPROCS(0), 1: max(1, runtime.GOMAXPROCS(0)-1), 1000: 1} {
		e := NewBeside(others)
		require.Equal(t, want, cap(e.parsers.free), others)
		e.Close()
	}
}
