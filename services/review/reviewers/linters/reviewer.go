package linters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// prefix tells a tool's name from those of our reviewers and of seats, which hold no slash.
	prefix = "linter/"
	// maxProposals bounds what one tool proposes, maxLines the range of a finding (own choices).
	maxProposals, maxLines = 100, 30
	// certainty of a tool that is not known better (own choice).
	certainty = 0.7
)

// ErrFailed: the report says that its tool failed, and names no problem.
var ErrFailed = errors.New("the report says that the tool failed")

// Reviewer proposes what one tool reports about the changed lines. Safe for concurrent use.
type Reviewer struct {
	tool Tool
	root string
}

var _ review.Reviewer = (*Reviewer)(nil)

// New returns the reviewer of a tool. root is the folder in which the repository lay when the tool ran, empty where that
// is not known.
func New(t Tool, root string) *Reviewer { return &Reviewer{tool: t, root: root} }

// Name returns the source under which the tool's results are shown: "linter/" and the tool's name.
func (r *Reviewer) Name() string { return prefix + r.tool.Name }

// Review proposes the results that lie on changed lines of the new side. A place is the line that the report names where
// the code that it quotes stands there, else where that code stands; without either the result is about another state
// and dropped. Results about one place are one proposal. A note counts the results outside of the change, and names paths
// where none fits it: a tool that ran in another folder is not told from one that found nothing here. Where the report says that
// the tool failed, no file counts as read, and without results it is ErrFailed.
func (r *Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	report := review.Report{Looked: []review.Path{}, Limits: map[review.Path][]review.Reason{}}
	if r.tool.failed {
		if len(r.tool.results) == 0 {
			return review.Report{}, fmt.Errorf("%s: %w", r.Name(), ErrFailed)
		}
		for i := range in.Change.Files {
			if f := &in.Change.Files[i]; !f.Metadata() {
				report.Limits[review.Path(f.Path)] = []review.Reason{finding.ReasonReviewerFailed}
			}
		}
	}
	p := newPaths(in.Change, &r.tool, r.root)
	looked := make(map[string]bool)
	for _, name := range r.tool.files {
		if f := p.file(name); f != nil {
			looked[f.Path] = true
		}
	}
	places := make(map[string]*places)
	var out outside
	at := make(map[finding.Location]int)
	for i := range r.tool.results {
		if ctx.Err() != nil {
			return review.Report{}, fmt.Errorf("%s: %w", r.Name(), context.Cause(ctx))
		}
		one := &r.tool.results[i]
		f := p.file(one.path)
		if f == nil {
			out.nowhere(one.path)
			continue
		}
		looked[f.Path] = true
		if f.Policy != "" || f.Metadata() || len(f.Limits) > 0 {
			continue
		}
		if places[f.Path] == nil {
			places[f.Path] = newPlaces(f, in.New[f.Path])
		}
		location, ok := places[f.Path].of(one)
		if !ok {
			out.elsewhere++
			continue
		}
		if n, seen := at[location]; seen {
			join(&report.Proposals[n], one)
			continue
		}
		if len(report.Proposals) == maxProposals {
			if !r.tool.failed {
				report.Limits[review.Path(f.Path)] = []review.Reason{finding.ReasonBudget}
			}
			continue
		}
		at[location] = len(report.Proposals)
		report.Proposals = append(report.Proposals, r.proposal(one, location))
	}
	for i := range in.Change.Files {
		if f := &in.Change.Files[i]; looked[f.Path] && !f.Metadata() {
			report.Looked = append(report.Looked, review.Path(f.Path))
		}
	}
	if note := out.note(r.tool.Name, len(r.tool.results)); note != "" {
		report.Notes = append(report.Notes, note)
	}
	return report, nil
}

// outside counts the results that are about nothing in the change.
type outside struct {
	unknown, elsewhere int      // in no file of the change, and on none of its lines
	paths              []string // the first that name no file of it
}

func (o *outside) nowhere(path string) {
	const examples, long = 2, 200
	o.unknown++
	if len(path) > long { // a part of it is none, and a part of a secret in it would not be known as one
		return
	}
	if path = cut(path, long); path != "" && len(o.paths) < examples && !slices.Contains(o.paths, path) {
		o.paths = append(o.paths, path)
	}
}

// note is empty where every result is about the change.
func (o *outside) note(tool string, all int) string {
	switch {
	case all > 0 && o.unknown == all:
		return fmt.Sprintf("%s: %d of %d results name no file of this change (%s)", tool, o.unknown, all, strings.Join(append(o.paths, "…"), ", "))
	case o.unknown+o.elsewhere > 0:
		return fmt.Sprintf("%s: %d of %d results lie outside of this change", tool, o.unknown+o.elsewhere, all)
	}
	return ""
}

