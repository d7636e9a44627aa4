package finding

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"witan.dev/internal/diff"
)

// Limits of one text in the outputs for people, in bytes.
const (
	maxTitle, maxReason, maxVoteReason = 300, 4_000, 500
)

// lineRange is "12", "12-14", with the side where it is the old file, or nothing where only the file is known.
func lineRange(l Location) string {
	if l.StartLine == 0 {
		return ""
	}
	text := strconv.Itoa(l.StartLine)
	if l.EndLine > l.StartLine {
		text += "-" + strconv.Itoa(l.EndLine)
	}
	if l.Side == Left {
		text += " (old)"
	}
	return text
}

// Place is "path:12-14".
func Place(l Location) string {
	text := diff.DisplayPath(l.Path)
	if lines := lineRange(l); lines != "" {
		text += ":" + lines
	}
	return text
}

// VotesLine is the tally in words, empty where nobody was to vote.
func VotesLine(t Tally) string {
	if t.Planned == 0 && t.Confirmed == 0 {
		return ""
	}
	text := fmt.Sprintf("%d confirmed, %d rejected, %d uncertain", t.Confirmed, t.Rejected, t.Uncertain)
	if t.Required > 0 {
		text += fmt.Sprintf(" (%d required)", t.Required)
	}
	return text
}

// Dissent is what a reader wants to know of the votes beside their count: who was not convinced of a published finding,
// and everybody's reason where a finding was not published.
func Dissent(f *Finding) []Vote {
	var shown []Vote
	for _, v := range f.Votes {
		if f.Outcome != Published || v.Choice != Confirmed {
			shown = append(shown, v)
		}
	}
	return shown
}

// CoverageLine is the coverage in one line. It is not escaped.
func CoverageLine(c Coverage) string {
	text := fmt.Sprintf("%d of %d files reviewed", c.Count(Reviewed), len(c.Files))
	if n := c.Count(Partial); n > 0 {
		text += fmt.Sprintf(", %d partly", n)
	}
	if n := c.Count(Skipped); n > 0 {
		text += fmt.Sprintf(", %d skipped", n)
	}
	if c.Council != "" {
		text += "; council: " + oneLine(c.Council)
	}
	return text
}

// ReasonWords are reasons in lower case, joined by commas.
func ReasonWords(reasons []Reason) string {
	words := make([]string, len(reasons))
	for i, r := range reasons {
		words[i] = strings.ToLower(strings.ReplaceAll(string(r), "_", " "))
	}
	return strings.Join(words, ", ")
}

// Note says of a row what its status does not: the reasons, or that no content was read.
func (f FileCoverage) Note() string {
	if f.Status == Reviewed && f.Depth == depthMetadata {
		return "metadata only"
	}
	return ReasonWords(f.Reasons)
}

// VerdictLine says in one sentence how the review ended.
func VerdictLine(r *Report) string {
	switch r.Disposition {
	case "DECLINED":
		return "Not reviewed: " + oneLine(r.DeclinedReason)
	case "SUPERSEDED":
		return "Superseded by a later review"
	}
	counts := make(map[Severity]int)
	total := 0
	for i := range r.Findings {
		if Current(&r.Findings[i]) {
			counts[r.Findings[i].Severity]++
			total++
		}
	}
	text := "No findings"
	if total > 0 {
		var parts []string
		for s := SeverityCritical; s > SeverityUnspecified; s-- {
			if counts[s] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[s], strings.ToLower(s.String())))
			}
		}
		noun := "findings"
		if total == 1 {
			noun = "finding"
		}
		text = fmt.Sprintf("%d %s: %s", total, noun, strings.Join(parts, ", "))
	}
	if r.Coverage.Unread() {
		text += " (no file was read)"
	}
	if !r.Coverage.Complete {
		text += " (review incomplete)"
	}
	return text
}

// Current reports whether a finding is published and still to be acted on.
func Current(f *Finding) bool {
	return f.Outcome == Published && f.Status != Dismissed && f.Status != Fixed
}

// ordered returns the findings in the order of Compare, those that are to be acted on apart from the others.
func ordered(r *Report) (acted, others []*Finding) {
	all := make([]*Finding, len(r.Findings))
	for i := range r.Findings {
		all[i] = &r.Findings[i]
	}
	slices.SortStableFunc(all, Compare)
	for _, f := range all {
		if Current(f) {
			acted = append(acted, f)
		} else {
			others = append(others, f)
		}
	}
	return acted, others
}

// fate says why a finding is not among those to be acted on.
func fate(f *Finding) string {
	word := f.Outcome.String()
	if f.Outcome == Published {
		word = f.Status.String()
	}
	word = strings.ToLower(word)
	for _, reason := range []string{f.OutcomeReason, f.StatusReason} {
		if reason != "" {
			return word + ", " + oneLine(strings.ToLower(strings.ReplaceAll(reason, "_", " ")))
		}
	}
	return word
}
