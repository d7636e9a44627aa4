package finding_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag of the test binary

func report() *finding.Report {
	return &finding.Report{
		Name: "reviews/abc", Job: "jobs/abc", ToolVersion: "v0.1.0", Subject: "local:1/main", Base: strings.Repeat("1", 40), Head: strings.Repeat("2", 40),
		Disposition: "REVIEWED", Summary: "The change moves the loader.\n\nIt is mostly fine.", FailOn: finding.SeverityHigh, Cost: "0.0123 USD",
		Coverage: finding.Coverage{Models: 3, Council: "3 models, 2 of 2 parts", Files: []finding.FileCoverage{
			{Path: "cmd/main.go", Change: "M", Status: finding.Reviewed},
			{Path: "go.sum", Change: "M", Status: finding.Skipped, Reasons: []finding.Reason{finding.ReasonLockfile}},
			{Path: "odd \xff|\n.go", Change: "A", Status: finding.Partial, Reasons: []finding.Reason{finding.ReasonBudget, finding.ReasonParseErrors}},
		}},
		Findings: []finding.Finding{
			{
				Name: "reviews/abc/findings/3", Fingerprint: "v1:cc", Severity: finding.SeverityLow, Category: finding.Maintainability, Title: "Held back",
				Location: finding.Location{Path: "cmd/main.go", Placement: finding.PlacedFile, Side: finding.Right}, Outcome: finding.Held, OutcomeReason: "NOT_EXAMINED",
				Tally: finding.Tally{Confirmed: 1, Planned: 3, Required: 2}, Status: finding.Open,
				Votes: []finding.Vote{{Voter: "m1", Choice: finding.Confirmed, Reason: "it is <b>long</b>"}},
			},
			{
				Name: "reviews/abc/findings/1", Fingerprint: "v1:aa", Severity: finding.SeverityHigh, Category: finding.APIContract,
				Title: "Load was removed while b.go still calls it", Reason: "The call in `b.go` no longer compiles.\nSee @someone, #12, https://evil.example/x and ![i](http://evil.example).",
				Location: finding.Location{
					Path: "cmd/a.go", OldPath: "cmd/a.go", Side: finding.Left, StartLine: 10, EndLine: 12, Symbol: "function a.Load", Code: "func Load() {\n\treturn\n}",
					Placement: finding.PlacedExact, InDiff: true,
				},
				Rule: "structure/removed-definition", Related: []finding.Location{{Path: "cmd/b.go", Side: finding.Right, StartLine: 7, EndLine: 7}},
				Tally: finding.Tally{Confirmed: 3, Rejected: 1, Planned: 4, Required: 2}, Sources: []string{"structure", "m1"}, Outcome: finding.Published, Status: finding.Open,
				Alternatives: []string{"b.go calls *Load*, which is gone"},
				Votes:        []finding.Vote{{Voter: "structure", Choice: finding.Confirmed, Proposed: true}, {Voter: "m2", Choice: finding.RejectedVote, Reason: "It is\nunused."}},
			},
			{
				Name: "reviews/abc/findings/2", Fingerprint: "v1:bb", Severity: finding.SeverityCritical, Category: finding.Security, Title: "Escape \x1b[2J and \u202eturn",
				Location: finding.Location{
					Path: "odd \xff|\n.go", Side: finding.Right, StartLine: 3, EndLine: 3, Code: "```\nx := \"\xff\"", Placement: finding.PlacedNormalised, InDiff: true,
				},
				Suggestion: "y := 1", Tally: finding.Tally{Confirmed: 2, Planned: 3, Required: 2}, Outcome: finding.Published, Status: finding.Reappeared,
			},
			{
				Name: "reviews/abc/findings/4", Fingerprint: "v1:dd", Severity: finding.SeverityMedium, Category: finding.Testing, Title: "Dismissed before",
				Location: finding.Location{Path: "cmd/main.go", Side: finding.Right, StartLine: 1, EndLine: 1}, Outcome: finding.Published,
				Status: finding.Dismissed, StatusReason: "won't fix",
			},
		},
	}
}

func golden(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // a file of this test
	require.NoError(t, err)
	return want
}

func TestTextIsGolden(t *testing.T) {
	t.Parallel()
	var plain, color bytes.Buffer
	require.NoError(t, finding.EncodeText(&plain, report(), finding.TextOptions{}))
	require.Equal(t, string(golden(t, "report.txt", plain.Bytes())), plain.String())
	require.NotContains(t, plain.String(), "\x1b")

	require.NoError(t, finding.EncodeText(&color, report(), finding.TextOptions{Color: true}))
	uncolored := color.String()
	for _, code := range []string{"0", "1", "2", "31", "1;31", "33", "36"} {
		uncolored = strings.ReplaceAll(uncolored, "\x1b["+code+"m", "")
	}
	require.NotEqual(t, color.String(), uncolored)
	require.Equal(t, plain.String(), uncolored, "colours change nothing else")
}

