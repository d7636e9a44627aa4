package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
)

// RankingParams make an empty store for one subtest, and rankings of what is in it.
type RankingParams struct {
	Params

	Rankings retrieval.Rankings
}

// RunRankings runs the suite of retrieval.Rankings.
func RunRankings(t *testing.T, open func(t *testing.T) RankingParams) {
	t.Helper()
	for name, test := range map[string]func(s rankings, t *testing.T){
		"WordsRankChunks":                        rankings.words,
		"RareWordsCountMoreThanCommonOnes":       rankings.rare,
		"LikenessRanksChunks":                    rankings.likeness,
		"OnlyWantedFilesAreRanked":               rankings.wanted,
		"KindsAndLanguagesLeaveNothingOutThatIs": rankings.hints,
		"OtherViewsDoNotCrowdAViewOut":           rankings.crowded,
		"NobodyFindsWhatIsAnothers":              rankings.scopes,
		"ARankingIsAsDeepAsAskedFor":             rankings.depth,
		"WhatIsPutIsHeld":                        rankings.held,
		"AnyQuestionAndAnyContentIsTaken":        rankings.hostile,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t)
			test(rankings{suite{p.Params}, p.Rankings}, t)
		})
	}
}

type rankings struct {
	suite

	Rankings retrieval.Rankings
}

// put makes files of known contents findable and returns their view.
func (s rankings) put(t *testing.T, i retrieval.Index, paths ...string) *retrieval.View {
	t.Helper()
	s.insert(t, i)
	s.stageFiles(t, i.ID, paths...)
	var placed []retrieval.Staged
	for _, e := range entries(paths...) {
		placed = append(placed, staged(e.Path, e.Blob))
	}
	s.putFiles(t, placed...)
	files, _, err := s.Store.StagedView(t.Context(), i.ID, version)
	require.NoError(t, err)
	v := retrieval.NewView(i, files, nil)
	_, err = s.Rankings.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	return v
}

// lexical returns the paths of the ranked chunks, each once.
func (s rankings) lexical(t *testing.T, asked retrieval.Asked, terms ...string) []string {
	t.Helper()
	asked.Depth = cmp.Or(asked.Depth, 100)
	ranked, err := s.Rankings.Lexical(t.Context(), asked, terms)
	require.NoError(t, err)
	return pathsOf(t, asked, ranked)
}

// dense is lexical for a vector.
func (s rankings) dense(t *testing.T, asked retrieval.Asked, text string) []string {
	t.Helper()
	asked.Depth = cmp.Or(asked.Depth, 100)
	vector := retrieval.GramsOf(text).Vector(nil)
	ranked, err := s.Rankings.Dense(t.Context(), asked, &vector)
	require.NoError(t, err)
	return pathsOf(t, asked, ranked)
}

