package lifecycle

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Presence says whether the head has a file.
type Presence int

// The presences. Of what is unknown nothing is concluded.
const (
	Unknown Presence = iota
	Absent
	Present
)

// Head is the state that was reviewed.
type Head struct {
	// Commit is what findings are said to be fixed in.
	Commit string
	Change *review.Change
	// Code holds the parsed files of the new side, by path; missing ones have no known definitions.
	Code map[string]*review.Code
	// Read returns the text of a file of the head, with its secrets replaced as in findings.
	Read func(path string) (text string, p Presence, err error)
}

// tokens are a text's tokens with their lines.
type tokens struct {
	texts []string
	lines []int // of each token, from 1
	first []bool
	last  []bool
}

func tokenise(syntax finding.Syntax, text string, firstLine int) *tokens {
	t := &tokens{}
	for i, line := range syntax.LineTokens(text) {
		for n, token := range line {
			t.texts = append(t.texts, token)
			t.lines = append(t.lines, firstLine+i)
			t.first = append(t.first, n == 0)
			t.last = append(t.last, n == len(line)-1)
		}
	}
	return t
}

// place is where code stands in a text.
type place struct {
	start, end int // lines
	before     string
	after      string
}

// find returns the places of the quote's tokens, one after the other. A place counts when it begins and ends where lines
// do, or beside the same tokens as before: else it is part of something that was changed.
func (t *tokens) find(quote []string, before, after string) []place {
	var out []place
	if len(quote) == 0 {
		return nil
	}
	for at := 0; at+len(quote) <= len(t.texts) && len(out) < maxPlaces; at++ {
		if t.texts[at] != quote[0] || !slices.Equal(t.texts[at:at+len(quote)], quote) {
			continue
		}
		end := at + len(quote) - 1
		p := place{start: t.lines[at], end: t.lines[end]}
		if at > 0 {
			p.before = t.texts[at-1]
		}
		if end+1 < len(t.texts) {
			p.after = t.texts[end+1]
		}
		begins := t.first[at] || before != "" && p.before == before
		ends := t.last[end] || after != "" && p.after == after
		if begins && ends {
			out = append(out, p)
			at = end
		}
	}
	return out
}

// maxPlaces bounds the equal places that are looked at; code that stands more often says nothing.
const maxPlaces = 200

// Bounds of what is known of texts at once, in bytes of them (own choices): the tokens of a text may take fifty times its size.
const (
	// maxHeld is of how much the tokens are kept; what is asked for again behind that is read again.
	maxHeld = 8 << 20
	// maxSearched is how much is searched for code that has moved, the smallest files first.
	maxSearched = 4 << 20
)

// view reads the head's files, once where there is room for them.
type view struct {
	head  *Head
	texts map[string]*file
	// olds are the old sides of changed files' hunks.
	olds map[string][]oldHunk
	held int // bytes of both
	// moves are the changed files to which code may have moved; made when they are asked for.
	moves *moves
	// quoted counts the known findings that are not fixed, by where they stood and what they quote, and by category: those of
	// different ones may be about one place.
	quoted map[string]map[finding.Category]int
}

// quotedAt is a key of view.quoted.
func quotedAt(path string, q *quote) string { return path + "\x00" + strings.Join(q.tokens, "\x00") }

// count counts the known findings.
func (v *view) count(known []review.Known) {
	v.quoted = map[string]map[finding.Category]int{}
	for k := range known {
		f := &known[k].Finding
		if f.Status == finding.Fixed || f.Location.Side == finding.Left {
			continue
		}
		at := quotedAt(f.Location.Path, quoteOf(&f.Location))
		if v.quoted[at] == nil {
			v.quoted[at] = map[finding.Category]int{}
		}
		v.quoted[at][f.Category]++
	}
}

// taken is how many places of a quote in a file are those of known findings, at least.
func (v *view) taken(path string, q *quote) int {
	most := 0
	for _, n := range v.quoted[quotedAt(path, q)] {
		most = max(most, n)
	}
	return most
}