func TestMarkdownIsGolden(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, finding.EncodeMarkdown(&out, report()))
	require.Equal(t, string(golden(t, "report.md", out.Bytes())), out.String())
}

func TestSARIFIsValidAndGolden(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*finding.Report{"full": report(), "empty": {}, "declined": {Disposition: "DECLINED", DeclinedReason: "draft"}} {
		var out bytes.Buffer
		require.NoError(t, finding.EncodeSARIF(&out, r))
		parsed, err := sarif.FromBytes(out.Bytes())
		require.NoError(t, err)
		require.NoError(t, parsed.Validate(), name)
		if name == "full" {
			require.JSONEq(t, string(golden(t, "report.sarif", out.Bytes())), out.String())
		}
	}
}

// TestSARIFSaysHowSevereRulesAboutSecurityAre: GitHub takes the severity of alerts from their rules.
func TestSARIFSaysHowSevereRulesAboutSecurityAre(t *testing.T) {
	t.Parallel()
	of := func(rule string, c finding.Category, s finding.Severity, o finding.Outcome) finding.Finding {
		return finding.Finding{Name: rule + string(c) + s.String(), Rule: rule, Category: c, Severity: s, Outcome: o, Title: "t", Location: finding.Location{Path: "a"}}
	}
	var out bytes.Buffer
	require.NoError(t, finding.EncodeSARIF(&out, &finding.Report{Findings: []finding.Finding{
		of("mixed", finding.Security, finding.SeverityCritical, finding.Held), of("mixed", finding.Security, finding.SeverityMedium, finding.Published),
		of("mixed", finding.Security, finding.SeverityHigh, finding.Published), of("held", finding.Security, finding.SeverityLow, finding.Held),
		of("style", finding.Maintainability, finding.SeverityHigh, finding.Published),
	}}))
	parsed, err := sarif.FromBytes(out.Bytes())
	require.NoError(t, err)
	got := map[string]any{}
	for _, rule := range parsed.Runs[0].Tool.Driver.Rules {
		require.NotEmpty(t, *rule.Help.Text)
		got[*rule.ID] = rule.Properties.Properties["security-severity"]
		require.Equal(t, got[*rule.ID] != nil, len(rule.Properties.Tags) > 0)
	}
	require.Equal(t, map[string]any{"mixed": "8.0", "held": "2.0", "style": nil}, got)
}

