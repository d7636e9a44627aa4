// Package storetest holds what every store of indexes promises.
package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// Store is all ports of a store.
type Store interface {
	retrieval.Catalog
	retrieval.Builds
	retrieval.Codes
	retrieval.Views
	retrieval.TextIndex
}

// Params make an empty store for one subtest.
type Params struct {
	Store Store
	// Transact runs fn in a transaction of the database in which the store lies.
	Transact retrieval.Fence
}

// Run runs the suite.
func Run(t *testing.T, open func(t *testing.T) Params) {
	t.Helper()
	for name, test := range map[string]func(s suite, t *testing.T){
		"AnIndexComesBackAsItWasInserted":               suite.insertAndGet,
		"ListsAreNewestFirstAndPaged":                   suite.list,
		"SameTreesAreFoundReadyOnesFirst":               suite.same,
		"StagingTellsWhatIsNew":                         suite.stage,
		"StagingAgainReplacesWhatWasStaged":             suite.stageAgain,
		"ParsedContentComesBack":                        suite.parsed,
		"ContentIsStoredOnce":                           suite.once,
		"AnotherParserVersionIsOtherContent":            suite.versions,
		"AttemptsAreCountedUntilTheyEnd":                suite.attempts,
		"NothingIsVisibleBeforeActivation":              suite.activate,
		"FilesOfARepositoryAreThoseOfItsViewsAndBuilds": suite.scopeFiles,
		"EdgesAreReplacedAndReadByFile":                 suite.edges,
		"WordsFindChunksBestFirstUntilEnough":           suite.lexical,
		"AnyQueryIsAValidOne":                           suite.anyQuery,
		"ARefusedTransactionLeavesNothing":              suite.fenced,
		"FilesOfALeftOutContentAreCountedAndNotViewed":  suite.leftOut,
		"ADeletedIndexTakesWhatOnlyItNames":             suite.remove,
		"WhatABuildHasStagedIsNotCollected":             suite.collectBeside,
		"WhatIsOddOrLongIsStoredAsItIs":                 suite.hostile,
		"ManyEmptyFilesAreOneContent":                   suite.empties,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(suite{open(t)}, t)
		})
	}
}

type suite struct{ Params }

const version = "v1"

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC) }

func index(id string) retrieval.Index {
	return retrieval.Index{
		ID: retrieval.ID(id), Owner: "me", Repository: "git:1", Source: retrieval.Source{Dir: "/a b", ObjectDirs: []string{"/c"}, ObjectID: "o"},
		Tree: "tree", Version: "x", State: retrieval.Building, Labels: map[string]string{"k": "v"}, CreatedAt: start(),
	}
}

func (s suite) insert(t *testing.T, indexes ...retrieval.Index) {
	t.Helper()
	for _, i := range indexes {
		require.NoError(t, s.Transact(t.Context(), func(ctx context.Context, tx job.Tx) error { return s.Store.Insert(ctx, tx, i) }))
	}
}

func (s suite) insertAndGet(t *testing.T) {
	want := index("a")
	s.insert(t, want)
	got, err := s.Store.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = s.Store.Get(t.Context(), "b")
	require.ErrorIs(t, err, retrieval.ErrIndexNotFound)
	_, err = s.Store.Stage(t.Context(), s.Transact, "b", version, nil)
	require.ErrorIs(t, err, retrieval.ErrIndexNotFound)
}

func ids(indexes []retrieval.Index) []retrieval.ID {
	var out []retrieval.ID
	for _, i := range indexes {
		out = append(out, i.ID)
	}
	return out
}

