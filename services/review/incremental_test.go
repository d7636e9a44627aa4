package review_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/git"
	"witan.dev/services/review"
)

// history is a repository with a branch that is worked on, and a base that goes on meanwhile.
type history struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	names  []string
	n      int
}

func (h *history) git(args ...string) string {
	h.t.Helper()
	cmd := exec.CommandContext(h.t.Context(), "git", args...) //nolint:gosec // the test's own
	cmd.Dir = h.dir
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	require.NoError(h.t, err, "git %v: %s", args, out)
	return string(out)
}

func (h *history) write(name string, lines []string) {
	require.NoError(h.t, os.WriteFile(filepath.Join(h.dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func (h *history) lines(name string) []string {
	text, err := os.ReadFile(filepath.Join(h.dir, name)) //nolint:gosec // the test's own
	require.NoError(h.t, err)
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// edit changes or adds a line within the stretch of a file.
func (h *history) edit(name string, from, to int) {
	l := h.lines(name)
	h.n++
	at := min(from+h.random.IntN(to-from), len(l)-1)
	if h.random.IntN(2) == 0 {
		l[at] = fmt.Sprintf("changed %d", h.n)
	} else {
		l = slices.Insert(l, at, fmt.Sprintf("added %d", h.n))
	}
	h.write(name, l)
	h.git("commit", "-qam", "edit")
}

// push is one thing that happens to a pull request.
func (h *history) push() {
	name := h.names[h.random.IntN(len(h.names))]
	switch h.random.IntN(6) {
	case 0, 1:
		h.edit(name, 40, 60)
	case 2: // the base moves far from the change, which a rebase carries down
		h.git("checkout", "-q", "main")
		h.edit(h.git1(name), 0, 10)
		h.git("checkout", "-q", "topic")
		h.git("rebase", "-q", "main")
	case 3: // the base moves beside the change: the lines around it differ
		h.git("checkout", "-q", "main")
		h.edit(h.git1(name), 61, 63)
		h.git("checkout", "-q", "topic")
		if cmd := exec.CommandContext(h.t.Context(), "git", "-C", h.dir, "-c", "user.name=a", "-c", "user.email=a@b", "rebase", "-q", "main"); cmd.Run() != nil { //nolint:gosec // the test's own
			h.git("rebase", "--abort")
		}
	case 4:
		h.git("reset", "-q", "--soft", strings.TrimSpace(h.git("merge-base", "main", "topic")))
		h.git("commit", "-q", "--allow-empty", "-m", "squashed")
	case 5:
		to := strings.TrimSuffix(name, ".moved")
		if to == name {
			to += ".moved"
		}
		h.git("mv", name, to)
		h.git("commit", "-qm", "move")
		h.names[slices.Index(h.names, name)] = to
	}
}

// git1 is the file's name on the base.
func (h *history) git1(name string) string { return strings.TrimSuffix(name, ".moved") }

// oracle is git's own diff by file, without what a rebase moves.
func (h *history) oracle() map[review.Path]string {
	text := h.git("diff", "--no-color", "--full-index", "-M50%", "-U3", strings.TrimSpace(h.git("merge-base", "main", "topic")), "topic")
	moved := regexp.MustCompile(`(?m)^(@@ .* @@|index .*|similarity .*)`)
	out := map[review.Path]string{}
	for _, file := range strings.Split(text, "diff --git ")[1:] {
		if !strings.Contains(file, "\n@@ ") {
			continue
		}
		head, _, _ := strings.Cut(file, "\n")
		out[review.Path(head[strings.Index(head, " b/")+3:])] = moved.ReplaceAllString(file, "~")
	}
	return out
}

// fill reads the sides of modified and renamed files.
func (h *history) fill(c *review.Change) {
	for i := range c.Files {
		f := &c.Files[i]
		f.Old, f.HasOld = []byte(h.git("cat-file", "blob", f.OldBlob)), true
		f.New, f.HasNew = []byte(h.git("cat-file", "blob", f.NewBlob)), true
	}
}

// TestFilesAreCarriedOverExactlyWhenTheirHunksAreTheSame goes through generated histories with git as the judge.
func TestFilesAreCarriedOverExactlyWhenTheirHunksAreTheSame(t *testing.T) {
	t.Parallel()
	const seed = 11
	h := &history{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, seed)), names: []string{"a.txt", "b.txt", "c.txt"}} //nolint:gosec // repeatable
	h.git("init", "-qb", "main")
	for _, name := range h.names {
		lines := make([]string, 100)
		for i := range lines {
			lines[i] = fmt.Sprintf("%s line %d", name, i)
		}
		h.write(name, lines)
	}
	h.git("add", ".")
	h.git("commit", "-qm", "base")
	h.git("checkout", "-qb", "topic")
	for _, name := range h.names {
		h.edit(name, 40, 60)
	}
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	repo, err := g.Open(t.Context(), h.dir)
	require.NoError(t, err)
	subject, before := review.Subject{}, map[review.Path]string{}
	kept, read := 0, 0
	for range 30 {
		h.push()
		base, head := strings.TrimSpace(h.git("merge-base", "main", "topic")), strings.TrimSpace(h.git("rev-parse", "topic"))
		found, err := repo.Change(t.Context(), base, head)
		require.NoError(t, err)
		change := &review.Change{Files: review.Files(found.Diff)}
		h.fill(change)
		now := h.oracle()
		carried := subject.Unchanged(change)
		for path, text := range now {
			_, same := carried[path]
			require.Equal(t, before[path] == text, same, "seed %d: %q\n%s\n--- before\n%s", seed, path, text, before[path])
			if same {
				kept++
			} else {
				read++
			}
		}
		rows := make([]finding.FileCoverage, len(change.Files))
		for i := range rows {
			rows[i] = finding.FileCoverage{Path: change.Files[i].Path, Status: finding.Reviewed}
		}
		subject.Files = review.Covered("r", change, rows, carried)
		require.ElementsMatch(t, slices.Collect(maps.Keys(now)), slices.Collect(maps.Keys(subject.Files)))
		before = now
	}
	require.Greater(t, kept, 10)
	require.Greater(t, read, 10)
}

// changed is the change of one file from one text to the other, as git tells it.
func changed(t *testing.T, old, now string) *review.File {
	t.Helper()
	h := &history{t: t, dir: t.TempDir()}
	h.git("init", "-qb", "main")
	commit := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, "a.py"), []byte(text), 0o600))
		h.git("add", ".")
		h.git("commit", "-qm", "x")
	}
	commit(old)
	commit(now)
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	repo, err := g.Open(t.Context(), h.dir)
	require.NoError(t, err)
	found, err := repo.Change(t.Context(), strings.TrimSpace(h.git("rev-parse", "HEAD~")), strings.TrimSpace(h.git("rev-parse", "HEAD")))
	require.NoError(t, err)
	c := &review.Change{Files: review.Files(found.Diff)}
	h.fill(c)
	require.NotEmpty(t, c.Files[0].Digest())
	return &c.Files[0]
}

