package finding

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"

	"witan.dev/internal/diff"
)

// gap is a character without width that breaks words which renderers link by themselves.
const gap = "\u200b"

// bare are addresses and references that need no markup to come alive: http://…, www.…, GH-1.
var bare = regexp.MustCompile(`(?i)(:)(\\?/)|(www)(\\?\.)|(gh)(\\?-)`)

func breakBare(text string) string {
	return bare.ReplaceAllString(text, "${1}${3}${5}"+gap+"${2}${4}${6}")
}

// EscapeMarkdown returns text that any markdown renderer shows as it is: no markup, HTML, links, images, mentions,
// references or formulas come alive in it. Line breaks become blanks. It does not begin with a slash, so that no program
// takes it for a command where it stands at the start of a line.
func EscapeMarkdown(text string) string {
	var b strings.Builder
	for _, r := range oneLine(text) {
		switch r {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '@', '#':
			b.WriteString("\\" + string(r) + gap)
		case '/':
			if b.Len() == 0 {
				b.WriteByte('\\')
			}
			b.WriteByte('/')
		case '\\', '`', '*', '_', '{', '}', '[', ']', '(', ')', '+', '-', '.', '!', '|', '~', '=', '$', '^', '"', '\'', ':':
			b.WriteString("\\" + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return breakBare(b.String())
}

// EscapeHTML is the same for places where markdown is not read, such as a summary.
func EscapeHTML(text string) string {
	escaped := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "@", "@"+gap, "#", "#"+gap).Replace(oneLine(text))
	return breakBare(escaped)
}

// FenceMarkdown returns code in a fence that nothing inside can close. Hidden characters are written as code points.
func FenceMarkdown(code string) string {
	code = strings.TrimRight(Visible(code), "\n")
	fence := "```"
	for strings.Contains(code, fence) {
		fence += "`"
	}
	return fence + "text\n" + code + "\n" + fence
}

// CodeSpan is inline code; what cannot stand in one is escaped instead.
func CodeSpan(text string) string {
	text = oneLine(text)
	if text == "" || strings.ContainsAny(text, "`|") {
		return EscapeMarkdown(text)
	}
	return "`" + text + "`"
}

// EncodeMarkdown writes the report as markdown that is safe to post anywhere: everything that people, models or
// repositories wrote is escaped.
func EncodeMarkdown(w io.Writer, r *Report) error {
	m := &markdownWriter{w: bufio.NewWriter(w)}
	m.line("## Witan review: %s\n", EscapeMarkdown(VerdictLine(r)))
	if r.Summary != "" {
		m.paragraphs(shown(r.Summary, maxReason))
	}
	acted, others := ordered(r)
	for _, f := range acted {
		m.finding(f)
	}
	m.others(others)
	m.coverage(r.Coverage)
	for _, note := range r.Notes {
		m.line("- %s", EscapeMarkdown(oneLine(shown(note, maxReason))))
	}
	m.closing(r)
	return m.w.Flush()
}

type markdownWriter struct{ w *bufio.Writer }

// line writes one line. A failed write shows at the end, in Flush.
func (m *markdownWriter) line(format string, args ...any) {
	_, _ = fmt.Fprintf(m.w, format+"\n", args...)
}

func (m *markdownWriter) paragraphs(text string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if escaped := EscapeMarkdown(paragraph); escaped != "" {
			m.line("%s\n", escaped)
		}
	}
}

func (m *markdownWriter) finding(f *Finding) {
	m.line("### %s: %s\n", f.Severity, EscapeMarkdown(shown(f.Title, maxTitle)))
	where := CodeSpan(Place(f.Location))
	if f.Location.Symbol != "" {
		where += " in " + CodeSpan(f.Location.Symbol)
	}
	m.line("%s (%s)\n", where, strings.ToLower(strings.ReplaceAll(string(f.Category), "_", " ")))
	if f.Location.Code != "" {
		m.line("%s\n", FenceMarkdown(f.Location.Code))
	}
	m.paragraphs(shown(f.Reason, maxReason))
	for _, other := range f.Alternatives {
		m.line("- also: %s", EscapeMarkdown(shown(other, maxTitle)))
	}
	for _, l := range f.Related {
		m.line("- see %s", CodeSpan(Place(l)))
	}
	if len(f.Related)+len(f.Alternatives) > 0 {
		m.line("")
	}
	if f.Suggestion != "" {
		m.line("Suggested instead:\n\n%s\n", FenceMarkdown(f.Suggestion))
	}
	m.votes(f)
}

func (m *markdownWriter) votes(f *Finding) {
	line := VotesLine(f.Tally)
	if len(f.Sources) > 0 {
		line = strings.TrimPrefix(line+"; by "+strings.Join(f.Sources, ", "), "; ")
	}
	if line != "" {
		m.line("*%s*\n", EscapeMarkdown(line))
	}
	against := Dissent(f)
	for _, v := range against {
		m.line("- %s: %s: %s", EscapeMarkdown(v.Voter), strings.ToLower(v.Choice.String()), EscapeMarkdown(shown(v.Reason, maxVoteReason)))
	}
	if len(against) > 0 {
		m.line("")
	}
}

func (m *markdownWriter) others(list []*Finding) {
	if len(list) == 0 {
		return
	}
	m.line("<details><summary>Not published: %d</summary>\n", len(list))
	for _, f := range list {
		notes := strings.TrimSuffix(fate(f)+"; "+VotesLine(f.Tally), "; ")
		m.line("- %s %s: %s (%s)", CodeSpan(Place(f.Location)), f.Severity, EscapeMarkdown(shown(f.Title, maxTitle)), EscapeMarkdown(notes))
		for _, v := range Dissent(f) {
			m.line("  - %s: %s: %s", EscapeMarkdown(v.Voter), strings.ToLower(v.Choice.String()), EscapeMarkdown(shown(v.Reason, maxVoteReason)))
		}
	}
	m.line("\n</details>\n")
}

// coverage writes every changed path, so that nothing looks reviewed that was not.
func (m *markdownWriter) coverage(c Coverage) {
	m.line("<details><summary>Coverage: %s</summary>\n", EscapeHTML(CoverageLine(c)))
	m.line("| file | change | status | why |\n|---|---|---|---|")
	for _, f := range c.Files {
		m.line("| %s | %s | %s | %s |", CodeSpan(diff.DisplayPath(f.Path)), f.Change, strings.ToLower(f.Status.String()), f.Note())
	}
	m.line("\n</details>\n")
}

func (m *markdownWriter) closing(r *Report) {
	var parts []string
	if r.Base != "" || r.Head != "" {
		parts = append(parts, EscapeMarkdown(fmt.Sprintf("%.12s … %.12s", r.Base, r.Head)))
	}
	if r.Cost != "" {
		parts = append(parts, "cost "+EscapeMarkdown(r.Cost))
	}
	if r.Job != "" {
		parts = append(parts, "job "+CodeSpan(strings.TrimPrefix(r.Job, "jobs/")))
	}
	if len(parts) > 0 {
		m.line("%s", strings.Join(parts, " · "))
	}
}
