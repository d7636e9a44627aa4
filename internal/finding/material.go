package finding

import (
	"bytes"
	"strings"
	"sync"

	"witan.dev/internal/diff"
)

// Anchor is a definition's place in one version of a file.
type Anchor struct {
	// Symbol is the qualified name with its kind ("function pkg.Load").
	Symbol             string
	Side               Side
	StartLine, EndLine int
}

// MaterialParams is what is known of one changed file. All texts must have their secrets redacted line by line, so that
// line numbers stay true: what is found becomes Location.Code, which is shown and stored.
type MaterialParams struct {
	// File is the change; its hunks may be empty.
	File *diff.File
	// Old and New are the whole texts before and after, nil where they are not known.
	Old, New []byte
	Anchors  []Anchor
}

// Material is one changed file, made ready for finding quotes in it. It may be used from several goroutines.
type Material struct {
	file    *diff.File
	anchors []Anchor
	syntax  Syntax
	// hunks and whole hold the sections of each side.
	hunks, whole [3][]*section
}

// section is a run of lines that follow one another on one side.
type section struct {
	side  Side
	first int // number of the first line
	texts []string

	code, words normalLines
}

// normalLines are a section's lines made comparable, once somebody asks for them.
type normalLines struct {
	once  sync.Once
	lines []numberedLine
}

type numberedLine struct {
	normLine

	number int
}

// NewMaterial indexes a file. The texts are not copied and must not change.
func NewMaterial(p MaterialParams) *Material {
	m := &Material{file: p.File, anchors: p.Anchors, syntax: SyntaxOf(p.File.Path())}
	for i := range p.File.Hunks {
		h := &p.File.Hunks[i]
		if h.NewLines > 0 {
			m.hunks[Right] = append(m.hunks[Right], hunkSection(h, Right))
		}
		if h.OldLines > 0 {
			m.hunks[Left] = append(m.hunks[Left], hunkSection(h, Left))
		}
	}
	if p.New != nil {
		m.whole[Right] = []*section{textSection(p.New, Right)}
	}
	if p.Old != nil {
		m.whole[Left] = []*section{textSection(p.Old, Left)}
	}
	return m
}

func hunkSection(h *diff.Hunk, side Side) *section {
	s := &section{side: side}
	for i := range h.Lines {
		number := h.Lines[i].New
		if side == Left {
			number = h.Lines[i].Old
		}
		if number == 0 {
			continue
		}
		if s.first == 0 {
			s.first = number
		}
		s.texts = append(s.texts, trimEnd(h.Lines[i].Text))
	}
	return s
}

func textSection(text []byte, side Side) *section {
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	s := &section{side: side, first: 1, texts: make([]string, len(lines))}
	for i, line := range lines {
		s.texts[i] = trimEnd(string(line))
	}
	return s
}

func (s *section) last() int { return s.first + len(s.texts) - 1 }

// normalised returns the lines that hold code, with their numbers.
func (s *section) normalised(syntax Syntax) []numberedLine { return s.code.of(s, syntax) }

// worded returns all lines that are not blank, comments among them, with their numbers; blanks in strings do not count
// either.
func (s *section) worded() []numberedLine { return s.words.of(s, Syntax{}) }

func (l *normalLines) of(s *section, syntax Syntax) []numberedLine {
	l.once.Do(func() {
		until := ""
		for i, text := range s.texts {
			var n normLine
			if n, until = normalise(syntax, text, until); n.tokens > 0 {
				l.lines = append(l.lines, numberedLine{n, s.first + i})
			}
		}
	})
	return l.lines
}

// text returns the lines from start to end that the section holds.
func (s *section) text(start, end int) string {
	from, to := max(start-s.first, 0), min(end-s.first+1, len(s.texts))
	if from >= to {
		return ""
	}
	return strings.Join(s.texts[from:to], "\n")
}

// named returns the anchors that a symbol's name means, on one side: equal ones, else those whose qualified name ends
// in it.
func (m *Material) named(symbol string, side Side) []Anchor {
	if strings.TrimSpace(symbol) == "" {
		return nil
	}
	var equal, similar []Anchor
	bare := bareName(symbol)
	for _, a := range m.anchors {
		switch {
		case a.Side != side:
		case a.Symbol == symbol:
			equal = append(equal, a)
		case bare != "" && endsInName(bareName(a.Symbol), bare):
			similar = append(similar, a)
		}
	}
	if len(equal) > 0 {
		return equal
	}
	return similar
}

// bareName takes kind, arguments and receiver punctuation off a symbol: "func (s *Server) Load(x)" is "s.Server.Load".
func bareName(symbol string) string {
	const limit = 512
	symbol = symbol[:min(len(symbol), limit)]
	if at := strings.LastIndexByte(symbol, '('); at > 0 && !strings.HasSuffix(strings.TrimSpace(symbol[:at]), "func") {
		symbol = symbol[:at]
	}
	words := strings.FieldsFunc(symbol, func(r rune) bool { return !isWord(r) })
	if len(words) > 1 && strings.ContainsRune(strings.TrimSpace(symbol), ' ') {
		words = words[1:] // the kind
	}
	return strings.Join(words, ".")
}

func endsInName(qualified, name string) bool {
	return qualified == name || strings.HasSuffix(qualified, "."+name) || strings.HasSuffix(name, "."+qualified)
}

// around returns the innermost definition that holds the lines, or else the first of them.
func (m *Material) around(side Side, start, end int) string {
	best, bestSize, bestWhole := "", 0, false
	for _, a := range m.anchors {
		if a.Side != side || start < a.StartLine || start > a.EndLine {
			continue
		}
		size, whole := a.EndLine-a.StartLine, end <= a.EndLine
		if best == "" || (whole && !bestWhole) || (whole == bestWhole && size < bestSize) {
			best, bestSize, bestWhole = a.Symbol, size, whole
		}
	}
	return best
}
