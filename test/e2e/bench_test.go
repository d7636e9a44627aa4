package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/test/e2e/process"
)

// benchCases writes one pull request that adds a key on line 2, and one reversal.
func benchCases(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, zip bool, rows ...map[string]any) {
		var out bytes.Buffer
		for _, r := range rows {
			line, err := json.Marshal(r)
			require.NoError(t, err)
			out.Write(append(line, '\n'))
		}
		if zip {
			plain := bytes.Clone(out.Bytes())
			out.Reset()
			z := gzip.NewWriter(&out)
			_, err := z.Write(plain)
			require.NoError(t, err)
			require.NoError(t, z.Close())
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), out.Bytes(), 0o600))
	}
	added := "aws_key = '" + leakedKey() + "'"
	write("aacr.jsonl", false, map[string]any{
		"id": "p", "language": "Python", "diff": "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n x = 1\n+" + added + "\n", "title": "POISON",
		"golden": []map[string]any{{"path": "a.py", "line": 2, "category": "Security Vulnerability", "comment": "POISON"}},
	})
	write("aacr.files.jsonl.gz", true, map[string]any{"id": "p", "side": "base", "path": "a.py", "text": "x = 1\n"},
		map[string]any{"id": "p", "side": "head", "path": "a.py", "text": "x = 1\n" + added + "\n"})
	write("swebench_lite_reverse.dev.jsonl", false, map[string]any{
		"id": "r", "language": "Python", "diff": "diff --git a/b.py b/b.py\n--- a/b.py\n+++ b/b.py\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n",
		"golden": []map[string]any{{"path": "b.py", "line": 2}},
	})
	return dir
}

type benchReport struct {
	Report struct {
		Models int
		Cost   any
		Sets   []struct {
			Set                                string
			Published                          struct{ Findings, Hits, Clean int }
			Sources                            []struct{ Name string }
			Thresholds                         []struct{ Votes, Findings int }
			Recall, Precision, RecallOfSerious float64
		}
	}
	Notes []string
}

// TestP12_BenchReviewSaysTheSameEachTime runs the command that the figures in docs/review-quality.md come from.
func TestP12_BenchReviewSaysTheSameEachTime(t *testing.T) {
	t.Parallel()
	cases := benchCases(t)
	run := func(args ...string) benchReport {
		got := process.Run(t, t.TempDir(), nil, append([]string{"bench", "review", "--cases", cases, "--format", "json"}, args...)...)
		require.Equal(t, 0, got.Code, got.Stderr)
		require.NotContains(t, got.Stdout, "POISON")
		var r benchReport
		require.NoError(t, json.Unmarshal([]byte(got.Stdout), &r))
		r.Report.Cost = nil
		return r
	}
	first := run("--static")
	require.Equal(t, first, run("--static"))
	require.Zero(t, first.Report.Models)
	require.Len(t, first.Report.Sets, 2)
	require.Equal(t, 1, first.Report.Sets[0].Published.Hits)
	require.Equal(t, "secrets", first.Report.Sets[0].Sources[0].Name)

	settings := filepath.Join(t.TempDir(), "witan.yaml")
	require.NoError(t, os.WriteFile(settings, []byte("models:\n  - {name: one, provider: simulated}\n  - {name: two, provider: simulated}\n"), 0o600))
	models := run("--config", settings)
	require.Equal(t, 2, models.Report.Models)
	require.Contains(t, models.Notes, "some models are simulated: their numbers mean nothing")
}
