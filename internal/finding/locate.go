package finding

import (
	"sort"
	"strings"

	"witan.dev/internal/diff"
)

const (
	// maxRange is the most lines that a location has.
	maxRange = 30
	// maxHits is how many equal places are compared; a quote that stands more often says nothing.
	maxHits = 1000
	// maxWork bounds the comparing for one quote, in line comparisons, against quotes and files that are made to be
	// expensive. Beyond it a quote is taken as not found.
	maxWork = 20_000_000
	// minRunShare is the share of the quote's tokens that the longest run must hold.
	minRunShare = 0.6
)

// Locate finds the lines that a quote means. First hit wins: the quoted lines in the new side of the hunks, in the old
// side, both again without blanks and comments, the whole new file, the whole old one, the longest run of them within
// the named symbol, that symbol's first line, the file. The same input gives the same place. No error: in the worst
// case only the file is known.
// A quote that is not found as it is may have the escapes of a prompt in it, which stand for what cannot be seen.
func (m *Material) Locate(q Quote) Location {
	found := m.locate(q)
	if found.Placement == PlacedExact || found.Placement == PlacedNormalised || !strings.Contains(q.Code, "{") {
		return found
	}
	escaped := q.Code
	if q.Code = unescape(q.Code); q.Code == escaped {
		return found
	}
	if again := m.locate(q); again.Placement == PlacedExact || again.Placement == PlacedNormalised {
		return again
	}
	return found
}

func (m *Material) locate(q Quote) Location {
	s := &search{m: m, q: q, work: maxWork}
	for _, side := range s.sides() {
		s.named[side] = m.named(q.Symbol, side)
	}
	lines := quoteLines(q.Code)
	for _, side := range s.sides() {
		if h, ok := s.exact(m.hunks[side], exactPattern(lines)); ok {
			return m.location(h, PlacedExact)
		}
	}
	worded, norm := normalisedPattern(Syntax{}, lines), normalisedPattern(m.syntax, lines)
	for _, side := range s.sides() {
		if h, ok := s.normalised(m.hunks[side], worded, norm); ok {
			return m.location(h, PlacedNormalised)
		}
	}
	if loc, ok := s.marked(lines); ok {
		return loc
	}
	for _, side := range s.sides() {
		if h, ok := s.exact(m.whole[side], exactPattern(lines)); ok {
			return m.location(h, PlacedExact)
		}
		if h, ok := s.normalised(m.whole[side], worded, norm); ok {
			return m.location(h, PlacedNormalised)
		}
	}
	for _, side := range s.sides() {
		if h, ok := s.longestRun(side, norm); ok {
			return m.location(h, PlacedNormalised)
		}
	}
	return s.symbolOrFile()
}

// hit is a place where the quote stands.
type hit struct {
	section    *section
	start, end int
}

type search struct {
	m    *Material
	q    Quote
	work int
	// named are the definitions that the quote's symbol means, by side.
	named [3][]Anchor
}

func (s *search) sides() [2]Side {
	if s.q.Side == Left {
		return [2]Side{Left, Right}
	}
	return [2]Side{Right, Left}
}

func (s *search) spend(n int) bool {
	s.work -= n
	return s.work > 0
}

func (s *search) exact(sections []*section, p pattern) (hit, bool) {
	var hits []hit
	for _, sec := range sections {
		for at := 0; at+len(p.lines) <= len(sec.texts) && len(hits) < maxHits; at++ {
			if s.run(p.lines, func(i int) string { return sec.texts[at+i] }) {
				hits = append(hits, hit{sec, sec.first + at, sec.first + at + len(p.lines) - 1})
			}
		}
	}
	return s.choose(hits)
}

// normalised compares without blanks: the lines with their comments first, since a quote may be of nothing else, then the
// code alone.
func (s *search) normalised(sections []*section, worded, code pattern) (hit, bool) {
	if h, ok := s.among(sections, worded, (*section).worded); ok {
		return h, true
	}
	return s.among(sections, code, func(sec *section) []numberedLine { return sec.normalised(s.m.syntax) })
}

