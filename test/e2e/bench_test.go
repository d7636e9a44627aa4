package e2e_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/services/review"
	"witan.dev/test/e2e/process"
)

// benchCases writes one pull request that adds a key on line 2, and one reversal.
func benchCases(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, rows ...map[string]any) {
		var out bytes.Buffer
		for _, r := range rows {
			line, err := json.Marshal(r)
			require.NoError(t, err)
			out.Write(append(line, '\n'))
		}
		writeCases(t, filepath.Join(dir, name), out.Bytes())
	}
	added := "aws_key = '" + leakedKey() + "'"
	write("aacr.jsonl", map[string]any{
		"id": "p", "language": "Python", "diff": "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,2 @@\n x = 1\n+" + added + "\n", "title": "POISON",
		"golden": []map[string]any{{"path": "a.py", "line": 2, "category": "Security Vulnerability", "comment": "POISON"}},
	})
	write("aacr.files.jsonl.gz", map[string]any{"id": "p", "side": "base", "path": "a.py", "text": "x = 1\n"},
		map[string]any{"id": "p", "side": "head", "path": "a.py", "text": "x = 1\n" + added + "\n"})
	write("swebench_lite_reverse.dev.jsonl", map[string]any{
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
			Set           string
			Cases, Golden int
			Serious       int `json:"golden_serious"`
			Published     struct {
				Findings, Hits, Rejected, Clean int
				Precision, Recall               float64
				RecallSerious                   float64 `json:"recall_serious"`
			}
			Sources []struct {
				Name     string
				Findings int
			}
			Thresholds []struct{ Votes, Findings int }
		}
	}
	Notes []string
}

// rows are the lines of docs/review-quality.md's table that a report makes, by the names that they have there.
func (r *benchReport) rows() map[string][]string {
	rows := map[string][]string{}
	for i := range r.Report.Sets {
		s := &r.Report.Sets[i]
		name, rejected, clean := "AACR pull requests", strconv.Itoa(s.Published.Rejected), "–"
		if s.Set == "swebench-reverse" {
			name, rejected, clean = "SWE-bench reversals", "–", strconv.Itoa(s.Published.Clean)
		}
		findings, precision := strconv.Itoa(s.Published.Findings), "–"
		for _, from := range s.Sources {
			findings += fmt.Sprintf(", %s %d", from.Name, from.Findings)
		}
		if s.Published.Findings > 0 {
			precision = fmt.Sprintf("%.2f", s.Published.Precision)
		}
		rows[name] = []string{
			strconv.Itoa(s.Cases), fmt.Sprintf("%d (%d)", s.Golden, s.Serious), findings, strconv.Itoa(s.Published.Hits), precision,
			fmt.Sprintf("%.2f (%.2f)", s.Published.Recall, s.Published.RecallSerious), rejected, clean,
		}
	}
	return rows
}

// publishedRows are the lines of the table as they are published.
func publishedRows(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(process.Root(), "docs", "review-quality.md"))
	require.NoError(t, err)
	rows := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if name := cells[0]; name == "AACR pull requests" || name == "SWE-bench reversals" {
			rows[name] = cells[1:]
		}
	}
	return rows
}

// someCases are a few of the shared cases: the one pull request in which something is found, three small ones, and three
// reversals.
func someCases(t *testing.T, bench string) string {
	t.Helper()
	dir := t.TempDir()
	wanted := []string{"aacr/gofr-dev/gofr#1617", "aacr/gofr-dev/gofr#1325", "aacr/cline/cline#5177", "aacr/laravel/framework#56591"}
	pick := func(name string, of func(n int, id string) bool) {
		raw, err := os.ReadFile(filepath.Join(bench, name)) //nolint:gosec // the shared data
		require.NoError(t, err)
		if strings.HasSuffix(name, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			require.NoError(t, err)
			raw, err = io.ReadAll(z)
			require.NoError(t, err)
		}
		var out bytes.Buffer
		n := 0
		for line := range bytes.Lines(raw) {
			var row struct{ ID string }
			require.NoError(t, json.Unmarshal(line, &row))
			if of(n, row.ID) {
				out.Write(line)
			}
			n++
		}
		require.NotZero(t, out.Len())
		writeCases(t, filepath.Join(dir, name), out.Bytes())
	}
	pick("aacr.jsonl", func(_ int, id string) bool { return slices.Contains(wanted, id) })
	pick("aacr.files.jsonl.gz", func(_ int, id string) bool { return slices.Contains(wanted, id) })
	pick("swebench_lite_reverse.dev.jsonl", func(n int, _ string) bool { return n < 3 })
	return dir
}

