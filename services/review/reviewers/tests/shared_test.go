package tests_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/testdata"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/reviewertest"
	"witan.dev/services/review/reviewers/tests"
)

// TestPrecisionOnTheSharedDiffs pins every finding in 88 real commits, each of them read and judged: all but the one that
// says otherwise are tests that were taken away while their subject stayed. The largest commits need WITAN_TEST_LONG.
func TestPrecisionOnTheSharedDiffs(t *testing.T) {
	t.Parallel()
	want := []string{
		"cline/cline e4eaf34827 disabled-test src/api/providers/__tests__/bedrock.test.ts:617",
		"sinatra/sinatra a734cf38ac deleted-test test/event_context_test.rb:5",
		"sinatra/sinatra a734cf38ac disabled-test compat/app_test.rb:149",
		"sinatra/sinatra a734cf38ac disabled-test compat/application_test.rb:20",
		"sinatra/sinatra a734cf38ac disabled-test compat/pipeline_test.rb:28",
		"sinatra/sinatra a734cf38ac disabled-test compat/streaming_test.rb:96",
		"sinatra/sinatra f4b11b967f deleted-test compat/application_test.rb:66",
	}
	const large = 500 << 10
	long := os.Getenv("WITAN_TEST_LONG") != ""
	if long {
		want = append(
			want,
			"laravel/framework 279c5e709c deleted-test tests/Integration/Database/EloquentDeleteTest.php:36",
			"sinatra/sinatra 6d217abf3b deleted-test test/settings_test.rb:451", // false: the server that it names was dropped, and is still named elsewhere
		)
		slices.Sort(want)
	}
	var got []string
	testdata.JSONL(t, "diffs/commits.jsonl.gz", func(c struct{ Repo, SHA, Diff string }) {
		if len(c.Diff) > large && !long {
			return
		}
		report, err := tests.New().Review(t.Context(), patch(t, c.Diff))
		require.NoError(t, err)
		for i := range report.Proposals {
			p := &report.Proposals[i]
			got = append(got, fmt.Sprintf("%s %.10s %s %s:%d", c.Repo, c.SHA, p.Rule, p.Location.Path, p.Location.StartLine))
		}
	})
	slices.Sort(got)
	require.Equal(t, want, got)
}

// TestMovedRenamedAndReformattedTestsAreSilent takes the real files with tests.
func TestMovedRenamedAndReformattedTestsAreSilent(t *testing.T) {
	t.Parallel()
	const maxLines = 600 // the comparison of the test is quadratic
	files, every := 0, 6
	if os.Getenv("WITAN_TEST_LONG") != "" {
		every = 1
	}
	row := 0
	for _, repo := range []string{"gofr-dev+gofr", "cline+cline", "astral-sh+uv", "laravel+framework", "sinatra+sinatra"} {
		testdata.JSONL(t, "symbols/"+repo+".jsonl.gz", func(file struct{ Path, Text string }) {
			old := map[string]string{file.Path: file.Text}
			if row++; row%every != 0 || strings.Count(file.Text, "\n") > maxLines || len(looked(t, reviewertest.Inspection(t, old, nil, nil))) == 0 {
				return
			}
			files++
			moved := "moved/" + file.Path
			require.Empty(t, found(t, reviewertest.Inspection(t, old, map[string]string{moved: file.Text}, map[string]string{moved: file.Path})), "renamed: %s", file.Path)
			require.Empty(t, found(t, reviewertest.Inspection(t, old, map[string]string{moved: file.Text}, nil)), "deleted and added: %s", file.Path)
			require.Empty(t, found(t, reviewertest.Inspection(t, old, map[string]string{file.Path: reformatted(file.Text)}, nil)), "reformatted: %s", file.Path)
		})
	}
	t.Logf("%d files with tests, each renamed, moved and reformatted: 0 findings", files)
	require.Greater(t, files, 20)
}

func looked(t *testing.T, in review.Inspection) []review.Path {
	t.Helper()
	report, err := tests.New().Review(t.Context(), in)
	require.NoError(t, err)
	return report.Looked
}

// reformatted indents by other blanks, adds some at the ends of lines and empty lines between them.
func reformatted(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		bare := strings.TrimLeft(l, " \t")
		indent := strings.ReplaceAll(l[:len(l)-len(bare)], "\t", "  ")
		lines[i] = indent + indent + bare
		if bare != "" {
			lines[i] += " "
		}
		if i%10 == 9 && bare == "" {
			lines[i] = "\n"
		}
	}
	return strings.Join(lines, "\n")
}
