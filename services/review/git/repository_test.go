package git_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/internal/git"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	reviewgit "witan.dev/services/review/git"
	"witan.dev/services/review/historytest"
)

// TestGitsFailuresAreToldInItsWords covers what git itself cannot read: the caller can mend it, so it is no failure of ours.
func TestGitsFailuresAreToldInItsWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind  review.SourceKind
		spoil func(t *testing.T, dir string)
		words string
	}{
		"damaged index": {review.SourceStaged, func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, ".git", "index"), []byte("garbage"), 0o600))
		}, "index file"},
		"nested repository without a commit": {review.SourceUncommitted, func(t *testing.T, dir string) {
			run(t, dir, "init", "-q", "nested")
			require.NoError(t, os.WriteFile(filepath.Join(dir, "nested", "a.txt"), []byte("a\n"), 0o600))
		}, "nested"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run(t, dir, "init", "-q")
			c.spoil(t, dir)
			g, err := git.New(git.Params{})
			require.NoError(t, err)
			_, err = reviewgit.NewRepository(g, nil, t.TempDir()).Pin(t.Context(), job.NewID(), review.Source{Kind: c.kind, Dir: dir})
			require.ErrorIs(t, err, review.ErrRepositoryUnreadable)
			require.ErrorContains(t, err, c.words)
		})
	}
}

// TestWhatHasANULIsNoBinaryForThat has one NUL in code, in what was text, and in what is named like a binary: none of them
// was read, and only real binaries need not be.
func TestWhatHasANULIsNoBinaryForThat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	noise := "\x89PNG\r\n\x1a\n\x00\x00\x00\r\x01\x02\x03\x04\x05"
	commit(t, dir, historytest.Commit{Write: map[string]string{"old.go": "package p\n", "was.bin": "text\n"}})
	commit(t, dir, historytest.Commit{
		Write: map[string]string{
			"run.php": "<?php /* \x00 */\n", "old.go": "package p\n//\x00\n", "was.bin": "text\n\x00\x01\x02", "words.dat": "a\x00b",
			"long.bin": "#!/bin/sh\n#\x00\n" + strings.Repeat("a line of a script\n", 100_000), "large.bin": strings.Repeat(noise, 100_000),
			"quiet.bin": strings.Repeat("a line of a script\n", 20) + "\x00", "utf16.ps1": "\xff\xfea\x00b\x00", "logo.png": noise + "a long string inside",
		},
	})
	r, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~1", Head: "main"})
	change, err := r.Load(t.Context(), p)
	require.NoError(t, err)
	got := map[string][]review.Reason{}
	for _, f := range change.Files {
		require.Equal(t, review.NatureBinary, f.Nature, f.Path)
		got[f.Path] = f.Limits
	}
	unread := []review.Reason{review.ReasonNotUTF8}
	require.Equal(t, map[string][]review.Reason{
		"run.php": unread, "old.go": unread, "was.bin": unread, "words.dat": unread, "quiet.bin": unread, "utf16.ps1": unread, "logo.png": nil,
		"long.bin": unread, "large.bin": nil,
	}, got)
	require.Equal(t, "a long string inside\n", change.File("logo.png").NewStrings)
	require.Equal(t, "<?php /* \n", change.File("run.php").NewStrings)
}

