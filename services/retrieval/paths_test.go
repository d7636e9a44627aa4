package retrieval

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPathsTellWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		entry Entry
		want  string
	}{
		{Entry{Path: "a/b.go", Mode: 0o100644, Size: 10}, ""},
		{Entry{Path: "a/b.go", Mode: ModeSymlink}, LeftOutSymlink},
		{Entry{Path: "a", Mode: ModeSubmodule}, LeftOutSubmodule},
		{Entry{Path: "vendor/a.go"}, LeftOutVendored},
		{Entry{Path: "x/node_modules/y/z.js"}, LeftOutVendored},
		{Entry{Path: "internal/cache/vendor.go"}, ""},
		{Entry{Path: "x/go.sum"}, LeftOutLockFile},
		{Entry{Path: "x/api.pb.go"}, LeftOutGenerated},
		{Entry{Path: "x/App.MIN.js"}, LeftOutGenerated},
		{Entry{Path: "x.go", Size: MaxFileBytes + 1}, LeftOutTooLarge},
		{Entry{Path: "x.go", Size: MaxFileBytes}, ""},
	} {
		require.Equal(t, c.want, LeftOutByPath(c.entry), c.entry.Path)
	}
}

func TestHintsSurviveMovesButNotChangesOfKind(t *testing.T) {
	t.Parallel()
	require.Equal(t, HintOf("a/b.go"), HintOf("other/name.GO"))
	require.NotEqual(t, HintOf("a/b.go"), HintOf("a/b.py"))
	require.NotEqual(t, HintOf("a/b.go"), HintOf("a/b_test.go"))
	require.Equal(t, HintOf(`"caf\351.go"`), HintOf("x.go"), "a quoted path has the extension of the path")
	require.Equal(t, "Makefile", HintOf("a/Makefile"))
	require.Equal(t, ".gitignore", HintOf("a/.gitignore"))
}

func TestTestsAreKnownByTheirPaths(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"a/b_test.go", "test_a.py", "a/tests/x.py", "x.spec.ts", "x.test.tsx", "spec/a_spec.rb", "src/test/java/ATest.java", "conftest.py"} {
		require.True(t, TestPath(p), p)
	}
	for _, p := range []string{"a/b.go", "attest.py", "contest/x.py", "latest.ts", "testdata.go"} {
		require.False(t, TestPath(p), p)
	}
}
