// Package historytest is the suite of review.History: what every adapter has to tell of the commits before a change.
package historytest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/review"
)

// Commit is one commit of a history: files that it writes and files that it removes.
type Commit struct {
	Write  map[string]string
	Delete []string
}

// A Builder makes a repository of which the first commit holds the file "first", with the commits after it on its main line,
// and a change on top of them that begins at the last but later ones. later are commits that the main line got meanwhile.
type Builder func(t *testing.T, commits, later []Commit) (review.History, review.Pinned)

// Run runs the suite.
func Run(t *testing.T, build Builder) {
	t.Helper()
	t.Run("the newest first and nothing of the change", func(t *testing.T) {
		t.Parallel()
		h, p := build(t, []Commit{
			{Write: map[string]string{"a": "1", "b": "1"}},
			{Write: map[string]string{"a": "2", "dir/c": "1"}},
			{Delete: []string{"b"}},
		}, []Commit{{Write: map[string]string{"a": "3", "later": "1"}}})
		require.Equal(t, [][]string{{"b"}, {"a", "dir/c"}, {"a", "b"}}, past(t, h, p))
	})
	t.Run("a renamed file is two paths", func(t *testing.T) {
		t.Parallel()
		h, p := build(t, []Commit{
			{Write: map[string]string{"old": "some content that is the same under another name\n"}},
			{Write: map[string]string{"new": "some content that is the same under another name\n"}, Delete: []string{"old"}},
		}, nil)
		require.Equal(t, [][]string{{"new", "old"}, {"old"}}, past(t, h, p))
	})
	t.Run("what touches everything is left out", func(t *testing.T) {
		t.Parallel()
		files := func(n int) map[string]string {
			out := map[string]string{}
			for i := range n {
				out["f"+strconv.Itoa(i)] = strconv.Itoa(n)
			}
			return out
		}
		h, p := build(t, []Commit{
			{Write: files(review.MaxPastPaths)}, {Write: files(review.MaxPastPaths + 1)}, {Write: map[string]string{"f1": "last"}},
		}, nil)
		got := past(t, h, p)
		require.Len(t, got, 2)
		require.Equal(t, []string{"f1"}, got[0])
		require.Len(t, got[1], review.MaxPastPaths)
	})
	t.Run("no history", func(t *testing.T) {
		t.Parallel()
		h, p := build(t, nil, nil)
		require.Empty(t, past(t, h, p), "the first commit belongs to nothing")
	})
	t.Run("a history that is not there", func(t *testing.T) {
		t.Parallel()
		h, p := build(t, nil, nil)
		p.MergeBase = fmt.Sprintf("%040x", 1)
		_, err := h.Past(t.Context(), p)
		require.Error(t, err)
	})
	t.Run("a patch has none", func(t *testing.T) {
		t.Parallel()
		h, _ := build(t, nil, nil)
		require.Empty(t, past(t, h, review.Pinned{Source: review.Source{Kind: review.SourceDiff}}))
	})
}

func past(t *testing.T, h review.History, p review.Pinned) [][]string {
	t.Helper()
	out, err := h.Past(t.Context(), p)
	require.NoError(t, err)
	for _, paths := range out {
		slices.Sort(paths)
	}
	return out
}