// TestWhatBecomesALinkIsReadAsItGoes and what was one as it comes: there is code on one side.
func TestWhatBecomesALinkIsReadAsItGoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, historytest.Commit{Write: map[string]string{"check.sh": "exit 1\n", "stays": "x\n"}})
	require.NoError(t, os.Symlink("stays", filepath.Join(dir, "was-link.sh")))
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "link")
	for _, name := range []string{"check.sh", "was-link.sh"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	require.NoError(t, os.Symlink("/bin/true", filepath.Join(dir, "check.sh")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "was-link.sh"), []byte("curl evil\n"), 0o600))
	run(t, dir, "add", ".")
	run(t, dir, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "types")
	r, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~1", Head: "main"})
	change, err := r.Load(t.Context(), p)
	require.NoError(t, err)
	require.Len(t, change.Files, 2)
	lines := func(f *review.File) (out []string) {
		require.Equal(t, review.TypeChanged, f.Change)
		require.Equal(t, review.NatureText, f.Nature)
		require.Empty(t, f.Limits)
		for _, h := range f.Hunks {
			for _, l := range h.Lines {
				out = append(out, string(l.Op)+l.Text)
			}
		}
		return out
	}
	gone, come := change.File("check.sh"), change.File("was-link.sh")
	require.Equal(t, []string{"-exit 1", "+/bin/true"}, lines(gone))
	require.Equal(t, []string{"-stays", "+curl evil"}, lines(come))
	require.True(t, gone.HasOld && !gone.HasNew && !come.HasOld && come.HasNew, "a target is no text of a file")
	require.Equal(t, "curl evil\n", string(come.New))
}

// TestAPointerToWhatIsKeptElsewhereIsNotTheFile, be it new, changed, or in a patch alone.
func TestAPointerToWhatIsKeptElsewhereIsNotTheFile(t *testing.T) {
	t.Parallel()
	const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n"
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, historytest.Commit{Write: map[string]string{"old.js": fmt.Sprintf(pointer, 1), "comes.js": fmt.Sprintf(pointer, 1), "read.js": "a()\n"}})
	commit(t, dir, historytest.Commit{Write: map[string]string{
		"old.js": fmt.Sprintf(pointer, 2), "new.js": fmt.Sprintf(pointer, 3), "comes.js": "b()\n", "read.js": "b()\n",
	}})
	r, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~1", Head: "main"})
	change, err := r.Load(t.Context(), p)
	require.NoError(t, err)
	for i := range change.Files {
		f := &change.Files[i]
		limited := slices.Contains(f.Limits, finding.ReasonLFSPointer)
		require.Equal(t, f.Path != "read.js", limited, f.Path)
		f.Old, f.New, f.Limits = nil, nil, nil
		f.CheckText()
		require.Equal(t, limited, slices.Contains(f.Limits, finding.ReasonLFSPointer), "%s by its hunks", f.Path)
	}
	cov := review.Cover(change, true, []review.ReviewerOutcome{{All: true}}, review.CouncilOutcome{Coverage: review.CouncilCoverage{Complete: true}})
	require.False(t, cov.Complete)
	require.Equal(t, finding.Partial, cov.Files[1].Status)
}

func TestATreeKnowsItsFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, historytest.Commit{Write: map[string]string{"web/vendor/a.js": "a\n", "vendored": "a\n"}})
	commit(t, dir, historytest.Commit{Write: map[string]string{"vendor/a.go": "a\n"}})
	r, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~1", Head: "main"})
	base, head, err := r.Trees(t.Context(), p)
	require.NoError(t, err)
	for folder, want := range map[string][2]bool{"web/vendor": {true, true}, "web": {true, true}, "vendor": {false, true}, "vendored": {false, false}} {
		was, err := base.HasFolder(t.Context(), folder)
		require.NoError(t, err)
		is, err := head.HasFolder(t.Context(), folder)
		require.NoError(t, err)
		require.Equal(t, want, [2]bool{was, is}, folder)
	}
}