// TestADigestTellsAlikeHunksApart by where they stand: what was read of one function says nothing of its neighbour.
func TestADigestTellsAlikeHunksApart(t *testing.T) {
	t.Parallel()
	const (
		check = "        if not self.allowed():\n            raise Denied()\n"
		rest  = "        a = 1\n        b = 2\n        c = 3\n        d = 4\n"
	)
	method := func(name, inside string) string {
		return "    def " + name + "(self):\n" + rest + inside + rest
	}
	class := func(parts ...string) string { return "class A:\n" + strings.Join(parts, "\n") }
	base := class(method("read", check), method("write", check))
	first := changed(t, base, class(method("read", ""), method("write", check)))
	second := changed(t, base, class(method("read", check), method("write", "")))
	require.NotEqual(t, first.Digest(), second.Digest())

	moved := "import os\n\n\n" + base
	rebased := changed(t, moved, strings.Replace(moved, check, "", 1))
	require.Equal(t, first.Digest(), rebased.Digest(), "a rebase that only moves it")

	one, other := class(method("read", check), method("write", "")), class(method("read", ""), method("write", check))
	require.NotEqual(t, changed(t, one, strings.Replace(one, check, "", 1)).Digest(), changed(t, other, strings.Replace(other, check, "", 1)).Digest(),
		"the base has moved the lines to another method")

	many := strings.Repeat(rest+check, 200)
	require.NotEqual(t, changed(t, many, strings.Replace(many, check, "", 1)).Digest(), changed(t, many, strings.TrimSuffix(many, check)).Digest())
}

