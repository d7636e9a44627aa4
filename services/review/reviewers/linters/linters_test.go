package linters_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/reviewers/linters"
	"witan.dev/services/review/reviewers/reviewertest"
)

const (
	oldCode = "package a\n\nfunc f() {\n\told()\n}\n"
	newCode = "package a\n\nfunc f() {\n\tnow()\n\tx := 1\n\tthen(x)\n}\n"
)

// change adds lines 4 to 6 of src/a.go and everything of main.go.
func change(t *testing.T) review.Inspection {
	t.Helper()
	return reviewertest.Inspection(t, map[string]string{"src/a.go": oldCode}, map[string]string{"src/a.go": newCode, "main.go": "package main\n"}, nil)
}

const sarif = `{"version": "2.1.0", "$schema": "x", "runs": [{
  "results": [
    {"ruleId": "SA1", "message": {"text": "never used\nx is set and not read"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 5, "snippet": {"text": "x := 1"}}}}]},
    {"ruleId": "SEC", "ruleIndex": 1, "level": "note", "message": {"id": "call", "arguments": ["now"]}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "file:///ci/work/src/a.go"}, "region": {"startLine": 4, "endLine": 5, "endColumn": 1}}}]},
    {"ruleId": "STALE", "message": {"text": "the line is another one now"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"index": 0}, "region": {"startLine": 1, "snippet": {"text": "\tthen( x )"}}}}]},
    {"ruleId": "GONE", "message": {"text": "of another state"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 4, "snippet": {"text": "something(else)"}}}}]},
    {"ruleId": "OLD", "message": {"text": "not on a changed line"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 1}}}]},
    {"ruleId": "BEYOND", "message": {"text": "of a longer file"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 8, "endLine": 400}}}]},
    {"ruleId": "SUPPRESSED", "message": {"text": "x"}, "suppressions": [{"kind": "inSource"}], "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 4}}}]},
    {"ruleId": "PASS", "kind": "pass", "message": {"text": "x"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 4}}}]},
    {"ruleId": "BEFORE", "baselineState": "unchanged", "message": {"text": "x"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "src/a.go"}, "region": {"startLine": 4}}}]},
    {"ruleId": "ELSEWHERE", "message": {"text": "x"}, "locations": [{"physicalLocation": {
      "artifactLocation": {"uri": "../../etc/passwd"}, "region": {"startLine": 1}}}]}
  ],
  "artifacts": [{"location": {"uri": "src/a.go"}}, {"location": {"uri": "/ci/work/main.go"}}],
  "originalUriBaseIds": {"%SRCROOT%": {"uri": "file:///ci/work/"}},
  "tool": {"driver": {"name": "Static Check!", "rules": [
    {"id": "SA1", "defaultConfiguration": {"level": "error"}},
    {"id": "SEC", "messageStrings": {"call": {"text": "{0} is called with untrusted text"}}, "properties": {"security-severity": "9.1", "tags": ["external/cwe/cwe-89"]}}
  ]}}
}]}`

const rdjson = `{"source": {"name": "eslint", "url": "x"}, "severity": "INFO", "diagnostics": [
  {"message": "no-unused", "location": {"path": "./src/a.go", "range": {"start": {"line": 5, "column": 2}, "end": {"line": 6, "column": 1}}}, "severity": "WARNING", "code": {"value": "u/1", "url": "y"}},
  {"message": "second at that place", "location": {"path": "src/a.go", "range": {"start": {"line": 5}}}, "severity": 1, "source": {"name": "eslint"}},
  {"message": "a whole file", "location": {"path": "src/a.go"}, "severity": "ERROR"}
]}`

const rdjsonl = `{"message": "first", "location": {"path": "src/a.go", "range": {"start": {"line": 4}}}, "severity": "ERROR"}
{"message": "second", "location": {"path": "/home/me/repo/src/a.go", "range": {"start": {"line": 6}, "end": {"line": 9}}}, "severity": "INFO", "source": {"name": "other"}}
`

const checkstyle = `<?xml version="1.0" encoding="UTF-8"?>
<checkstyle version="4.3">
  <file name="C:\repo\src\a.go">
    <error line="4" column="2" severity="error" message="bad &quot;call&quot;" source="com.x.CallCheck"/>
    <error line="6" severity="ignore" message="x" source="y"/>
    <exception>text</exception>
  </file>
  <file name="C:\repo\main.go"/>
</checkstyle>`

func read(t *testing.T, title, content string) []linters.Tool {
	t.Helper()
	tools, err := linters.Read(title, []byte(content))
	require.NoError(t, err)
	return tools
}

// found are the proposals of all tools as "source rule path:start-end severity category claim | reason".
func found(t *testing.T, in review.Inspection, root string, tools []linters.Tool) []string {
	t.Helper()
	var out []string
	for _, tool := range tools {
		report, err := linters.New(tool, root).Review(t.Context(), in)
		require.NoError(t, err)
		for i := range report.Proposals {
			p := &report.Proposals[i]
			require.True(t, p.Location.InDiff)
			require.Equal(t, finding.Right, p.Location.Side)
			out = append(out, fmt.Sprintf("%s %s %s:%d-%d %s %s %s|%s", p.Source, p.Rule, p.Location.Path, p.Location.StartLine, p.Location.EndLine, p.Severity, p.Category, p.Claim, p.Reason))
		}
	}
	return out
}

func TestReportsOfEachFormatAreRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		title, content, root string
		want                 []string
	}{
		"SARIF": {"x.sarif", sarif, "", []string{
			"linter/static-check SA1 src/a.go:5-5 HIGH CORRECTNESS never used|x is set and not read",
			"linter/static-check SEC src/a.go:4-4 CRITICAL SECURITY now is called with untrusted text|",
			"linter/static-check STALE src/a.go:6-6 MEDIUM MAINTAINABILITY the line is another one now|",
		}},
		"rdjson": {"x.json", rdjson, "", []string{
			"linter/eslint unnamed src/a.go:5-5 HIGH CORRECTNESS second at that place|At the same place, u/1: no-unused",
		}},
		"rdjsonl": {"lint.rdjsonl", rdjsonl, "", []string{
			"linter/lint unnamed src/a.go:4-4 HIGH CORRECTNESS first|",
			"linter/other unnamed src/a.go:6-7 LOW MAINTAINABILITY second|",
		}},
		"checkstyle": {"dir/phpcs.checkstyle.xml", checkstyle, "", []string{
			"linter/phpcs-checkstyle CallCheck src/a.go:4-4 HIGH CORRECTNESS bad \"call\"|",
		}},
		"a root that the caller knows": {"x", `{"message": "m", "location": {"path": "/tmp/repo/main.go", "range": {"start": {"line": 1}}}}`, "/tmp/repo", []string{
			"linter/x unnamed main.go:1-1 MEDIUM MAINTAINABILITY m|",
		}},
		"no root is made of a file's name": {"x", `{"message": "m", "location": {"path": "/tmp/repo/sub/main.go", "range": {"start": {"line": 1}}}}`, "", nil},
		"byte order mark":                  {"x", "\xef\xbb\xbf" + rdjsonl, "", []string{"linter/other unnamed src/a.go:6-7 LOW MAINTAINABILITY second|", "linter/x unnamed src/a.go:4-4 HIGH CORRECTNESS first|"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ElementsMatch(t, c.want, found(t, change(t), c.root, read(t, c.title, c.content)))
		})
	}
}

func TestResultsOutsideOfTheChangeAreCounted(t *testing.T) {
	t.Parallel()
	line := func(path string, line int) string {
		return fmt.Sprintf(`{"message": "m", "location": {"path": %q, "range": {"start": {"line": %d}}}}`+"\n", path, line)
	}
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"a tool that ran in a subfolder":       {line("a.go", 4) + line("a.go", 5) + line("b.go", 1) + line("c.go", 1), []string{"mylint: 4 of 4 results name no file of this change (a.go, b.go, …)"}},
		"a path that is too long to name":      {line(strings.Repeat("a", 201), 4) + line("b.go", 4), []string{"mylint: 2 of 2 results name no file of this change (b.go, …)"}},
		"an absolute path of another checkout": {line("/ci/elsewhere.go", 4), []string{"mylint: 1 of 1 results name no file of this change (/ci/elsewhere.go, …)"}},
		"some outside of the change":           {line("src/a.go", 4) + line("src/a.go", 1) + line("b.go", 1), []string{"mylint: 2 of 3 results lie outside of this change"}},
		"all of the change":                    {line("src/a.go", 4), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := linters.New(read(t, "mylint", c.content)[0], "").Review(t.Context(), change(t))
			require.NoError(t, err)
			require.Equal(t, c.want, report.Notes)
		})
	}
}

func TestCoverageNamesTheFilesThatTheToolKnows(t *testing.T) {
	t.Parallel()
	report, err := linters.New(read(t, "x", sarif)[0], "").Review(t.Context(), change(t))
	require.NoError(t, err)
	require.Equal(t, []review.Path{"main.go", "src/a.go"}, report.Looked)
}