func (s *search) among(sections []*section, p pattern, of func(*section) []numberedLine) (hit, bool) {
	var hits []hit
	for _, sec := range sections {
		lines := of(sec)
		for at := 0; at+len(p.lines) <= len(lines) && len(hits) < maxHits; at++ {
			if s.run(p.lines, func(i int) string { return lines[at+i].text }) {
				hits = append(hits, hit{sec, lines[at].number, lines[at+len(p.lines)-1].number})
			}
		}
	}
	return s.choose(hits)
}

// run compares the lines of a pattern with the text's, one after the other. An empty pattern is nowhere.
func (s *search) run(lines []patternLine, text func(i int) string) bool {
	for i := range lines {
		line := text(i)
		if !s.spend(1 + len(lines[i].parts)*len(line)/64) {
			return false
		}
		if !lines[i].matches(line) {
			return false
		}
	}
	return len(lines) > 0
}

// marked tries a quote that was copied from a diff together with its markers.
func (s *search) marked(lines []string) (Location, bool) {
	newLines, oldLines, ok := withoutMarkers(lines)
	if !ok {
		return Location{}, false
	}
	if h, ok := s.normalised(s.m.hunks[Right], normalisedPattern(Syntax{}, newLines), normalisedPattern(s.m.syntax, newLines)); ok {
		return s.m.location(h, PlacedNormalised), true
	}
	if h, ok := s.normalised(s.m.hunks[Left], normalisedPattern(Syntax{}, oldLines), normalisedPattern(s.m.syntax, oldLines)); ok {
		return s.m.location(h, PlacedNormalised), true
	}
	return Location{}, false
}

// choose prefers hits inside the named symbol, then the one nearest to the hinted line, then the first.
func (s *search) choose(hits []hit) (hit, bool) {
	if len(hits) == 0 {
		return hit{}, false
	}
	best := hits[0]
	for _, h := range hits[1:] {
		if s.better(h, best) {
			best = h
		}
	}
	return best, true
}

func (s *search) better(a, b hit) bool {
	if inA, inB := s.inSymbol(a), s.inSymbol(b); inA != inB {
		return inA
	}
	return s.q.Line > 0 && distance(a, s.q.Line) < distance(b, s.q.Line)
}

func (s *search) inSymbol(h hit) bool {
	for _, a := range s.named[h.section.side] {
		if h.start >= a.StartLine && h.end <= a.EndLine {
			return true
		}
	}
	return false
}

func distance(h hit, line int) int {
	if line >= h.start && line <= h.end {
		return 0
	}
	return max(h.start-line, line-h.end)
}

// longestRun finds the longest run of quoted lines within the named symbol that holds most of the quote's tokens.
func (s *search) longestRun(side Side, p pattern) (hit, bool) {
	best, bestTokens := hit{}, 0
	for _, a := range s.named[side] {
		for _, sec := range s.sections(side) {
			lines := within(sec.normalised(s.m.syntax), a)
			if !s.spend(len(lines)) {
				return hit{}, false
			}
			if h, tokens := s.commonRun(p, lines); tokens > bestTokens {
				h.section = sec
				best, bestTokens = h, tokens
			}
		}
	}
	return best, bestTokens > 0 && float64(bestTokens) >= minRunShare*float64(p.tokens)
}

func (s *search) sections(side Side) []*section {
	if len(s.m.whole[side]) > 0 {
		return s.m.whole[side]
	}
	return s.m.hunks[side]
}

func within(lines []numberedLine, a Anchor) []numberedLine {
	from := sort.Search(len(lines), func(i int) bool { return lines[i].number >= a.StartLine })
	to := sort.Search(len(lines), func(i int) bool { return lines[i].number > a.EndLine })
	return lines[from:max(from, to)]
}

