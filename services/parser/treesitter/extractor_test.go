package treesitter

import "testing"

func newExtractor(t testing.TB) *Extractor {
	t.Helper()
	e := New()
	t.Cleanup(e.Close)
	return e
}
