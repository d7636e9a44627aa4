package lifecycle

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Shares of tokens in which the code of two findings agrees (own choice).
const (
	similar     = 0.7 // of one category
	verySimilar = 0.9 // of any
	// sameWords is the share for titles of findings without code.
	sameWords = 0.5
	// contained is how many tokens a quote has at least that is looked for within another one.
	contained = 4
)

// matcher finds, one to one, which of a review's findings is which of the known ones.
type matcher struct {
	view      *view
	findings  []finding.Finding
	known     []review.Known
	standings []standing
	// of maps findings to known ones, by says the same the other way round; none: no counterpart.
	of, by []int
	// codes are the tokens of the quoted code, olds those of the known ones.
	codes, olds [][]string
}

func newMatcher(v *view, findings []finding.Finding, known []review.Known, standings []standing) *matcher {
	m := &matcher{view: v, findings: findings, known: known, standings: standings}
	for i := range findings {
		m.of, m.codes = append(m.of, none), append(m.codes, keyTokens(&findings[i].Location))
	}
	for k := range known {
		m.by, m.olds = append(m.by, none), append(m.olds, keyTokens(&known[k].Finding.Location))
	}
	return m
}

// none is the index of what has no counterpart.
const none = -1

func keyTokens(l *finding.Location) []string {
	if l.Code == "" {
		return nil
	}
	return finding.KeyTokens(l.Path, l.Code)
}

// run matches in the order of the rules: what is found by one of them is not looked at by the next. eligible says which
// findings take part.
func (m *matcher) run(eligible func(f *finding.Finding) bool) {
	open := func(i int) bool { return m.of[i] < 0 && eligible(&m.findings[i]) }
	m.sameFingerprint(open)
	m.greedily(open, m.renamed)
	m.greedily(open, m.moved)
	m.greedily(open, m.overlapping)
	m.greedily(open, m.alike)
	m.greedily(open, m.veryAlike)
	m.greedily(open, m.sameFile)
}

// sameFingerprint matches equal fingerprints. Where the same code stands several times in one symbol, they are told apart
// by their places: in order, with the least drift.
func (m *matcher) sameFingerprint(open func(int) bool) {
	groups := map[string][2][]int{}
	for i := range m.findings {
		if open(i) {
			g := groups[base(m.findings[i].Fingerprint)]
			g[0] = append(g[0], i)
			groups[base(m.findings[i].Fingerprint)] = g
		}
	}
	for k := range m.known {
		print := base(m.known[k].Finding.Fingerprint)
		if g, ok := groups[print]; ok && m.by[k] < 0 {
			g[1] = append(g[1], k)
			groups[print] = g
		}
	}
	for _, g := range groups {
		if len(g[1]) > 0 {
			m.align(g[0], g[1])
		}
	}
}

// base is a fingerprint without its ordinal.
func base(fingerprint string) string {
	at := strings.LastIndexByte(fingerprint, '.')
	if at < 0 {
		return fingerprint
	}
	return fingerprint[:at]
}

// maxAligned bounds the work on equal findings in one symbol; more of them are matched in their order.
const maxAligned = 200

// align matches as many as possible of two groups in the order of their lines, with the least distance. Findings that are
// fixed are taken when there are no others.
func (m *matcher) align(findings, known []int) {
	slices.SortStableFunc(findings, func(a, b int) int {
		return compareLines(&m.findings[a].Location, &m.findings[b].Location)
	})
	slices.SortStableFunc(known, func(a, b int) int {
		return compareLines(&m.known[a].Finding.Location, &m.known[b].Finding.Location)
	})
	pairs := align(len(findings), len(known), func(i, k int) float64 {
		d := math.Abs(float64(m.findings[findings[i]].Location.StartLine - m.known[known[k]].Finding.Location.StartLine))
		if m.known[known[k]].Finding.Status == finding.Fixed {
			d += 1e9
		}
		return d
	})
	for _, p := range pairs {
		m.pair(findings[p[0]], known[p[1]])
	}
}

