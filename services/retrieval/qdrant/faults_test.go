package qdrant_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/qdrant"
	"witan.dev/services/retrieval/qdrant/qdranttest"
)

// code is what an index is filled from: the same two chunks for every content.
type code struct{ retrieval.Codes }

func (code) chunks(parse int64) retrieval.Parsed {
	p := retrieval.Parsed{Chunks: []retrieval.Chunk{
		{Definition: retrieval.NoDefinition, Text: fmt.Sprintf("secretText badger number%d", parse)},
		{Definition: retrieval.NoDefinition, Text: "ocelot"},
	}}
	retrieval.Vectorise(&p)
	return p
}

func (c code) Chunks(_ context.Context, parse int64) ([]retrieval.Chunk, error) {
	return c.chunks(parse).Chunks, nil
}

func (code) Definitions(context.Context, int64) ([]retrieval.Definition, error) { return nil, nil }

func (c code) Vectors(_ context.Context, parses []int64, each func(int64, []retrieval.Quantised) error) error {
	for _, parse := range parses {
		var vectors []retrieval.Quantised
		for _, chunk := range c.chunks(parse).Chunks {
			vectors = append(vectors, chunk.Vector)
		}
		if err := each(parse, vectors); err != nil {
			return err
		}
	}
	return nil
}

// viewOf is a view of n files of a scope.
func viewOf(scope retrieval.Scope, n int) *retrieval.View {
	var files []retrieval.File
	for i := range n {
		path := fmt.Sprintf("f%04d.go", i)
		files = append(files, retrieval.File{ID: int64(i + 1), Parse: int64(i + 1), Path: path, Chunks: 2, Key: retrieval.KeyOfFile(fmt.Sprint(i), "v", path)})
	}
	return retrieval.NewView(retrieval.Index{Owner: scope.Owner, Repository: scope.Repository}, files, nil)
}

func mine() retrieval.Scope { return retrieval.Scope{Owner: "me", Repository: "git:1"} }

// calls counts the calls of a method.
func calls(s *qdranttest.Server, method string) (n, points int) {
	for _, c := range s.Calls() {
		if c.Method == "/qdrant."+method && c.Code == "" {
			n, points = n+1, points+c.Points
		}
	}
	return n, points
}

func find(t *testing.T, x *qdrant.Index, v *retrieval.View) (int, error) {
	t.Helper()
	ranked, err := x.Lexical(t.Context(), retrieval.Asked{View: v, Depth: 1000}, []string{"badger"})
	return len(ranked), err
}

func TestPointsAreWrittenInBatchesAndOnce(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	v := viewOf(mine(), 300)
	written, err := open(t, url, code{}).Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	require.Equal(t, int64(600), written)
	upserts, points := calls(server, "Points/Upsert")
	require.Equal(t, []int{3, 600}, []int{upserts, points}, "256 at a time")

	again := open(t, url, code{}) // another process
	written, err = again.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	require.Zero(t, written)
	upserts, _ = calls(server, "Points/Upsert")
	require.Equal(t, 3, upserts)

	grown := viewOf(mine(), 301)
	written, err = again.Put(t.Context(), grown.Scope(), grown.Files())
	require.NoError(t, err)
	require.Equal(t, int64(2), written, "only what is new")
}

func TestManyProcessesPrepareOneCollection(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	v := viewOf(mine(), 10)
	var all sync.WaitGroup
	for range 8 {
		x := open(t, url, code{})
		all.Go(func() {
			_, err := x.Put(t.Context(), v.Scope(), v.Files())
			require.NoError(t, err)
		})
	}
	all.Wait()
	client := dial(t, url)
	names, err := client.ListCollections(t.Context())
	require.NoError(t, err)
	require.Len(t, names, 1)
	aliases, err := client.ListAliases(t.Context())
	require.NoError(t, err)
	require.Len(t, aliases, 1)
	require.Equal(t, names[0], aliases[0].GetAliasName()+"_1")
	info, err := client.GetCollectionInfo(t.Context(), names[0])
	require.NoError(t, err)
	require.Equal(t, uint64(20), info.GetPointsCount())
	require.True(t, info.GetPayloadSchema()["tenant"].GetParams().GetKeywordIndexParams().GetIsTenant())
	_ = server
}

func TestAnotherGenerationTakesOverByItsAlias(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	x, v, client := open(t, url, code{}), viewOf(mine(), 3), dial(t, url)
	_, err := x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	aliases, err := client.ListAliases(t.Context())
	require.NoError(t, err)
	alias := aliases[0].GetAliasName()
	require.NoError(t, client.CreateCollection(t.Context(), &api.CreateCollection{
		CollectionName:      alias + "_2",
		VectorsConfig:       api.NewVectorsConfigMap(map[string]*api.VectorParams{"hash": {Size: retrieval.Dimensions, Distance: api.Distance_Cosine}}),
		SparseVectorsConfig: api.NewSparseVectorsConfig(map[string]*api.SparseVectorParams{"terms": {Modifier: api.Modifier_Idf.Enum()}}),
	}))
	require.NoError(t, client.UpdateAliases(t.Context(), []*api.AliasOperations{api.NewAliasDelete(alias), api.NewAliasCreate(alias, alias+"_2")}))

	fresh := open(t, url, code{}) // the indexes of the fields that somebody forgot are made by who comes next
	held, err := fresh.Holds(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	require.False(t, held)
	_, err = x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	n, err := find(t, x, v)
	require.NoError(t, err)
	require.Equal(t, 3, n)
}

func TestWhatIsNoCollectionOfOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	x, v, client := open(t, url, code{}), viewOf(mine(), 1), dial(t, url)
	_, err := x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	aliases, err := client.ListAliases(t.Context())
	require.NoError(t, err)
	require.NoError(t, client.CreateCollection(t.Context(), &api.CreateCollection{
		CollectionName: "foreign",
		VectorsConfig:  api.NewVectorsConfigMap(map[string]*api.VectorParams{"hash": {Size: 3, Distance: api.Distance_Cosine}}),
	}))
	require.NoError(t, client.CreateAlias(t.Context(), aliases[0].GetAliasName(), "foreign"))
	_, err = open(t, url, code{}).Put(t.Context(), v.Scope(), v.Files())
	require.ErrorIs(t, err, retrieval.ErrRankingsAway)
	require.ErrorContains(t, err, "not of this layout")
}