// commonRun is the longest common run of lines by tokens, found row by row.
func (s *search) commonRun(p pattern, lines []numberedLine) (best hit, bestTokens int) {
	type run struct{ tokens, start int }
	previous, current := make([]run, len(lines)+1), make([]run, len(lines)+1)
	for _, want := range p.lines {
		if s.work <= 0 {
			break
		}
		for j := range lines {
			current[j+1] = run{}
			if !s.spend(1+len(want.parts)*len(lines[j].text)/64) || !want.matches(lines[j].text) {
				continue
			}
			current[j+1] = run{previous[j].tokens + want.tokens, previous[j].start}
			if previous[j].tokens == 0 {
				current[j+1].start = lines[j].number
			}
			if current[j+1].tokens > bestTokens {
				best, bestTokens = hit{start: current[j+1].start, end: lines[j].number}, current[j+1].tokens
			}
		}
		previous, current = current, previous
	}
	return best, bestTokens
}

func (s *search) symbolOrFile() Location {
	for _, side := range s.sides() {
		anchors := s.named[side]
		if len(anchors) == 0 {
			continue
		}
		best := anchors[0]
		for _, a := range anchors[1:] {
			if s.better(hit{&section{side: side}, a.StartLine, a.EndLine}, hit{&section{side: side}, best.StartLine, best.EndLine}) {
				best = a
			}
		}
		return s.m.symbolLine(best)
	}
	return Location{
		Path: s.m.file.Path(), OldPath: s.m.file.OldPath, Side: s.m.onlySide(), Placement: PlacedFile,
	}
}

// onlySide is Left for a deleted file and Right for any other.
func (m *Material) onlySide() Side {
	if m.file.Change == diff.Deleted {
		return Left
	}
	return Right
}

func (m *Material) symbolLine(a Anchor) Location {
	sections := m.whole[a.Side]
	if len(sections) == 0 {
		sections = m.hunks[a.Side]
	}
	h := hit{&section{side: a.Side}, a.StartLine, a.StartLine}
	for _, sec := range sections {
		if a.StartLine >= sec.first && a.StartLine <= sec.last() {
			h.section = sec
		}
	}
	loc := m.location(h, PlacedSymbol)
	loc.Symbol = a.Symbol
	return loc
}

// location turns a hit into a place, cut to maxRange lines.
func (m *Material) location(h hit, placement Placement) Location {
	side := h.section.side
	end := min(h.end, h.start+maxRange-1)
	return Location{
		Path: m.file.Path(), OldPath: m.file.OldPath, Side: side, StartLine: h.start, EndLine: end,
		Symbol: m.around(side, h.start, end), Code: h.section.text(h.start, end), Placement: placement,
		InDiff: m.file.Covers(diff.Range{Side: side, Start: h.start, End: end}),
	}
}

// Set holds the materials of one review by path. Fill it before use; then it may be used from several goroutines.
type Set struct{ byPath map[string]*Material }

// Add puts a material into the set, under its new and its old path; a new path beats another file's old one.
func (s *Set) Add(m *Material) {
	if s.byPath == nil {
		s.byPath = make(map[string]*Material)
	}
	if old := m.file.OldPath; old != "" && s.byPath[old] == nil {
		s.byPath[old] = m
	}
	s.byPath[m.file.Path()] = m
}

// Material returns the material of a path as reporters write it: as it is, or with "./", "a/" or "b/" before it. It is
// nil where the path is not part of the set.
func (s *Set) Material(path string) *Material {
	for _, prefix := range []string{"", "./", "/", "a/", "b/"} {
		if rest, ok := strings.CutPrefix(path, prefix); ok && s.byPath[rest] != nil {
			return s.byPath[rest]
		}
	}
	return nil
}

// Locate finds the quote in the file that it names. In no file of the set, the placement is PlacedNone and the path is
// the quote's.
func (s *Set) Locate(q Quote) Location {
	if m := s.Material(q.Path); m != nil {
		return m.Locate(q)
	}
	return Location{Path: q.Path, Side: q.Side, Placement: PlacedNone}
}
