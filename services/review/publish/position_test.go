package publish_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/internal/git"
	"witan.dev/internal/secret"
	"witan.dev/internal/testdata"
	"witan.dev/services/review"
	"witan.dev/services/review/github"
	"witan.dev/services/review/github/githubtest"
	truth "witan.dev/services/review/github/githubtest/git"
	"witan.dev/services/review/publish"
)

// edit makes the next state of a text: lines are changed, added, deleted and moved, some at its ends.
func edit(r *rand.Rand, lines []string) []string {
	out := append([]string(nil), lines...)
	for range 1 + r.IntN(6) {
		at := r.IntN(len(out) + 1)
		switch r.IntN(5) {
		case 0:
			out = append(out[:at:at], append([]string{fmt.Sprintf("new %d", r.IntN(1e6))}, out[at:]...)...)
		case 1:
			if at < len(out) {
				out[at] = fmt.Sprintf("changed %d", r.IntN(1e6))
			}
		case 2:
			end := min(at+r.IntN(8), len(out))
			out = append(out[:at:at], out[end:]...)
		case 3:
			out = append(out, out[:min(at, 3)]...)
		case 4:
			if at < len(out) { // what moved is deleted here and added there
				moved := out[at]
				out = append(append(out[:at:at], out[at+1:]...), moved)
			}
		}
	}
	return out
}

// shown is a line of one side of a diff as git itself prints it, with its hunk and the number that it has on the other side.
type shown struct {
	hunk, other    int
	text           string
	added, deleted bool
}

// printed are the lines of a file's hunks by side and number. Git's text is read by other code than the one under test.
func printed(f *truth.Changed) map[diff.Side]map[int]shown {
	sides := map[diff.Side]map[int]shown{diff.Left: {}, diff.Right: {}}
	for i, h := range f.Hunks {
		before, after := h.OldStart, h.NewStart
		for _, l := range h.Lines {
			at := shown{hunk: i, text: l[1:], added: l[0] == '+', deleted: l[0] == '-'}
			if l[0] == '-' || l[0] == ' ' {
				at.other = after
				sides[diff.Left][before] = at
			}
			if l[0] == '+' || l[0] == ' ' {
				at.other = before
				sides[diff.Right][after] = at
			}
			if l[0] == '-' || l[0] == ' ' {
				before++
			}
			if l[0] == '+' || l[0] == ' ' {
				after++
			}
		}
	}
	return sides
}

// judge holds what Locate says of one change against git's diff and the files' own texts.
type judge struct {
	d    *truth.Diff
	read map[string]map[diff.Side]map[int]shown
	// old and now are the files' texts by path.
	old, now map[string]string
}

func newJudge(t *testing.T, pull *githubtest.PullRequest, old, now map[string]string) *judge {
	t.Helper()
	base, err := pull.MergeBase(t.Context())
	require.NoError(t, err)
	d, err := (&truth.Repository{Dir: pull.Repository().GitDir()}).FreshDiff(t.Context(), base, pull.Head())
	require.NoError(t, err)
	j := &judge{d: d, read: map[string]map[diff.Side]map[int]shown{}, old: old, now: now}
	for i := range d.Files {
		j.read[d.Files[i].Path] = printed(&d.Files[i])
	}
	return j
}

// line is a line of a file as it stands in the file itself.
func (j *judge) line(t *testing.T, side diff.Side, f *truth.Changed, n int) string {
	t.Helper()
	text, there := j.now[f.Path]
	mode := f.NewMode
	if side == diff.Left {
		text, there = j.old[f.OldPath]
		mode = f.OldMode
	}
	if mode == "160000" { // as git shows a submodule
		text = "Subproject commit " + text
	}
	lines := strings.Split(text, "\n")
	require.True(t, there && n > 0 && n <= len(lines), "%q has no line %d (%v)", f.Path, n, side)
	return lines[n-1]
}

// requirePlace requires that a position is one that the forge takes, and that it stands beside the code that the finding is about.
func (j *judge) requirePlace(t *testing.T, l *finding.Location, p publish.Position) {
	t.Helper()
	f, ok := j.d.File(p.Path)
	require.True(t, ok, "%+v", p)
	require.True(t, f.Path == l.Path || l.Side == diff.Left && f.OldPath == l.OldPath, "%+v is not in the file of %+v", p, l)
	lines := j.read[p.Path]
	last, ok := lines[p.Side][p.Line]
	require.True(t, ok, "%+v is in no hunk: %c of %s", p, f.Status, f.Patch)
	require.True(t, p.Side == diff.Right || last.deleted, "only deleted lines are addressed on the left")
	start := p.Line
	if p.StartLine != 0 {
		require.Less(t, p.StartLine, p.Line)
		start = p.StartLine
		first, ok := lines[p.Side][start]
		require.True(t, ok, "%q: line %d is in no hunk", p.Path, start)
		require.Equal(t, last.hunk, first.hunk, "one hunk holds all lines")
		require.True(t, p.Side == diff.Right || first.deleted, "only deleted lines are addressed on the left")
	}
	for n := start; n <= p.Line; n++ {
		at, asked := lines[p.Side][n], n
		if p.Side != l.Side { // lines that stayed, by their numbers in the new file
			require.Equal(t, diff.Left, l.Side)
			if at.added && start < n && n < p.Line {
				continue // came between them
			}
			require.False(t, at.added, "%+v is beside the code of %+v", p, l)
			asked = at.other
		}
		require.True(t, l.StartLine <= asked && asked <= l.EndLine, "%+v is beside the code of %+v", p, l)
		require.Equal(t, j.line(t, l.Side, f, asked), at.text, "%+v is beside the code of %+v", p, l)
	}
}