// TestADigestLooksAtEachLineOnce: a hunk every few lines, and nothing that they are indented below, took minutes of each megabyte.
func TestADigestLooksAtEachLineOnce(t *testing.T) {
	t.Parallel()
	f := review.File{Path: "a", OldPath: "a", Change: review.Modified, Nature: review.NatureText, HasOld: true, HasNew: true}
	for line := 1; len(f.New) < review.MaxText-100; line += 7 {
		h := review.Hunk{OldStart: line, NewStart: line, OldLines: 7, NewLines: 7}
		same := func() {
			for range 3 {
				h.Lines = append(h.Lines, review.Line{Op: ' ', Text: " x"})
				f.Old, f.New = append(f.Old, " x\n"...), append(f.New, " x\n"...)
			}
		}
		was, is := fmt.Sprintf(" %xa", line), fmt.Sprintf(" %xb", line)
		same()
		h.Lines = append(h.Lines, review.Line{Op: '-', Text: was}, review.Line{Op: '+', Text: is})
		f.Old, f.New = append(f.Old, was+"\n"...), append(f.New, is+"\n"...)
		same()
		f.Hunks = append(f.Hunks, h)
	}
	begin := time.Now()
	require.NotEmpty(t, f.Digest())
	require.Less(t, time.Since(begin), 20*time.Second, "%d hunks", len(f.Hunks))
}

func TestADigestCoversTheEndsOfLines(t *testing.T) {
	t.Parallel()
	const unix, dos = "a = 1\nb = 2\n", "a = 1\r\nb = 2\r\n"
	require.NotEqual(t, changed(t, unix, dos).Digest(), changed(t, dos, unix).Digest())
	require.NotEqual(t, changed(t, unix, strings.TrimSuffix(unix, "\n")).Digest(), changed(t, strings.TrimSuffix(unix, "\n"), unix).Digest())
}

func TestWhatAReadingRestsOnDecidesHowMuchIsRead(t *testing.T) {
	t.Parallel()
	basis := review.Basis{Config: "c", Branch: "main", Council: "x@1"}
	var s review.Subject
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	scope, why := s.Continue(review.ScopeDefault, basis)
	require.Equal(t, review.ScopeWhole, scope)
	require.Equal(t, review.WholeFirst, why)
	require.True(t, s.Finish(review.Reading{Review: "new", CreatedAt: at, Head: "h", Basis: basis}))
	require.False(t, s.Finish(review.Reading{Review: "old", CreatedAt: at.Add(-time.Second), Head: "g", Basis: basis}), "an older review ended later")
	require.Equal(t, "h", s.DoneHead)
	for _, c := range []struct {
		asked review.Scope
		now   review.Basis
		scope review.Scope
		why   string
	}{
		{review.ScopeDefault, basis, review.ScopeSinceLast, ""},
		{review.ScopeSinceLast, basis, review.ScopeSinceLast, ""},
		{review.ScopeWhole, basis, review.ScopeWhole, review.WholeAsked},
		{review.ScopeDefault, review.Basis{Config: "d", Branch: "main", Council: "x@1"}, review.ScopeWhole, review.WholeConfig},
		{review.ScopeDefault, review.Basis{Config: "c", Branch: "next", Council: "x@1"}, review.ScopeWhole, review.WholeBranch},
		{review.ScopeDefault, review.Basis{Config: "c", Branch: "main", Council: "x@2"}, review.ScopeWhole, review.WholeCouncil},
	} {
		scope, why := s.Continue(c.asked, c.now)
		require.Equal(t, c.scope, scope)
		require.Equal(t, c.why, why)
	}
}

func TestOnlyWhatWasReviewedInFullIsCarriedOver(t *testing.T) {
	t.Parallel()
	file := func(path string) review.File {
		f := text(path, review.Modified)
		f.Hunks = []review.Hunk{{Lines: []review.Line{{Op: '+', Text: path}}}}
		return f
	}
	excluded, limited := file("excluded"), file("limited")
	excluded.Policy = finding.ReasonExcluded
	limited.Limit(finding.ReasonTooLarge)
	binary := file("binary")
	binary.Nature = review.NatureBinary
	c := &review.Change{Files: []review.File{file("new"), file("kept"), file("partial"), binary, excluded, limited}}
	kept := review.CoveredFile{Digest: c.Files[1].Digest(), Review: "first"}
	rows := []finding.FileCoverage{
		{Path: "new", Status: finding.Reviewed},
		{Path: "kept", Status: finding.Reviewed},
		{Path: "partial", Status: finding.Partial},
		{Path: "binary", Status: finding.Reviewed},
		{Path: "excluded", Status: finding.Skipped},
	}
	covered := review.Covered("second", c, rows, map[review.Path]review.CoveredFile{"kept": kept})
	require.Equal(t, map[review.Path]review.CoveredFile{"new": {Digest: c.Files[0].Digest(), Review: "second"}, "kept": kept}, covered)

	s := review.Subject{Files: map[review.Path]review.CoveredFile{
		"excluded": {Digest: excluded.Digest(), Review: "r"}, "limited": {Digest: limited.Digest(), Review: "r"}, "new": {Digest: "other", Review: "r"},
	}}
	require.Empty(t, s.Unchanged(c))
}