func TestDeletingTakesTheFilesOfOneScope(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	x := open(t, url, code{})
	v, yours := viewOf(mine(), 3), viewOf(retrieval.Scope{Owner: "you", Repository: "git:1"}, 3)
	for _, w := range []*retrieval.View{v, yours} {
		_, err := x.Put(t.Context(), w.Scope(), w.Files())
		require.NoError(t, err)
	}
	require.NoError(t, x.Delete(t.Context(), v.Scope(), []retrieval.FileKey{v.Files()[0].Key, v.Files()[2].Key}))
	n, err := find(t, x, v)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = find(t, x, yours)
	require.NoError(t, err)
	require.Equal(t, 3, n)
}

// named are views that name what they are told to, the first time and the next times.
type named struct {
	retrieval.Views

	answers [][]retrieval.File
}

func (n *named) ScopeFiles(context.Context, retrieval.Scope) ([]retrieval.File, error) {
	answer := n.answers[0]
	if len(n.answers) > 1 {
		n.answers = n.answers[1:]
	}
	return answer, nil
}

func TestWhatNobodyNamesIsSweptAndWhatABuildNamesMeanwhileComesBack(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	x, v := open(t, url, code{}), viewOf(mine(), 4)
	_, err := x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	files := v.Files()
	gone, err := retrieval.Sweep(t.Context(), x, &named{answers: [][]retrieval.File{files[:2], files[:3]}}, v.Scope())
	require.NoError(t, err)
	require.Equal(t, 1, gone)
	there, err := x.Files(t.Context(), v.Scope())
	require.NoError(t, err)
	require.ElementsMatch(t, []retrieval.FileKey{files[0].Key, files[1].Key, files[2].Key}, there)
	held, err := x.Holds(t.Context(), v.Scope(), files[:3])
	require.NoError(t, err)
	require.True(t, held)

	views := &named{answers: [][]retrieval.File{nil}}
	sweeper := retrieval.NewSweeper(x, views)
	sweeper.Deleting(retrieval.Index{ID: "i", Owner: "me", Repository: "git:1"})
	require.NoError(t, sweeper.Sweep(t.Context()))
	there, err = x.Files(t.Context(), v.Scope())
	require.NoError(t, err)
	require.Len(t, there, 3, "the deletion is not committed")
	sweeper.Deleted("i")
	require.NoError(t, sweeper.Sweep(t.Context()))
	there, err = x.Files(t.Context(), v.Scope())
	require.NoError(t, err)
	require.Empty(t, there)
}

func TestAServerThatIsAwaySaysSoAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	server, url := serve(t)
	x, v := open(t, url, code{}), viewOf(mine(), 2)
	_, err := x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	server.SetAway(true)
	before := time.Now()
	_, err = find(t, x, v)
	require.ErrorIs(t, err, retrieval.ErrRankingsAway)
	require.Less(t, time.Since(before), 5*time.Second)
	refused := 0
	for _, c := range server.Calls() {
		if c.Code == "Unavailable" {
			refused++
		}
	}
	require.Greater(t, refused, 1, "it is tried again")
	server.SetAway(false)
	n, err := find(t, x, v)
	require.NoError(t, err)
	require.Equal(t, 2, n)

	server.Forget()
	_, err = find(t, x, v)
	require.ErrorIs(t, err, retrieval.ErrRankingsAway, "an index without its collection has not found nothing")
	held, err := x.Holds(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err, "the collection was made again")
	require.False(t, held)
	_, err = x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	n, err = find(t, x, v)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	x := open(t, "http://127.0.0.1:9", nil)
	_, err := x.Put(t.Context(), mine(), viewOf(mine(), 1).Files())
	require.ErrorIs(t, err, retrieval.ErrRankingsAway)
}

func TestNoSourceTextLeavesTheDatabase(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	x, v := open(t, url, code{}), viewOf(mine(), 1)
	_, err := x.Put(t.Context(), v.Scope(), v.Files())
	require.NoError(t, err)
	client := dial(t, url)
	aliases, err := client.ListAliases(t.Context())
	require.NoError(t, err)
	points, err := client.Scroll(t.Context(), &api.ScrollPoints{
		CollectionName: aliases[0].GetAliasName(), Filter: &api.Filter{Must: []*api.Condition{api.NewMatchKeyword("tenant", "me")}},
		Limit: new(uint32(10)), WithPayload: api.NewWithPayload(true),
	})
	require.NoError(t, err)
	require.Len(t, points, 2)
	for _, p := range points {
		require.NotContains(t, strings.ToLower(p.String()), "secrettext")
		fields := []string{}
		for field := range p.GetPayload() {
			fields = append(fields, field)
		}
		slices.Sort(fields)
		require.Equal(t, []string{"file", "language", "ordinal", "path", "repository", "tenant"}, fields)
	}
}