// requireNone requires that there was no line to stand on.
func (j *judge) requireNone(t *testing.T, l *finding.Location, p publish.Position, reason string) {
	t.Helper()
	switch reason {
	case publish.ReasonNotInDiff:
		_, there := j.d.File(l.Path)
		require.False(t, there, "%+v", l)
	case publish.ReasonPathNotUTF8:
		require.False(t, utf8.ValidString(l.Path), "%+v", l)
	default:
		require.Equal(t, publish.ReasonLineNotInDiff, reason)
		for n := l.StartLine; n <= l.EndLine && l.StartLine > 0; n++ { // 0 is no line
			_, there := j.read[p.Path][l.Side][n]
			require.False(t, there, "line %d of %+v is in the diff", n, l)
		}
	}
}

// board posts at the simulated forge, as the App.
type board struct {
	hub    *githubtest.Server
	writer *github.Writer
	host   string
}

func newBoard(t *testing.T) *board {
	t.Helper()
	hub := githubtest.New(t, githubtest.Options{})
	app, err := hub.App()
	require.NoError(t, err)
	client, err := github.NewClient(github.Params{BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey)), WritePace: -1})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &board{hub: hub, writer: github.NewWriter(client), host: client.Host()}
}

// post makes comments on lines, in batches as a review makes them, and on files. Each has to be taken.
func (b *board) post(t *testing.T, pull *githubtest.PullRequest, inline []publish.Position, files []string) {
	t.Helper()
	owner, name, _ := strings.Cut(pull.Repository().Name(), "/")
	ref := review.PullRef{Repo: review.Repo{Host: b.host, Owner: owner, Name: name}, Number: int64(pull.Number())}
	for batch := range slices.Chunk(inline, publish.MaxBatch) {
		comments := make([]publish.Inline, len(batch))
		for i, p := range batch {
			comments[i] = publish.Inline{Path: p.Path, Side: p.Side, StartLine: p.StartLine, Line: p.Line, Body: "here"}
		}
		made, err := b.writer.CreateReview(t.Context(), ref, pull.Head(), comments)
		require.NoError(t, err, "%+v", comments)
		require.Len(t, made, len(comments))
	}
	for _, path := range files {
		_, err := b.writer.CreateFileComment(t.Context(), ref, pull.Head(), path, "somewhere here")
		require.NoError(t, err, "%q", path)
	}
}

// change reads a pull request as a review does.
func change(t *testing.T, g *git.Git, pull *githubtest.PullRequest) *review.Change {
	t.Helper()
	repo, err := g.Open(t.Context(), pull.Repository().GitDir())
	require.NoError(t, err)
	base, err := pull.MergeBase(t.Context())
	require.NoError(t, err)
	read, err := repo.Change(t.Context(), base, pull.Head())
	require.NoError(t, err)
	return &review.Change{Files: review.Files(read.Diff)}
}

// anywhere makes places in a file: on a hunk, around one, over all of them, with a hunk's numbers on the other side, and
// anywhere at all, also where nothing is.
func anywhere(r *rand.Rand, f *review.File) []finding.Location {
	var h review.Hunk
	if len(f.Hunks) > 0 {
		h = f.Hunks[r.IntN(len(f.Hunks))]
	}
	all := make([]finding.Location, 5)
	for i := range all {
		l := finding.Location{Path: f.Path, OldPath: f.OldPath, Side: diff.Right}
		start, count := h.NewStart, h.NewLines
		if r.IntN(3) == 0 || f.Change == review.Deleted {
			l.Side, start, count = diff.Left, h.OldStart, h.OldLines
		}
		switch i {
		case 0:
			l.StartLine = start + r.IntN(count+1)
			l.EndLine = l.StartLine + r.IntN(3)
		case 1:
			l.StartLine = start - r.IntN(6)
			l.EndLine = start + r.IntN(count+6)
		case 2:
			l.StartLine, l.EndLine = 1+r.IntN(10), 20+r.IntN(500)
		case 3:
			l.Side = diff.Left + diff.Right - l.Side
			l.StartLine = start + r.IntN(count+1)
			l.EndLine = l.StartLine + r.IntN(12)
		case 4:
			l.StartLine = r.IntN(90)
			l.EndLine = l.StartLine + r.IntN(30) - 1
			if r.IntN(9) == 0 {
				l.Path, l.OldPath = "unchanged", "unchanged"
			}
		}
		all[i] = l
	}
	return all
}

