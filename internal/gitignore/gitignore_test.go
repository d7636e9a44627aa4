package gitignore_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/gitignore"
)

// TestMatchesAsGitDoes compares with git itself on generated lists and paths.
func TestMatchesAsGitDoes(t *testing.T) {
	t.Parallel()
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // repeatable
	names := []string{"a", "b", "doc", "x.go", "y.go", "a.b", "{a}", "deep", "**"}
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	segments := []string{"a", "b", "doc", "*.go", "a*", "?", "**", "[ab]", "[!ab]", "*", "x.go", "{a}", "a.b", `\*\*`} // not a**/: git itself reads that in two ways
	path := func() string {
		parts := make([]string, 1+random.IntN(4))
		for i := range parts {
			parts[i] = pick(names[:8])
		}
		return strings.Join(parts, "/")
	}
	pattern := func() string {
		parts := make([]string, 1+random.IntN(3))
		for i := range parts {
			parts[i] = pick(segments)
		}
		p := strings.Join(parts, "/")
		switch random.IntN(6) {
		case 0:
			p = "!" + p
		case 1:
			p = "/" + p
		case 2:
			p += "/"
		case 3:
			p += " "
		}
		return p
	}
	dir := t.TempDir()
	git(t, dir, "", "init", "-q")
	for round := range 60 {
		patterns := make([]string, 1+random.IntN(5))
		for i := range patterns {
			patterns[i] = pattern()
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(strings.Join(patterns, "\n")+"\n"), 0o600))
		paths := make([]string, 50)
		for i := range paths {
			paths[i] = path()
		}
		ignored := git(t, dir, strings.Join(paths, "\n"), "check-ignore", "--no-index", "--stdin", "-v", "-n")
		compiled, err := gitignore.Compile(patterns)
		require.NoError(t, err)
		for i, line := range strings.Split(strings.TrimSpace(ignored), "\n") {
			source, _, _ := strings.Cut(line, "\t")
			rule := strings.SplitN(source, ":", 3)[2]
			want := rule != "" && !strings.HasPrefix(rule, "!")
			require.Equal(t, want, compiled.Match(paths[i]), "seed %d, round %d: %q against %q", seed, round, paths[i], patterns)
		}
	}
}

func TestWhatIsNoPatternIsNamed(t *testing.T) {
	t.Parallel()
	_, err := gitignore.Compile([]string{"*.go", "a[", strings.Repeat("x", 2000), "a\nb"})
	require.ErrorContains(t, err, "pattern 2")
	require.ErrorContains(t, err, "pattern 3")
	require.ErrorContains(t, err, "pattern 4")
	many := make([]string, gitignore.MaxPatterns+1)
	_, err = gitignore.Compile(many)
	require.ErrorContains(t, err, "at most")
	empty, err := gitignore.Compile([]string{"", "# comment", "/", "!"})
	require.NoError(t, err)
	require.True(t, empty.Empty())
	require.False(t, empty.Match("a"))
}

func FuzzCompile(f *testing.F) {
	f.Add("**/a[!b]*?/", "x/y")
	f.Add(`\ `, " ")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := gitignore.Compile([]string{pattern})
		if err == nil {
			p.Match(path)
		}
	})
}

func git(t *testing.T, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // the test's own
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		require.NoError(t, err, fmt.Sprint(problems.String()))
	}
	return out.String()
}
