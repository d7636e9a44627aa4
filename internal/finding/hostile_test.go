package finding_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
)

// TestTheWorkForAQuoteIsBoundedHoweverManyDefinitionsItNames: nested ones of one name, each over most of the file.
func TestTheWorkForAQuoteIsBoundedHoweverManyDefinitionsItNames(t *testing.T) {
	t.Parallel()
	const lines, nested = 40_000, 2_000
	var text strings.Builder
	p := finding.MaterialParams{File: &diff.File{OldPath: "a.js", NewPath: "a.js", Change: diff.Modified}}
	for i := range lines {
		fmt.Fprintf(&text, "x%d\n", i%7)
	}
	for i := range nested {
		p.Anchors = append(p.Anchors, finding.Anchor{Symbol: "function f", Side: finding.Right, StartLine: 1 + i, EndLine: lines - i})
	}
	p.New = []byte(text.String())
	m := finding.NewMaterial(p)
	begun := time.Now()
	m.Locate(finding.Quote{Path: "a.js", Symbol: "f", Code: strings.Repeat("x1\nx9\n", 100)})
	require.Less(t, time.Since(begun), 5*time.Second)
}
