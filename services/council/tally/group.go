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
	words map[string]bool
	exact bool // the quoted code stands in the material
}

// Group forms the distinct findings, each proposal in one of them, never across files. Proposals with one fingerprint
// are one problem. Otherwise two are when they stand at near lines and have one category or similar claims, or stand in
// one symbol and have similar claims; two reports of one source are told apart by it, and two that quote different code
// mean different code, so these need similar claims in any case. The result does not depend on the order of the proposals. Findings are named f1, f2 … by path and line.
func (g Grouping) Group(proposals []council.Proposal) []council.Finding {
	all := make([]placed, len(proposals))
	texts := g.texts()
	for i, p := range proposals {
		all[i] = g.place(p, texts)
	}
	slices.SortFunc(all, func(a, b placed) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.StartLine, b.StartLine), cmp.Compare(a.Side, b.Side), strings.Compare(a.ID, b.ID))
	})
	var groups [][]placed
	for _, p := range all {
		at := slices.IndexFunc(groups, func(group []placed) bool { return g.joins(p, group) })
		if at < 0 {
			groups = append(groups, []placed{p})
			continue
		}
		groups[at] = append(groups[at], p)
	}
	findings := make([]council.Finding, len(groups))
	for i, group := range groups {
		findings[i] = g.finding(fmt.Sprintf("f%d", i+1), group)
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

func (g Grouping) place(p council.Proposal, texts map[string][]string) placed {
	out := placed{Proposal: p, words: words(p.Claim), print: p.Fingerprint}
	if out.Symbol == "" {
		out.Symbol = g.symbol(p)
	}
	if out.print == "" && strings.TrimSpace(p.Code) != "" && g.Fingerprint != nil {
		out.print = g.Fingerprint(p.Path, out.Symbol, string(p.Category), p.Code)
	}
	if code := bare(p.Code); code != "" {
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

func (g Grouping) joins(p placed, group []placed) bool {
	if group[0].Path != p.Path {
		return false
	}
	for _, q := range group {
		if p.print != "" && p.print == q.print {
			return true
		}
	}
	q := group[0] // compared with the first only: no chains of near places
	similar := similarity(p.words, q.words) >= g.Threshold
	own := slices.ContainsFunc(group, func(x placed) bool { return x.Source == p.Source && x.Outside == p.Outside })
	if (own || elsewhere(p, q)) && !similar {
		return false
	}
	if near(p, q) {
		return similar || (p.Category != "" && p.Category == q.Category)
	}
	return similar && p.Symbol != "" && p.Symbol == q.Symbol
}

// elsewhere says that both quote code and have no line of it in common.
func elsewhere(p, q placed) bool {
	a, b := bare(p.Code), bare(q.Code)
	if a == "" || b == "" {
		return false
	}
	for line := range strings.Lines(a) {
		if slices.Contains(strings.Split(b, "\n"), strings.TrimSpace(line)) {
			return false
		}
	}
	return true
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
func words(text string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' }) {
		if len(w) > 2 {
			out[w] = true
		}
	}
	return out
}

// similarity is Dice's coefficient of two sets of words, 0 where both are empty.
func similarity(a, b map[string]bool) float64 {
	if len(a)+len(b) == 0 {
		return 0
	}
	both := 0
	for w := range a {
		if b[w] {
			both++
		}
	}
	return 2 * float64(both) / float64(len(a)+len(b))
}
