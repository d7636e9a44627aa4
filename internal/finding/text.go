package finding

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"witan.dev/internal/diff"
)

// TextOptions says how EncodeText writes.
type TextOptions struct {
	// Color adds the escape sequences of terminals. Without it the output is plain.
	Color bool
}

// textWidth is where paragraphs are broken, in characters.
const textWidth = 100

// maxCode is how many lines of code are shown with a finding.
const maxCode = 6

// EncodeText writes the report for people: findings by file in the common order, those held back, coverage with every
// file that was not fully reviewed, and one closing line. Nothing in it can move a terminal's cursor or hide text.
func EncodeText(w io.Writer, r *Report, o TextOptions) error {
	t := &textWriter{w: bufio.NewWriter(w), color: o.Color}
	acted, others := ordered(r)
	t.findings(acted)
	t.others(others)
	if r.Summary != "" {
		t.line("%s", t.bold("Summary"))
		t.paragraph("  ", shown(r.Summary, maxReason))
		t.line("")
	}
	t.coverage(r.Coverage)
	for _, note := range r.Notes {
		t.paragraph("  ", oneLine(shown(note, maxReason)))
	}
	t.closing(r)
	return t.w.Flush()
}

type textWriter struct {
	w     *bufio.Writer
	color bool
}

// line writes one line. A failed write shows at the end, in Flush.
func (t *textWriter) line(format string, args ...any) {
	_, _ = fmt.Fprintf(t.w, format+"\n", args...)
}

func (t *textWriter) paint(code, text string) string {
	if !t.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (t *textWriter) bold(text string) string { return t.paint("1", text) }
func (t *textWriter) dim(text string) string  { return t.paint("2", text) }

func (t *textWriter) severity(s Severity) string {
	code := map[Severity]string{SeverityCritical: "1;31", SeverityHigh: "31", SeverityMedium: "33", SeverityLow: "36"}[s]
	if code == "" {
		return s.String()
	}
	return t.paint(code, s.String())
}

// findings writes them by file; files stand in the order of their first finding.
func (t *textWriter) findings(list []*Finding) {
	byPath := make(map[string][]*Finding)
	var paths []string
	for _, f := range list {
		if len(byPath[f.Location.Path]) == 0 {
			paths = append(paths, f.Location.Path)
		}
		byPath[f.Location.Path] = append(byPath[f.Location.Path], f)
	}
	for _, path := range paths {
		t.line("%s", t.bold(Visible(diff.DisplayPath(path))))
		for _, f := range byPath[path] {
			t.finding(f)
		}
	}
}

func (t *textWriter) finding(f *Finding) {
	lines := lineRange(f.Location)
	if lines == "" {
		lines = "file"
	}
	t.line("  %-12s %s  %s  %s", lines, t.severity(f.Severity), f.Category, oneLine(shown(f.Title, maxTitle)))
	const indent = "               "
	if f.Status == Reappeared {
		t.line("%s%s", indent, t.dim("was fixed before and is back"))
	}
	if f.Location.Symbol != "" {
		t.line("%s%s", indent, t.dim("in "+oneLine(f.Location.Symbol)))
	}
	t.code(indent, f.Location.Code)
	t.paragraph(indent, shown(f.Reason, maxReason))
	for _, other := range f.Alternatives {
		t.paragraph(indent, "also: "+oneLine(shown(other, maxTitle)))
	}
	for _, l := range f.Related {
		t.line("%ssee %s", indent, Visible(Place(l)))
	}
	if f.Suggestion != "" {
		t.line("%ssuggested instead:", indent)
		t.code(indent, f.Suggestion)
	}
	t.votes(indent, f)
	t.line("")
}

func (t *textWriter) code(indent, code string) {
	lines := strings.Split(strings.TrimRight(code, "\n"), "\n")
	for i, line := range lines {
		switch {
		case code == "":
			return
		case i == maxCode:
			t.line("%s%s", indent, t.dim(fmt.Sprintf("| … %d more lines", len(lines)-maxCode)))
			return
		default:
			t.line("%s%s", indent, t.dim("| "+Visible(shown(line, maxTitle))))
		}
	}
}

func (t *textWriter) votes(indent string, f *Finding) {
	line := VotesLine(f.Tally)
	if len(f.Sources) > 0 {
		line = strings.TrimPrefix(line+"; by "+oneLine(strings.Join(f.Sources, ", ")), "; ")
	}
	if line != "" {
		t.line("%s%s", indent, t.dim(line))
	}
	for _, v := range Dissent(f) {
		t.line("%s%s", indent, t.dim(fmt.Sprintf("%s: %s: %s", oneLine(v.Voter), strings.ToLower(v.Choice.String()), oneLine(shown(v.Reason, maxVoteReason)))))
	}
}

func (t *textWriter) others(list []*Finding) {
	if len(list) == 0 {
		return
	}
	t.line("%s", t.bold(fmt.Sprintf("Not published (%d)", len(list))))
	for _, f := range list {
		t.line("  %s  %s  %s  %s", Visible(Place(f.Location)), f.Severity, oneLine(shown(f.Title, maxTitle)), t.dim("["+fate(f)+"]"))
		t.votes("    ", f)
	}
	t.line("")
}

func (t *textWriter) coverage(c Coverage) {
	t.line("%s %s", t.bold("Coverage:"), CoverageLine(c))
	for _, f := range c.Files {
		if f.Status == Reviewed && f.Read() {
			continue
		}
		t.line("  %-8s %s  %s", strings.ToLower(f.Status.String()), Visible(diff.DisplayPath(f.Path)), f.Note())
	}
}

func (t *textWriter) closing(r *Report) {
	if r.Cost != "" {
		t.line("%s %s", t.bold("Cost:"), oneLine(r.Cost))
	}
	if r.Job != "" {
		t.line("%s %s", t.bold("Job:"), oneLine(strings.TrimPrefix(r.Job, "jobs/")))
	}
	t.line("%s", t.bold(VerdictLine(r)))
}

// paragraph writes text broken at blanks; its own line breaks stay.
func (t *textWriter) paragraph(indent, text string) {
	for line := range strings.SplitSeq(strings.TrimSpace(Visible(text)), "\n") {
		current := ""
		for word := range strings.FieldsSeq(line) {
			if current != "" && len(indent)+len(current)+1+len(word) > textWidth {
				t.line("%s%s", indent, current)
				current = ""
			}
			if current != "" {
				current += " "
			}
			current += word
		}
		if current != "" {
			t.line("%s%s", indent, current)
		}
	}
}
