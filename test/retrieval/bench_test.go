package retrieval_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	retrievalv1 "witan.dev/gen/witan/retrieval/v1"
)

// BenchmarkIndex2000 indexes a generated repository of 2,000 Go files (about 10 kB each), then a commit that changes 20
// of them. It reports seconds of both, the most memory that the process held meanwhile and the size of the database.
func BenchmarkIndex2000(b *testing.B) {
	files := generatedRepository(2000)
	size := 0
	for _, text := range files {
		size += len(text)
	}
	for b.Loop() {
		s := setup(b)
		dir, id := corpus(b, files)
		forgetPeakMemory(b)
		start := time.Now()
		first := s.index(b, dir, id)
		b.ReportMetric(time.Since(start).Seconds(), "first-s")
		b.ReportMetric(float64(peakMemory(b))/1e6, "peak-MB")
		b.ReportMetric(float64(first.GetCounts().GetReferences()), "references")
		info, err := os.Stat(s.path)
		require.NoError(b, err)
		b.ReportMetric(float64(info.Size())/1e6, "database-MB")
		id = changed(b, dir, files)
		start = time.Now()
		require.Equal(b, int64(20), s.index(b, dir, id).GetCounts().GetParsed())
		b.ReportMetric(time.Since(start).Seconds(), "again-s")
	}
	b.ReportMetric(float64(size)/1e6, "source-MB")
	b.ReportMetric(0, "ns/op") // there are two operations
}

// changed commits a change of every hundredth file.
func changed(b *testing.B, dir string, files map[string]string) string {
	b.Helper()
	git(b, dir, "checkout", "-q", "main")
	texts := map[string]string{}
	for i, name := range sortedKeys(files) {
		if i%100 == 0 {
			texts[name] = files[name] + "\nvar again = 1\n"
		}
	}
	return commit(b, dir, texts)
}

// BenchmarkSearch2000 asks questions of three kinds of an index of 2,000 files.
func BenchmarkSearch2000(b *testing.B) {
	s := setup(b)
	dir, id := corpus(b, generatedRepository(2000))
	index := s.index(b, dir, id)
	for name, query := range map[string]string{
		"identifier": "WriteHeaderRegistry", "question": "how is the index of a buffer written", "message": strings.Repeat("parse the header before the buffer is closed ", 8),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				found, err := s.Search(b.Context(), &retrievalv1.SearchRequest{Index: index.GetName(), Query: query})
				require.NoError(b, err)
				require.NotEmpty(b, found.GetHits())
			}
		})
	}
}

// forgetPeakMemory makes peakMemory begin again with what the process holds now, where the system can do that.
func forgetPeakMemory(b *testing.B) {
	b.Helper()
	runtime.GC()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200); err != nil {
		b.Logf("the peak of memory is that of the whole process: %v", err)
	}
}

// peakMemory is the most memory that the process has held, in bytes.
func peakMemory(tb testing.TB) int {
	tb.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", "self", "status"))
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			require.NoError(tb, err)
			return kb << 10
		}
	}
	return 0
}

// generatedRepository makes n Go files in 50 packages that call each other. The same n gives the same files.
func generatedRepository(n int) map[string]string {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // reproducible, not secret
	words := strings.Fields("read write open close parse index store fetch merge split join find walk send receive header buffer cache queue stream token graph node edge path file line block chunk event state config client server worker batch score")
	name := func(parts int) string {
		var b strings.Builder
		for range parts {
			w := words[random.IntN(len(words))]
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		}
		return b.String()
	}
	files := map[string]string{"go.mod": "module example.org/generated\n"}
	exported := make([][]string, 50)
	for i := range n - 1 {
		p := i % 50
		files[fmt.Sprintf("pkg%d/file%d.go", p, i)] = generatedFile(random, p, i, name, exported)
	}
	return files
}

func generatedFile(random *rand.Rand, p, i int, name func(int) string, exported [][]string) string {
	var b strings.Builder
	other := random.IntN(50)
	fmt.Fprintf(&b, "// Package pkg%d is generated for a benchmark.\npackage pkg%d\n\nimport (\n\t\"fmt\"\n\n\t\"example.org/generated/pkg%d\"\n)\n\n", p, p, other)
	fmt.Fprintf(&b, "type %s%d struct {\n\t%s int\n\t%s string\n}\n\n", name(2), i, name(1), name(2))
	for k := range 20 {
		f := fmt.Sprintf("%s%dx%d", name(2), i, k)
		exported[p] = append(exported[p], f)
		fmt.Fprintf(&b, "// %s does the %s of a %s.\nfunc %s(input int) (int, error) {\n\ttotal := input\n", f, name(1), name(1), f)
		for range 4 {
			called := exported[p][random.IntN(len(exported[p]))]
			fmt.Fprintf(&b, "\tif value, err := %s(total); err == nil {\n\t\ttotal += value\n\t}\n", called)
		}
		if len(exported[other]) > 0 {
			called := exported[other][random.IntN(len(exported[other]))]
			fmt.Fprintf(&b, "\tif _, err := pkg%d.%s(total); err != nil {\n\t\treturn 0, fmt.Errorf(\"%s: %%w\", err)\n\t}\n", other, called, f)
		}
		b.WriteString("\treturn total, nil\n}\n\n")
	}
	return b.String()
}
