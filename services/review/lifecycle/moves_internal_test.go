package lifecycle

import (
	"fmt"
	"strings"
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
			to, places, _, err := v.movedElsewhere(&l, "was.go", quoteOf(&l))
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

// TestWhatThereIsNoRoomToSearchIsNotSaidToLackACode: the tokens of large files would fill the memory of a worker.
func TestWhatThereIsNoRoomToSearchIsNotSaidToLackACode(t *testing.T) {
	t.Parallel()
	const code = "if err := transfer(amount, account); err != nil { return wrapped(err) }"
	of := func(files ...string) *view {
		h := Head{Change: &review.Change{}}
		texts := map[string]string{"was.go": "package a // account\n"}
		for i, text := range files {
			path := fmt.Sprintf("f%d.go", i)
			texts[path] = text
			h.Change.Files = append(h.Change.Files, review.File{
				Path: path, OldPath: path, Change: review.Modified, Nature: review.NatureText, Added: 1, New: []byte(text), HasNew: true,
			})
		}
		h.Change.Files = append(h.Change.Files, review.File{
			Path: "was.go", OldPath: "was.go", Change: review.Modified, Nature: review.NatureText, Added: 1, New: []byte(texts["was.go"]), HasNew: true,
		})
		h.Read = func(path string) (string, Presence, error) { return texts[path], Present, nil }
		return &view{head: &h, texts: map[string]*file{}, olds: map[string][]oldHunk{}}
	}
	large := strings.Repeat(strings.Repeat("w", 99)+"\n", maxSearched/100/2) // two of them fit
	for name, c := range map[string]struct {
		files         []string
		quoted        string
		moved, unsure bool
	}{
		"gone":                         {[]string{large, "x\n" + large, "z"}, code, false, false},
		"moved to a small file":        {[]string{large, large, large + "x", code + "\n"}, code, true, false},
		"perhaps in a large file":      {[]string{large, large, large + code + "\n"}, code, false, true},
		"a secret is not that in it":   {[]string{large, large, large + "x"}, "key := \"[secret:aws-access-token:0a1b2c]\" + more + again", false, true},
		"a word that the file has too": {[]string{large, large, large + "transfer"}, code, false, true},
	} {
		l := finding.Location{Path: "was.go", Code: c.quoted}
		v := of(c.files...)
		_, places, unsure, err := v.movedElsewhere(&l, "was.go", quoteOf(&l))
		require.NoError(t, err)
		require.Equal(t, c.moved, len(places) > 0, name)
		require.Equal(t, c.unsure, unsure, name)
		s, err := v.stand(&review.Known{Finding: finding.Finding{Location: l}})
		require.NoError(t, err)
		require.Equal(t, c.unsure, s.unknown, name)
	}
	v := of(large, large+"a", large+"b", large+"c", large+"d", large+"e")
	for i := range 6 {
		_, err := v.file(fmt.Sprintf("f%d.go", i))
		require.NoError(t, err)
		kept := 0
		for _, f := range v.texts {
			kept += len(f.text)
		}
		require.LessOrEqual(t, kept, maxHeld)
	}
}
