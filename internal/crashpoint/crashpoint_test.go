package crashpoint_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/testdata"
)

// sources are the Go files that are built into the program, by path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	root, err := testdata.Root()
	require.NoError(t, err)
	files := map[string]string{}
	for _, folder := range []string{"internal", "services", "cmd"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(filepath.Dir(path), "test") {
				return err
			}
			raw, err := os.ReadFile(path) //nolint:gosec // our own source
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			files[filepath.ToSlash(name)] = string(raw)
			return err
		}))
	}
	return files
}

// matches are the files in which something stands.
func matches(files map[string]string, pattern string) (found []string) {
	re := regexp.MustCompile(pattern)
	for name, text := range files {
		if re.MatchString(text) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

func TestEveryPointStandsSomewhere(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("crashpoint.go")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, p := range slices.Concat(crashpoint.Points(), crashpoint.Outside()) {
		require.False(t, known[string(p)], "%s is listed twice", p)
		known[string(p)] = true
	}
	files := sources(t)
	declared := regexp.MustCompile(`(?m)^\t(\w+) +Point = "([a-z-]+)"$`).FindAllStringSubmatch(string(raw), -1)
	require.Len(t, declared, len(known))
	for _, d := range declared {
		require.True(t, known[d[2]], "%s is in no list, so no test kills there", d[1])
		require.NotEmpty(t, matches(files, `crashpoint\.Hit\(crashpoint\.`+d[1]+`\)`), "no code comes by %s", d[1])
	}
}

// TestEveryTransactionComesByAPoint: whatever commits does so in one of three functions, which have the points. The library of
// the engine commits by itself, around steps and executions, which have points of their own.
func TestEveryTransactionComesByAPoint(t *testing.T) {
	t.Parallel()
	files := sources(t)
	database := []string{"internal/database/postgres/postgres.go", "internal/database/sqlite/write.go"}
	require.Equal(t, database, matches(files, `\.BeginTx\(|\.Begin\(\)|\.Commit\(\)|\btx\.Commit\(`))
	for _, name := range database {
		require.Regexp(t, `crashpoint\.Hit\(crashpoint\.BeforeCommit\)\n\tif err := tx\.Commit\((ctx)?\); err != nil {\n[^\n]*\n\t}\n\tcrashpoint\.Hit\(crashpoint\.AfterCommit\)`,
			files[name])
	}
	require.Equal(t, []string{"services/retrieval/store/postgres/lexical.go"}, matches(files, `BeginTxFunc\(`), "which only reads")
	require.Contains(t, files["services/retrieval/store/postgres/lexical.go"], "AccessMode: pgx.ReadOnly")
	require.Equal(t, []string{"internal/database/sqlite/sqlite.go", "internal/job/engine/dbos/backend.go", "internal/job/engine/dbos/engine.go"},
		matches(files, `\bWriter\(\)`), "nobody but the engine has SQLite's writer")
}

// TestNoStatementWritesBesideATransaction: a statement of Postgres that is no part of a transaction is one itself.
func TestNoStatementWritesBesideATransaction(t *testing.T) {
	t.Parallel()
	root, err := testdata.Root()
	require.NoError(t, err)
	queries, err := filepath.Glob(filepath.Join(root, "*", "*", "*", "postgres", "queries.sql"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(root, "*", "*", "postgres", "queries.sql"))
	require.NoError(t, err)
	queries = append(queries, more...)
	require.GreaterOrEqual(t, len(queries), 5)
	files := sources(t)
	statement := regexp.MustCompile(`(?m)^-- name: (\w+) :\w+\n((?:--[^\n]*\n)*)([^;]*);`)
	writes := regexp.MustCompile(`(?i)\b(INSERT INTO|UPDATE\s+\w+\s+SET|DELETE FROM)\b`)
	found := 0
	for _, name := range queries {
		raw, err := os.ReadFile(name) //nolint:gosec // our own file
		require.NoError(t, err)
		folder, err := filepath.Rel(root, filepath.Dir(name))
		require.NoError(t, err)
		for _, q := range statement.FindAllStringSubmatch(string(raw), -1) {
			if !writes.MatchString(q[3]) {
				continue
			}
			found++
			for path, text := range files {
				if filepath.ToSlash(filepath.Dir(path)) == filepath.ToSlash(folder) {
					require.NotRegexp(t, `(read\(\)|queries\(\)|\.Pool\(\)\))\.`+q[1]+`\(`, text, "%s writes outside of Write and WriteAlone", q[1])
				}
			}
		}
	}
	require.Greater(t, found, 50)
}
