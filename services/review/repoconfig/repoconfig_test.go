package repoconfig_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/repoconfig"
	"witan.dev/services/review/reviewers/secrets"
)

func reader() *repoconfig.Reader {
	return repoconfig.New(repoconfig.Params{Reviewers: []string{"secrets", "structure"}, ContextTokens: 2000})
}

// TestTheDocumentedExampleIsRead holds the page against the program: its example names every key, and every value.
func TestTheDocumentedExampleIsRead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "repository-configuration.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(page)
	require.NotNil(t, block)
	set, problems := reader().Parse(block[1])
	require.Empty(t, problems)
	require.Len(t, set.Digest, 32)
	set.Digest = ""
	require.Equal(t, review.Settings{
		AutoOpened: true, AutoPush: true, AutoReady: true, Branches: []string{"main", "release/*"},
		IgnoreAuthors: []string{"*[bot]"}, IgnoreTitles: []string{"wip*"}, IgnoreLabels: []string{"no review"}, Labels: []string{"review"},
		Include: []string{"src/", "*.go"}, Exclude: []string{"testdata/", "!testdata/keep/"}, Generated: []string{"*.pb.go"},
		Instructions: []review.Instruction{{Paths: []string{"src/billing/"}, Text: "Amounts are whole cents; floats are a bug."}},
		Guidelines:   []string{"AGENTS.md"}, PublishFrom: finding.SeverityLow, FailOn: finding.SeverityHigh, Council: "councils/strict",
		MinVotes:  map[finding.Severity]int{finding.SeverityLow: 3},
		Reviewers: map[string]review.ReviewerSettings{"structure": {Severity: finding.SeverityMedium}}, Inline: true, MaxInline: 20,
		Suggestions: true, Walkthrough: true, Check: true, MaxCalls: 40, MaxTokens: 400000, MaxCost: 1500000,
		ContextTokens: 1500, ContextSources: []string{"enclosing", "callers"},
	}, set)
}

func TestWithoutAFileTheDefaultsHold(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"empty": "", "a comment": "# nothing\n", "null": "~\n", "an empty mapping": "{}\n"} {
		set, problems := reader().Parse([]byte(content))
		require.Empty(t, problems, name)
		set.Digest = ""
		require.Equal(t, review.DefaultSettings(), set, name)
	}
	set, problems, err := reader().Read(t.Context(), func(_ context.Context, path string) ([]byte, error) {
		require.Equal(t, ".witan.yaml", path)
		return nil, fmt.Errorf("look: %w", review.ErrNoFile)
	})
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Equal(t, review.DefaultSettings(), set)
	away := errors.New("away")
	_, _, err = reader().Read(t.Context(), func(context.Context, string) ([]byte, error) { return nil, away })
	require.ErrorIs(t, err, away)
	set, problems, err = reader().Read(t.Context(), func(context.Context, string) ([]byte, error) { return nil, review.ErrTooLarge })
	require.NoError(t, err)
	require.Equal(t, []string{"is larger than 64 KiB"}, problems)
	require.NotEmpty(t, set.Digest)
}

func TestAllThatIsWrongIsReportedAndTheDefaultsHold(t *testing.T) {
	t.Parallel()
	set, problems := reader().Parse([]byte(`
version: 2
reviews: {}
review: {auto: [opened, pushes], drafts: yes please, base_branches: main, ignore: {users: [a]}}
paths: {include: ["["], exclude: [1]}
instructions: [{text: ""}, {paths: [a]}, words]
guidelines: [../secret, /etc/passwd, a/../b, "a\\b", C:\x]
severity: {publish: blocker, fail_on: high}
council: ../x
min_votes: {low: 0, high: two, blocker: 1}
reviewers: {secrets: {enabled: 1}, eslint: {}}
comments: {max_inline: 61}
`))
	require.Len(t, problems, 20)
	require.Equal(t, "there is more that is wrong", problems[19])
	text := strings.Join(problems, "\n")
	require.Equal(t, 1, strings.Count(text, "instructions[0].text"), text)
	require.Contains(t, text, "instructions[1].text: line 6: is missing")
	for _, want := range []string{
		"version: line 2: must be 1\n", "reviews: line 3: there is no such key", "review.auto[1]: must be one of opened, push",
		"review.drafts: line 4: must be true or false", "review.base_branches: line 4: must be a list", "review.ignore.users: line 4: there is no such key",
		"paths.include: ", "paths.exclude[0]: line 5: must be a text", "instructions[0].text: ", "instructions[2]: line 6: must be a mapping",
		"guidelines[0]: must be a path inside", "severity.publish: must be low",
	} {
		require.Contains(t, text, want)
	}
	digest := set.Digest
	require.NotEmpty(t, digest)
	set.Digest = ""
	require.Equal(t, review.DefaultSettings(), set)
	_, problems = reader().Parse([]byte("check: {incomplete: success}\nwalkthrough: {enabled: 1}\nbudget: {tokens: 0, cost: .inf, calls: 1.5}\ncontext: {sources: [all]}\ncomments: {language: en}\n"))
	require.Len(t, problems, 7)
	require.Contains(t, problems[6], "comments.language: line 5: there is no such key", "it would change nothing")
}

