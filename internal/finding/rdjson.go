package finding

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"witan.dev/internal/diff"
)

// EncodeRDJSON writes the report in reviewdog's diagnostic format (a DiagnosticResult of reviewdog/proto/rdf). Ranges
// are whole lines, their end is included, and a suggestion replaces exactly the finding's lines. What is not to be acted
// on (held, rejected, dismissed, fixed) and what stands in the old file has no range, which the format would count in the
// new file: it is listed, and reviewdog's filters keep it from being posted on a line.
func EncodeRDJSON(w io.Writer, r *Report) error {
	result := rdResult{Source: rdSource{Name: "witan", URL: "https://witan.dev"}, Diagnostics: []rdDiagnostic{}}
	acted, others := ordered(r)
	for _, f := range acted {
		result.Diagnostics = append(result.Diagnostics, rdFinding(f, true))
	}
	for _, f := range others {
		result.Diagnostics = append(result.Diagnostics, rdFinding(f, false))
	}
	for i := range result.Diagnostics {
		if d := &result.Diagnostics[i]; result.Severity == "" || slices.Index(rdSeverities, d.Severity) < slices.Index(rdSeverities, result.Severity) {
			result.Severity = d.Severity
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		return fmt.Errorf("encode rdjson: %w", err)
	}
	return nil
}

// rdSeverities are the format's severities, worst first.
//
//nolint:gochecknoglobals // a table
var rdSeverities = []string{"ERROR", "WARNING", "INFO"}

type rdResult struct {
	Source      rdSource       `json:"source"`
	Severity    string         `json:"severity,omitempty"`
	Diagnostics []rdDiagnostic `json:"diagnostics"`
}

type rdSource struct {
	Name string `json:"name"`
	URL  string `json:"url,omitempty"`
}

type rdDiagnostic struct {
	Message     string         `json:"message"`
	Location    rdLocation     `json:"location"`
	Severity    string         `json:"severity"`
	Code        rdCode         `json:"code"`
	Suggestions []rdSuggestion `json:"suggestions,omitempty"`
}

type rdLocation struct {
	Path  string   `json:"path"`
	Range *rdRange `json:"range,omitempty"`
}

type rdRange struct {
	Start rdPosition `json:"start"`
	End   rdPosition `json:"end"`
}

type rdPosition struct {
	Line int `json:"line"`
}

type rdCode struct {
	Value string `json:"value"`
}

type rdSuggestion struct {
	Range rdRange `json:"range"`
	Text  string  `json:"text"`
}

func rdFinding(f *Finding, acted bool) rdDiagnostic {
	d := rdDiagnostic{
		Message: rdMessage(f, acted), Severity: "INFO", Code: rdCode{Value: ruleOf(f)},
		Location: rdLocation{Path: strings.ToValidUTF8(f.Location.Path, "\uFFFD")},
	}
	if !acted {
		return d
	}
	switch f.Severity {
	case SeverityCritical, SeverityHigh:
		d.Severity = "ERROR"
	case SeverityMedium:
		d.Severity = "WARNING"
	case SeverityLow, SeverityUnspecified:
	}
	if f.Location.Side == Left || f.Location.StartLine == 0 {
		return d
	}
	lines := rdRange{Start: rdPosition{f.Location.StartLine}, End: rdPosition{max(f.Location.StartLine, f.Location.EndLine)}}
	d.Location.Range = &lines
	if f.Suggestion != "" {
		text := strings.TrimSuffix(strings.ToValidUTF8(f.Suggestion, "\uFFFD"), "\n")
		d.Suggestions = append(d.Suggestions, rdSuggestion{Range: lines, Text: text})
	}
	return d
}

// rdMessage is markdown, since reviewdog posts messages as they are: everything that people, models or repositories wrote
// is escaped. It holds what the format has no field for: why a finding is only listed, its place in the old file, related
// places, votes, sources and dissent.
func rdMessage(f *Finding, acted bool) string {
	lines := []string{EscapeMarkdown(f.Title)}
	if !acted {
		lines[0] = EscapeMarkdown("[" + fate(f) + "] " + f.Title)
	}
	for paragraph := range strings.SplitSeq(shown(f.Reason, maxReason), "\n\n") {
		if escaped := EscapeMarkdown(paragraph); escaped != "" {
			lines = append(lines, "", escaped)
		}
	}
	lines = append(lines, "")
	path := diff.DisplayPath(f.Location.Path)
	if !acted || f.Location.Side == Left || path != f.Location.Path {
		lines = append(lines, "- at "+CodeSpan(Place(f.Location)))
	}
	for _, other := range f.Alternatives {
		lines = append(lines, "- also: "+EscapeMarkdown(shown(other, maxTitle)))
	}
	for _, l := range f.Related {
		lines = append(lines, "- see "+CodeSpan(Place(l)))
	}
	votes := VotesLine(f.Tally)
	if len(f.Sources) > 0 {
		votes = strings.TrimPrefix(votes+"; by "+strings.Join(f.Sources, ", "), "; ")
	}
	if votes != "" {
		lines = append(lines, "- "+EscapeMarkdown(votes))
	}
	for _, v := range Dissent(f) {
		lines = append(lines, "- "+EscapeMarkdown(fmt.Sprintf("%s: %s: %s", v.Voter, strings.ToLower(v.Choice.String()), shown(v.Reason, maxVoteReason))))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