type file struct {
	presence Presence
	text     string
	tokens   *tokens // without comments
	written  *tokens // with them, made when it is asked for
}

func (f *file) plain() *tokens {
	if f.written == nil {
		f.written = tokenise(finding.Syntax{}, f.text, 1)
	}
	return f.written
}

func (v *view) file(path string) (*file, error) {
	if f, ok := v.texts[path]; ok {
		return f, nil
	}
	text, presence, err := v.head.Read(path)
	if err != nil {
		return nil, err
	}
	f := &file{presence: presence, text: text}
	v.hold(len(text))
	if presence == Present {
		f.tokens = tokenise(finding.SyntaxOf(path), text, 1)
	}
	v.texts[path] = f
	return f, nil
}

// hold makes room for the tokens of a text.
func (v *view) hold(size int) {
	if v.held += size; v.held > maxHeld {
		clear(v.texts)
		clear(v.olds)
		v.held = size
	}
}

// find returns the places of a quote. A quote of comments, or from within one, is found among all that is written.
func (f *file) find(q *quote, before, after string) []place {
	if out := f.tokens.find(q.tokens, before, after); len(out) > 0 {
		return out
	}
	return f.plain().find(q.plain, "", "")
}

// quote is the code that a finding quotes.
type quote struct {
	tokens []string // without comments
	plain  []string // with them
}

func quoteOf(l *finding.Location) *quote {
	return &quote{tokens: finding.SyntaxOf(l.Path).Tokens(l.Code), plain: finding.Syntax{}.Tokens(l.Code)}
}

// empty: only the file is known.
func (q *quote) empty() bool { return len(q.plain) == 0 }

// moves are changed files by the tokens that they hold, so that each is read once and not for each finding.
type moves struct {
	files         []*review.File
	tokens, plain map[string][]int
	rest          []*review.File // there was no room for them
}

func (v *view) movable() (*moves, error) {
	if v.moves != nil {
		return v.moves, nil
	}
	m := &moves{tokens: map[string][]int{}, plain: map[string][]int{}}
	var files []*review.File
	for i := range v.head.Change.Files {
		if c := &v.head.Change.Files[i]; c.Change != review.Deleted && (c.Added > 0 || c.Change == review.Renamed) {
			files = append(files, c)
		}
	}
	large := tooLarge(files)
	room := maxSearched
	for _, c := range files {
		if large[c] {
			m.rest = append(m.rest, c)
			continue
		}
		f, err := v.file(c.Path)
		if err != nil {
			return nil, err
		}
		if f.presence != Present {
			continue
		}
		if room -= len(f.text); room < 0 { // it is longer than was known
			m.rest = append(m.rest, c)
			continue
		}
		note(m.tokens, f.tokens, len(m.files))
		note(m.plain, f.plain(), len(m.files))
		m.files = append(m.files, c)
	}
	v.moves = m
	return m, nil
}

// tooLarge are the files behind the smallest ones that are searched.
func tooLarge(files []*review.File) map[*review.File]bool {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b *review.File) int { return cmp.Compare(len(a.New), len(b.New)) })
	out, room := map[*review.File]bool{}, maxSearched
	for _, c := range files {
		if room -= len(c.New); room < 0 {
			out[c] = true
		}
	}
	return out
}

// mayHold says whether a quote may stand in a file that was not searched, other than here.
func (m *moves) mayHold(q *quote, here string) bool {
	masked := strings.Contains(strings.Join(q.plain, ""), "[secret:") // the file's own text has the secret there
	code, plain := []byte(longest(q.tokens)), []byte(longest(q.plain))
	return slices.ContainsFunc(m.rest, func(c *review.File) bool {
		return c.Path != here && (masked || !c.HasNew || len(code) > 0 && bytes.Contains(c.New, code) || bytes.Contains(c.New, plain))
	})
}

func longest(tokens []string) string {
	out := ""
	for _, token := range tokens {
		if len(token) > len(out) {
			out = token
		}
	}
	return out
}

