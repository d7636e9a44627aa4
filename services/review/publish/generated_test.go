package publish_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review/github/githubtest"
)

// generated are the two sides of a change that was made up: their texts and modes by path, and for each path that is
// there on either side what was done to it.
type generated struct {
	old, now map[string]string
	modes    [2]map[string]string
	shapes   map[string]string
}

// names are paths that are written in more than one way on the road from git's list to the forge's JSON.
func names() []string {
	return []string{
		"d%d/file %d.txt", "d%d/file %d.txt", "d%d/file %d.txt", "d%d/%d.go", "d%d/\"quoted\" '%d'.txt", "d%d/tab\there %d", "-d%d/--file %d", "d%d/größe 日本 %d.md",
		"d%d/back\\slash %d\\303", "d%d/ blanks around %d ", "d%d/a b/x b/%d", "d%d/{a => b}/%d -> c", "dev/null%d/%d", "d%d/" + strings.Repeat("long", 45) + "%d",
		"d%d/no utf-8 \xe9t\xe9 %d", "d%d/new\nline %d", "d%d/control \x01 %d", "d%d/@@ -1 +%d @@",
	}
}

// line makes a line of text: ordinary ones, ones that are everywhere, and ones that look like something else in a patch.
func line(r *rand.Rand, n int) string {
	odd := []string{
		"", "", "}", "\t", "--- a/x", "+++ b/x", "@@ -1,2 +1,2 @@ func", "diff --git a/x b/x", "\\ No newline at end of file", "-", "+", " ", "-- ", "index 0000000..1111111",
		"return\rin the middle", "line\u2028separator \u0085", "form\ffeed\v", "latin \xe9", "ünï¢ode 日本", "GIT binary patch", "rename from x",
	}
	switch k := r.IntN(60); {
	case k < len(odd):
		return odd[k]
	case k == len(odd):
		return strings.Repeat("very long ", 100+r.IntN(2000))
	}
	return fmt.Sprintf("line %d of %d", n, r.IntN(1e9))
}

// lines makes a file: most are short, some so long that its changes stand in hunks that are far apart.
func lines(r *rand.Rand) []string {
	n := r.IntN(60)
	if r.IntN(8) == 0 {
		n = 200 + r.IntN(300)
	}
	out := make([]string, n)
	for i := range out {
		out[i] = line(r, i)
	}
	return out
}

// text joins lines by line feeds, carriage returns too, or now one and now the other, with one at its end or without.
func text(r *rand.Rand, lines []string, ends int) string {
	var b strings.Builder
	for i, l := range lines {
		b.WriteString(l)
		if i == len(lines)-1 && r.IntN(4) == 0 {
			break
		}
		if ends == 1 || ends == 2 && r.IntN(2) == 0 {
			b.WriteByte('\r')
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// generate makes up a change of about so many files.
func generate(r *rand.Rand, files int) *generated {
	g := &generated{old: map[string]string{}, now: map[string]string{}, modes: [2]map[string]string{{}, {}}, shapes: map[string]string{}}
	patterns := names()
	for i := range files {
		g.add(r, fmt.Sprintf(patterns[r.IntN(len(patterns))], i%7, i))
	}
	return g
}

func (g *generated) add(r *rand.Rand, path string) {
	before := lines(r)
	ends := max(0, r.IntN(6)-3)
	old, now := text(r, before, ends), text(r, edit(r, before), ends)
	both := func(shape, old, now string) { g.old[path], g.now[path], g.shapes[path] = old, now, shape }
	switch r.IntN(24) {
	case 0, 1:
		g.now[path], g.shapes[path] = now, "added"
	case 2, 3:
		g.old[path], g.shapes[path] = old, "deleted"
	case 4, 5, 6: // long enough to be known again
		for len(before) < 12 {
			before = append(before, line(r, len(before)))
		}
		moved := "moved/" + path
		g.old[path], g.now[moved] = text(r, before, ends), text(r, edit(r, before), ends)
		g.shapes[path], g.shapes[moved] = "renamed", "renamed"
	case 7, 8: // git is not asked for copies: this is an added file
		both("modified", old, now)
		g.now["copy of "+path], g.shapes["copy of "+path] = text(r, edit(r, before), ends), "copied"
	case 9, 10:
		both("mode and text", old, now)
		g.modes[1][path] = "100755"
	case 11:
		both("mode", old, old)
		g.modes[0][path] = "100755"
	case 12:
		g.now[path], g.shapes[path] = "", "empty"
	case 13:
		both("from empty", "", now)
	case 14:
		both("to empty", old, "")
	case 15:
		both("binary", "\x00"+old, "\x00\x01"+now)
	case 16:
		both("to binary", old, now+"\x00")
	case 17:
		both("type", old, "target")
		g.modes[1][path] = "120000"
	case 18:
		both("module", strings.Repeat("1", 40), strings.Repeat("2", 40))
		g.modes[0][path], g.modes[1][path] = "160000", "160000"
	case 19: // other line ends, so every line
		both("line ends", text(r, before, 0), text(r, before, 1))
	default:
		both("modified", old, now)
	}
}

// open puts the change into a repository of the simulated forge and opens a pull request of it.
func (g *generated) open(t *testing.T, repo *githubtest.Repository, n int) *githubtest.PullRequest {
	t.Helper()
	var gone []string
	for path := range g.old {
		if _, kept := g.now[path]; !kept {
			gone = append(gone, path)
		}
	}
	slices.Sort(gone)
	base, head := fmt.Sprintf("base-%d", n), fmt.Sprintf("head-%d", n)
	before := maps.Clone(g.old)
	before["unchanged"] = "1\n2\n3\n"
	from, err := repo.Commit(t.Context(), githubtest.Commit{Branch: base, Message: "before", Files: before, Modes: g.modes[0]})
	require.NoError(t, err)
	_, err = repo.Commit(t.Context(), githubtest.Commit{Branch: head, Parent: from, Message: "after", Files: g.now, Modes: g.modes[1], Delete: gone})
	require.NoError(t, err)
	pull, err := repo.OpenPullRequest(t.Context(), githubtest.PullRequestSpec{Title: "made up", Base: base, Head: head, Author: "contributor"})
	require.NoError(t, err)
	return pull
}