func TestWhatIsHostileIsRefusedWithinBounds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"too large":         {strings.Repeat("# long\n", 20_000), "larger than 64 KiB"},
		"too deep":          {strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper"},
		"far too deep":      {strings.Repeat("[", 60_000), "is no YAML"},
		"too many":          {"guidelines: [" + strings.Repeat("a,", 12_000) + "]", "more than 10000 values"},
		"an alias":          {"a: &a [1]\nb: *a\n", "anchors and aliases"},
		"a bomb":            {"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "anchors and aliases"},
		"a merge":           {"review: {<<: {drafts: true}}\n", "a key must be a word"},
		"two documents":     {"version: 1\n---\nversion: 1\n", "more than one document"},
		"a tag":             {"council: !!binary aGk=\n", "must be a text"},
		"a key twice":       {"version: 1\nversion: 1\n", "version: line 2: stands twice"},
		"a key of bytes":    {"\"\\x1b[31m@everyone\": 1\n", `"\x1b[31m@everyone": line 1: there is no such key`},
		"no YAML":           {"a: b: c", "is no YAML"},
		"a sequence":        {"- a\n", "must be a mapping"},
		"a number too long": {"budget: {tokens: 99999999999999999999}\n", "budget.tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := reader().Parse([]byte(c.content))
			require.NotEmpty(t, problems)
			require.Contains(t, problems[0], c.want)
		})
	}
}

func TestARepositoryOnlyLowersTheServersContext(t *testing.T) {
	t.Parallel()
	set, problems := reader().Parse([]byte("context: {tokens: 90000}\n"))
	require.Empty(t, problems)
	require.Equal(t, 2000, set.ContextTokens)
}

// FuzzParse: whatever stands in a file, reading it ends, says what is wrong in few words, and gives settings that are usable.
func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1\nreview: {auto: [push], ignore: {authors: ['*']}}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("instructions: [{paths: ['!**/['], text: x}]\nbudget: {cost: 1e-9}\n"))
	f.Add([]byte("? [a]\n: {b: !!int 3}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		set, problems := reader().Parse(content)
		require.LessOrEqual(t, len(problems), 20)
		for _, p := range problems {
			require.LessOrEqual(t, len(p), 310)
			require.Equal(t, strings.ToValidUTF8(p, ""), p)
		}
		_, err := set.Paths()
		require.NoError(t, err)
		require.True(t, set.PublishFrom >= finding.SeverityLow && set.FailOn >= finding.SeverityLow)
		require.True(t, set.MaxInline >= 0 && set.MaxInline <= review.MaxInline)
		again, _ := reader().Parse(content)
		require.Equal(t, set, again)
	})
}

// TestNoProblemShowsASecret: whatever is wrong is shown in the walkthrough.
func TestNoProblemShowsASecret(t *testing.T) {
	t.Parallel()
	scanner, err := secrets.New([]byte(strings.Repeat("k", 32)))
	require.NoError(t, err)
	key := "AKIA" + "Z7QFN3LWRJ2MXKVB"
	for _, text := range []string{
		key + ": 1\n", "paths:\n  my_" + key + ": 1\n", "council: [" + key + "]\n", strings.Repeat("x", 295) + "_" + key + ": 1\n",
	} {
		_, problems := repoconfig.New(repoconfig.Params{Secrets: scanner}).Parse([]byte(text))
		require.NotEmpty(t, problems, text)
		require.NotContains(t, strings.Join(problems, "\n"), key[:6], text)
	}
}
