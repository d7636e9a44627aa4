package tests

import (
	"iter"
	"regexp"
	"strings"
	"unicode"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// alike is the share of equal lines from which a test counts as another one renamed, split or merged (own choice).
	alike = 0.5
	// minWord is the shortest name that is looked at; shorter ones are everywhere.
	minWord = 3
)

// world is what the whole change says about the names and lines in it.
type world struct {
	// vanished are the words that stood in removed lines of code other than tests and stand nowhere in it now.
	vanished map[string]bool
	// source says that the change touches code other than tests.
	source bool
	// added are the lines that the change adds to files with tests, without blanks and comments.
	added map[string]bool
	// appeared are the tests of the new side that have no match on the old one, by name.
	appeared map[string]bool
}

func survey(in review.Inspection, pairs []pair) *world {
	w := &world{vanished: map[string]bool{}, added: map[string]bool{}, appeared: map[string]bool{}}
	holdsTests := make(map[*review.File]*pair, len(pairs))
	for i := range pairs {
		p := &pairs[i]
		holdsTests[p.file] = p
		w.addTests(p)
	}
	present := make(map[string]bool)
	for i := range in.Change.Files {
		f := &in.Change.Files[i]
		p := holdsTests[f]
		if f.Nature != review.NatureText || p != nil && !p.dialect.anyFile || helper(f) || prose(f.Path) {
			continue
		}
		w.addSource(f, p, present)
	}
	for word := range present {
		delete(w.vanished, word)
	}
	return w
}

// helper says whether the file belongs to tests without being one that is compared: fixtures, helpers, snapshots.
func helper(f *review.File) bool { return testFile(f.Path) || testFile(f.OldPath) }

// prose says whether the file is written for people: what it still names need not exist.
func prose(file string) bool {
	switch ending(file) {
	case ".md", ".markdown", ".mdx", ".rst", ".adoc", ".txt", ".html", ".po", ".pot":
		return true
	default:
		return false
	}
}

func (w *world) addTests(p *pair) {
	for i := range p.file.Hunks {
		for _, l := range p.file.Hunks[i].Lines {
			if l.Op == '+' {
				w.added[words(p.syntax, l.Text)] = true
			}
		}
	}
	matched := make(map[*test]bool)
	for _, t := range match(p.old, p.new) {
		matched[t] = true
	}
	for i := range p.new {
		if t := &p.new[i]; !matched[t] && !t.group {
			w.appeared[t.name] = true
			for _, s := range t.body { // a moved file adds no lines
				w.added[s.words] = true
			}
		}
	}
	delete(w.added, "")
}

// addSource notes the words of a file that is no test. Lines that belong to tests of such a file do not count.
func (w *world) addSource(f *review.File, p *pair, present map[string]bool) {
	syntax := finding.SyntaxOf(f.Path)
	inTest := func(tests []test, n int) bool {
		for i := range tests {
			if n >= tests[i].start && n <= tests[i].end {
				return true
			}
		}
		return false
	}
	var old, now []test
	if p != nil {
		old, now = p.old, p.new
	}
	note := func(into map[string]bool, text string) {
		for term := range terms(words(syntax, text)) {
			into[term] = true
		}
	}
	for i := range f.Hunks {
		o, n := f.Hunks[i].OldStart, f.Hunks[i].NewStart
		for _, l := range f.Hunks[i].Lines {
			if l.Op == '-' && !inTest(old, o) {
				note(w.vanished, l.Text)
			}
			w.source = w.source || telling(l.Text) && (l.Op == '-' && !inTest(old, o) || l.Op == '+' && !inTest(now, n))
			if l.Op != '+' {
				o++
			}
			if l.Op != '-' {
				n++
			}
		}
	}
	if f.Change == review.Deleted {
		return
	}
	for _, l := range lines(f, false) {
		if !inTest(now, l.number) {
			note(present, l.text)
		}
	}
}

// telling says whether a line is more than a blank or the annotation of what follows.
func telling(text string) bool {
	text = strings.TrimSpace(text)
	return text != "" && !strings.HasPrefix(text, "#[") && !strings.HasPrefix(text, "@")
}

// terms are the names in a line, those in its strings among them.
func terms(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for term := range strings.FieldsFuncSeq(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			if len(term) >= minWord && !unicode.IsDigit(rune(term[0])) && !yield(term) {
				return
			}
		}
	}
}

