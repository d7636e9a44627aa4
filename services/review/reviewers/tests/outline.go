package tests

import (
	"regexp"
	"strings"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

const (
	// maxTests bounds the tests of one file, maxTestLines the lines of one test; what lies beyond is not looked at.
	maxTests, maxTestLines = 5000, 2000
	// maxLine bounds the part of a line that is looked at.
	maxLine = 500
)

// A line of one side of a file. Where only hunks are known, lines between them are missing and a gap precedes the next.
type line struct {
	number int
	text   string
	gap    bool
}

// lines are what is known of one side of a file: all of it, or what the hunks show.
func lines(f *review.File, old bool) []line {
	content, whole, drop := f.New, f.HasNew, byte('-')
	if old {
		content, whole, drop = f.Old, f.HasOld, '+'
	}
	if whole {
		texts := review.SplitLines(content)
		out := make([]line, len(texts))
		for i, t := range texts {
			out[i] = line{number: i + 1, text: cut(t)}
		}
		return out
	}
	var out []line
	for i := range f.Hunks {
		number := f.Hunks[i].NewStart
		if old {
			number = f.Hunks[i].OldStart
		}
		first := true
		for _, l := range f.Hunks[i].Lines {
			if l.Op == drop {
				continue
			}
			out = append(out, line{number: number, text: cut(l.Text), gap: first})
			first = false
			number++
		}
	}
	return out
}

func cut(text string) string { return text[:min(len(text), maxLine)] }

// A test is one test, or a group of them, as its lines show it.
type test struct {
	name       string
	group      bool
	start, end int // lines
	// offAt is the line that keeps it from running, 0 for one that runs; focusAt the one that keeps all others.
	offAt, focusAt int
	text           string      // of its first line
	body           []statement // without the first line
	assertions     []statement
}

// A statement is one line of code without blanks and comments.
type statement struct {
	line  int
	words string
}

// outline finds the tests in the lines.
func outline(d *dialect, syntax finding.Syntax, all []line) []test {
	var out []test
	for i := range all {
		if len(out) == maxTests {
			break
		}
		t, ok := begin(d, all, i)
		if !ok {
			continue
		}
		body := block(all, i)
		t.start, t.text, t.end = all[i].number, strings.TrimSpace(all[i].text), all[i].number
		if len(body) > 0 {
			t.end = body[len(body)-1].number
		}
		t.fill(d, syntax, body)
		out = append(out, t)
	}
	return out
}

// begin says whether a test or group begins on line i.
func begin(d *dialect, all []line, i int) (test, bool) {
	text := all[i].text
	if name, ok := named(d.off, text); ok {
		return test{name: name, offAt: all[i].number}, true
	}
	if name, ok := named(d.focus, text); ok {
		return test{name: name, focusAt: all[i].number}, true
	}
	for _, start := range d.start {
		name, ok := named(start, text)
		if !ok {
			continue
		}
		marked, offAt := annotations(d, all, i)
		if d.mark != nil && !marked {
			break
		}
		return test{name: name, offAt: offAt}, true
	}
	if name, ok := named(d.group, text); ok {
		_, offAt := annotations(d, all, i)
		return test{name: name, group: true, offAt: offAt}, true
	}
	return test{}, false
}

func named(e *regexp.Regexp, text string) (string, bool) {
	if e == nil {
		return "", false
	}
	m := e.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	for i, group := range e.SubexpNames() {
		if group != "" && m[i] != "" {
			return m[i], true
		}
	}
	return "", false
}

// annotations looks at the lines directly above: whether one makes a test of line i, and which one keeps it from running.
func annotations(d *dialect, all []line, i int) (marked bool, offAt int) {
	const above = 12
	for n := 1; n <= above && i-n >= 0 && !all[i-n+1].gap; n++ {
		text := strings.TrimSpace(all[i-n].text)
		if text == "" || !strings.ContainsRune("@#[/*)", rune(text[0])) {
			return marked, offAt
		}
		marked = marked || d.mark != nil && d.mark.MatchString(text)
		if d.offMark != nil && d.offMark.MatchString(text) {
			offAt = all[i-n].number
		}
	}
	return marked, offAt
}

// block returns the lines that belong to what begins on line i: those that are indented deeper, and one that closes it.
func block(all []line, i int) []line {
	depth := indentation(all[i].text)
	end := i + 1
	for n := i + 1; n < len(all) && n-i <= maxTestLines && !all[n].gap; n++ {
		text := strings.TrimSpace(all[n].text)
		if text == "" {
			continue
		}
		switch {
		case indentation(all[n].text) > depth:
			end = n + 1
		case text == "{" || text[0] == ')' && strings.ContainsRune("{:", rune(text[len(text)-1])): // the body opens on its own line
			end = n + 1
		case text == "end" || text[0] == '}' || text[0] == ')':
			return all[i+1 : n+1]
		default:
			return all[i+1 : end]
		}
	}
	return all[i+1 : end]
}

func indentation(text string) int {
	n := 0
	for i := range len(text) {
		switch text[i] {
		case ' ':
			n++
		case '\t':
			n += 4
		default:
			return n
		}
	}
	return n
}

func (t *test) fill(d *dialect, syntax finding.Syntax, body []line) {
	first := -1
	for _, l := range body {
		words := strings.Join(syntax.Tokens(l.text), " ")
		if words == "" {
			continue
		}
		depth := indentation(l.text)
		if first < 0 && words != "{" {
			first = depth
		}
		s := statement{line: l.number, words: words}
		t.body = append(t.body, s)
		if d.assertion.MatchString(l.text) {
			t.assertions = append(t.assertions, s)
		}
		if t.offAt == 0 && depth == first && d.offInside != nil && d.offInside.MatchString(l.text) {
			t.offAt = l.number
		}
	}
}
