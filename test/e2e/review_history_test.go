package e2e_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/test/e2e/process"
)

// ownCommits is how many of this project's newest commits are reviewed.
const ownCommits = 10

func gitHere(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "git", args...) //nolint:gosec // the test names the arguments
	cmd.Dir = process.Root()
	out, err := cmd.Output()
	require.NoErrorf(t, err, "git %v", args)
	return string(out)
}

// changedPaths is git's own list: the new name of each changed file, the old one of a deleted file.
func changedPaths(t *testing.T, base, head string) []string {
	t.Helper()
	var paths []string
	fields := strings.Split(strings.TrimSuffix(gitHere(t, "diff", "--raw", "-z", "-M50%", "--no-abbrev", base, head), "\x00"), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		if status := fields[i][strings.LastIndexByte(fields[i], ' ')+1:]; status[0] == 'R' || status[0] == 'C' {
			i++ // the old name comes first
		}
		paths = append(paths, fields[i+1])
	}
	slices.Sort(paths)
	return paths
}

func TestThisProjectsOwnCommitsAreCoveredWhole(t *testing.T) {
	t.Parallel()
	commits := strings.Fields(gitHere(t, "rev-list", "--no-merges", "--min-parents=1", "--max-count=10", "HEAD"))
	require.Len(t, commits, ownCommits, "needs a clone with history")
	data := filepath.Join(t.TempDir(), "data")
	for _, head := range commits {
		// RunLong: one that removes a definition has the whole project indexed.
		got := process.RunLong(t, process.Plain(t), process.Root(), "review", "--data", data, "--base", head+"~1", "--head", head, "--format", "json")
		require.Contains(t, []int{0, 1, 5}, got.Code, "%s: %s", head, got.Stderr)
		var review struct {
			Coverage struct {
				Files []struct{ Path, Status string } `json:"files"`
			} `json:"coverage"`
		}
		require.NoError(t, json.Unmarshal([]byte(got.Stdout), &review), head)
		var covered []string
		for _, f := range review.Coverage.Files {
			require.NotEmpty(t, f.Status, "%s %s", head, f.Path)
			covered = append(covered, f.Path)
		}
		slices.Sort(covered)
		require.Equal(t, changedPaths(t, head+"~1", head), covered, head)
	}
}
