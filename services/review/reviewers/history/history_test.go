package history_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/history"
)

// told is a history as it is told.
type told struct {
	past [][]string
	err  error
}

func (t told) Past(ctx context.Context, _ review.Pinned) ([][]string, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.past, ctx.Err()
}

// files are those of the head.
type files []string

func (f files) Read(_ context.Context, path string) ([]byte, error) {
	if !slices.Contains(f, path) {
		return nil, review.ErrNoFile
	}
	return nil, nil
}

func (files) HasFolder(context.Context, string) (bool, error) { return false, nil }

// times repeats a commit.
func times(n int, paths ...string) [][]string { return slices.Repeat([][]string{paths}, n) }

func inspection(head files, changed ...string) review.Inspection {
	in := review.Inspection{Change: &review.Change{}, Head: head}
	for _, path := range changed {
		in.Change.Files = append(in.Change.Files, review.File{Path: path, OldPath: path, Change: review.Modified})
	}
	return in
}

func report(t *testing.T, past [][]string, in review.Inspection) review.Report {
	t.Helper()
	r, err := history.New(told{past: past}).Review(t.Context(), in)
	require.NoError(t, err)
	return r
}

func TestWhatUsuallyChangesTogetherIsNamed(t *testing.T) {
	t.Parallel()
	past := slices.Concat(times(9, "reasons.go", "errors.md"), times(1, "reasons.go"), times(3, "errors.md", "other.md"))
	got := report(t, past, inspection(files{"errors.md", "reasons.go"}, "reasons.go", "more.go"))
	require.True(t, got.Whole)
	require.NotNil(t, got.Looked)
	require.Empty(t, got.Looked, "no file was read")
	require.Equal(t, []review.Proposal{{
		Source: "history", Rule: "left-out", Category: finding.Maintainability, Severity: finding.SeverityLow, Certainty: 0.9, Confirm: true,
		Location: finding.Location{Path: "errors.md", OldPath: "errors.md", Side: finding.Right, Placement: finding.PlacedFile},
		Related:  []finding.Location{{Path: "reasons.go", OldPath: "reasons.go", Side: finding.Right, Placement: finding.PlacedFile}},
		Claim:    "errors.md is left as it was, but usually changes together with reasons.go",
		Reason:   "9 of the last 10 commits that changed reasons.go changed it as well.",
	}}, got.Proposals)
}

func TestWeakRulesAreSilent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		past    [][]string
		head    files
		changed []string
	}{
		"too few commits":                {times(7, "a", "b"), files{"a", "b"}, []string{"a"}},
		"too few of the commits":         {slices.Concat(times(17, "a", "b"), times(2, "a")), files{"a", "b"}, []string{"a"}},
		"the other way round":            {slices.Concat(times(20, "a", "b"), times(20, "a")), files{"a", "b"}, []string{"a"}},
		"changed as well":                {times(20, "a", "b"), files{"a", "b"}, []string{"a", "b"}},
		"not there any more":             {times(20, "a", "b"), files{"a"}, []string{"a"}},
		"a name that cannot be shown":    {times(20, "a", "\xff"), files{"a", "\xff"}, []string{"a"}},
		"never changed":                  {times(20, "a", "b"), files{"a", "b", "c"}, []string{"c"}},
		"a change of everything":         {times(20, "a", "b"), files{"a", "b"}, append([]string{"a"}, many(review.MaxPastPaths)...)},
		"a file that was added just now": {nil, files{"a"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, report(t, c.past, inspection(c.head, c.changed...)).Proposals)
		})
	}
}

func many(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint("f", i)
	}
	return out
}

func TestARenamedFileHasThePastOfItsOldName(t *testing.T) {
	t.Parallel()
	in := inspection(files{"new", "b"}, "new")
	in.Change.Files[0].OldPath, in.Change.Files[0].Change = "old", review.Renamed
	got := report(t, times(10, "old", "b"), in)
	require.Len(t, got.Proposals, 1)
	require.Equal(t, "b", got.Proposals[0].Location.Path)
}

// TestOnlyTheStrongestAreNamed in an order that does not depend on anything else.
func TestOnlyTheStrongestAreNamed(t *testing.T) {
	t.Parallel()
	past := slices.Concat(times(1, "a", "weak"), times(9, "a", "weak", "b", "c", "d", "gone"), times(1, "a", "b", "c", "d"))
	past = append(past, times(12, "x", "d")...)
	for range 20 {
		got := report(t, past, inspection(files{"a", "b", "c", "d", "weak"}, "a", "x"))
		require.Len(t, got.Proposals, 3)
		for i, want := range []string{"d", "b", "c"} {
			require.Equal(t, want, got.Proposals[i].Location.Path)
		}
		require.Equal(t, "12 of the last 12 commits that changed x changed it as well.\n10 of the last 11 commits that changed a changed it as well.", got.Proposals[0].Reason)
	}
}

func TestAHistoryThatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	got, err := history.New(told{err: errors.New("away")}).Review(t.Context(), inspection(files{"a"}, "a"))
	require.NoError(t, err)
	require.False(t, got.Whole, "what is not reported is not mended")
	require.NotNil(t, got.Looked)
	require.Len(t, got.Notes, 1)
}

// TestAHistoryWhoseForgeIsAwayIsSaidAndCanBeAskedAgain: who does not ask again has the same report.
func TestAHistoryWhoseForgeIsAwayIsSaidAndCanBeAskedAgain(t *testing.T) {
	t.Parallel()
	got, err := history.New(told{err: fmt.Errorf("fetch: %w", review.ErrUnavailable)}).Review(t.Context(), inspection(files{"a"}, "a"))
	require.ErrorIs(t, err, review.ErrUnavailable)
	require.False(t, got.Whole)
	require.Len(t, got.Notes, 1)
}

// slow answers when nobody waits any more.
type slow struct{}

func (slow) Past(ctx context.Context, _ review.Pinned) ([][]string, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func TestASlowHistoryIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got, err := history.New(slow{}).Review(t.Context(), inspection(files{"a"}, "a"))
		require.NoError(t, err)
		require.Len(t, got.Notes, 1)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = history.New(slow{}).Review(ctx, inspection(files{"a"}, "a"))
		require.ErrorIs(t, err, context.Canceled, "the end of the review is no matter of the history")
	})
}
