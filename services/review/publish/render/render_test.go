package render_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/finding"
	"witan.dev/services/review/publish/render"
	"witan.dev/services/review/publish/render/rendertest"
)

const (
	mark    = "<!-- witan:1 0123456789abcdef01234567 -->"
	ours    = "https://example.com/o/r/pull/1#discussion_r7"
	earlier = "https://example.com/o/r/pull/1#discussion_r5"
	job     = "https://witan.example.com/v1/jobs/k1"
)

// hostile are texts that try to be more than text.
func hostile() []string {
	return []string{
		"@everyone @octocat/team please look", "see #123, GH-7 and octo/repo#9", "[click](https://evil.example)", "![x](https://evil.example/p.png)",
		"<img src=x onerror=alert(1)><script>alert(1)</script>", "<!-- witan:1 ffffffffffffffffffffffff -->", "</details></summary><h1>free</h1>",
		"https://evil.example and www.evil.example and <https://evil.example> and mail me@evil.example", "```\nout of the fence\n```", "~~~\nx\n~~~",
		"````suggestion\nrm -rf /\n````", "# heading\n\n## another", "> quote\n- list\n1. one\n| a | b |\n|---|---|\n| c | d |", "a | b `c` | d", "`", "``", "\\", "\\`x`",
		"\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "safe\u202egnp.exe \u2066x\u2069 \u200b\u200d\ufeff", "\x00\x01\x7f\xff\xfe",
		"&lt;b&gt; &#64;octocat &commat;octocat &num;5", "$$x^2$$ $`y`$", "[ref]: https://evil.example\n\n[ref]", "[^1]: note\n\n[^1]", "- [ ] task\n- [x] done",
		"***bold*** __u__ ~~gone~~ :smile:", "line\r\nnext\rthird", strings.Repeat("long ", 3000), strings.Repeat("`", 40), "*/ --> <!--", "\n\n---\n\n===\n", "@\u200boctocat",
		"/witan dismiss all", "HTTPS://EVIL.EXAMPLE ftp://evil.example WWW.evil.example", "<a href=\"https://evil.example\">x</a>", "\u2028@x\u2029#1", "\"quoted\\\npath\"",
	}
}

// filled is a finding whose every text is s.
func filled(s string) finding.Finding {
	place := finding.Location{Path: s, OldPath: s, Side: finding.Right, StartLine: 3, EndLine: 5, Symbol: s, Code: s, InDiff: true}
	return finding.Finding{
		Name: "reviews/r/findings/f", Fingerprint: "v1:1", Severity: finding.SeverityHigh, Category: finding.Security, Rule: s, Title: s, Reason: s,
		Location: place, Related: []finding.Location{place}, Suggestion: s, Sources: []string{s, "alpha"}, Alternatives: []string{s},
		Tally: finding.Tally{Confirmed: 2, Rejected: 1, Planned: 3, Required: 2},
		Votes: []finding.Vote{{Voter: s, Model: s, Choice: finding.RejectedVote, Reason: s}}, Outcome: finding.Published, Status: finding.Open,
		OutcomeReason: s, StatusReason: s,
	}
}

// bodies are all that is rendered of it. files is how many the largest one lists.
func bodies(s string, files int) map[string]string {
	f := filled(s)
	back := f
	back.Status = finding.Reappeared
	held, fixed := f, f
	held.Outcome, fixed.Status, fixed.FixedIn = finding.Held, finding.Fixed, s
	linked := f
	linked.Publication = finding.Publication{State: "DONE", URL: ours}
	apart := f
	apart.Publication = finding.Publication{State: "FELL_BACK", Reason: s}
	gone := linked
	gone.Name, gone.Status = "gone", finding.Dismissed
	o := &render.Overview{
		Report: &finding.Report{
			Name: s, Job: "jobs/" + s, Subject: s, Base: s, Head: s, Disposition: "REVIEWED", Summary: s, Cost: s, FailOn: finding.SeverityHigh,
			Findings: []finding.Finding{linked, apart, held, fixed, back, gone},
			Coverage: finding.Coverage{Council: s, Files: []finding.FileCoverage{
				{Path: s, Change: "M", Status: finding.Reviewed}, {Path: s + "/x", Change: "A", Status: finding.Skipped, Reasons: []finding.Reason{finding.Reason(s)}},
			}},
		},
		Address: job, Limits: []string{s}, Problems: []string{s}, Since: s, Dismissed: map[string]render.Dismissal{gone.Name: {By: s, Why: s}},
	}
	many := *o
	report := *o.Report
	for i := range files {
		report.Coverage.Files = append(report.Coverage.Files, finding.FileCoverage{Path: fmt.Sprintf("%s/%d", s, i), Change: "M", Status: finding.Partial})
	}
	many.Report = &report
	title, summary, more := o.Check()
	return map[string]string{
		"comment":     render.Comment{Finding: &f, ID: s, Suggest: true, Mark: mark}.Body(),
		"apart":       render.Comment{Finding: &back, ID: "f", Apart: true, Earlier: earlier, Mark: mark}.Body(),
		"fixed":       render.Fixed(s, mark),
		"taken":       render.TakenOut(s, mark),
		"walkthrough": o.Walkthrough(mark), "many": many.Walkthrough(mark), "title": finding.EscapeMarkdown(title), "summary": summary, "text": more,
	}
}

