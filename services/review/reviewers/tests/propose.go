package tests

import (
	"fmt"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// maxNames bounds the tests that one claim names, maxPlaces the places that one finding lists.
	maxNames, maxPlaces = 3, 20

	certaintyDeleted   = 0.7 // own choices
	certaintyDisabled  = 0.9
	certaintyAssertion = 0.6
)

// deleted is one finding for all tests that a file has lost.
func (w *world) deleted(p *pair, gone []*test) review.Proposal {
	out := review.Proposal{
		Source: Name, Rule: RuleDeleted, Category: finding.Testing, Severity: finding.SeverityLow, Certainty: certaintyDeleted,
		Location: p.at(finding.Left, gone[0].start),
		Claim:    fmt.Sprintf("%s deleted while what is tested stays", counts(gone)),
		Reason:   "Nothing that the deleted code names has gone with this change, and it does not go on elsewhere in it. Keep it, or say what covers its subject now.",
	}
	if w.source { // what the test would have said about it is not known any more
		out.Severity = finding.SeverityMedium
	}
	for _, t := range gone[1:min(len(gone), maxPlaces)] {
		out.Related = append(out.Related, p.at(finding.Left, t.start))
	}
	return out
}

// counts names tests: "the test a is", "5 tests (a, b, c, …) are".
func counts(tests []*test) string {
	names := make([]string, 0, maxNames)
	for _, t := range tests[:min(len(tests), maxNames)] {
		names = append(names, t.name)
	}
	list := strings.Join(names, ", ")
	switch {
	case len(tests) == 1:
		return "the test " + list + " is"
	case len(tests) > maxNames:
		return fmt.Sprintf("%d tests (%s, …) are", len(tests), list)
	default:
		return fmt.Sprintf("%d tests (%s) are", len(tests), list)
	}
}

// disabled is a test that ran and the line of the new side that keeps it from running.
type disabled struct {
	test *test
	at   int
}

func (p *pair) disabled(off []disabled) review.Proposal {
	all := make([]*test, len(off))
	for i := range off {
		all[i] = off[i].test
	}
	out := review.Proposal{
		Source: Name, Rule: RuleDisabled, Category: finding.Testing, Severity: finding.SeverityMedium, Certainty: certaintyDisabled,
		Location: p.at(finding.Right, off[0].at),
		Claim:    counts(all) + " switched off",
		Reason:   "A test that does not run looks like one that passes. Mend it, or delete it and say why.",
	}
	for _, d := range off[1:min(len(off), maxPlaces)] {
		out.Related = append(out.Related, p.at(finding.Right, d.at))
	}
	return out
}

func focused(p *pair, t *test) review.Proposal {
	return review.Proposal{
		Source: Name, Rule: RuleFocused, Category: finding.Testing, Severity: finding.SeverityMedium, Certainty: certaintyDisabled,
		Location: p.at(finding.Right, t.focusAt),
		Claim:    fmt.Sprintf("only %s runs: the mark keeps all other tests of the file from running", t.name),
		Reason:   "Such marks are for working on one test. Take it out before the change is merged.",
	}
}

func unasserted(p *pair, was, now *test, lost []statement) review.Proposal {
	out := review.Proposal{
		Source: Name, Rule: RuleAssertion, Category: finding.Testing, Severity: finding.SeverityLow, Certainty: certaintyAssertion,
		Location: p.at(finding.Left, lost[0].line),
		Claim:    fmt.Sprintf("the test %s asserts less than before: %d of %d assertions are left", was.name, len(now.assertions), len(was.assertions)),
		Reason:   "The assertions were removed without others in their place, and what they are about is still there.",
	}
	if len(now.assertions) == 0 {
		out.Severity = finding.SeverityMedium
		out.Claim = fmt.Sprintf("the test %s asserts nothing any more", was.name)
	}
	for _, s := range lost[1:min(len(lost), maxPlaces)] {
		out.Related = append(out.Related, p.at(finding.Left, s.line))
	}
	return out
}

// at is the place of one line.
func (p *pair) at(side finding.Side, number int) finding.Location {
	all, code := p.newLines, p.newCode
	if side == finding.Left {
		all, code = p.oldLines, p.oldCode
	}
	out := finding.Location{
		Path: p.file.Path, OldPath: p.file.OldPath, Side: side, StartLine: number, EndLine: number, Placement: finding.PlacedExact,
		InDiff: p.file.InDiff(side == finding.Left, number),
	}
	for _, l := range all {
		if l.number == number {
			out.Code = l.text
		}
	}
	if code.Usable() {
		if i := code.Enclosing(number, number); i >= 0 {
			out.Symbol = code.Definitions[i].Symbol()
		}
	}
	return out
}
