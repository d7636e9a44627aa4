package finding

import (
	"regexp"
	"strconv"
	"strings"
)

// Limits of a quote; what is beyond them is not looked at.
const (
	maxQuoteBytes = 64 << 10
	maxQuoteLines = 200
)

// Quote is what a reporter says about a place. Everything in it is untrusted.
type Quote struct {
	// Path is the file, as the reporter names it.
	Path string
	// Code is quoted from the file, over whole lines. An ellipsis (… or ...) in a line stands for anything on that line.
	Code string
	// Symbol is the name of the definition around it, with or without kind and qualifier.
	Symbol string
	// Line is a hint that only decides between several hits; 0 is none.
	Line int
	// Side Left looks at the old file first; otherwise the new file comes first.
	Side Side
}

// pattern is a quote made ready for comparing, exactly or normalised.
type pattern struct {
	lines  []patternLine
	tokens int
}

// patternLine is one line to be found. With parts, anything may stand between them; without, the text must be equal.
type patternLine struct {
	text   string
	parts  []string
	tokens int
}

func (p patternLine) matches(text string) bool {
	if p.parts == nil {
		return p.text == text
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if !strings.HasPrefix(text, first) {
		return false
	}
	text = text[len(first):]
	if !strings.HasSuffix(text, last) {
		return false
	}
	text = text[:len(text)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return true
}

// redaction is what stands in a prompt for a secret, see the secrets reviewer.
var redaction = regexp.MustCompile(`\[secret:[a-z0-9-]{1,80}:[0-9a-f]{6}\]`)

// escape is how a prompt shows what cannot be seen, and bytes that are not UTF-8.
var escape = regexp.MustCompile(`\\u\{[0-9A-F]{2,6}\}|\\x\{[0-9A-F]{2}\}`)

// unescape gives back what escapes stand for.
func unescape(code string) string {
	return escape.ReplaceAllStringFunc(code, func(text string) string {
		n, err := strconv.ParseUint(text[3:len(text)-1], 16, 32)
		switch {
		case err != nil:
			return text
		case text[1] == 'x':
			return string([]byte{byte(n)}) //nolint:gosec // two digits
		}
		return string(rune(n)) //nolint:gosec // at most six digits
	})
}

// quoteLines returns the lines of a quote without a code fence around it, empty lines at its ends, and carriage returns.
func quoteLines(code string) []string {
	if len(code) > maxQuoteBytes {
		code = code[:maxQuoteBytes]
	}
	lines := strings.Split(code, "\n")
	for i := range lines {
		lines[i] = trimEnd(lines[i])
	}
	lines = trimEmpty(lines)
	if len(lines) > 0 && strings.HasPrefix(lines[0], "```") {
		lines = lines[1:]
		if n := len(lines); n > 0 && lines[n-1] == "```" {
			lines = lines[:n-1]
		}
		lines = trimEmpty(lines)
	}
	return lines[:min(len(lines), maxQuoteLines)]
}

func trimEnd(line string) string { return strings.TrimRight(line, " \t\r") }

func trimEmpty(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[0]) == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// exactPattern takes the lines as they are; a redaction matches the redaction or what it stands for.
func exactPattern(lines []string) pattern {
	p := pattern{lines: make([]patternLine, len(lines))}
	for i, line := range lines {
		p.lines[i] = patternLine{text: line}
		if redaction.MatchString(line) {
			p.lines[i].parts = redaction.Split(line, -1)
		}
	}
	return p
}

// normalisedPattern drops blanks, comments and lines that hold nothing else.
func normalisedPattern(syntax Syntax, lines []string) pattern {
	var p pattern
	until := ""
	for _, line := range lines {
		var norm normLine
		norm, until = normalise(syntax, redaction.ReplaceAllLiteralString(line, "…"), until)
		if norm.tokens == 0 {
			continue
		}
		p.lines = append(p.lines, wildcards(norm))
		p.tokens += p.lines[len(p.lines)-1].tokens
	}
	if p.tokens == 0 {
		return pattern{}
	}
	return p
}

// normLine is a line's tokens, joined by single blanks, and how many there are.
type normLine struct {
	text   string
	tokens int
}

func normalise(syntax Syntax, line, until string) (normLine, string) {
	var n normLine
	var b strings.Builder
	until = syntax.scan(line, until, func(token string) {
		if n.tokens > 0 {
			b.WriteByte(' ')
		}
		n.tokens++
		b.WriteString(token)
	})
	n.text = b.String()
	return n, until
}

// wildcards splits a normalised line at its ellipses. They count for no tokens.
func wildcards(n normLine) patternLine {
	text := strings.ReplaceAll(n.text, ". . .", "…")
	if !strings.Contains(text, "…") {
		return patternLine{text: text, tokens: n.tokens}
	}
	p := patternLine{text: text, parts: strings.Split(text, "…")}
	for i := range p.parts {
		p.parts[i] = strings.TrimSpace(p.parts[i])
		p.tokens += len(strings.Fields(p.parts[i]))
	}
	return p
}

// withoutMarkers reads a quote that was copied from a diff, with its "+" and "-": the lines of the new and of the old
// file. It reports false where the lines do not look like that.
func withoutMarkers(lines []string) (newLines, oldLines []string, ok bool) {
	for _, line := range lines {
		switch {
		case line == "":
			newLines, oldLines = append(newLines, ""), append(oldLines, "")
		case line[0] == '+':
			newLines, ok = append(newLines, line[1:]), true
		case line[0] == '-':
			oldLines, ok = append(oldLines, line[1:]), true
		case line[0] == ' ':
			newLines, oldLines = append(newLines, line[1:]), append(oldLines, line[1:])
		default:
			return nil, nil, false
		}
	}
	return newLines, oldLines, ok
}
