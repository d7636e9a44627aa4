package reply

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"witan.dev/internal/finding"
)

// Limits of one reported problem.
const (
	maxPath  = 4096
	maxClaim = 1000
	maxText  = 4000
	maxCode  = 8 << 10
	maxLine  = 1_000_000_000
)

// Report is one problem that a member reports.
type Report struct {
	Path               string
	StartLine, EndLine int
	Side               finding.Side
	Code, Symbol       string
	Category           finding.Category
	Severity           finding.Severity
	Claim, Reason      string
	Suggestion         string
	Confidence         float64
}

type rawReport struct {
	Path       string  `json:"path"`
	StartLine  int64   `json:"start_line"`
	EndLine    int64   `json:"end_line"`
	Side       string  `json:"side"`
	Code       string  `json:"code"`
	Symbol     string  `json:"symbol"`
	Category   string  `json:"category"`
	Severity   string  `json:"severity"`
	Claim      string  `json:"claim"`
	Reason     string  `json:"reason"`
	Suggestion string  `json:"suggestion"`
	Confidence float64 `json:"confidence"`
}

// ParseReports reads {"findings":[…]}. Each report stands alone: one without a path of the part, a claim, a known severity
// or an allowed category is left out, as is everything beyond most, and dropped counts them. An empty list is an answer.
// paths are those of the part; empty allows any.
func ParseReports(text string, paths []string, categories []finding.Category, most int) (reports []Report, dropped int, err error) {
	type list struct {
		reports []Report
		dropped int
	}
	l, err := pick(text, func(object string) (list, error) {
		var raw struct {
			Findings *[]rawReport `json:"findings"`
		}
		if err := decode(object, &raw); err != nil {
			return list{}, err
		}
		if raw.Findings == nil {
			return list{}, errors.New(`the object has no "findings"`)
		}
		var out list
		for _, r := range *raw.Findings {
			report, err := r.check(paths, categories)
			if err != nil || len(out.reports) == most {
				out.dropped++
				continue
			}
			out.reports = append(out.reports, report)
		}
		return out, nil
	}, func(a, b list) bool { return slices.Equal(a.reports, b.reports) })
	return l.reports, l.dropped, err
}

func (r rawReport) check(paths []string, categories []finding.Category) (Report, error) {
	out := Report{
		Path: strings.TrimPrefix(strings.TrimSpace(r.Path), "./"), Code: clipBytes(r.Code), Symbol: clip(r.Symbol, maxClaim),
		Claim: clip(r.Claim, maxClaim), Reason: clip(r.Reason, maxText), Suggestion: clipBytes(r.Suggestion),
		Confidence: max(0, min(1, r.Confidence)),
	}
	if len(paths) > 0 && !slices.Contains(paths, out.Path) {
		for _, prefix := range []string{"a/", "b/"} { // as diffs write them
			if rest, ok := strings.CutPrefix(out.Path, prefix); ok && slices.Contains(paths, rest) {
				out.Path = rest
			}
		}
	}
	if out.Path == "" || len(out.Path) > maxPath || path.IsAbs(out.Path) || (len(paths) > 0 && !slices.Contains(paths, out.Path)) {
		return Report{}, fmt.Errorf("path %.100q is none of the part", r.Path)
	}
	if out.Claim == "" {
		return Report{}, errors.New("no claim")
	}
	var err error
	if out.Severity, err = finding.ParseSeverity(r.Severity); err != nil {
		return Report{}, err
	}
	if out.Category, err = finding.ParseCategory(r.Category); err != nil && !slices.Contains(categories, finding.Category(r.Category)) {
		return Report{}, err
	} else if err != nil {
		out.Category = finding.Category(r.Category)
	}
	if len(categories) > 0 && !slices.Contains(categories, out.Category) {
		return Report{}, fmt.Errorf("category %s is not allowed", out.Category)
	}
	out.Side = finding.Right
	if strings.EqualFold(r.Side, "LEFT") {
		out.Side = finding.Left
	}
	if r.StartLine > 0 && r.StartLine <= maxLine {
		out.StartLine = int(r.StartLine)
		out.EndLine = int(max(r.StartLine, min(r.EndLine, maxLine)))
	}
	return out, nil
}

// clipBytes bounds code, which is kept as it is apart from what is no text.
func clipBytes(code string) string {
	code = strings.ReplaceAll(strings.ToValidUTF8(code, "\uFFFD"), "\x00", "")
	if len(code) <= maxCode {
		return code
	}
	return strings.ToValidUTF8(code[:maxCode], "")
}

// Vote is one judgement of a labelled finding.
type Vote struct {
	Vote     finding.Choice
	Severity finding.Severity
	Reason   string
	// DuplicateOf is another shown label, or empty.
	DuplicateOf string
}

// ParseVotes reads {"votes":[…]} over the shown labels. Each label stands alone: an unknown one, an unknown judgement and
// a label with two different judgements give no vote for it. A list without any usable vote is an error.
func ParseVotes(text string, shown []string) (map[string]Vote, error) {
	return pick(text, func(object string) (map[string]Vote, error) { return votesOf(object, shown) }, sameVotes)
}

func votesOf(object string, shown []string) (map[string]Vote, error) {
	var raw struct {
		Votes *[]struct {
			Label       string `json:"label"`
			Vote        string `json:"vote"`
			Severity    string `json:"severity"`
			Reason      string `json:"reason"`
			DuplicateOf string `json:"duplicate_of"`
		} `json:"votes"`
	}
	if err := decode(object, &raw); err != nil {
		return nil, err
	}
	if raw.Votes == nil {
		return nil, errors.New(`the object has no "votes"`)
	}
	votes, spoilt := map[string]Vote{}, map[string]bool{}
	for _, r := range *raw.Votes {
		choice, known := choiceOf(r.Vote)
		if !known || !slices.Contains(shown, r.Label) {
			continue
		}
		v := Vote{Vote: choice, Reason: clip(r.Reason, maxText)}
		if s, err := finding.ParseSeverity(r.Severity); err == nil {
			v.Severity = s
		}
		if r.DuplicateOf != r.Label && slices.Contains(shown, r.DuplicateOf) {
			v.DuplicateOf = r.DuplicateOf
		}
		if old, twice := votes[r.Label]; twice && old.Vote != v.Vote {
			spoilt[r.Label] = true
		}
		votes[r.Label] = v
	}
	for label := range spoilt {
		delete(votes, label)
	}
	if len(votes) == 0 {
		return nil, fmt.Errorf("no vote for any of the labels %s", strings.Join(shown, ", "))
	}
	return votes, nil
}

func choiceOf(s string) (finding.Choice, bool) {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "CONFIRMED", "CONFIRM":
		return finding.Confirmed, true
	case "REJECTED", "REJECT":
		return finding.RejectedVote, true
	case "UNCERTAIN":
		return finding.Uncertain, true
	}
	return finding.ChoiceUnspecified, false
}

func sameVotes(a, b map[string]Vote) bool {
	if len(a) != len(b) {
		return false
	}
	for label, v := range a {
		if b[label].Vote != v.Vote {
			return false
		}
	}
	return true
}