// TestAToolThatFailedHasReadNothing: what a report of a run that failed does not name need not be clean.
func TestAToolThatFailedHasReadNothing(t *testing.T) {
	t.Parallel()
	run := func(invocations, results string) linters.Tool {
		return read(t, "x", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}},"results":[`+results+`],"invocations":`+invocations+`}]}`)[0]
	}
	const problem = `{"ruleId":"R","message":{"text":"m"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"src/a.go"},"region":{"startLine":4}}}]}`
	for _, failed := range []string{
		`[{"executionSuccessful":false}]`, `[{"executionSuccessful":true},{"executionSuccessful":false,"exitCode":1}]`,
		`[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"note"},{"level":"error","message":{"text":"crashed"}}]}]`,
	} {
		_, err := linters.New(run(failed, ""), "").Review(t.Context(), change(t))
		require.ErrorIs(t, err, linters.ErrFailed, failed)
		report, err := linters.New(run(failed, problem), "").Review(t.Context(), change(t))
		require.NoError(t, err)
		require.Len(t, report.Proposals, 1, "what it did find is kept")
		require.Equal(t, []review.Reason{finding.ReasonReviewerFailed}, report.Limits["src/a.go"])
		require.Equal(t, []review.Reason{finding.ReasonReviewerFailed}, report.Limits["main.go"], "it may not have come to it")
	}
	for _, fine := range []string{`[]`, `[{}]`, `[{"executionSuccessful":true,"toolExecutionNotifications":[{"level":"warning"}]}]`} {
		report, err := linters.New(run(fine, problem), "").Review(t.Context(), change(t))
		require.NoError(t, err)
		require.Empty(t, report.Limits, fine)
	}
	both := linters.Join([]linters.Tool{run(`[{"executionSuccessful":false}]`, "")}, run(`[]`, ""))
	_, err := linters.New(both[0], "").Review(t.Context(), change(t))
	require.ErrorIs(t, err, linters.ErrFailed)
}

func TestReportsThatCannotBeReadAreRefused(t *testing.T) {
	t.Parallel()
	bomb := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><checkstyle><file name="&lol2;"/></checkstyle>`
	for name, content := range map[string]string{
		"empty": " \n", "neither": "hello", "JSON array": "[]", "other JSON": `{"a": 1}`, "half": sarif[:len(sarif)/2], "two kinds": `{"runs": [], "diagnostics": []}`,
		"SARIF 2.0": `{"version": "2.0.0", "runs": []}`, "two logs": `{"version":"2.1.0","runs":[]}{"version":"2.1.0","runs":[]}`, "runs is no array": `{"runs": 1}`,
		"entity bomb": bomb, "external entity": `<!DOCTYPE x SYSTEM "file:///etc/passwd"><checkstyle/>`, "unknown entity": `<checkstyle><file name="&x;"/></checkstyle>`,
		"other XML": "<html></html>", "open element": "<checkstyle><file>", "closed twice": "<checkstyle></checkstyle></checkstyle>",
		"deep XML": "<checkstyle>" + strings.Repeat("<a>", 100), "deep JSON": `{"x":` + strings.Repeat("[", 20_000), "other encoding": `<?xml version="1.0" encoding="UTF-16"?><checkstyle/>`,
	} {
		_, err := linters.Read(name, []byte(content))
		require.ErrorIs(t, err, linters.ErrMalformed, name)
	}
}

func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	var names strings.Builder
	for i := range linters.MaxTools + 1 {
		fmt.Fprintf(&names, `{"message":"x","source":{"name":"t%d"}}`+"\n", i)
	}
	for name, content := range map[string]string{
		"bytes": strings.Repeat(" ", linters.MaxReport+1), "results": `{"version":"2.1.0","runs":[{"results":[` + strings.Repeat("{},", linters.MaxResults) + `{}]}]}`,
		"diagnostics": `{"diagnostics":[` + strings.Repeat("{},", linters.MaxResults) + `{}]}`, "lines": strings.Repeat(`{"message":"x"}`, linters.MaxResults+1),
		"artifacts": `{"version":"2.1.0","runs":[{"artifacts":[` + strings.Repeat("{},", linters.MaxResults) + `{}]}]}`, "tools": names.String(),
		"elements": "<checkstyle><file>" + strings.Repeat("<error/>", linters.MaxResults+1) + "</file></checkstyle>",
	} {
		_, err := linters.Read(name, []byte(content))
		require.ErrorIs(t, err, linters.ErrTooLarge, name)
	}
	tools, err := linters.Collect(nil, "a", []byte(rdjsonl))
	require.NoError(t, err)
	require.Len(t, tools, 2)
	for i := range linters.MaxTools - 2 {
		tools, err = linters.Collect(tools, "b", fmt.Appendf(nil, `{"message":"x","source":{"name":"t%d"}}`, i))
		require.NoError(t, err)
	}
	_, err = linters.Collect(tools, "b", []byte(`{"message":"x","source":{"name":"one more"}}`))
	require.ErrorIs(t, err, linters.ErrTooLarge)
}

func TestOneToolProposesAHundredAtMostAndSaysSo(t *testing.T) {
	t.Parallel()
	in := reviewertest.Inspection(t, nil, map[string]string{"a.txt": strings.Repeat("x\n", 200)}, nil)
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, `{"message":"m","location":{"path":"a.txt","range":{"start":{"line":%d}}}}`+"\n", i+1)
	}
	report, err := linters.New(read(t, "many", lines.String())[0], "").Review(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, report.Proposals, 100)
	require.Equal(t, []review.Reason{finding.ReasonBudget}, report.Limits["a.txt"])
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{sarif, rdjson, rdjsonl, checkstyle, `{"runs":[{"results":[{"ruleIndex":-1,"locations":[{"physicalLocation":{"artifactLocation":{"index":-1,"uriBaseId":"a"},"region":{"startLine":-5,"endLine":9223372036854775807}}}]}],"originalUriBaseIds":{"a":{"uriBaseId":"a","uri":"%zz"}}}],"version":"2.1.0"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		tools, err := linters.Read("x", []byte(content))
		if err != nil {
			return
		}
		for _, source := range found(t, change(t), "/repo", tools) {
			require.True(t, strings.HasPrefix(source, "linter/"))
		}
	})
}