func (r *Reviewer) proposal(one *result, location finding.Location) review.Proposal {
	claim, rest, _ := strings.Cut(one.message, "\n")
	if claim == "" {
		claim = "the tool reports a problem without words"
	}
	out := review.Proposal{
		Source: r.Name(), Rule: ruleName(one.rule), Category: one.category, Severity: one.severity, Certainty: certainty, Location: location,
		Claim: claim, Reason: strings.TrimSpace(rest),
	}
	return out
}

// ruleName keeps what tools name their rules with: SA4006, java:S106, js/sql-injection, @typescript-eslint/no-shadow.
func ruleName(rule string) string {
	if rule == "" {
		return "unnamed"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/@-+", r)) {
			return r
		}
		return '-'
	}, rule)
}

// join adds a result about the same place to the proposal: the worst one leads.
func join(p *review.Proposal, one *result) {
	text := strings.TrimSpace(one.message)
	if one.rule != "" {
		text = one.rule + ": " + text
	}
	if strings.Contains(p.Reason, text) || one.message == p.Claim {
		return
	}
	if one.severity > p.Severity {
		text = p.Rule + ": " + p.Claim
		p.Severity, p.Category, p.Rule = one.severity, one.category, ruleName(one.rule)
		p.Claim, _, _ = strings.Cut(one.message, "\n")
	}
	p.Reason = cut(strings.TrimSpace(p.Reason+"\nAt the same place, "+text), maxText)
}

// places turns a report's lines into locations of one file.
type places struct {
	file     *review.File
	code     *review.Code
	lines    map[int]string // of the new side, as far as they are known
	added    []int
	material *finding.Material // nil until code is searched
}

func newPlaces(f *review.File, code *review.Code) *places {
	p := &places{file: f, code: code, lines: make(map[int]string)}
	p.added, _ = f.TouchedLines()
	if f.HasNew {
		for i, text := range review.SplitLines(f.New) {
			p.lines[i+1] = text
		}
		return p
	}
	for i := range f.Hunks {
		n := f.Hunks[i].NewStart
		for _, l := range f.Hunks[i].Lines {
			if l.Op != '-' {
				p.lines[n] = l.Text
				n++
			}
		}
	}
	return p
}

// of is where a result stands; ok is false where that is on no changed line.
func (p *places) of(r *result) (l finding.Location, ok bool) {
	start, end := r.start, max(r.start, r.end)
	if start < 1 || !p.quoted(r, start) {
		if start, end, ok = p.search(r); !ok {
			return l, false
		}
	}
	start, end, ok = p.changed(start, min(end, start+maxLines-1))
	if !ok {
		return l, false
	}
	l = finding.Location{
		Path: p.file.Path, OldPath: p.file.OldPath, Side: finding.Right, StartLine: start, EndLine: end, Placement: finding.PlacedExact, InDiff: true,
	}
	texts := make([]string, 0, end-start+1)
	for n := start; n <= end; n++ {
		texts = append(texts, p.lines[n])
	}
	l.Code = strings.Join(texts, "\n")
	if p.code.Usable() {
		if at := p.code.Enclosing(start, end); at >= 0 {
			l.Symbol = p.code.Definitions[at].Symbol()
		}
	}
	return l, true
}

// quoted says whether the code that the result quotes, if any, stands on the line.
func (p *places) quoted(r *result, line int) bool {
	text, ok := p.lines[line]
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(strings.TrimSpace(r.snippet), "\n")
	return strings.Contains(squeezed(text), squeezed(first))
}

// squeezed is a line without blanks.
func squeezed(text string) string { return strings.Join(strings.Fields(text), "") }

// search finds quoted code.
func (p *places) search(r *result) (start, end int, ok bool) {
	if strings.TrimSpace(r.snippet) == "" {
		return 0, 0, false
	}
	if p.material == nil {
		params := finding.MaterialParams{File: p.file.Diff()}
		if p.file.HasNew {
			params.New = p.file.New
		}
		p.material = finding.NewMaterial(params)
	}
	l := p.material.Locate(finding.Quote{Path: p.file.Path, Code: r.snippet, Line: r.start, Side: finding.Right})
	if l.Side != finding.Right || l.Placement != finding.PlacedExact && l.Placement != finding.PlacedNormalised {
		return 0, 0, false
	}
	return l.StartLine, l.EndLine, true
}

// changed cuts a range to the hunk in which its first changed line lies; ok is false where no line of it is changed.
func (p *places) changed(start, end int) (from, to int, ok bool) {
	at, _ := slices.BinarySearch(p.added, start)
	if at == len(p.added) || p.added[at] > end {
		return 0, 0, false
	}
	from, to = p.added[at], p.added[at]
	for from > start && p.file.InDiff(false, from-1) {
		from--
	}
	for to < end && p.file.InDiff(false, to+1) {
		to++
	}
	return from, to, true
}
