package retrieval_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/qdrant"
	"witan.dev/services/retrieval/qdrant/qdranttest"
	"witan.dev/services/retrieval/worker"
)

// searched is a system whose searches ask a Qdrant, and that server.
type searched struct {
	*system

	qdrant *qdranttest.Server
	clock  atomic.Int64 // nanoseconds that are added to the time of the library
}

// withQdrant starts a system beside a Qdrant.
func withQdrant(t *testing.T) *searched {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &searched{qdrant: qdranttest.New(nil)}
	ended := make(chan error, 1)
	go func() { ended <- s.qdrant.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	kept, err := inFile(t.Context(), filepath.Join(t.TempDir(), "witan.db"))
	require.NoError(t, err)
	index, err := qdrant.New(qdrant.Params{URL: "http://" + listener.Addr().String(), Codes: kept.store})
	require.NoError(t, err)
	logger := slog.New(slog.DiscardHandler)
	filler := retrieval.NewFiller(index, logger)
	require.NoError(t, filler.Start(t.Context()))
	library := stored(kept)
	library.Fallback, library.Rankings, library.Filler, library.Logger = library.Rankings, index, filler, logger
	library.Now = func() time.Time { return time.Now().Add(time.Duration(s.clock.Load())) }
	s.system, err = run(t.Context(), kept, library, 2, func(s worker.Store) worker.Store { return s })
	require.NoError(t, err)
	t.Cleanup(func() {
		s.stop(t)
		require.NoError(t, filler.Stop(context.WithoutCancel(t.Context())))
		require.NoError(t, index.Close())
	})
	return s
}

// search asks for what shopFiles has in price.py.
func (s *searched) search(t *testing.T, index *retrievalv1.Index) *retrievalv1.SearchResponse {
	t.Helper()
	found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: "sum prices"})
	require.NoError(t, err)
	return found
}

// queries are the paths that the Qdrant found, by query.
func (s *searched) queries() [][]string {
	var all [][]string
	for _, c := range s.qdrant.Calls() {
		if c.Method == "/qdrant.Points/Query" && c.Code == "" {
			all = append(all, c.Found)
		}
	}
	return all
}

func shopFiles() map[string]string {
	return map[string]string{
		"cart.py":  "class Cart:\n    def add_item(self, name, count):\n        \"\"\"Put an item into the cart.\"\"\"\n        self.items[name] = count\n",
		"price.py": "def total_price(items):\n    \"\"\"Sum the prices of all items.\"\"\"\n    return sum(i.price for i in items)\n",
		"mail.py":  "def send_receipt(address):\n    \"\"\"Mail the receipt to the customer.\"\"\"\n    deliver(address)\n",
	}
}

func TestSearchesAskQdrant(t *testing.T) {
	t.Parallel()
	s := withQdrant(t)
	dir := repository(t, shopFiles())
	index := s.index(t, dir, head(t, dir))
	found := s.search(t, index)
	require.Empty(t, found.GetDegraded())
	require.Equal(t, []string{"fts", "hash"}, found.GetListsUsed())
	require.Equal(t, "price.py", found.GetHits()[0].GetPath())
	require.Equal(t, "total_price", found.GetHits()[0].GetSymbol())
	require.Contains(t, found.GetHits()[0].GetText(), "i.price for i")
	require.Equal(t, map[string]int32{"fts": 1, "hash": 1}, found.GetHits()[0].GetRanks())
	require.Len(t, s.queries(), 2)
	require.Equal(t, "price.py", s.queries()[0][0])

	related, err := s.GetRelated(t.Context(), &retrievalv1.GetRelatedRequest{
		Index: index.GetName(), Target: &retrievalv1.GetRelatedRequest_Symbol{Symbol: "total_price"}, Relations: []retrievalv1.Piece_Relation{retrievalv1.Piece_SIMILAR},
	})
	require.NoError(t, err)
	require.Empty(t, related.GetIncomplete())
	require.Len(t, s.queries(), 3, "code that looks alike comes from there as well")

	second := s.index(t, dir, commit(t, dir, map[string]string{"price.py": "-", "mail.py": "def send_total(prices):\n    pass\n"}))
	for _, h := range s.search(t, second).GetHits() {
		require.NotEqual(t, "price.py", h.GetPath(), "what the view does not have is not found in it")
	}
	require.Equal(t, "price.py", s.search(t, index).GetHits()[0].GetPath(), "and the view before still has it")
}

func TestSearchesGoOnWhileQdrantIsAway(t *testing.T) {
	t.Parallel()
	s := withQdrant(t)
	dir := repository(t, shopFiles())
	index := s.index(t, dir, head(t, dir))
	s.qdrant.SetAway(true)
	found := s.search(t, index)
	require.Contains(t, found.GetDegraded(), "does not answer")
	require.Equal(t, "price.py", found.GetHits()[0].GetPath())
	asked := len(s.qdrant.Calls())
	require.NotEmpty(t, s.search(t, index).GetDegraded())
	require.Len(t, s.qdrant.Calls(), asked, "it is left alone for a while")
	related, err := s.GetRelated(t.Context(), &retrievalv1.GetRelatedRequest{
		Index: index.GetName(), Target: &retrievalv1.GetRelatedRequest_Symbol{Symbol: "total_price"}, Relations: []retrievalv1.Piece_Relation{retrievalv1.Piece_SIMILAR},
	})
	require.NoError(t, err)
	require.Contains(t, related.GetIncomplete()["SIMILAR"], "does not answer")

	s.qdrant.SetAway(false)
	s.clock.Add(int64(time.Minute))
	require.Empty(t, s.search(t, index).GetDegraded())
}

func TestWhatQdrantLostIsFilledInAgain(t *testing.T) {
	t.Parallel()
	s := withQdrant(t)
	dir := repository(t, shopFiles())
	index := s.index(t, dir, head(t, dir))
	require.Empty(t, s.search(t, index).GetDegraded())
	s.qdrant.Forget()
	found := s.search(t, index)
	require.NotEmpty(t, found.GetDegraded(), "an empty answer is no answer")
	require.Equal(t, "price.py", found.GetHits()[0].GetPath())
	require.Eventually(t, func() bool {
		s.clock.Add(int64(time.Minute))
		found := s.search(t, index)
		require.Equal(t, "price.py", found.GetHits()[0].GetPath())
		return found.GetDegraded() == ""
	}, 30*time.Second, 20*time.Millisecond)
}

func TestIndexingWaitsForQdrant(t *testing.T) {
	t.Parallel()
	s := withQdrant(t)
	s.qdrant.SetAway(true)
	dir := repository(t, shopFiles())
	created := s.create(t, dir, head(t, dir))
	refused := func() int {
		return len(slices.DeleteFunc(s.qdrant.Calls(), func(c qdranttest.Call) bool { return c.Code != "Unavailable" }))
	}
	require.Eventually(t, func() bool { return refused() > 8 }, 30*time.Second, 20*time.Millisecond, "it is tried again and again")
	j, err := s.jobs.Get(t.Context(), job.ID(strings.TrimPrefix(created.GetJob(), "jobs/")), "")
	require.NoError(t, err)
	require.Equal(t, job.StateRunning, j.State)
	_, err = s.Search(t.Context(), &retrievalv1.SearchRequest{Index: created.GetName(), Query: "sum prices"})
	require.Equal(t, "INDEX_NOT_READY", reason(err), "nothing is visible by half")
	s.qdrant.SetAway(false)
	index := s.await(t, created)
	require.Empty(t, s.search(t, index).GetDegraded())
}