func (s suite) list(t *testing.T) {
	for n, id := range []string{"a", "b", "c", "d"} {
		i := index(id)
		i.CreatedAt = start().Add(time.Duration(n/2) * time.Second) // two at the same time
		if id == "d" {
			i.Repository = "git:2"
		}
		s.insert(t, i)
	}
	other := index("e")
	other.Owner = "you"
	s.insert(t, other)
	all, err := s.Store.List(t.Context(), retrieval.ListQuery{Owner: "me", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []retrieval.ID{"d", "c", "b", "a"}, ids(all))
	next, err := s.Store.List(t.Context(), retrieval.ListQuery{Owner: "me", Limit: 2, BeforeTime: all[0].CreatedAt, BeforeID: all[0].ID})
	require.NoError(t, err)
	require.Equal(t, []retrieval.ID{"c", "b"}, ids(next))
	one, err := s.Store.List(t.Context(), retrieval.ListQuery{Owner: "me", Repository: "git:2", Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []retrieval.ID{"d"}, ids(one))
}

func (s suite) same(t *testing.T) {
	for n, id := range []string{"a", "b", "c"} {
		i := index(id)
		i.CreatedAt = start().Add(time.Duration(n) * time.Second)
		s.insert(t, i)
	}
	other := index("d")
	other.Tree = "other"
	s.insert(t, other)
	s.finish(t, "a")
	got, err := s.Store.Same(t.Context(), "me", "tree", "x")
	require.NoError(t, err)
	require.Equal(t, []retrieval.ID{"a", "c", "b"}, ids(got))
	for _, q := range [][3]string{{"you", "tree", "x"}, {"me", "tree", "y"}} {
		got, err = s.Store.Same(t.Context(), q[0], q[1], q[2])
		require.NoError(t, err)
		require.Empty(t, got)
	}
}

func (s suite) finish(t *testing.T, id retrieval.ID) {
	t.Helper()
	require.NoError(t, s.Transact(t.Context(), func(ctx context.Context, tx job.Tx) error {
		return s.Store.Activate(ctx, tx, retrieval.Activation{
			Index: id, Version: version, Counts: retrieval.Counts{Files: 7, Edges: map[string]int64{"UNIQUE": 3}}, Partial: true, At: start().Add(time.Hour),
		})
	}))
}

func entries(paths ...string) []retrieval.Entry {
	var all []retrieval.Entry
	for _, p := range paths {
		path, blob, found := strings.Cut(p, "=")
		if !found {
			blob = path
		}
		all = append(all, retrieval.Entry{Path: path, Mode: 0o100644, Blob: blob, Size: 10})
	}
	return all
}

func content(blob, text string) retrieval.Parsed {
	p := retrieval.Parsed{
		BlobKey: retrieval.BlobKey{Blob: blob, Hint: ".go"}, Language: "go", Status: "OK", Bytes: int64(len(text)), ErrorShare: 0.25,
		Definitions: []retrieval.Definition{{Kind: retrieval.KindFunction, Name: "fetchAll", Qualified: "fetchAll", Lines: retrieval.Lines{Start: 1, End: 2}, NameLine: 1, Parent: -1}},
		References:  []retrieval.Reference{{Name: "x", Usage: retrieval.UsageCall, Line: 2, Enclosing: 0}},
		Imports:     []retrieval.Import{{Path: "a/b", Line: 1}},
		Chunks:      []retrieval.Chunk{{Lines: retrieval.Lines{Start: 1, End: 2}, Definition: 0, Text: text}, {Lines: retrieval.Lines{Start: 3, End: 3}, Definition: -1, Heading: "head", Text: "tail"}},
	}
	retrieval.Vectorise(&p)
	return p
}

func staged(path, blob string) retrieval.Staged {
	return retrieval.Staged{BlobKey: retrieval.BlobKey{Blob: blob, Hint: retrieval.HintOf(path)}, Path: path, Size: 10}
}

func (s suite) put(t *testing.T, results ...retrieval.Parsed) {
	t.Helper()
	require.NoError(t, s.Store.PutParsed(t.Context(), version, results))
}

func (s suite) putFiles(t *testing.T, files ...retrieval.Staged) {
	t.Helper()
	require.NoError(t, s.Store.PutFiles(t.Context(), version, files))
}

func (s suite) stageFiles(t *testing.T, id retrieval.ID, paths ...string) retrieval.Staging {
	t.Helper()
	staging, err := s.Store.Stage(t.Context(), s.Transact, id, version, entries(paths...))
	require.NoError(t, err)
	return staging
}

func (s suite) stage(t *testing.T) {
	s.insert(t, index("a"))
	s.put(t, content("known", "x"), content("moved", "y"))
	s.putFiles(t, staged("known.go", "known"), staged("old/moved.go", "moved"))
	var paths []string
	for n := range 450 {
		paths = append(paths, fmt.Sprintf("f%03d.go", n))
	}
	staging := s.stageFiles(t, "a", append(paths, "known.go=known", "new/moved.go=moved")...)
	require.Equal(t, retrieval.Staging{Files: 452, New: 451, Batches: 3}, staging)
	first, err := s.Store.Batch(t.Context(), "a", version, 0)
	require.NoError(t, err)
	require.Len(t, first, retrieval.BatchFiles)
	require.Equal(t, staged("f000.go", "f000.go"), first[0])
	last, err := s.Store.Batch(t.Context(), "a", version, 2)
	require.NoError(t, err)
	require.Len(t, last, 51)
	want := staged("new/moved.go", "moved")
	want.Parsed = true
	require.Equal(t, want, last[50], "a moved file is new at its path, its content is not")
	s.put(t, content("f449.go", "z"))
	s.putFiles(t, staged("f449.go", "f449.go"))
	last, err = s.Store.Batch(t.Context(), "a", version, 2)
	require.NoError(t, err)
	require.Len(t, last, 50, "what was done is not done again")
	none, err := s.Store.Batch(t.Context(), "a", version, 3)
	require.NoError(t, err)
	require.Empty(t, none)
}

func (s suite) stageAgain(t *testing.T) {
	s.insert(t, index("a"), index("b"))
	s.stageFiles(t, "a", "x.go", "y.go")
	s.stageFiles(t, "b", "x.go")
	require.Equal(t, retrieval.Staging{Files: 1, New: 1, Batches: 1}, s.stageFiles(t, "a", "z.go"))
	batch, err := s.Store.Batch(t.Context(), "a", version, 0)
	require.NoError(t, err)
	require.Equal(t, []retrieval.Staged{staged("z.go", "z.go")}, batch)
	require.Equal(t, retrieval.Staging{}, s.stageFiles(t, "a"))
}

// view builds an index of files from paths "path=blob" whose contents are known.
func (s suite) view(t *testing.T, id retrieval.ID, paths ...string) []retrieval.File {
	t.Helper()
	s.insert(t, index(string(id)))
	s.stageFiles(t, id, paths...)
	for _, e := range entries(paths...) {
		s.putFiles(t, staged(e.Path, e.Blob))
	}
	files, _, err := s.Store.StagedView(t.Context(), id, version)
	require.NoError(t, err)
	return files
}

func (s suite) parsed(t *testing.T) {
	want := content("b1", "func fetchAll() { x() }\n")
	s.put(t, want)
	files := s.view(t, "a", "a.go=b1")
	require.Len(t, files, 1)
	require.Equal(t, "go", files[0].Language)
	require.Equal(t, want.Bytes, files[0].Bytes)
	definitions, err := s.Store.Definitions(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, want.Definitions, definitions)
	references, err := s.Store.References(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, want.References, references)
	imports, err := s.Store.Imports(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, want.Imports, imports)
	chunks, err := s.Store.Chunks(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Len(t, chunks, 2)
	require.Equal(t, want.Chunks[0].Text, chunks[0].Text)
	require.Equal(t, "head", chunks[1].Heading)
	require.NoError(t, s.Store.Vectors(t.Context(), []int64{files[0].Parse}, func(parse int64, vectors []retrieval.Quantised) error {
		require.Equal(t, files[0].Parse, parse)
		require.Equal(t, []retrieval.Quantised{want.Chunks[0].Vector, want.Chunks[1].Vector}, vectors)
		return nil
	}))
	named, err := s.Store.Named(t.Context(), "fetchAll")
	require.NoError(t, err)
	require.Equal(t, []retrieval.DefinitionAt{{Parse: files[0].Parse, Ordinal: 0}}, named)
	all, fresh, err := s.Store.CountChunks(t.Context(), "a", version)
	require.NoError(t, err)
	require.Equal(t, []int64{2, 2}, []int64{all, fresh})
}

func (s suite) once(t *testing.T) {
	s.put(t, content("b1", "first"))
	s.put(t, content("b1", "second"))
	files := s.view(t, "a", "a.go=b1", "b.go=b1")
	require.Len(t, files, 2)
	require.Equal(t, files[0].Parse, files[1].Parse)
	require.NotEqual(t, files[0].ID, files[1].ID)
	chunks, err := s.Store.Chunks(t.Context(), files[0].Parse)
	require.NoError(t, err)
	require.Equal(t, "first", chunks[0].Text)
	again := s.view(t, "b", "a.go=b1")
	require.Equal(t, files[0], again[0], "a file is the same in all views")
}

func (s suite) versions(t *testing.T) {
	s.put(t, content("b1", "first"))
	s.putFiles(t, staged("a.go", "b1"))
	s.insert(t, index("a"))
	staging, err := s.Store.Stage(t.Context(), s.Transact, "a", "v2", entries("a.go=b1"))
	require.NoError(t, err)
	require.Equal(t, 1, staging.New)
	batch, err := s.Store.Batch(t.Context(), "a", "v2", 0)
	require.NoError(t, err)
	require.False(t, batch[0].Parsed)
}

func (s suite) attempts(t *testing.T) {
	s.insert(t, index("one"), index("other"))
	a, b := retrieval.BlobKey{Blob: "a", Hint: ".go"}, retrieval.BlobKey{Blob: "b", Hint: ".go"}
	by := func(id retrieval.ID, keys ...retrieval.BlobKey) map[retrieval.BlobKey]int {
		before, err := s.Store.BeginParsing(t.Context(), id, version, keys)
		require.NoError(t, err)
		return before
	}
	begin := func(keys ...retrieval.BlobKey) map[retrieval.BlobKey]int { return by("one", keys...) }
	require.Empty(t, begin(a, b))
	require.Equal(t, map[retrieval.BlobKey]int{a: 1, b: 1}, begin(a, b))
	require.NoError(t, s.Store.BeginAlone(t.Context(), "one", version, a))
	require.Equal(t, map[retrieval.BlobKey]int{a: 2, b: 1}, begin(a, b))
	require.Empty(t, by("other", a, b), "what another build is parsing has not crashed")
	require.NoError(t, s.Store.BeginAlone(t.Context(), "other", version, b))
	require.NoError(t, s.Store.EndParsing(t.Context(), "other", version, []retrieval.BlobKey{a}))
	require.Equal(t, map[retrieval.BlobKey]int{a: 2, b: 1}, begin(b, a))
	require.NoError(t, s.Store.EndParsing(t.Context(), "one", version, []retrieval.BlobKey{a}))
	require.Equal(t, map[retrieval.BlobKey]int{b: 1}, begin(a, b))
	s.put(t, content("a", "x"), content("b", "x"))
	require.Empty(t, begin(a, b), "a stored result ends the attempt")
	require.Empty(t, by("other", a, b), "of every build")
	s.deleteIndex(t, "one")
	_, err := s.Store.BeginParsing(t.Context(), "one", version, []retrieval.BlobKey{a})
	require.ErrorIs(t, err, retrieval.ErrIndexNotFound)
}

func (s suite) activate(t *testing.T) {
	s.put(t, content("b1", "x"))
	building := s.view(t, "a", "z.go=b1", "a.go=b1")
	require.Equal(t, []string{"a.go", "z.go"}, []string{building[0].Path, building[1].Path})
	files, err := s.Store.Files(t.Context(), "a")
	require.NoError(t, err)
	require.Empty(t, files)
	require.NoError(t, s.Store.PutRarity(t.Context(), s.Transact, "a", retrieval.Rarity{1, 2}))
	s.finish(t, "a")
	files, err = s.Store.Files(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, building, files)
	got, err := s.Store.Get(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, retrieval.Ready, got.State)
	require.Equal(t, int64(7), got.Counts.Files)
	require.True(t, got.Partial)
	require.Equal(t, start().Add(time.Hour), got.ActivatedAt)
	rarity, err := s.Store.Rarity(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, retrieval.Rarity{1, 2}, rarity)
	batch, err := s.Store.Batch(t.Context(), "a", version, 0)
	require.NoError(t, err)
	require.Empty(t, batch, "the stage is gone")
}

func (s suite) scopeFiles(t *testing.T) {
	s.put(t, content("b1", "x"), content("b2", "y"), content("b3", "z"))
	ready := s.view(t, "a", "a.go=b1", "shared.go=b2")
	s.finish(t, "a")
	building := s.view(t, "b", "b.go=b3", "shared.go=b2")
	other := index("c")
	other.Repository = "git:2"
	s.insert(t, other)
	s.stageFiles(t, "c", "a.go=b1")
	got, err := s.Store.ScopeFiles(t.Context(), retrieval.Scope{Owner: "me", Repository: "git:1"})
	require.NoError(t, err)
	require.ElementsMatch(t, []retrieval.File{ready[0], ready[1], building[0]}, got)
	got, err = s.Store.ScopeFiles(t.Context(), retrieval.Scope{Owner: "you", Repository: "git:1"})
	require.NoError(t, err)
	require.Empty(t, got)
	s.deleteIndex(t, "b")
	got, err = s.Store.ScopeFiles(t.Context(), retrieval.Scope{Owner: "me", Repository: "git:1"})
	require.NoError(t, err)
	require.ElementsMatch(t, ready, got)
}

func (s suite) edges(t *testing.T) {
	s.insert(t, index("a"), index("b"))
	first := retrieval.FileEdges{Outgoing: []retrieval.Edge{{From: 1, File: 2, To: 3, Grade: retrieval.GradeUnique}}, Incoming: []retrieval.Edge{}}
	put := func(id retrieval.ID, edges map[int64]retrieval.FileEdges) {
		require.NoError(t, s.Store.PutEdges(t.Context(), s.Transact, id, edges))
	}
	put("a", map[int64]retrieval.FileEdges{1: {Outgoing: []retrieval.Edge{{From: 9}}}})
	put("a", map[int64]retrieval.FileEdges{1: first, 5: {}})
	got, err := s.Store.Edges(t.Context(), "a", 1)
	require.NoError(t, err)
	require.Equal(t, first, got)
	for _, none := range []struct {
		id   retrieval.ID
		file int64
	}{{"b", 1}, {"a", 2}, {"a", 5}} {
		got, err = s.Store.Edges(t.Context(), none.id, none.file)
		require.NoError(t, err)
		require.Empty(t, got.Outgoing)
	}
}

func (s suite) lexical(t *testing.T) {
	once, twice := content("b1", "one badger here and many other words that fill the text"), content("b2", "badger badger")
	s.put(t, once, twice, content("b3", "nothing"))
	files := s.view(t, "a", "a.go=b1", "b.go=b2", "c.go=b3", "badgerPath.go=b3")
	byPath := map[string]int64{}
	for _, f := range files {
		byPath[f.Path] = f.ID
	}
	find := func(n int, terms ...string) []int64 {
		var found []int64
		require.NoError(t, s.Store.Lexical(t.Context(), terms, func(c retrieval.ChunkRef) bool {
			found = append(found, c.File)
			return len(found) < n
		}))
		return found
	}
	found := find(10, "badgers", "unknown")
	require.Equal(t, byPath["badgerPath.go"], found[0], "a path counts more than text; endings do not count")
	require.Less(t, slices.Index(found, byPath["b.go"]), slices.Index(found, byPath["a.go"]))
	require.NotContains(t, found, byPath["c.go"])
	require.Len(t, find(1, "badger"), 1)
	require.Empty(t, find(10))
	require.Len(t, find(100, "fetch"), 4, "names are found")
}

func (s suite) anyQuery(t *testing.T) {
	s.put(t, content("b1", "text"))
	s.view(t, "a", "a.go=b1")
	for _, q := range []string{"NEAR", "a OR", "\"", "'; DROP TABLE indexes", "ﬁ ² ½ ① ǅ ʰ", "𐐀𐐁 𝒳 \u0e33 ᾳ", "日本語", "\u00ad\u200b x", "name:x", "*", strings.Repeat("x ", 1000)} {
		terms := append(retrieval.QueryTerms(q), q, "")
		require.NoError(t, s.Store.Lexical(t.Context(), terms, func(retrieval.ChunkRef) bool { return true }), "%q", q)
	}
}

func (s suite) fenced(t *testing.T) {
	s.insert(t, index("a"))
	refuse := func(context.Context, func(context.Context, job.Tx) error) error { return job.ErrFenced }
	_, err := s.Store.Stage(t.Context(), refuse, "a", version, entries("x.go"))
	require.ErrorIs(t, err, job.ErrFenced)
	require.ErrorIs(t, s.Store.PutEdges(t.Context(), refuse, "a", map[int64]retrieval.FileEdges{1: {}}), job.ErrFenced)
	require.ErrorIs(t, s.Store.PutRarity(t.Context(), refuse, "a", retrieval.Rarity{1}), job.ErrFenced)
	batch, err := s.Store.Batch(t.Context(), "a", version, 0)
	require.NoError(t, err)
	require.Empty(t, batch)
}

func (s suite) leftOut(t *testing.T) {
	s.put(t, content("b1", "text"), retrieval.Parsed{BlobKey: retrieval.BlobKey{Blob: "b2", Hint: ".go"}, LeftOut: retrieval.LeftOutBinary})
	s.insert(t, index("a"))
	s.stageFiles(t, "a", "a.go=b1", "b.go=b2", "c.go=b2")
	s.putFiles(t, staged("a.go", "b1"), staged("b.go", "b2"), staged("c.go", "b2"))
	files, left, err := s.Store.StagedView(t.Context(), "a", version)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, map[string]int64{retrieval.LeftOutBinary: 2}, left)
	s.finish(t, "a")
	files, err = s.Store.Files(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, files, 1)
}