func compareLines(a, b *finding.Location) int {
	return cmp.Or(cmp.Compare(b.Side, a.Side), cmp.Compare(a.StartLine, b.StartLine))
}

// align pairs min(n, m) of two ordered lists without crossings, at the least cost.
func align(n, m int, cost func(i, j int) float64) [][2]int {
	if n > maxAligned || m > maxAligned {
		out := make([][2]int, min(n, m))
		for i := range out {
			out[i] = [2]int{i, i}
		}
		return out
	}
	if n > m {
		out := align(m, n, func(i, j int) float64 { return cost(j, i) })
		for i := range out {
			out[i][0], out[i][1] = out[i][1], out[i][0]
		}
		return out
	}
	// best[i][j]: the first i of the shorter list paired within the first j of the longer one.
	best := make([][]float64, n+1)
	for i := range best {
		best[i] = make([]float64, m+1)
		for j := range best[i] {
			switch {
			case i == 0:
			case j < i:
				best[i][j] = math.Inf(1)
			default:
				best[i][j] = min(best[i][j-1], best[i-1][j-1]+cost(i-1, j-1))
			}
		}
	}
	out := make([][2]int, n)
	for i, j := n, m; i > 0; j-- {
		if j > i && best[i][j] == best[i][j-1] {
			continue
		}
		i--
		out[i] = [2]int{i, j - 1}
	}
	return out
}

func (m *matcher) pair(i, k int) { m.of[i], m.by[k] = k, i }

