// Package tally makes findings of proposals and outcomes of votes. Nothing vanishes on the way: each proposal stands in
// exactly one finding, and each finding stands in the result with its votes. Pure and safe for concurrent use.
package tally

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"witan.dev/internal/finding"
	"witan.dev/services/council"
)

// nearLines is how many lines may lie between two places that are near.
const nearLines = 3

// Fingerprint recognises the same problem at the same code: path, qualified symbol with kind, category, quoted code.
type Fingerprint func(path, symbol, category, code string) string

// Grouping says how proposals become findings.
type Grouping struct {
	// Parts give the symbols around the proposals' lines.
	Parts []council.MaterialPart
	// Threshold is the similarity from which two claims mean the same, above 0 to 1.
	Threshold   float64
	Fingerprint Fingerprint
	// Tie orders proposals that nothing else separates: the smaller key comes first.
	Tie func(proposal string) string
}

// placed is a proposal with what grouping needs to know of it.
type placed struct {
	council.Proposal

	print string
	words []int // of the claim, numbered, ascending
	lines []int // of the quoted code, bare and numbered, ascending
	exact bool  // the quoted code stands in the material
}

// numbers gives equal texts one number, so that sets are compared without reading the texts again.
type numbers map[string]int

// set is the numbers of texts, ascending, each once.
func (n numbers) set(texts []string) []int {
	out := make([]int, len(texts))
	for i, text := range texts {
		if _, ok := n[text]; !ok {
			n[text] = len(n)
		}
		out[i] = n[text]
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// common is how many numbers stand in both sets.
func common(a, b []int) int {
	n := 0
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			n, a, b = n+1, a[1:], b[1:]
		}
	}
	return n
}

// source is who reports, a member or something outside.
type source struct {
	name    string
	outside bool
}

// gathered is a finding that grows.
type gathered struct {
	all     []placed
	prints  map[string]bool
	sources map[source]bool
}

func (g *gathered) add(p placed) {
	g.all = append(g.all, p)
	g.prints[p.print], g.sources[source{p.Source, p.Outside}] = true, true
}

// Group forms the distinct findings, each proposal in one of them, never across files. Two reports of one source are two
// problems where they are about different places, however alike they are told: whoever reports one thing of forty lines means forty.
// Otherwise proposals with one fingerprint are one problem, and so are two that stand at near lines and have one category or similar
// claims, or stand in one symbol and have similar claims; two reports of one source, and two that quote different code, need similar
// claims in any case. Of several findings that a proposal could belong to it joins the one whose code it quotes, then the nearest. The
// result does not depend on the order of the proposals. Findings are named f1, f2 … by path and line.
func (g Grouping) Group(proposals []council.Proposal) []council.Finding {
	all := make([]placed, len(proposals))
	texts, seen := g.texts(), numbers{}
	for i, p := range proposals {
		all[i] = g.place(p, texts, seen)
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.StartLine, b.StartLine), cmp.Compare(a.Side, b.Side), strings.Compare(a.ID, b.ID))
	})
	var groups []*gathered
	first := 0 // the first group of the file
	for _, p := range all {
		if len(groups) > 0 && groups[first].all[0].Path != p.Path {
			first = len(groups)
		}
		group := g.closest(p, groups[first:])
		if group == nil {
			group = &gathered{prints: map[string]bool{}, sources: map[source]bool{}}
			groups = append(groups, group)
		}
		group.add(p)
	}
	findings := make([]council.Finding, len(groups))
	for i, group := range groups {
		findings[i] = g.finding(fmt.Sprintf("f%d", i+1), group.all)
	}
	return findings
}

// texts are the parts' contents without the marks of a diff, by path.
func (g Grouping) texts() map[string][]string {
	byPath := map[string][]string{}
	for _, part := range g.Parts {
		if part.Text == "" {
			continue
		}
		text := bare(part.Text)
		for _, path := range part.Paths {
			byPath[path] = append(byPath[path], text)
		}
	}
	return byPath
}

func (g Grouping) place(p council.Proposal, texts map[string][]string, seen numbers) placed {
	out := placed{Proposal: p, words: seen.set(words(p.Claim)), print: p.Fingerprint}
	if out.Symbol == "" {
		out.Symbol = g.symbol(p)
	}
	if out.print == "" && strings.TrimSpace(p.Code) != "" && g.Fingerprint != nil {
		out.print = g.Fingerprint(p.Path, out.Symbol, string(p.Category), p.Code)
	}
	if code := bare(p.Code); code != "" {
		out.lines = seen.set(strings.Split(code, "\n"))
		out.exact = slices.ContainsFunc(texts[p.Path], func(text string) bool { return strings.Contains(text, code) })
	}
	return out
}