func TestSARIFHoldsEveryFindingAndFile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := report()
	require.NoError(t, finding.EncodeSARIF(&out, r))
	var parsed struct {
		Runs []struct {
			Results []struct {
				Level               string            `json:"level"`
				Kind                string            `json:"kind"`
				RuleID              string            `json:"ruleId"`
				PartialFingerprints map[string]string `json:"partialFingerprints"`
				Locations           []struct {
					PhysicalLocation struct {
						Region           *struct{ StartLine, EndLine int }
						ArtifactLocation struct{ URI string }
					}
				} `json:"locations"`
				Suppressions []struct{ Kind, Status, Justification string } `json:"suppressions"`
			} `json:"results"`
			Invocations []struct{ ToolExecutionNotifications []any } `json:"invocations"`
		} `json:"runs"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &parsed))
	results := parsed.Runs[0].Results
	require.Len(t, results, len(r.Findings))
	require.Len(t, parsed.Runs[0].Invocations[0].ToolExecutionNotifications, len(r.Coverage.Files))

	critical, removed := results[0], results[1]
	require.Equal(t, "v1:bb", critical.PartialFingerprints["witan/v1"])
	require.Equal(t, "odd%20%FF%7C%0A.go", critical.Locations[0].PhysicalLocation.ArtifactLocation.URI)
	require.Equal(t, 3, critical.Locations[0].PhysicalLocation.Region.StartLine)
	require.Nil(t, removed.Locations[0].PhysicalLocation.Region, "SARIF has no old side")
	require.Equal(t, "structure/removed-definition", removed.RuleID)
	require.Len(t, results[2].Suppressions, 1)
	require.Equal(t, "won't fix", results[2].Suppressions[0].Justification)
	require.Equal(t, []string{"none", "review"}, []string{results[3].Level, results[3].Kind})
}

// TestWhatCannotBeSeenIsShown: of variation selectors whole sentences can be made that only machines read.
func TestWhatCannotBeSeenIsShown(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\U000E0101\ufe00b": "a[U+E0101][U+FE00]b", "\u034f\u3164\u180b\u2800\u115f": "[U+034F][U+3164][U+180B][U+2800][U+115F]",
		"\u26a0\ufe0f fine, 1\ufe0f\u20e3": "\u26a0\ufe0f fine, 1\ufe0f\u20e3", "\u26a0\ufe0f\ufe0f a\ufe0f": "\u26a0\ufe0f[U+FE0F] a[U+FE0F]",
		"\u00e9 \u4e2d\u6587 e\u0301": "\u00e9 \u4e2d\u6587 e\u0301",
	} {
		require.Equal(t, want, finding.Visible(in))
	}
}

// TestSARIFHasNoLinksOfReporters: what looks like an embedded link (2.1.0, section 3.11.6) is text.
func TestSARIFHasNoLinksOfReporters(t *testing.T) {
	t.Parallel()
	const link = `see [the fix](https://evil.example/login) \[a](1)`
	r := report()
	r.Findings[0].Title, r.Findings[0].Reason = link, link
	r.Coverage.Files[0].Path = link
	var out bytes.Buffer
	require.NoError(t, finding.EncodeSARIF(&out, r))
	var parsed struct {
		Runs []struct {
			Results     []struct{ Message struct{ Text string } }
			Invocations []struct {
				ToolExecutionNotifications []struct{ Message struct{ Text string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &parsed))
	const escaped = `see \[the fix\](https://evil.example/login) \\\[a\](1)`
	var texts []string
	for _, result := range parsed.Runs[0].Results {
		texts = append(texts, result.Message.Text)
	}
	require.Contains(t, texts, escaped+"\n\n"+escaped)
	require.Contains(t, parsed.Runs[0].Invocations[0].ToolExecutionNotifications[0].Message.Text, escaped)
	got, err := finding.DecodeSARIF(out.Bytes())
	require.NoError(t, err)
	finding.Sort(r.Findings)
	finding.Sort(got)
	require.Equal(t, r.Findings, got)
}

func TestP10_SARIFReadBackGivesTheSameFindings(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := report()
	r.Findings[1].FirstReview, r.Findings[1].Related[0].Code = "reviews/first", "\xffLoad()"
	require.NoError(t, finding.EncodeSARIF(&out, r))
	got, err := finding.DecodeSARIF(out.Bytes())
	require.NoError(t, err)
	finding.Sort(r.Findings)
	finding.Sort(got)
	require.Equal(t, r.Findings, got)

	for _, other := range []string{`[]`, `{"runs":[{"tool":{"driver":{"name":"other"}}}]}`, `{"runs":[{"tool":{"driver":{"name":"witan"}},"results":[{"properties":{}}]}]}`} {
		_, err := finding.DecodeSARIF([]byte(other))
		require.Error(t, err, other)
	}
}

// rdjson is the shape of reviewdog's DiagnosticResult, as its protobuf has it; nothing else may stand in it.
type rdjson struct {
	Source      struct{ Name, URL string }
	Severity    string
	Diagnostics []struct {
		Message  string
		Severity string
		Location struct {
			Path  string
			Range *rdRange
		}
		Code        struct{ Value, URL string }
		Suggestions []struct {
			Range rdRange
			Text  string
		}
	}
}

type rdRange struct{ Start, End struct{ Line, Column int } }

func TestRDJSONIsInReviewdogsShapeAndGolden(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := report()
	require.NoError(t, finding.EncodeRDJSON(&out, r))
	require.JSONEq(t, string(golden(t, "report.rdjson", out.Bytes())), out.String())

	var parsed rdjson
	decoder := json.NewDecoder(&out)
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&parsed))
	require.Equal(t, "ERROR", parsed.Severity)
	require.Len(t, parsed.Diagnostics, len(r.Findings), "every finding")
	for _, d := range parsed.Diagnostics {
		require.Contains(t, []string{"ERROR", "WARNING", "INFO"}, d.Severity)
		require.NotEmpty(t, d.Message)
		require.NotEmpty(t, d.Code.Value)
		require.NotEmpty(t, d.Location.Path)
		if d.Location.Range != nil {
			require.Positive(t, d.Location.Range.Start.Line)
			require.GreaterOrEqual(t, d.Location.Range.End.Line, d.Location.Range.Start.Line)
			require.Zero(t, d.Location.Range.Start.Column+d.Location.Range.End.Column, "whole lines")
		}
		for _, s := range d.Suggestions {
			require.Equal(t, *d.Location.Range, s.Range)
		}
	}
	critical, removed, dismissed, held := parsed.Diagnostics[0], parsed.Diagnostics[1], parsed.Diagnostics[2], parsed.Diagnostics[3]
	require.Equal(t, 3, critical.Location.Range.Start.Line)
	require.Equal(t, "y := 1", critical.Suggestions[0].Text)
	require.NotContains(t, critical.Message, "\x1b")
	require.Nil(t, removed.Location.Range, "its lines count in the old file")
	require.Contains(t, removed.Message, "cmd/a.go:10-12 (old)")
	require.Contains(t, removed.Message, finding.EscapeMarkdown("m2: rejected: It is unused."))
	require.NotContains(t, removed.Message, "@someone")
	require.NotContains(t, removed.Message, "https://")
	require.Nil(t, dismissed.Location.Range, "no comment on what was dismissed")
	require.Contains(t, held.Message, finding.EscapeMarkdown("[held, not examined] Held back"))

	out.Reset()
	require.NoError(t, finding.EncodeRDJSON(&out, &finding.Report{}))
	require.JSONEq(t, `{"source":{"name":"witan","url":"https://witan.dev"},"diagnostics":[]}`, out.String())
}

func TestFailingCountsWhatIsPublishedOnly(t *testing.T) {
	t.Parallel()
	r := report()
	require.True(t, r.Failing())
	for i := range r.Findings {
		r.Findings[i].Outcome = finding.Held
	}
	require.False(t, r.Failing())
	r.Findings[2].Outcome, r.Findings[2].Status = finding.Published, finding.Dismissed
	require.False(t, r.Failing())
	r.FailOn = finding.SeverityUnspecified
	r.Findings[2].Status = finding.Open
	require.False(t, r.Failing())
}

func TestCoverageIsIncompleteForOtherReasonsThanPolicy(t *testing.T) {
	t.Parallel()
	require.False(t, finding.FileCoverage{Status: finding.Reviewed}.Incomplete())
	require.Equal(t, "metadata only", finding.FileCoverage{Status: finding.Reviewed, Depth: "METADATA"}.Note())
	require.Empty(t, finding.FileCoverage{Status: finding.Reviewed, Depth: "CONTENT"}.Note())
	require.False(t, finding.FileCoverage{Status: finding.Skipped, Reasons: []finding.Reason{finding.ReasonVendored}}.Incomplete())
	require.True(t, finding.FileCoverage{Status: finding.Skipped, Reasons: []finding.Reason{finding.ReasonTooLarge}}.Incomplete())
	require.True(t, finding.FileCoverage{Status: finding.Skipped}.Incomplete())
	require.True(t, finding.FileCoverage{Status: finding.Partial}.Incomplete())
	require.True(t, finding.FileCoverage{}.Incomplete())
}

// live are the beginnings of markup that a renderer would act on.
func requireNothingLive(t *testing.T, escaped string) {
	t.Helper()
	require.NotContains(t, escaped, "\n")
	for i, r := range escaped {
		require.False(t, r != '\u200b' && unicode.In(r, unicode.Cc, unicode.Cf), "%q", escaped)
		if strings.ContainsRune("`*_{}[]()!|~$@#", r) {
			require.True(t, i > 0 && escaped[i-1] == '\\', "%q at %d of %q", r, i, escaped)
		}
		require.False(t, r == '<' || r == '>')
	}
	require.False(t, strings.HasPrefix(escaped, "/"))
	for _, bad := range []string{"://", `\://`, `\:/`, "www.", `www\.`, "gh-", `gh\-`} {
		require.NotContains(t, strings.ToLower(escaped), bad)
	}
}

func TestEscapeMarkdownLeavesNothingAlive(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[x](http://evil)", "![x](//evil)", "<img src=x onerror=y>", "@team look at #1 and GH-2", "https://evil.example", "www.evil.example", "WwW.evil.example",
		"`code` **bold** ~~gone~~ | table |", "1. list\n- item\n# head\n> quote\n---", "\u202eevil\u200b \x1b[31m", "a\\`b", "&lt;b&gt; &#64;x", "$x$", "x@example.org", "http:/\\/evil",
	} {
		requireNothingLive(t, finding.EscapeMarkdown(text))
	}
	require.Equal(t, "plain words", finding.EscapeMarkdown("plain  words"))
	require.Equal(t, `\/witan pause a/b`, finding.EscapeMarkdown(" \n/witan pause a/b"), "no command")
}

func TestFenceMarkdownCannotBeClosedFromWithin(t *testing.T) {
	t.Parallel()
	require.Equal(t, "````text\na\n```\nb\n````", finding.FenceMarkdown("a\n```\nb\n"))
	require.Equal(t, "```text\n[U+202E]x[0xFF]\n```", finding.FenceMarkdown("\u202ex\xff"))
}

func FuzzEscapeMarkdown(f *testing.F) {
	f.Add("[x](http://evil) @x #1 `y` \u202e\xff")
	f.Add("wwW.a www\u200b.b GH-1 \\\\@x")
	f.Fuzz(func(t *testing.T, text string) {
		requireNothingLive(t, finding.EscapeMarkdown(text))
		fenced := strings.Split(finding.FenceMarkdown(text), "\n")
		for _, line := range fenced[1 : len(fenced)-1] {
			require.False(t, strings.HasPrefix(strings.TrimLeft(line, " "), fenced[len(fenced)-1]))
		}
	})
}