// TestP04_EveryPositionStandsInGitsOwnDiff places five findings in each of ten thousand changed files of all kinds, also
// where nothing is. Each place is held against git's diff, as other code reads it, and the files' own texts, and where
// there is none, no line of the finding may stand in the diff. Then the comments are posted to the simulated forge. With the
// race detector these are the ones of each fifth pull request, of about 2,200 changed files; without it, or with
// WITAN_TEST_LONG, they are all.
func TestP04_EveryPositionStandsInGitsOwnDiff(t *testing.T) {
	t.Parallel()
	const rounds, files = 50, 210
	seed, share := uint64(6), shareOfPosts
	if os.Getenv("WITAN_TEST_LONG") != "" {
		share = 1
	}
	r := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // repeatable
	b := newBoard(t)
	repo, err := b.hub.AddRepository(t.Context(), githubtest.RepositorySpec{Owner: "octocat", Name: "made-up"})
	require.NoError(t, err)
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	changed, placed, apart, posted, onFiles, shapes := 0, 0, 0, 0, 0, map[string]int{}
	for n := range rounds {
		made := generate(r, files)
		pull := made.open(t, repo, n)
		c := change(t, g, pull)
		j := newJudge(t, pull, made.old, made.now)
		var inline []publish.Position
		var whole []string
		for i := range c.Files {
			for _, l := range anywhere(r, &c.Files[i]) {
				p, reason := publish.Locate(c, &l)
				if reason == "" {
					j.requirePlace(t, &l, p)
					inline = append(inline, p)
					shapes[made.shapes[p.Path]]++
					continue
				}
				j.requireNone(t, &l, p, reason)
				apart++
				if reason == publish.ReasonLineNotInDiff && len(whole) < publish.MaxFileComments && !slices.Contains(whole, p.Path) {
					whole = append(whole, p.Path)
				}
			}
		}
		changed, placed = changed+len(c.Files), placed+len(inline)
		if n%share == 0 {
			b.post(t, pull, inline, whole)
			posted, onFiles = posted+len(inline), onFiles+len(whole)
		}
	}
	t.Logf("seed %d: %d changed files, %d findings on lines, %d in another place; %d comments on lines and %d on files posted, none refused, none beside its code",
		seed, changed, placed, apart, posted, onFiles)
	t.Logf("on lines by kind of change: %v", shapes)
	require.Empty(t, b.hub.Rejected())
	require.GreaterOrEqual(t, changed, 10_000)
	require.Greater(t, placed, 2*changed)
	for _, shape := range []string{"added", "deleted", "renamed", "copied", "modified", "mode and text", "from empty", "to empty", "type", "module", "line ends"} {
		require.Greater(t, shapes[shape], 100, shape)
	}
}

// TestP04_NoPositionIsRefusedOverTheSharedPullRequests posts comments on the places of experts' comments, and on others, at
// all shared pull requests, to the strict forge. The changes are read from their commits as a review reads them.
func TestP04_NoPositionIsRefusedOverTheSharedPullRequests(t *testing.T) {
	t.Parallel()
	b := newBoard(t)
	bench, err := githubtest.LoadBench(testdata.Path(t, "bench"))
	require.NoError(t, err)
	pulls, err := b.hub.AddBench(t.Context(), bench)
	require.NoError(t, err)
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(19, 4)) //nolint:gosec // repeatable
	posted, golden, apart := 0, 0, 0
	for i, pull := range pulls {
		c := change(t, g, pull)
		require.Len(t, c.Files, len(bench[i].Files), bench[i].ID)
		j := newJudge(t, pull, bench[i].Base, bench[i].Head)
		var inline []publish.Position
		for _, l := range places(r, bench[i], c) {
			p, reason := publish.Locate(c, &l)
			if reason != "" {
				j.requireNone(t, &l, p, reason)
				apart++
				continue
			}
			j.requirePlace(t, &l, p)
			inline = append(inline, p)
		}
		golden += len(bench[i].Golden)
		b.post(t, pull, inline, nil)
		posted += len(inline)
	}
	require.Empty(t, b.hub.Rejected())
	require.NoError(t, b.hub.CheckPositions(t.Context()))
	t.Logf("%d pull requests, %d comments of experts, %d comments posted, none refused, none beside its code; %d in another place", len(pulls), golden, posted, apart)
}

// places are those of the experts' comments, and some anywhere in the changed files.
func places(r *rand.Rand, b *githubtest.BenchPullRequest, c *review.Change) []finding.Location {
	var all []finding.Location
	for _, g := range b.Golden {
		l := finding.Location{Path: g.Path, Side: diff.Right, StartLine: g.StartLine, EndLine: g.Line}
		if g.Side == "LEFT" {
			l.Side = diff.Left
		}
		all = append(all, l)
	}
	for i := range c.Files {
		f := &c.Files[i]
		for range 3 {
			l := finding.Location{Path: f.Path, OldPath: f.OldPath, Side: diff.Right, StartLine: 1 + r.IntN(400)}
			if r.IntN(3) == 0 {
				l.Side = diff.Left
			}
			l.EndLine = l.StartLine + r.IntN(40)
			all = append(all, l)
		}
	}
	return all
}
