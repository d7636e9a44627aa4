package tests

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Name is the source under which the reviewer's findings are shown.
const Name = "tests"

// The rules of the reviewer.
const (
	RuleDeleted   = "deleted-test"
	RuleDisabled  = "disabled-test"
	RuleFocused   = "focused-test"
	RuleAssertion = "removed-assertion"
)

// Reviewer is the static reviewer of tests. Safe for concurrent use.
type Reviewer struct{}

var _ review.Reviewer = Reviewer{}

// New returns a reviewer.
func New() Reviewer { return Reviewer{} }

// Name returns the reviewer's name.
func (Reviewer) Name() string { return Name }

// Review compares the tests of both sides of every file that may hold some. It never fails.
func (Reviewer) Review(ctx context.Context, in review.Inspection) (review.Report, error) {
	report := review.Report{Looked: []review.Path{}}
	pairs := pairsOf(in)
	if len(pairs) == 0 {
		return report, nil
	}
	w := survey(in, pairs)
	for i := range pairs {
		if ctx.Err() != nil {
			return review.Report{}, fmt.Errorf("tests: %w", context.Cause(ctx))
		}
		p := &pairs[i]
		report.Looked = append(report.Looked, review.Path(p.file.Path))
		report.Proposals = append(report.Proposals, w.compare(p)...)
	}
	return report, nil
}

// A pair is one changed file that may hold tests.
type pair struct {
	file       *review.File
	dialect    *dialect
	syntax     finding.Syntax
	oldLines   []line
	newLines   []line
	old, new   []test
	oldCode    *review.Code
	newCode    *review.Code
	assertions int            // on the new side, minus those of the old side
	commented  map[string]int // nil until asked for
}

func pairsOf(in review.Inspection) []pair {
	var out []pair
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		if f.Policy != "" || f.Nature != review.NatureText {
			continue
		}
		d := dialectOf(f.Path)
		if d == nil || d != byEnding(ending(f.OldPath)) {
			continue
		}
		p := pair{file: f, dialect: d, syntax: finding.SyntaxOf(f.Path), newCode: in.New[f.Path]}
		if f.Change != review.Added && f.Change != review.Copied {
			p.oldCode = in.Old[f.OldPath]
			p.oldLines = lines(f, true)
			p.old = outline(d, p.syntax, p.oldLines)
		}
		if f.Change != review.Deleted {
			p.newLines = lines(f, false)
			p.new = outline(d, p.syntax, p.newLines)
		}
		if len(p.old)+len(p.new) == 0 {
			continue
		}
		p.assertions = asserted(p.new) - asserted(p.old)
		out = append(out, p)
	}
	return out
}

func ending(file string) string {
	if at := strings.LastIndexByte(file, '.'); at > strings.LastIndexByte(file, '/') {
		return file[at:]
	}
	return ""
}

func asserted(tests []test) int {
	n := 0
	for i := range tests {
		n += len(tests[i].assertions)
	}
	return n
}

// compare judges one file.
func (w *world) compare(p *pair) []review.Proposal {
	var out []review.Proposal
	var deleted []*test
	var off []disabled
	matched := match(p.old, p.new)
	for i := range p.old {
		was := &p.old[i]
		switch now := matched[i]; {
		case was.offAt > 0:
		case now != nil && now.offAt > 0:
			off = append(off, disabled{was, now.offAt})
		case now != nil:
			if lost := w.lost(p, was, now); len(lost) > 0 {
				out = append(out, unasserted(p, was, now, lost))
			}
		case was.group:
		default:
			if at := commentedOut(p, was); at > 0 {
				off = append(off, disabled{was, at})
			} else if w.gone(p, was) {
				deleted = append(deleted, was)
			}
		}
	}
	if len(off) > 0 {
		out = append(out, p.disabled(off))
	}
	if len(deleted) > 0 {
		out = append(out, w.deleted(p, deleted))
	}
	for i := range p.new {
		if t := &p.new[i]; t.focusAt > 0 && !focusedBefore(p.old, t.name) {
			out = append(out, focused(p, t))
		}
	}
	return out
}

// match pairs the tests of the old side with those of the same name and kind on the new side, in their order.
func match(old, now []test) []*test {
	type key struct {
		name  string
		group bool
	}
	by := make(map[key][]*test)
	for i := range now {
		by[key{now[i].name, now[i].group}] = append(by[key{now[i].name, now[i].group}], &now[i])
	}
	out := make([]*test, len(old))
	for i := range old {
		k := key{old[i].name, old[i].group}
		candidates := by[k]
		if len(candidates) == 0 && old[i].group { // xdescribe does not say that it is a group
			k.group = false
			candidates = by[k]
		}
		if len(candidates) > 0 {
			out[i], by[k] = candidates[0], candidates[1:]
		}
	}
	return out
}

func focusedBefore(old []test, name string) bool {
	return slices.ContainsFunc(old, func(t test) bool { return t.focusAt > 0 && t.name == name })
}