func words(syntax finding.Syntax, text string) string {
	return strings.Join(syntax.Tokens(cut(text)), " ")
}

// gone says whether a test that its file has no more was deleted while its subject stays: it did not move, it does not
// go on under another name, as part of another one or in a table, and nothing that it names has gone from the code.
func (w *world) gone(p *pair, t *test) bool {
	if w.appeared[t.name] || len(t.body) == 0 || w.survives(t.body) || w.namesVanished(t.body) || w.namesVanished(nameWords(t.name)) {
		return false
	}
	// Where only hunks are known, a single line may be what is left of a test that goes on elsewhere.
	return p.file.HasOld || len(t.body) > 1
}

// survives says whether most of the lines stand among those that the change adds to tests.
func (w *world) survives(body []statement) bool {
	found, counted := 0, 0
	for _, s := range body {
		if len(s.words) < 4 {
			continue // closing brackets and the like
		}
		counted++
		if w.added[s.words] {
			found++
		}
	}
	return counted > 0 && float64(found) >= alike*float64(counted)
}

func (w *world) namesVanished(body []statement) bool {
	for _, s := range body {
		for term := range terms(s.words) {
			if w.vanished[term] {
				return true
			}
		}
	}
	return false
}

// nameWords are the words of which a test's name may be put together: "TestLoadConfig_empty" names LoadConfig.
func nameWords(name string) []statement {
	bare := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "Test"), "test"), "_")
	parts := strings.FieldsFunc(bare, func(r rune) bool { return strings.ContainsRune("_ .,:-()", r) })
	return []statement{{words: bare + " " + strings.Join(parts, " ")}}
}

// checking are words in lines that assert something by other means than those that the dialect knows.
var checking = regexp.MustCompile(`(?i)assert|expect|verif|check|requir|should|must|compar|valid|match|equal|diff|golden|snapshot`)

// lost returns the assertions that a test had and has no more, none where it may assert the same in another way: by new
// lines that look like checks, in a helper or another test, or because what it asserted about has gone.
func (w *world) lost(p *pair, was, now *test) []statement {
	if len(now.assertions) >= len(was.assertions) || p.assertions >= 0 || was.group {
		return nil
	}
	before, after := counted(was.body), counted(now.body)
	for _, s := range now.body {
		if after[s.words] > before[s.words] && checking.MatchString(s.words) {
			return nil
		}
	}
	var out []statement
	for _, s := range was.assertions {
		if before[s.words] <= after[s.words] {
			continue
		}
		before[s.words]--
		if w.added[s.words] || w.namesVanished([]statement{s}) || !p.removed(s.line) {
			return nil
		}
		out = append(out, s)
	}
	return out
}

func counted(body []statement) map[string]int {
	out := make(map[string]int, len(body))
	for _, s := range body {
		out[s.words]++
	}
	return out
}

// removed says whether the diff removes the line of the old side.
func (p *pair) removed(number int) bool {
	for i := range p.file.Hunks {
		h := &p.file.Hunks[i]
		o := h.OldStart
		for _, l := range h.Lines {
			if l.Op == '+' {
				continue
			}
			if o == number {
				return l.Op == '-'
			}
			o++
		}
	}
	return false
}

// comments are the lines of the new side that stand in comments, as code, with their numbers.
func (p *pair) comments() map[string]int {
	if p.commented != nil {
		return p.commented
	}
	p.commented = make(map[string]int)
	for _, l := range p.newLines {
		text := strings.TrimSpace(l.text)
		bare := strings.TrimSpace(strings.TrimLeft(text, "/#*"))
		if bare != text && bare != "" {
			p.commented[words(p.syntax, bare)] = l.number
		}
	}
	return p.commented
}

// commentedOut returns the line of the new side that holds the beginning of the test as a comment, 0 where most of the
// test does not stand there as comments.
func commentedOut(p *pair, t *test) int {
	if p.file.Change == review.Deleted {
		return 0
	}
	comments := p.comments()
	at, ok := comments[words(p.syntax, t.text)]
	if !ok {
		return 0
	}
	found := 0
	for _, s := range t.body {
		if _, ok := comments[s.words]; ok {
			found++
		}
	}
	if float64(found) < alike*float64(len(t.body)) {
		return 0
	}
	return at
}
