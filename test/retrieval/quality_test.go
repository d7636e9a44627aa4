package retrieval_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
	"witan.dev/internal/testdata"
)

// baseline is what plain BM25 reached on a set.
type baseline struct {
	N        int     `json:"n"`
	Recall10 float64 `json:"recall10"`
	MRR      float64 `json:"mrr"`
}

func baselines(t *testing.T) map[string]baseline {
	t.Helper()
	raw, err := os.ReadFile(testdata.Path(t, "retrieval/bm25_baseline.json"))
	require.NoError(t, err)
	all := map[string]baseline{}
	require.NoError(t, json.Unmarshal(raw, &all))
	return all
}

// question is a query and the paths that answer it.
type question struct {
	text     string
	relevant []string
}

// quality is the mean over questions, with the standard error of each number.
type quality struct{ recall10, recallError, mrr, mrrError float64 }

// measure asks all questions and ranks files by their best chunk.
func (s *system) measure(t *testing.T, index *retrievalv1.Index, questions []question, mode retrievalv1.SearchRequest_Mode) quality {
	t.Helper()
	var recalls, ranks []float64
	for _, q := range questions {
		found, err := s.Search(t.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: q.text, Limit: 100, Mode: mode})
		require.NoError(t, err)
		var files []string
		for _, h := range found.GetHits() {
			if !slices.Contains(files, h.GetPath()) {
				files = append(files, h.GetPath())
			}
		}
		hits, reciprocal := 0, 0.0
		for i, f := range files {
			if !slices.Contains(q.relevant, f) {
				continue
			}
			if i < 10 {
				hits++
			}
			if reciprocal == 0 {
				reciprocal = 1 / float64(i+1)
			}
		}
		recalls = append(recalls, float64(hits)/float64(len(q.relevant)))
		ranks = append(ranks, reciprocal)
	}
	var out quality
	out.recall10, out.recallError = mean(recalls)
	out.mrr, out.mrrError = mean(ranks)
	return out
}

// mean returns the mean and its standard error.
func mean(values []float64) (m, standardError float64) {
	for _, v := range values {
		m += v / float64(len(values))
	}
	variance := 0.0
	for _, v := range values {
		variance += (v - m) * (v - m) / float64(len(values)-1)
	}
	return m, math.Sqrt(variance / float64(len(values)))
}

// corpus makes a repository of files without writing a work tree.
func corpus(t testing.TB, files map[string]string) (dir, commitID string) {
	t.Helper()
	dir = t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	var b strings.Builder
	b.WriteString("commit refs/heads/main\ncommitter a <a@example.org> 1767225600 +0000\ndata 4\nbase\n")
	for _, name := range sortedKeys(files) {
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", strconv.Quote(name), len(files[name]), files[name])
	}
	cmd := exec.CommandContext(t.Context(), "git", "fast-import", "--quiet")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(b.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir, git(t, dir, "rev-parse", "main")
}

func sortedKeys(files map[string]string) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestSearchBeatsTheBaselineOnCoSQA: 500 questions of people about 6,267 Python functions.
func TestSearchBeatsTheBaselineOnCoSQA(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	testdata.JSONL(t, "retrieval/cosqa.corpus.jsonl.gz", func(d struct {
		ID   int
		Text string
	},
	) {
		files[fmt.Sprintf("%d.py", d.ID)] = d.Text
	})
	var questions []question
	testdata.JSONL(t, "retrieval/cosqa.dev.queries.jsonl", func(q struct {
		Query    string
		Relevant []int
	},
	) {
		var relevant []string
		for _, id := range q.Relevant {
			relevant = append(relevant, fmt.Sprintf("%d.py", id))
		}
		questions = append(questions, question{q.Query, relevant})
	})
	s := setup(t)
	begin := time.Now()
	dir, id := corpus(t, files)
	index := s.index(t, dir, id)
	t.Logf("index of %d functions: %s", len(files), time.Since(begin))
	want := baselines(t)["cosqa.dev"]
	for _, mode := range modes() {
		begin = time.Now()
		got := s.measure(t, index, questions, mode)
		t.Logf("%s: recall@10 %.3f (baseline %.3f), MRR %.3f (%.3f); %s a question",
			mode, got.recall10, want.Recall10, got.mrr, want.MRR, time.Since(begin)/time.Duration(len(questions)))
		if mode == retrievalv1.SearchRequest_AUTO {
			require.Greater(t, got.recall10, want.Recall10)
			require.Greater(t, got.mrr, want.MRR)
		}
	}
}

// modes is the ordinary one, or with WITAN_TEST_LONG each list by itself as well.
func modes() []retrievalv1.SearchRequest_Mode {
	if os.Getenv("WITAN_TEST_LONG") == "" {
		return []retrievalv1.SearchRequest_Mode{retrievalv1.SearchRequest_AUTO}
	}
	return []retrievalv1.SearchRequest_Mode{retrievalv1.SearchRequest_LEXICAL, retrievalv1.SearchRequest_DENSE, retrievalv1.SearchRequest_AUTO}
}

// TestSearchFindsTheFilesOfCommits: messages of commits and the files that they changed. The truth is weak and the sets
// are small, so the demand is not to be below the baseline by more than one standard error.
func TestSearchFindsTheFilesOfCommits(t *testing.T) {
	t.Parallel()
	for _, set := range commitSets() {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			testdata.JSONL(t, "retrieval/commits."+set+".corpus.jsonl.gz", func(d struct{ Path, Text string }) { files[d.Path] = d.Text })
			var questions []question
			testdata.JSONL(t, "retrieval/commits."+set+".queries.jsonl", func(q struct {
				Query    string
				Relevant []string `json:"relevant_files"`
			},
			) {
				questions = append(questions, question{q.Query, q.Relevant})
			})
			s := setup(t)
			dir, id := corpus(t, files)
			index := s.index(t, dir, id)
			want := baselines(t)["commits."+set]
			for _, mode := range modes() {
				got := s.measure(t, index, questions, mode)
				t.Logf("%s: recall@10 %.3f ± %.3f (baseline %.3f), MRR %.3f ± %.3f (%.3f)",
					mode, got.recall10, got.recallError, want.Recall10, got.mrr, got.mrrError, want.MRR)
				if mode == retrievalv1.SearchRequest_AUTO {
					require.GreaterOrEqual(t, got.recall10, want.Recall10-got.recallError)
					require.GreaterOrEqual(t, got.mrr, want.MRR-got.mrrError)
				}
			}
		})
	}
}

// commitSets are two small ones, or all five with WITAN_TEST_LONG.
func commitSets() []string {
	if os.Getenv("WITAN_TEST_LONG") == "" {
		return []string{"gofr-dev+gofr", "sinatra+sinatra"}
	}
	return []string{"gofr-dev+gofr", "sinatra+sinatra", "astral-sh+uv", "cline+cline", "laravel+framework"}
}
