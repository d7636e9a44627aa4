package lifecycle

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// TestOnlyFilesThatMayHoldAQuoteAreSearched for code that was moved, and each file is read once whatever is looked for.
func TestOnlyFilesThatMayHoldAQuoteAreSearched(t *testing.T) {
	t.Parallel()
	const files = 500
	texts, reads := map[string]string{}, map[string]int{}
	h := Head{Change: &review.Change{}}
	for i := range files {
		path := fmt.Sprintf("f%d.go", i)
		texts[path] = fmt.Sprintf("func f%d() error { return do(%d, \"of many\") } // comment%d\n", i, i, i)
		h.Change.Files = append(h.Change.Files, review.File{Path: path, OldPath: path, Change: review.Modified, Nature: review.NatureText, Added: 1})
	}
	h.Change.Files = append(h.Change.Files, review.File{Path: "gone.go", OldPath: "gone.go", Change: review.Deleted, Nature: review.NatureText})
	h.Read = func(path string) (string, Presence, error) {
		reads[path]++
		return texts[path], Present, nil
	}
	v := &view{head: &h, texts: map[string]*file{}, olds: map[string][]oldHunk{}}
	for i := range files {
		path := fmt.Sprintf("f%d.go", i)
		for _, code := range []string{texts[path], fmt.Sprintf("// comment%d", i)} {
			l := finding.Location{Path: "was.go", Code: code}
			m, err := v.movable()
			require.NoError(t, err)
			found := m.holding(quoteOf(&l))
			require.Len(t, found, 1, code)
			require.Equal(t, path, found[0].Path)
			to, places, err := v.movedElsewhere(&l, "was.go", quoteOf(&l))
			require.NoError(t, err)
			if code != texts[path] {
				require.Empty(t, places, "a quote that tells too little")
				continue
			}
			require.Equal(t, path, to)
			require.Len(t, places, 1)
		}
	}
	require.Len(t, reads, files)
	for path, n := range reads {
		require.Equal(t, 1, n, path)
	}
	empty, err := v.movable()
	require.NoError(t, err)
	require.Empty(t, empty.holding(&quote{plain: []string{"func", "nowhere"}}))
}