func pathsOf(t *testing.T, asked retrieval.Asked, ranked []retrieval.Scored) []string {
	t.Helper()
	require.LessOrEqual(t, len(ranked), asked.Depth)
	require.True(t, slices.IsSortedFunc(ranked, func(a, b retrieval.Scored) int { return cmp.Compare(b.Score, a.Score) }))
	byID := map[int64]retrieval.File{}
	for _, f := range asked.View.Files() {
		byID[f.ID] = f
	}
	var paths []string
	for _, c := range ranked {
		f, known := byID[c.File]
		require.True(t, known, "a chunk that is not in the view")
		require.Less(t, c.Ordinal, f.Chunks)
		if !slices.Contains(paths, f.Path) {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// bare is a content without names.
func bare(blob, text string) retrieval.Parsed {
	p := retrieval.Parsed{
		BlobKey: retrieval.BlobKey{Blob: blob, Hint: ".go"}, Language: "go", Status: "OK", Bytes: int64(len(text)),
		Chunks: []retrieval.Chunk{{Lines: retrieval.Lines{Start: 1, End: 2}, Definition: retrieval.NoDefinition, Text: text}},
	}
	retrieval.Vectorise(&p)
	return p
}

func (s rankings) words(t *testing.T) {
	s.suite.put(t, content("b1", "one badger here and many other words that fill the text of it"), content("b2", "badger badger"), content("b3", "nothing"))
	v := s.put(t, index("a"), "a.go=b1", "b.go=b2", "c.go=b3", "badgerPath.go=b3")
	asked := retrieval.Asked{View: v}
	require.Equal(t, []string{"badgerPath.go", "b.go", "a.go"}, s.lexical(t, asked, "badgers", "unknown"),
		"a path counts more than text, a short text more than a long one; endings do not count")
	require.Len(t, s.lexical(t, asked, "fetch"), 4, "names are found")
	require.Equal(t, []string{"badgerPath.go"}, s.lexical(t, asked, "badgerpath"), "and whole names")
	require.Empty(t, s.lexical(t, asked))
	require.Empty(t, s.lexical(t, asked, "unknown"))
}

func (s rankings) rare(t *testing.T) {
	var paths []string
	contents := []retrieval.Parsed{bare("rare", "ocelot words of everybody"), bare("twice", "common common everybody of")}
	for i := range 30 {
		contents = append(contents, bare(fmt.Sprint("b", i), "common words of everybody"))
		paths = append(paths, fmt.Sprintf("f%02d.go=b%d", i, i))
	}
	s.suite.put(t, contents...)
	v := s.put(t, index("a"), append(paths, "x.go=rare", "y.go=twice")...)
	require.Equal(t, []string{"x.go", "y.go"}, s.lexical(t, retrieval.Asked{View: v}, "common", "ocelot")[:2])
}

func (s rankings) likeness(t *testing.T) {
	s.suite.put(t, bare("b1", "func parseHeader(line string) header"), bare("b2", "parseHeaders of lines, and then some more about it"), bare("b3", "zzz qqq"))
	v := s.put(t, index("a"), "a.go=b1", "b.go=b2", "c.go=b3")
	asked := retrieval.Asked{View: v, Depth: 10}
	require.Equal(t, []string{"a.go", "b.go"}, s.dense(t, asked, "func parseHeader(line string) header")[:2])
	vector := retrieval.GramsOf("func parseHeader(line string) header").Vector(nil)
	ranked, err := s.Rankings.Dense(t.Context(), asked, &vector)
	require.NoError(t, err)
	require.InDelta(t, 1, ranked[0].Score, 0.02, "the same text has likeness 1")
	require.Empty(t, s.dense(t, asked, ""), "nothing is like nothing")
}

func (s rankings) wanted(t *testing.T) {
	s.suite.put(t, bare("b1", "badger one"), bare("b2", "badger two"))
	v := s.put(t, index("a"), "a/x.go=b1", "b/x.go=b2", "c/x.go=b1")
	asked := retrieval.Asked{View: v, Wanted: func(f retrieval.File) bool { return f.Path != "b/x.go" }}
	require.ElementsMatch(t, []string{"a/x.go", "c/x.go"}, s.lexical(t, asked, "badger"))
	require.ElementsMatch(t, []string{"a/x.go", "c/x.go"}, s.dense(t, asked, "badger"))
}

func (s rankings) hints(t *testing.T) {
	python := bare("b2", "badger two")
	python.Language = "python"
	s.suite.put(t, content("b1", "badger one"), python)
	v := s.put(t, index("a"), "a.go=b1", "b.go=b2")
	asked := retrieval.Asked{View: v, Languages: []string{"python"}}
	require.Contains(t, s.lexical(t, asked, "badger"), "b.go")
	require.Contains(t, s.dense(t, asked, "badger"), "b.go")
	asked = retrieval.Asked{View: v, Kinds: []retrieval.Kind{retrieval.KindFunction, retrieval.KindMethod}}
	require.Contains(t, s.lexical(t, asked, "badger"), "a.go")
	require.Contains(t, s.dense(t, asked, "badger"), "a.go")
}

func (s rankings) crowded(t *testing.T) {
	var paths []string
	contents := []retrieval.Parsed{bare("mine", "a badger among many other words that nobody asked for")}
	for i := range 300 {
		contents = append(contents, bare(fmt.Sprint("b", i), fmt.Sprint("badger badger badger ", i)))
		paths = append(paths, fmt.Sprintf("f%03d.go=b%d", i, i))
	}
	s.suite.put(t, contents...)
	s.put(t, index("a"), paths...)
	v := s.put(t, index("b"), "mine.go=mine")
	require.Equal(t, []string{"mine.go"}, s.lexical(t, retrieval.Asked{View: v, Depth: 1}, "badger"))
	require.Equal(t, []string{"mine.go"}, s.dense(t, retrieval.Asked{View: v, Depth: 1}, "badger"))
}

func (s rankings) scopes(t *testing.T) {
	s.suite.put(t, bare("b1", "badger of one"), bare("b2", "badger of the other"), bare("b3", "badger elsewhere"))
	mine := s.put(t, index("a"), "a.go=b1")
	foreign, elsewhere := index("b"), index("c")
	foreign.Owner, elsewhere.Repository = "you", "git:2"
	yours, other := s.put(t, foreign, "a.go=b2", "b.go=b1"), s.put(t, elsewhere, "a.go=b3")
	for _, find := range []func(v *retrieval.View) []string{
		func(v *retrieval.View) []string { return s.lexical(t, retrieval.Asked{View: v}, "badger") },
		func(v *retrieval.View) []string { return s.dense(t, retrieval.Asked{View: v}, "badger") },
	} {
		require.Equal(t, []string{"a.go"}, find(mine))
		require.ElementsMatch(t, []string{"a.go", "b.go"}, find(yours))
		require.Equal(t, []string{"a.go"}, find(other))
	}
}

func (s rankings) depth(t *testing.T) {
	var paths []string
	for i := range 40 {
		paths = append(paths, fmt.Sprintf("f%02d.go=b", i))
	}
	s.suite.put(t, bare("b", "the same badger"))
	v := s.put(t, index("a"), paths...)
	for range 2 {
		require.Len(t, s.lexical(t, retrieval.Asked{View: v, Depth: 7}, "badger"), 7)
		require.Len(t, s.dense(t, retrieval.Asked{View: v, Depth: 7}, "badger"), 7)
	}
	require.Len(t, s.lexical(t, retrieval.Asked{View: v, Depth: 40}, "badger"), 40)
}

func (s rankings) held(t *testing.T) {
	s.suite.put(t, content("b1", "badger"), retrieval.Parsed{BlobKey: retrieval.BlobKey{Blob: "empty", Hint: ".go"}, Status: "OK"})
	v := s.put(t, index("a"), "a.go=b1", "b.go=empty")
	held, err := s.Rankings.Holds(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	require.True(t, held)
	written, err := s.Rankings.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	require.Zero(t, written, "what is there is not written again")
	require.NoError(t, s.Rankings.Delete(t.Context(), v.Scope(), []retrieval.FileKey{{1}}), "nothing is deleted that is not there")
}

func (s rankings) hostile(t *testing.T) {
	long := strings.ReplaceAll(distinct(600), " ", "/")
	p := content("b1", "badger\x00 "+distinct(12_000))
	p.Definitions[0].Qualified = "nul\x00" + strings.Repeat("ocelot", 5000) + " " + distinct(5000)
	p.Chunks[1].Text = "\uFFFD \u0000"
	retrieval.Vectorise(&p)
	s.suite.put(t, p)
	v := s.put(t, index("a"), long+"x.go=b1", `"\303\050 quoted.go"=b1`)
	asked := retrieval.Asked{View: v}
	require.NotEmpty(t, s.lexical(t, asked, "badger"), "the beginning at least is found")
	for _, q := range []string{"NEAR", "a OR", "\"", "'; DROP TABLE indexes", "ﬁ ² ½ ① ǅ ʰ", "𐐀𐐁 𝒳 \u0e33 ᾳ", "日本語", "\u00ad\u200b x", "name:x", "*", "nul\x00byte", "\xff\xfe", ""} {
		s.lexical(t, asked, append(retrieval.QueryTerms(q), q)...)
		s.dense(t, asked, q)
	}
}