// greedily pairs what a rule finds, the best first. A score of 0 is no match.
func (m *matcher) greedily(open func(int) bool, rule func(i, k int) float64) {
	type candidate struct {
		i, k  int
		score float64
		fixed bool
		drift int
	}
	var all []candidate
	for i := range m.findings {
		if !open(i) {
			continue
		}
		for k := range m.known {
			if m.by[k] >= 0 {
				continue
			}
			if score := rule(i, k); score > 0 {
				drift := m.findings[i].Location.StartLine - m.known[k].Finding.Location.StartLine
				all = append(all, candidate{i, k, score, m.known[k].Finding.Status == finding.Fixed, max(drift, -drift)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		if a.fixed != b.fixed {
			if a.fixed {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.drift, b.drift))
	})
	for _, c := range all {
		if m.of[c.i] < 0 && m.by[c.k] < 0 {
			m.pair(c.i, c.k)
		}
	}
}

// here says whether a finding stands in the file in which the known one's code is, or was.
func (m *matcher) here(i, k int) bool {
	f, o := &m.findings[i].Location, &m.known[k].Finding.Location
	return f.Path == o.Path || f.Path == m.standings[k].path || f.OldPath != "" && f.Side == finding.Left && f.OldPath == o.OldPath
}

// renamed: the same but for the path, which the change has renamed.
func (m *matcher) renamed(i, k int) float64 {
	f, o := &m.findings[i], &m.known[k].Finding
	if f.Category != o.Category || f.Location.Symbol != o.Location.Symbol || f.Location.Path == o.Location.Path || !m.here(i, k) {
		return 0
	}
	return m.equalCode(i, k)
}

// moved: the same code where the definition is called or stands otherwise now, and is not where it was any more.
func (m *matcher) moved(i, k int) float64 {
	f, o := &m.findings[i], &m.known[k].Finding
	if f.Category != o.Category || len(m.standings[k].places) > 0 && !m.standings[k].moved || m.standings[k].unknown {
		return 0
	}
	if f.Location.Symbol != "" && bareName(f.Location.Symbol) == bareName(o.Location.Symbol) {
		return max(m.sameCode(i, k), m.arrived(i, k))
	}
	if len(m.olds[k]) < telling {
		return 0
	}
	return m.equalCode(i, k)
}

// arrived says how much a finding overlaps the known code in the file in which that is now.
func (m *matcher) arrived(i, k int) float64 {
	l := &m.findings[i].Location
	f, err := m.view.file(l.Path)
	if err != nil || f.presence != Present || l.Side != finding.Right {
		return 0
	}
	return overlap(f.find(quoteOf(&m.known[k].Finding.Location), m.known[k].Before, m.known[k].After), l)
}

// overlap is the largest share of lines that a finding has in common with one of the places.
func overlap(places []place, l *finding.Location) float64 {
	best := 0.0
	for _, p := range places {
		both := min(p.end, l.EndLine) - max(p.start, l.StartLine) + 1
		all := max(p.end, l.EndLine) - min(p.start, l.StartLine) + 1
		best = max(best, float64(both)/float64(all))
	}
	return best
}

// sameCode is how alike the quoted code is, 0 where it is too little. One quote within the other is the same code, quoted
// with more around it.
func (m *matcher) sameCode(i, k int) float64 {
	if share := shared(m.codes[i], m.olds[k]); share >= similar {
		return share
	}
	if holds(m.codes[i], m.olds[k]) || holds(m.olds[k], m.codes[i]) {
		return similar
	}
	return 0
}

func (m *matcher) equalCode(i, k int) float64 {
	if len(m.codes[i]) == 0 || !slices.Equal(m.codes[i], m.olds[k]) {
		return 0
	}
	return 1
}

// overlapping: the known code still stands there, and the finding quotes some of the same lines for the same category.
func (m *matcher) overlapping(i, k int) float64 {
	f, o := &m.findings[i], &m.known[k].Finding
	if f.Category != o.Category || f.Location.Side != o.Location.Side || f.Location.StartLine == 0 || !m.here(i, k) {
		return 0
	}
	return overlap(m.standings[k].places, &f.Location)
}

// alike: the same symbol and category, and most of the code.
func (m *matcher) alike(i, k int) float64 {
	f, o := &m.findings[i], &m.known[k].Finding
	if f.Category != o.Category || f.Location.Symbol != o.Location.Symbol || !m.here(i, k) {
		return 0
	}
	return m.sameCode(i, k)
}

// veryAlike: the same symbol and nearly the same code, whatever it is called.
func (m *matcher) veryAlike(i, k int) float64 {
	f, o := &m.findings[i].Location, &m.known[k].Finding.Location
	if f.Symbol != o.Symbol || !m.here(i, k) {
		return 0
	}
	share := shared(m.codes[i], m.olds[k])
	if share < verySimilar {
		return 0
	}
	return share
}

// sameFile: both are about a file as a whole, where nothing but their words can tell them apart.
func (m *matcher) sameFile(i, k int) float64 {
	f, o := &m.findings[i], &m.known[k].Finding
	if f.Category != o.Category || len(m.codes[i]) > 0 || len(m.olds[k]) > 0 || !m.here(i, k) {
		return 0
	}
	share := shared(finding.Syntax{}.Tokens(f.Title), finding.Syntax{}.Tokens(o.Title))
	if share < sameWords {
		return 0
	}
	return share
}

// shared is the share of tokens that two sets have in common.
func shared(a, b []string) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	in := make(map[string]int, len(a)+len(b))
	for _, t := range a {
		in[t] |= 1
	}
	for _, t := range b {
		in[t] |= 2
	}
	both := 0
	for _, sides := range in {
		if sides == 3 {
			both++
		}
	}
	return float64(both) / float64(len(in))
}

// holds says whether the longer quote holds the shorter one as a whole: the same lines, quoted with more around them.
func holds(long, short []string) bool {
	if len(short) < contained || len(short) > len(long) {
		return false
	}
	for at := 0; at+len(short) <= len(long); at++ {
		if slices.Equal(long[at:at+len(short)], short) {
			return true
		}
	}
	return false
}