// writeCases writes a file of cases, packed where its name says so.
func writeCases(t *testing.T, path string, rows []byte) {
	t.Helper()
	if strings.HasSuffix(path, ".gz") {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, err := z.Write(rows)
		require.NoError(t, err)
		require.NoError(t, z.Close())
		rows = packed.Bytes()
	}
	require.NoError(t, os.WriteFile(path, rows, 0o600))
}

// TestP12_PublishedFiguresAreThoseOfTheCommand runs the command of docs/review-quality.md on the shared cases and compares
// the table there: all of it without the race detector or with WITAN_TEST_LONG. With the detector it takes the cases in which
// something is found and a few others, so that everything but the sizes of the sets has to be the same.
func TestP12_PublishedFiguresAreThoseOfTheCommand(t *testing.T) {
	t.Parallel()
	cases, whole := testdata.Path(t, "bench"), everyNth == 1 || os.Getenv("WITAN_TEST_LONG") != ""
	if !whole {
		cases = someCases(t, cases)
	}
	got := process.RunLong(t, process.Plain(t), t.TempDir(), "bench", "review", "--cases", cases, "--static", "--format", "json")
	require.Equal(t, 0, got.Code, got.Stderr)
	var r benchReport
	require.NoError(t, json.Unmarshal([]byte(got.Stdout), &r))
	rows, published := r.rows(), publishedRows(t)
	require.Len(t, published, 2)
	if !whole {
		require.Equal(t, []string{"4", "3"}, []string{rows["AACR pull requests"][0], rows["SWE-bench reversals"][0]})
		for name := range rows {
			rows[name], published[name] = rows[name][2:], published[name][2:]
		}
	}
	require.Equal(t, published, rows)
}

// TestP12_AblationComparesKindsOfContextAndSaysWhatSimulatedModelsMean: the table is there for each kind of context, and
// the warning with it.
func TestP12_AblationComparesKindsOfContextAndSaysWhatSimulatedModelsMean(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("script.yaml", "seed: 7\nrules:\n  - when: {stage: cross_examine}\n    then: {labels: [{match: \".\", set: {vote: CONFIRMED}}]}\n")
	write("witan.yaml", "models:\n  - {name: one, provider: simulated, script: script.yaml}\n  - {name: two, provider: simulated, script: script.yaml}\n")
	cases := benchCases(t)
	got := process.RunLong(t, process.Plain(t), dir, "bench", "review", "--cases", cases, "--ablation", "--config", "witan.yaml")
	require.Equal(t, 0, got.Code, got.Stderr)
	text := got.Stdout
	kinds := slices.Concat([]string{"none"}, review.ContextSources(), []string{"all", "all, twice the tokens"})
	for _, kind := range kinds {
		_, rest, found := strings.Cut(text, "\ncontext: "+kind+"\naacr: 1 changes, 1 accepted comments")
		require.True(t, found, "no table for %s:\n%s", kind, got.Stdout)
		table, _, _ := strings.Cut(rest, "\ncontext: ")
		for _, line := range []string{"\npublished ", "\nstatic reviewers alone ", "\nat least 1 votes ", "\n2 models, 1 reviews: "} {
			require.Contains(t, table, line, kind)
		}
		text = rest
	}
	require.Contains(t, text, "Note: some models are simulated: their numbers mean nothing.")

	none := process.RunLong(t, process.Plain(t), dir, "bench", "review", "--cases", cases, "--ablation", "--static")
	require.Equal(t, 0, none.Code, none.Stderr)
	require.NotContains(t, none.Stdout, "context: ")
	require.Contains(t, none.Stdout, "Note: there is no model, so there is no context to compare.")
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
