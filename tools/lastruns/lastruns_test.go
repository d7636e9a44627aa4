package lastruns_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/tools/lastruns"
)

func TestAPageHoldsTheLastRunOfEach(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	page := lastruns.Page{Head: "# Fuzzing", Columns: []string{"target", "seed", "found"}, Keys: 2}
	stamp, err := lastruns.Stamp(t.Context())
	require.NoError(t, err)
	keys := [][]string{{"b", "1"}, {"a|b", "1"}, {"a|b", "2"}}
	update := func(keys [][]string, rows ...[]string) string {
		t.Helper()
		require.NoError(t, page.Update(path, stamp, keys, rows))
		text, err := os.ReadFile(path) //nolint:gosec // the test's own
		require.NoError(t, err)
		return regexp.MustCompile(`\d{4}-\d\d-\d\d, [0-9a-f]+\+?, .*CPUs, \S+`).ReplaceAllString(string(text), "THEN")
	}
	require.Equal(t, `# Fuzzing

| target | seed | found | run |
| --- | --- | --- | --- |
| b | 1 | nothing | THEN |
| a\|b | 1 |  | not run yet |
| a\|b | 2 | one \| two | THEN |
`, update(keys, []string{"b", "1", "nothing"}, []string{"a|b", "2", "one |\ntwo"}))
	require.Equal(t, `# Fuzzing

| target | seed | found | run |
| --- | --- | --- | --- |
| a\|b | 1 | a crash | THEN |
| a\|b | 2 | nothing | THEN |
`, update(keys[1:], []string{"a|b", "1", "a crash"}, []string{"a|b", "2", "nothing"}), "what is not there any more is dropped")
}