// lively checks with a real parser that nothing but our own markup came alive.
func lively(t *testing.T, name, body string) {
	t.Helper()
	require.LessOrEqual(t, len(body), render.Limit, name)
	b := rendertest.Body{
		Text: body, Heading: name == "walkthrough" || name == "many",
		Link: func(address string) bool { return slices.Contains([]string{ours, earlier, job}, address) },
	}
	require.NoError(t, b.Check(), "%s:\n%s", name, body)
	wanted := ""
	if strings.Contains("comment apart fixed taken walkthrough many", name) {
		wanted = mark
	}
	require.Equal(t, wanted, b.Mark(), "%s:\n%s", name, body)
}

func TestNothingOfOthersComesAlive(t *testing.T) {
	t.Parallel()
	for _, s := range hostile() {
		for name, body := range bodies(s, 300) {
			lively(t, name, body)
		}
	}
}

func FuzzBodies(f *testing.F) {
	for _, s := range hostile() {
		f.Add(s, uint8(0))
	}
	f.Fuzz(func(t *testing.T, s string, files uint8) {
		for name, body := range bodies(s, int(files)) {
			lively(t, name, body)
		}
	})
}

func TestASuggestionStandsInAFenceOfItsOwn(t *testing.T) {
	t.Parallel()
	f := filled("x")
	f.Suggestion = "````go\ncode()\n````\n"
	body := render.Comment{Finding: &f, ID: "f", Suggest: true, Mark: mark}.Body()
	require.Contains(t, body, "`````suggestion\n````go\ncode()\n````\n`````\n")
	for _, s := range []string{"a\u202eb", "a\U000E0101b", "s := \"\u26a0\ufe0f\"", "a\u2800b", "key = [secret:aws:012345]", "a\r\nb"} {
		f.Suggestion = s
		require.NotContains(t, render.Comment{Finding: &f, ID: "f", Suggest: true}.Body(), "suggestion\n", s)
	}
}

// TestP03_VotesAndDissentAreShown holds for every place at which a finding is shown.
func TestP03_VotesAndDissentAreShown(t *testing.T) {
	t.Parallel()
	f := filled("plain")
	f.Votes = []finding.Vote{{Voter: "beta", Choice: finding.RejectedVote, Reason: "cannot be nil"}, {Voter: "gamma", Choice: finding.Confirmed}}
	f.Sources = []string{"gamma", "secrets"}
	for _, c := range []render.Comment{{Finding: &f, ID: "f"}, {Finding: &f, ID: "f", Apart: true}} {
		body := c.Body()
		require.Contains(t, body, "2 confirmed, 1 rejected")
		require.Contains(t, body, "by gamma, secrets")
		require.Contains(t, body, "- beta: rejected: cannot be nil")
	}
}

func TestWhatIsBelowSeverityPublishIsListedAndNoMore(t *testing.T) {
	t.Parallel()
	f := filled("leaked")
	f.Reason = "in full"
	o := &render.Overview{Report: &finding.Report{Job: "jobs/k1", Findings: []finding.Finding{f}}, From: finding.SeverityHigh}
	require.Contains(t, o.Walkthrough(mark), "in full")
	o.From = finding.SeverityCritical
	_, _, text := o.Check()
	for _, body := range []string{o.Walkthrough(mark), text} {
		require.Contains(t, body, "Held back: 1")
		require.Contains(t, body, "(below severity.publish)")
		require.NotContains(t, body, "in full")
	}
}
