package apierr_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root    = "../.."
	catalog = root + "/docs/errors.md"
)

// reasons reads the constants of reasons.go with their sentences.
func reasons(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, parser.ParseComments)
	require.NoError(t, err)
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		literal, ok := spec.Values[0].(*ast.BasicLit)
		require.True(t, ok, "%s is no literal", spec.Names[0])
		value, err := strconv.Unquote(literal.Value)
		require.NoError(t, err)
		_, sentence, ok := strings.Cut(strings.ReplaceAll(spec.Doc.Text(), "\n", " "), ": ")
		require.True(t, ok, "%s has no sentence", value)
		require.NotContains(t, found, value, "declared twice")
		require.Regexp(t, `^[A-Z][A-Z0-9_]*$`, value)
		found[value] = strings.TrimSpace(sentence)
		return true
	})
	return found
}

// TestCatalogIsCurrent holds docs/errors.md to the constants; -update writes it.
func TestCatalogIsCurrent(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("# Errors\n\nEvery error carries a `google.rpc.ErrorInfo` with the domain `witan.dev` and one of these reasons. " +
		"`UNAVAILABLE` is the only code to retry blindly. This page is made from `internal/apierr/reasons.go`.\n\n" +
		"| reason | what it means and what to do |\n|---|---|\n")
	all := reasons(t)
	for _, reason := range slices.Sorted(maps.Keys(all)) {
		text.WriteString("| `" + reason + "` | " + all[reason] + " |\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(catalog, []byte(text.String()), 0o644)) //nolint:gosec // a document for everybody
	}
	current, err := os.ReadFile(catalog)
	require.NoError(t, err)
	require.Equal(t, string(current), text.String(), "run: go test ./internal/apierr -update")
}

// TestEveryReasonIsDeclared finds reasons that code uses without declaring them here.
func TestEveryReasonIsDeclared(t *testing.T) {
	t.Parallel()
	declared := reasons(t)
	call := regexp.MustCompile(`apierr\.(?:Internal|Invalid|NotFound|AlreadyExists|Precondition|Aborted|OutOfRange|Unavailable|` +
		`DeadlineExceeded|Canceled|PermissionDenied|Unauthenticated|ResourceExhausted|Unimplemented)\(\s*"([^"]*)"`)
	seen := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "gen" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path) //nolint:gosec // sources of this repository
		if err != nil {
			return err
		}
		for _, match := range call.FindAllStringSubmatch(string(source), -1) {
			seen++
			require.Contains(t, declared, match[1], "%s uses a reason that internal/apierr/reasons.go does not declare", path)
		}
		return nil
	}))
	t.Logf("%d uses of literal reasons", seen)
}

//nolint:gochecknoglobals // a test flag
var update = flag.Bool("update", false, "write docs/errors.md")