// TestTextsAreReadWithinABudget renames a folder beside files that are changed: these are read first, a file is read on both
// sides or on none, and what has the same content on both sides counts once.
func TestTextsAreReadWithinABudget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	text := func(i int, word string) string { return fmt.Sprintf("%03d %s\n%0991d\n", i, word, i) } // 1,000 bytes
	before, after := historytest.Commit{Write: map[string]string{}}, historytest.Commit{Write: map[string]string{}}
	for i := range 10 {
		before.Write[fmt.Sprintf("a/%d.txt", i)], after.Write[fmt.Sprintf("b/%d.txt", i)] = text(i, "aaa"), text(i, "aaa")
		before.Write[fmt.Sprintf("c/%d.txt", i)], after.Write[fmt.Sprintf("c/%d.txt", i)] = text(100+i, "bbb"), text(100+i, "ccc")
		after.Delete = append(after.Delete, fmt.Sprintf("a/%d.txt", i))
	}
	commit(t, dir, before)
	commit(t, dir, after)
	r, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~1", Head: "main"})
	for room, want := range map[int]struct{ changed, renamed int }{
		0: {0, 0}, 1000: {0, 0}, 2000: {1, 0}, 7500: {3, 0}, 20_000: {10, 0}, 20_999: {10, 0}, 21_000: {10, 1}, 30_000: {10, 10},
	} {
		change, err := r.LoadWithin(t.Context(), p, room)
		require.NoError(t, err)
		require.Len(t, change.Files, 20)
		var changed, renamed, bytes int
		for _, f := range change.Files {
			require.Equal(t, f.HasOld, f.HasNew, f.Path)
			if bytes += len(f.New); f.OldBlob != f.NewBlob {
				bytes += len(f.Old)
			}
			switch {
			case !f.HasNew:
				require.Equal(t, []review.Reason{review.ReasonTooLarge}, f.Limits, f.Path)
			case f.Change == review.Renamed:
				renamed++
			default:
				changed++
			}
		}
		require.Equal(t, want, struct{ changed, renamed int }{changed, renamed}, room)
		require.LessOrEqual(t, bytes, room)
	}
	change, err := r.Load(t.Context(), p)
	require.NoError(t, err)
	for _, f := range change.Files {
		require.Empty(t, f.Limits, f.Path)
	}
}

// TestEachBranchIsASubject whichever is checked out, and a commit that is none of them is one of its own.
func TestEachBranchIsASubject(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	for _, text := range []string{"1\n", "2\n", "3\n"} {
		commit(t, dir, historytest.Commit{Write: map[string]string{"a.txt": text}})
	}
	run(t, dir, "branch", "topic", "main~1")
	subject := func(head string) (string, string) {
		_, p := pinned(t, review.Source{Kind: review.SourceRange, Dir: dir, Base: "main~2", Head: head})
		root, branch, _ := strings.Cut(strings.TrimPrefix(p.Subject, "local:"), "/")
		require.Len(t, root, 40)
		return branch, p.Head
	}
	for head, want := range map[string]string{"": "main", "HEAD": "main", "main": "main", "topic": "topic", "refs/heads/topic": "topic", "topic~0": "", "main~1": ""} {
		got, commit := subject(head)
		if want == "" {
			want = commit
		}
		require.Equal(t, want, got, "%q", head)
	}
}

// TestSweepRemovesWhatNoJobNeeds leaves the work of unfinished reviews where it is.
func TestSweepRemovesWhatNoJobNeeds(t *testing.T) {
	t.Parallel()
	frozen := t.TempDir()
	states := map[job.ID]job.State{"queued": job.StateQueued, "running": job.StateRunning, "failed": job.StateFailed}
	for _, id := range []string{"queued", "running", "failed", "unknown"} {
		require.NoError(t, os.MkdirAll(filepath.Join(frozen, id, "objects"), 0o750))
	}
	r := reviewgit.NewRepository(nil, nil, frozen)
	broken := errors.New("the database is away")
	require.ErrorIs(t, r.Sweep(t.Context(), func(context.Context, ...job.ID) (map[job.ID]job.State, error) { return nil, broken }), broken)
	require.DirExists(t, filepath.Join(frozen, "unknown"), "nothing is removed that nobody could ask about")

	require.NoError(t, r.Sweep(t.Context(), func(context.Context, ...job.ID) (map[job.ID]job.State, error) { return states, nil }))
	left, err := filepath.Glob(filepath.Join(frozen, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(frozen, "failed"), filepath.Join(frozen, "queued"), filepath.Join(frozen, "running")}, left,
		"what may be retried stays")

	none := reviewgit.NewRepository(nil, nil, filepath.Join(frozen, "none"))
	require.NoError(t, none.Sweep(t.Context(), nil), "a new data folder has none")
}

func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // the arguments are the tests'
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
