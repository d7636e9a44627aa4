// Package guarantees_test holds docs/guarantees.md against the tests and the mutations: each guarantee names all that bear
// its number, and nothing else.
package guarantees_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/test/mutations"
)

var update = flag.Bool("update", false, "write the lists of tests anew") //nolint:gochecknoglobals // flags of a test binary are global

var (
	bearer  = regexp.MustCompile(`(?m)(?:^func |")(Test([GP]\d\d)_\w+)[("]`)
	section = regexp.MustCompile("(?s)\n## ([GP]\\d+) (?:[^\n]+\n)+<!-- tests -->\n((?:- [^\n]+\n)*)")
)

// bearers are the tests that bear a guarantee's number, as the lines of its list.
func bearers(t *testing.T, root string) map[string][]string {
	t.Helper()
	found := make(map[string]map[string][]string) // number → folder → tests
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		suite := strings.HasSuffix(filepath.Dir(path), "test") // a suite's tests are named in tables
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") && !(suite && strings.HasSuffix(path, ".go")) {
			return err
		}
		source, err := os.ReadFile(path) //nolint:gosec // our own source
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range bearer.FindAllSubmatch(source, -1) {
			number := strings.Replace(string(m[2]), "0", "", 1)
			if strings.HasSuffix(string(m[2]), "0") { // 10
				number = string(m[2])
			}
			if found[number] == nil {
				found[number] = make(map[string][]string)
			}
			found[number][folder] = append(found[number][folder], string(m[1]))
		}
		return err
	}))
	lines := make(map[string][]string)
	for number, folders := range found {
		for folder, tests := range folders {
			slices.Sort(tests)
			lines[number] = append(lines[number], fmt.Sprintf("- `%s`: %s\n", filepath.ToSlash(folder), strings.Join(tests, ", ")))
		}
		slices.Sort(lines[number])
	}
	return lines
}

// breakers are the mutations that must turn a guarantee's tests red, as the lines of its list.
func breakers(t *testing.T, root string) map[string][]string {
	t.Helper()
	all, err := mutations.All()
	require.NoError(t, err)
	lines := make(map[string][]string)
	for _, m := range all {
		require.NoError(t, m.Validate(root), "%s: %s", m.Guarantee, m.Breaks)
		lines[m.Guarantee] = append(lines[m.Guarantee], fmt.Sprintf("- broken when %s (`%s`)\n", m.Breaks, m.File))
	}
	return lines
}

func TestEveryGuaranteeNamesItsTests(t *testing.T) {
	t.Parallel()
	root, err := testdata.Root()
	require.NoError(t, err)
	page := filepath.Join(root, "docs", "guarantees.md")
	raw, err := os.ReadFile(page) //nolint:gosec // our own page
	require.NoError(t, err)
	tests, broken := bearers(t, root), breakers(t, root)
	var numbers []string
	wanted := section.ReplaceAllStringFunc(string(raw), func(s string) string {
		m := section.FindStringSubmatch(s)
		numbers = append(numbers, m[1])
		return strings.TrimSuffix(s, m[2]) + strings.Join(tests[m[1]], "") + strings.Join(broken[m[1]], "")
	})
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(wanted), 0o600)) //nolint:gosec // our own page
		return
	}
	for n := 1; n <= 17; n++ {
		require.Contains(t, numbers, fmt.Sprint("G", n), "G%d has a section with a list", n)
	}
	for n := 1; n <= 12; n++ {
		require.Contains(t, numbers, fmt.Sprint("P", n), "P%d has a section with a list", n)
	}
	for _, number := range numbers {
		require.NotEmpty(t, tests[number], "%s has a test", number)
		require.NotEmpty(t, broken[number], "%s has a mutation", number)
	}
	for number := range broken {
		require.Contains(t, numbers, number, "no mutation breaks a guarantee that is none")
	}
	for number := range tests {
		require.Contains(t, numbers, number, "no test bears a number that no guarantee has")
	}
	require.Equal(t, wanted, string(raw), "run go test ./test/guarantees -update")
}
