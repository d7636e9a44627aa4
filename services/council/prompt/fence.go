package prompt

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"witan.dev/internal/finding"
)

// A fence is two lines around text that is not ours:
//
//	[witan:0f3a… begin answer A]
//	…
//	[witan:0f3a… end answer A]
//
// The nonce comes from the job's key, so a text cannot foresee its closing line. All the same the text between is
// escaped: nothing in it looks like a fence, and no character in it is invisible or turns the order of reading.
const fenceMark = "[witan:"

func fence(nonce, name, text string) string { return between(nonce, name, Escape(text)) }

// lines is a fence around a list, one line each.
func lines(nonce, name string, list []string) string {
	escaped := make([]string, len(list))
	for i, text := range list {
		escaped[i] = Line(text)
	}
	return between(nonce, name, strings.Join(escaped, "\n"))
}

func between(nonce, name, escaped string) string {
	return fmt.Sprintf("%s%s begin %s]\n%s\n%s%s end %s]", fenceMark, nonce, name, escaped, fenceMark, nonce, name)
}

// Escape shows control, format and separator characters (bidi marks, zero-width characters, tags), whatever else cannot be seen
// (finding.Unseen), and broken UTF-8 as \u{HEX} and \x{HEX}, and takes the look of a fence from what looks like one. Line breaks, tabs and CRLF stay. Unescape
// gives the text back, byte by byte.
func Escape(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	before := rune(0)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		rest := text[i:]
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x{%02X}`, rest[0])
		case r == '\\' && (strings.HasPrefix(rest, `\u{`) || strings.HasPrefix(rest, `\x{`)):
			b.WriteString(`\u{5C}`)
		case r == '[' && len(rest) >= len(fenceMark) && strings.EqualFold(rest[:len(fenceMark)], fenceMark):
			b.WriteString(`\u{5B}`)
		case r != '\n' && r != '\t' && finding.Unseen(before, r) && !strings.HasPrefix(rest, "\r\n"):
			fmt.Fprintf(&b, `\u{%02X}`, r)
		default:
			b.WriteString(rest[:size])
		}
		i, before = i+size, r
	}
	return b.String()
}

// Unescape undoes Escape.
func Unescape(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		at := strings.IndexByte(text, '\\')
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		text = text[at:]
		n := unescapeOne(&b, text)
		text = text[n:]
	}
}

// unescapeOne writes what the backslash at the beginning of text stands for and returns how much of text that was.
func unescapeOne(b *strings.Builder, text string) int {
	const longest = len(`\u{10FFFF}`)
	end := strings.IndexByte(text[:min(len(text), longest)], '}')
	if end < 0 || !(strings.HasPrefix(text, `\u{`) || strings.HasPrefix(text, `\x{`)) {
		b.WriteByte('\\')
		return 1
	}
	n, err := strconv.ParseUint(text[3:end], 16, 32)
	switch {
	case err != nil:
		b.WriteByte('\\')
		return 1
	case text[1] == 'x' && n <= 0xFF:
		b.WriteByte(byte(n))
	default:
		b.WriteRune(rune(n)) //nolint:gosec // at most six hex digits
	}
	return end + 1
}