func note(in map[string][]int, t *tokens, file int) {
	for _, token := range t.texts {
		if files := in[token]; len(files) == 0 || files[len(files)-1] != file {
			in[token] = append(files, file)
		}
	}
}

// holding are the files that may hold a quote: those with the rarest of its tokens.
func (m *moves) holding(q *quote) []*review.File {
	at := append(slices.Clone(rarest(m.tokens, q.tokens)), rarest(m.plain, q.plain)...)
	slices.Sort(at)
	at = slices.Compact(at)
	out := make([]*review.File, len(at))
	for i, n := range at {
		out[i] = m.files[n]
	}
	return out
}

func rarest(in map[string][]int, quote []string) []int {
	if len(quote) == 0 {
		return nil
	}
	best := in[quote[0]]
	for _, token := range quote[1:] {
		if files := in[token]; len(files) < len(best) {
			best = files
		}
	}
	return best
}

// oldHunk is the old side of a hunk.
type oldHunk struct {
	deleted       map[int]bool // lines
	tokens, plain *tokens
}

func (v *view) oldHunks(f *review.File) []oldHunk {
	if out, ok := v.olds[f.OldPath]; ok {
		return out
	}
	out, size := make([]oldHunk, 0, len(f.Hunks)), 0
	for i := range f.Hunks {
		h := &f.Hunks[i]
		var old []string
		deleted := map[int]bool{}
		for _, l := range h.Lines {
			if l.Op == '-' {
				deleted[h.OldStart+len(old)] = true
			}
			if l.Op != '+' {
				old = append(old, l.Text)
			}
		}
		text := strings.Join(old, "\n")
		size += len(text)
		out = append(out, oldHunk{
			deleted, tokenise(finding.SyntaxOf(f.OldPath), text, h.OldStart), tokenise(finding.Syntax{}, text, h.OldStart),
		})
	}
	v.hold(size)
	v.olds[f.OldPath] = out
	return out
}

// removed returns where the change takes the quote away from a file: places on its old side that hold a deleted line.
func (v *view) removed(path string, q *quote, before, after string) []place {
	f := v.head.Change.OldFile(path)
	if f == nil {
		return nil
	}
	var out []place
	for _, h := range v.oldHunks(f) {
		places := h.tokens.find(q.tokens, before, after)
		if len(places) == 0 {
			places = h.plain.find(q.plain, "", "")
		}
		for _, p := range places {
			for n := p.start; n <= p.end; n++ {
				if h.deleted[n] {
					out = append(out, p)
					break
				}
			}
		}
	}
	return out
}

// paths returns where the file of a known finding may be now, the likeliest first: its path, and where the change renames
// it to from there, or from where it was in the base.
func (v *view) paths(l *finding.Location) []string {
	var out []string
	add := func(path string) {
		if path != "" && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	here := v.head.Change.File(l.Path)
	if here != nil && here.Change != review.Deleted {
		add(l.Path)
	}
	for _, old := range []string{l.Path, l.OldPath} {
		if f := v.head.Change.OldFile(old); f != nil && f.Change == review.Renamed {
			add(f.Path)
		}
	}
	add(l.Path)
	return out
}

// definition returns the span of lines of a symbol as findings name it. known is false where the file was not parsed.
func (v *view) definition(path, symbol string) (start, end int, found, known bool) {
	code := v.head.Code[path]
	if !code.Usable() {
		return 0, 0, false, false
	}
	for i := range code.Definitions {
		if d := &code.Definitions[i]; d.Symbol() == symbol {
			return d.FullSpan.StartLine, d.FullSpan.EndLine, true, true
		}
	}
	return 0, 0, false, true
}

// bareName is the last part of a symbol's name, without its kind.
func bareName(symbol string) string {
	if at := strings.LastIndexByte(symbol, ' '); at >= 0 {
		symbol = symbol[at+1:]
	}
	if at := strings.LastIndexAny(symbol, ".:#/\\"); at >= 0 {
		symbol = symbol[at+1:]
	}
	return symbol
}
