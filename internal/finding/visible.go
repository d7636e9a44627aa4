package finding

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible returns the text with everything that does not show itself written as a code point ("[U+202E]"): control
// characters, escape sequences of terminals, marks that turn the reading direction, characters without width or without ink.
// Line feeds and tabs stay, other bytes that are not UTF-8 are written as "[0xFF]".
func Visible(text string) string {
	clean := true
	for i := 0; i < len(text); i++ {
		if c := text[i]; (c < 0x20 && c != '\n' && c != '\t') || c >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var b strings.Builder
	before := rune(0)
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, "[0x%02X]", text[i])
		case r != '\n' && r != '\t' && (Unseen(before, r) || unicode.Is(unicode.Co, r)):
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteString(text[i : i+size])
		}
		i, before = i+size, r
	}
	return b.String()
}

// Unseen reports whether a character controls the text around it or cannot be seen: the categories Cc, Cf, Zl and Zp, what may
// be ignored where it is shown, variation selectors, of which words can be made that only machines read, and the empty
// pattern of Braille. The selector that gives an emoji its colour is none of these directly behind one, which is before.
func Unseen(before, r rune) bool {
	const colour, emptyBraille = '\uFE0F', '\u2800'
	if r == colour && emoji(before) {
		return false
	}
	return r == emptyBraille || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// emoji reports whether a character may be one that is shown with or without colour.
func emoji(r rune) bool {
	return unicode.In(r, unicode.So, unicode.Sm) || strings.ContainsRune("\u203C\u2049\u3030\u303D#*0123456789", r)
}

// oneLine is Visible without line breaks, for places that hold one line only.
func oneLine(text string) string {
	return strings.Join(strings.Fields(Visible(text)), " ")
}

// shown cuts a text of a reporter to what an output can hold.
func shown(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + " …"
}
