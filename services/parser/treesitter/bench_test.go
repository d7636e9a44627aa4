package treesitter

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	sitter "github.com/smacker/go-tree-sitter"
	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
)

// benchBytes is how much of the Go standard library one round reads.
const benchBytes = 12 << 20

// BenchmarkParse reads the sources of the Go installation twice in turn, with a bare tree-sitter parse and with
// everything that a result holds, and reports the ratio of their CPU seconds (goal: at most 2).
func BenchmarkParse(b *testing.B) {
	files := goSources(b)
	e := newExtractor(b)
	language := e.languages["go"]
	_, err := language.full()
	require.NoError(b, err)
	var bare, whole time.Duration
	size := 0
	for b.Loop() {
		for _, content := range files {
			size += len(content)
			start := cpuTime(b)
			require.NoError(b, e.parsers.parse(b.Context(), language.grammar, content, func(*sitter.Tree) error { return nil }))
			middle := cpuTime(b)
			_, err := e.Extract(b.Context(), parser.Source{
				Language: "go", Content: content, Lines: parser.NewLines(content), References: true,
			})
			require.NoError(b, err)
			bare += middle - start
			whole += cpuTime(b) - middle
		}
	}
	b.ReportMetric(whole.Seconds()/bare.Seconds(), "cpu-ratio")
	b.ReportMetric(float64(size)/1e6/bare.Seconds(), "bare-MB/cpu-s")
	b.ReportMetric(float64(size)/1e6/whole.Seconds(), "MB/cpu-s")
}

func goSources(b *testing.B) [][]byte {
	b.Helper()
	root, err := exec.CommandContext(b.Context(), "go", "env", "GOROOT").Output()
	require.NoError(b, err)
	var files [][]byte
	size := 0
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || size > benchBytes {
			return err
		}
		content, err := os.ReadFile(path) //nolint:gosec // the sources of the running toolchain
		if len(content) <= parser.MaxContent {
			files = append(files, content)
			size += len(content)
		}
		return err
	})
	require.NoError(b, err)
	return files
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
