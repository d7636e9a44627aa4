package retrieval_test

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"os"
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

// TestEnginesAgreeOnWhatIsFound asks Qdrant and the database the same, about this repository. Words are weighed alike but
// by other numbers: of ten files at least eight are the same in the mean. Vectors are the same.
func TestEnginesAgreeOnWhatIsFound(t *testing.T) {
	t.Parallel()
	s := withQdrant(t)
	dir := repository(t, ownFiles(t, "internal/diff", "internal/blob", "internal/git", "services/jobs"))
	index := s.index(t, dir, head(t, dir))
	ask := func(query string, mode retrievalv1.SearchRequest_Mode) []string {
		found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: query, Mode: mode, Limit: 100})
		require.NoError(t, err)
		var files []string
		for _, h := range found.GetHits() {
			if !slices.Contains(files, h.GetPath()) {
				files = append(files, h.GetPath())
			}
		}
		return files[:min(len(files), 10)]
	}
	queries := []string{
		"parse a unified diff", "how are expired blobs removed", "list the files of a tree", "watch the events of a job", "sha256 of the content",
		"refuse a path that leaves the repository", "hunk without header", "page token", "read a blob in chunks", "cancel a running job",
	}
	for _, want := range []struct {
		mode   retrievalv1.SearchRequest_Mode
		shared float64
	}{{retrievalv1.SearchRequest_LEXICAL, 0.8}, {retrievalv1.SearchRequest_DENSE, 0.97}} {
		s.qdrant.SetAway(false)
		s.clock.Add(int64(time.Minute))
		theirs := map[string][]string{}
		for _, q := range queries {
			theirs[q] = ask(q, want.mode)
		}
		s.qdrant.SetAway(true)
		shared, all := 0, 0
		for _, q := range queries {
			for _, f := range ask(q, want.mode) {
				if all++; slices.Contains(theirs[q], f) {
					shared++
				}
			}
		}
		t.Logf("%s: %d of %d", want.mode, shared, all)
		require.Greater(t, float64(shared)/float64(all), want.shared, want.mode)
	}
}

// ownFiles are those of some of this repository's folders.
func ownFiles(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, folder := range folders {
		root := os.DirFS(own(t))
		require.NoError(t, fs.WalkDir(root, folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(root, path)
			files[path] = string(content)
			return err
		}))
	}
	return files
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
	require.Contains(t, related.GetDegraded(), "does not answer")

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
