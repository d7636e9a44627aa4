package publish_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

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

func text(lines []string, newline bool) []byte {
	joined := strings.Join(lines, "\n")
	if newline && joined != "" {
		joined += "\n"
	}
	return []byte(joined)
}

// commits makes two commits of random files and returns them.
func commits(t *testing.T, r *rand.Rand, repo *truth.Repository, files int) (from, to string) {
	t.Helper()
	var before, after []truth.File
	for i := range files {
		path := fmt.Sprintf("d%d/file %d.txt", i%7, i)
		var old []string
		for n := range r.IntN(80) {
			old = append(old, fmt.Sprintf("line %d of %d %d", n, i, r.IntN(9)))
		}
		now := edit(r, old)
		switch r.IntN(12) {
		case 0:
			after = append(after, truth.File{Path: path, Data: text(now, true)})
			continue
		case 1:
			before, after = append(before, truth.File{Path: path, Data: text(old, true)}), append(after, truth.File{Path: path, Delete: true})
			continue
		case 2: // renamed, perhaps edited
			before = append(before, truth.File{Path: path, Data: text(old, true)})
			after = append(after, truth.File{Path: path, Delete: true}, truth.File{Path: "moved/" + path, Data: text(now, true)})
			continue
		}
		before = append(before, truth.File{Path: path, Data: text(old, r.IntN(5) > 0)})
		after = append(after, truth.File{Path: path, Data: text(now, r.IntN(5) > 0)})
	}
	from, err := repo.Commit(t.Context(), truth.Commit{Files: before, Message: "before"})
	require.NoError(t, err)
	to, err = repo.Commit(t.Context(), truth.Commit{Parents: []string{from}, Files: after, Message: "after"})
	require.NoError(t, err)
	return from, to
}

// requirePlace requires that a position is one that the forge takes, by git's own hunks read by other code, and that it is the finding's.
func requirePlace(t *testing.T, d *truth.Diff, l *finding.Location, p publish.Position) {
	t.Helper()
	f, ok := d.File(p.Path)
	require.True(t, ok, "%+v", p)
	side := truth.Side("RIGHT")
	if p.Side == diff.Left {
		side = "LEFT"
	}
	last, ok := f.Find(side, p.Line)
	require.True(t, ok, "%s: line %d is in no hunk", p.Path, p.Line)
	require.True(t, p.Side == diff.Right || last.Changed, "only deleted lines are addressed on the left")
	if p.StartLine != 0 {
		require.Less(t, p.StartLine, p.Line)
		first, ok := f.Find(side, p.StartLine)
		require.True(t, ok, "%s: line %d is in no hunk", p.Path, p.StartLine)
		require.Equal(t, last.Hunk, first.Hunk, "one hunk holds all lines")
	}
	if p.Side != l.Side {
		return // lines that stayed, by their numbers in the new file
	}
	start := max(p.StartLine, 0)
	if start == 0 {
		start = p.Line
	}
	require.GreaterOrEqual(t, start, l.StartLine, "beside its code")
	require.LessOrEqual(t, p.Line, l.EndLine, "beside its code")
}

// TestP04_EveryPositionStandsInGitsOwnDiff places findings anywhere, also where nothing is, in thousands of generated
// changes. What was placed is held against git's diff as the simulated forge reads it.
func TestP04_EveryPositionStandsInGitsOwnDiff(t *testing.T) {
	t.Parallel()
	const rounds, files = 50, 200 // 10,000 changed files
	seed := uint64(6)
	r := rand.New(rand.NewPCG(seed, 4)) //nolint:gosec // repeatable
	dir := filepath.Join(t.TempDir(), "r.git")
	repo, err := truth.Init(t.Context(), dir, "main")
	require.NoError(t, err)
	g, err := git.New(git.Params{})
	require.NoError(t, err)
	placed, apart := 0, 0
	for range rounds {
		from, to := commits(t, r, repo, files)
		opened, err := g.Open(t.Context(), dir)
		require.NoError(t, err)
		read, err := opened.Change(t.Context(), from, to)
		require.NoError(t, err)
		change := &review.Change{Files: review.Files(read.Diff)}
		d, err := repo.FreshDiff(t.Context(), from, to)
		require.NoError(t, err)
		for i := range change.Files {
			f := &change.Files[i]
			for range 4 {
				l := finding.Location{Path: f.Path, OldPath: f.OldPath, Side: diff.Right, StartLine: r.IntN(90)}
				if r.IntN(3) == 0 {
					l.Side = diff.Left
				}
				l.EndLine = l.StartLine + r.IntN(30) - 1
				p, reason := publish.Locate(change, &l)
				if reason != "" {
					apart++
					continue
				}
				placed++
				requirePlace(t, d, &l, p)
			}
		}
	}
	t.Logf("seed %d: %d changed files, %d findings on lines, %d in another place", seed, rounds*files, placed, apart)
	require.Greater(t, placed, rounds*files)
}

// TestP04_NoPositionIsRefusedOverTheSharedPullRequests posts comments on the places of experts' comments, and on others, at
// all shared pull requests, to the strict forge.
func TestP04_NoPositionIsRefusedOverTheSharedPullRequests(t *testing.T) {
	t.Parallel()
	hub := githubtest.New(t, githubtest.Options{})
	bench, err := githubtest.LoadBench(testdata.Path(t, "bench"))
	require.NoError(t, err)
	pulls, err := hub.AddBench(t.Context(), bench)
	require.NoError(t, err)
	app, err := hub.App()
	require.NoError(t, err)
	client, err := github.NewClient(github.Params{BaseURL: hub.URL, AppID: app.ID, PrivateKey: secret.New(string(app.PrivateKey)), WritePace: -1})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	writer := github.NewWriter(client)
	r := rand.New(rand.NewPCG(19, 4)) //nolint:gosec // repeatable
	posted, golden := 0, 0
	for i, pull := range pulls {
		patch, err := pull.Diff(t.Context())
		require.NoError(t, err)
		parsed, err := diff.Parse(patch)
		require.NoError(t, err)
		change := &review.Change{Files: review.Files(parsed)}
		var comments []publish.Inline
		for _, l := range places(r, bench[i], change) {
			p, reason := publish.Locate(change, &l)
			if reason != "" {
				continue
			}
			comments = append(comments, publish.Inline{Path: p.Path, Side: p.Side, StartLine: p.StartLine, Line: p.Line, Body: "here"})
		}
		golden += len(bench[i].Golden)
		owner, name, _ := strings.Cut(pull.Repository().Name(), "/")
		ref := review.PullRef{Repo: review.Repo{Host: client.Host(), Owner: owner, Name: name}, Number: int64(pull.Number())}
		for len(comments) > 0 {
			n := min(len(comments), publish.MaxBatch)
			_, err := writer.CreateReview(t.Context(), ref, pull.Head(), comments[:n])
			require.NoError(t, err, "%s: %+v", bench[i].ID, comments[:n])
			comments, posted = comments[n:], posted+n
		}
	}
	require.Empty(t, hub.Rejected())
	require.NoError(t, hub.CheckPositions(t.Context()))
	t.Logf("%d pull requests, %d comments of experts, %d comments posted, none refused", len(pulls), golden, posted)
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
