package e2e_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/test/e2e/gittest"
	"witan.dev/test/e2e/process"
)

// TestTheProgramItselfKeepsNoSecret holds the wiring of cmd/witan, which other tests of reviews repeat in the process.
func TestTheProgramItselfKeepsNoSecret(t *testing.T) {
	t.Parallel()
	repo, key := gittest.New(t), leakedKey()
	base := repo.Commit("base", map[string]string{
		"go.mod": "module example.com/m\n", "main.go": "package main\n\nfunc main() { Gone() }\n", "gone.go": "package main\n\nfunc Gone() {}\n",
	})
	head := repo.Commit("head", map[string]string{
		"deploy.go": "package main\n\nconst key = \"" + key + "\"\n", "gone.go": "package main\n", // so that an index is needed
	})
	data := filepath.Join(t.TempDir(), "data")
	got := process.Run(t, repo.Dir, nil, "review", "--data", data, "--base", base, "--head", head, "--format", "json")
	require.Equal(t, 1, got.Code, got.Stderr)
	require.Contains(t, got.Stdout, "deploy.go")
	require.Contains(t, got.Stdout, "gone.go")
	require.Contains(t, got.Stdout, `"index": "indexes/`)
	require.NotContains(t, got.Stdout+got.Stderr, key)
	require.NoError(t, filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the test's own folder
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(strconv.Quote(string(content))), strings.ToLower(key), filepath.Base(path))
		return nil
	}))
}
