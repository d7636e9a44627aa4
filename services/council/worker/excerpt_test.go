package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/services/council"
)

func TestExcerptIsTheFirstPlaceThatHoldsTheQuotedLine(t *testing.T) {
	t.Parallel()
	x := newExcerpts([]council.MaterialPart{
		{Paths: []string{"b.go"}, Text: "+x := 1 // of b"},
		{Paths: []string{"a.go"}, Text: strings.Repeat("far\n", 20) + "+ x := 1\n+y()\n" + strings.Repeat("after\n", 20) + "x := 1\n"},
	})
	got := x.of(council.Proposal{Path: "a.go", Code: "x := 1\ny()"})
	require.Equal(t, strings.Repeat("far\n", 12)+"+ x := 1\n+y()\n"+strings.TrimSuffix(strings.Repeat("after\n", 12), "\n"), got)
	require.Equal(t, "z()", x.of(council.Proposal{Path: "a.go", Code: "z()"}))
	require.Empty(t, x.of(council.Proposal{Path: "a.go"}))
}

// A thousand claims that quote nothing real read a large part once.
func TestExcerptsOfManyClaimsReadAPartOnce(t *testing.T) {
	t.Parallel()
	x := newExcerpts([]council.MaterialPart{{Paths: []string{"a.go"}, Text: strings.Repeat("+\tsome line of code\n", 100_000)}})
	start := time.Now()
	for i := range 1000 {
		require.NotEmpty(t, x.of(council.Proposal{Path: "a.go", Code: fmt.Sprintf("invented %d", i)}))
	}
	require.Less(t, time.Since(start), 2*time.Second)
}