// symbol is the innermost definition of the material around the proposal's first line.
func (g Grouping) symbol(p council.Proposal) string {
	symbol, size := "", 0
	for _, part := range g.Parts {
		for _, a := range part.Anchors {
			if a.Path != p.Path || p.StartLine < a.StartLine || p.StartLine > a.EndLine || p.StartLine == 0 {
				continue
			}
			if p.Side != finding.SideUnspecified && a.Side != finding.SideUnspecified && p.Side != a.Side {
				continue
			}
			if n := a.EndLine - a.StartLine + 1; symbol == "" || n < size {
				symbol, size = a.Symbol, n
			}
		}
	}
	return symbol
}

// closest is the group that the proposal belongs to, nil where there is none.
func (g Grouping) closest(p placed, groups []*gathered) *gathered {
	var best *gathered
	var apart, far int
	for _, group := range groups {
		if !g.joins(p, group) {
			continue
		}
		q := group.all[0]
		otherCode, distance := 0, max(p.StartLine-q.StartLine, q.StartLine-p.StartLine)
		if elsewhere(p, q) {
			otherCode = 1
		}
		if best == nil || cmp.Or(cmp.Compare(otherCode, apart), cmp.Compare(distance, far)) < 0 {
			best, apart, far = group, otherCode, distance
		}
	}
	return best
}

// joins compares with the group's first only: no chains of near places. Those of its own source are all looked at.
func (g Grouping) joins(p placed, group *gathered) bool {
	own := source{p.Source, p.Outside}
	if group.sources[own] && slices.ContainsFunc(group.all, func(q placed) bool { return own == source{q.Source, q.Outside} && another(p, q) }) {
		return false
	}
	if p.print != "" && group.prints[p.print] {
		return true
	}
	q := group.all[0]
	near, symbol := near(p, q), p.Symbol != "" && p.Symbol == q.Symbol
	switch {
	case !near && !symbol:
		return false
	case similarity(p.words, q.words) >= g.Threshold:
		return true
	case group.sources[own]:
		return false
	}
	return near && p.Category != "" && p.Category == q.Category && !elsewhere(p, q)
}

// elsewhere says that both quote code and have no line of it in common.
func elsewhere(p, q placed) bool {
	return len(p.lines) > 0 && len(q.lines) > 0 && common(p.lines, q.lines) == 0
}

// another says that both are about lines of which they share none, or quote code and share no line of it.
func another(p, q placed) bool {
	return elsewhere(p, q) || p.StartLine > 0 && q.StartLine > 0 && (p.Side != q.Side || p.StartLine > last(q) || q.StartLine > last(p))
}

func near(p, q placed) bool {
	if p.Side != q.Side || p.StartLine == 0 || q.StartLine == 0 {
		return false
	}
	return p.StartLine <= last(q)+nearLines && q.StartLine <= last(p)+nearLines
}

func last(p placed) int { return max(p.StartLine, p.EndLine) }

// finding names the representative by rule: quoted code that stands in the material, then the longest reason, then the
// tie key.
func (g Grouping) finding(id string, group []placed) council.Finding {
	best := slices.MinFunc(group, func(a, b placed) int {
		return cmp.Or(
			-compareBool(a.exact, b.exact),
			-compareBool(a.Code != "", b.Code != ""),
			cmp.Compare(len(b.Reason), len(a.Reason)),
			strings.Compare(g.Tie(a.ID), g.Tie(b.ID)),
			strings.Compare(a.ID, b.ID),
		)
	})
	f := council.Finding{ID: id, Representative: best.ID, Path: best.Path, Line: best.StartLine, Severity: best.Severity}
	for _, p := range group {
		f.Proposals = append(f.Proposals, p.ID)
		if p.ID != best.ID && (p.Claim != best.Claim || p.Reason != best.Reason) {
			f.Alternatives = append(f.Alternatives, p.ID)
		}
	}
	return f
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}

// bare drops the marks of a diff and the blanks at both ends of each line.
func bare(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && (line[0] == '+' || line[0] == '-') {
			line = strings.TrimSpace(line[1:])
		}
		if line != "" {
			b.WriteString(line)
			b.WriteByte('\n')
		}
	}
	return strings.TrimSpace(b.String())
}

// words are the claim's words of three and more letters, lower case.
func words(text string) []string {
	all := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	return slices.DeleteFunc(all, func(w string) bool { return len(w) <= 2 })
}

// similarity is Dice's coefficient of two sets of words, 0 where both are empty.
func similarity(a, b []int) float64 {
	if len(a)+len(b) == 0 {
		return 0
	}
	return 2 * float64(common(a, b)) / float64(len(a)+len(b))
}
