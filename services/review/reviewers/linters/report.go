package linters

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"witan.dev/internal/apierr"
	"witan.dev/internal/finding"
)

// Limits of reports (own choices).
const (
	// MaxReport bounds one report in bytes, MaxResults its results, MaxTools the tools of all reports of a review.
	MaxReport, MaxResults, MaxTools = 10 << 20, 50_000, 64
	// maxText bounds a message, maxName a rule's or tool's name, maxPath a path, in bytes.
	maxText, maxName, maxPath = 4000, 200, 4096
	// maxSnippet bounds quoted code in bytes.
	maxSnippet = 8 << 10
)

// What is wrong with a report.
var (
	// ErrMalformed: the report is in none of the formats that are read, or contradicts its own.
	ErrMalformed = apierr.Invalid(apierr.ReasonReportMalformed, "the report cannot be read as SARIF 2.1.0, rdjson, rdjsonl or checkstyle")
	// ErrTooLarge: above the limits of one report.
	ErrTooLarge = apierr.ResourceExhausted(apierr.ReasonMaterialTooLarge, "the report is larger than one may be")
)

// A Tool is what one tool reports.
type Tool struct {
	// Name is the tool's own, in lower-case letters, digits and dashes.
	Name    string
	results []result
	// roots are folders that the report's absolute paths begin with, as far as it says so.
	roots []string
	// files are paths that the tool looked at without finding anything, as far as it says so.
	files []string
	// failed says that a report tells of a run that broke off or went wrong: what it does not name need not be clean.
	failed bool
}

// A result is one problem as the report tells it.
type result struct {
	rule, message string
	path          string // as written, with URI escapes undone
	start, end    int    // lines of the new file, 0 where only the file is known
	snippet       string
	severity      finding.Severity
	category      finding.Category
}

// Collect reads a report and adds its tools to those of other reports of the review. The limits on tools and results hold
// for all of them together.
func Collect(tools []Tool, title string, content []byte) ([]Tool, error) {
	more, err := Read(title, content)
	if err != nil {
		return nil, err
	}
	results := 0
	for _, t := range more {
		tools = Join(tools, t)
	}
	for i := range tools {
		results += len(tools[i].results)
	}
	switch {
	case len(tools) > MaxTools:
		return nil, ErrTooLarge.With("detail", fmt.Sprintf("more than %d tools in all reports", MaxTools))
	case results > MaxResults:
		return nil, ErrTooLarge.With("detail", fmt.Sprintf("more than %d results in all reports", MaxResults))
	}
	return tools, nil
}

// Read reads a report. title is its file's name; it names the tool where the report does not. Errors are ErrMalformed
// and ErrTooLarge, with a detail.
func Read(title string, content []byte) ([]Tool, error) {
	if len(content) > MaxReport {
		return nil, ErrTooLarge.With("report", title).With("detail", fmt.Sprintf("more than %d MiB", MaxReport>>20))
	}
	content = bytes.TrimSpace(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")))
	var tools []Tool
	var err error
	switch {
	case len(content) == 0:
		err = malformed("it is empty")
	case content[0] == '<':
		tools, err = readCheckstyle(content)
	case content[0] == '{':
		tools, err = readJSON(content)
	default:
		err = malformed("it begins neither with { nor with <")
	}
	if err != nil {
		if e, ok := errors.AsType[*apierr.Error](err); ok {
			return nil, e.With("report", title)
		}
		return nil, ErrMalformed.With("report", title).With("detail", err.Error()).Wrap(err)
	}
	return named(tools, title), nil
}

func malformed(format string, args ...any) error { return fmt.Errorf(format, args...) }

// named gives every tool a name that can be shown, and unites those with one name.
func named(tools []Tool, title string) []Tool {
	fallback := slug(strings.TrimSuffix(path.Base(title), path.Ext(title)))
	if fallback == "" {
		fallback = "report"
	}
	var out []Tool
	for _, t := range tools {
		if t.Name = slug(t.Name); t.Name == "" {
			t.Name = fallback
		}
		out = Join(out, t)
	}
	return out
}

// Join adds a tool to the others, to the one of its name where there is one.
func Join(tools []Tool, t Tool) []Tool {
	at := slices.IndexFunc(tools, func(o Tool) bool { return o.Name == t.Name })
	if at < 0 {
		return append(tools, t)
	}
	o := &tools[at]
	o.failed = o.failed || t.failed
	o.results, o.roots, o.files = append(o.results, t.results...), append(o.roots, t.roots...), append(o.files, t.files...)
	return tools
}

// slug is a name in lower-case letters, digits and dashes.
func slug(name string) string {
	const long = 40
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == long {
			break
		}
	}
	return strings.Trim(b.String(), "-")
}

func cut(text string, limit int) string {
	text = strings.ToValidUTF8(text[:min(len(text), limit+3)], "\uFFFD")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return strings.TrimSpace(text)
}

// levelOf reads the word that a report has for a severity; ok is false for what is no problem.
func levelOf(word string) (s finding.Severity, ok bool) {
	switch strings.ToLower(word) {
	case "error", "fatal", "critical":
		return finding.SeverityHigh, true
	case "warning", "":
		return finding.SeverityMedium, true
	case "none", "ignore", "off":
		return 0, false
	default: // note, info, unknown
		return finding.SeverityLow, true
	}
}
