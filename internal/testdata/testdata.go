// Package testdata finds the real inputs (webhooks, diffs, sources, recorded model responses) that tests read in place
// from ../shared/data beside the checkout.
package testdata

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxLine bounds one row of a .jsonl file; the largest real one is a diff of 4.4 MB.
const maxLine = 64 << 20

// Path returns the path of a file or folder below the shared data. Where it is missing the test fails in CI (the
// variable CI is set) and is skipped elsewhere with a line that says what goes unchecked; the closing lines of
// `make test` count such tests.
func Path(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(root(t), filepath.FromSlash(name))
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("shared test data is missing: %s (expected at ../shared/data beside the checkout)", name)
		}
		t.Skipf("needs ../shared/data/%s, which this checkout does not have; what this test checks stays unchecked", name)
	}
	return p
}

// JSONL calls fn with every row of a .jsonl or .jsonl.gz file of the shared data. A row that does not decode fails the
// test.
func JSONL[T any](t testing.TB, name string, fn func(row T)) {
	t.Helper()
	f, err := os.Open(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r = z
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), maxLine)
	for n := 1; lines.Scan(); n++ {
		var row T
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("%s: row %d: %v", name, n, err)
		}
		fn(row)
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// Root is the folder of the project that the test belongs to: the nearest one above the working directory that holds go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}

func root(t testing.TB) string {
	t.Helper()
	project, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(project, "..", "shared", "data")
}
