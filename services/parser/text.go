package parser

import (
	"strings"
	"unicode/utf8"
)

// CleanText makes valid UTF-8 of a piece of source and cuts it at a character so that it has at most limit bytes.
func CleanText(text []byte, limit int) string {
	if len(text) > limit {
		text = text[:limit]
		for back := 0; back < utf8.UTFMax && len(text) > 0 && !utf8.RuneStart(text[len(text)-1]); back++ {
			text = text[:len(text)-1]
		}
		if r, size := utf8.DecodeLastRune(text); r == utf8.RuneError && size == 1 {
			text = text[:len(text)-1]
		}
	}
	s := strings.ToValidUTF8(string(text), string(utf8.RuneError))
	for len(s) > limit { // replacement characters are longer than the bytes they stand for
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// Collapse is CleanText with every run of white space made one blank, and none at the ends.
func Collapse(text []byte, limit int) string {
	// Reading a little more than the limit keeps this linear in the limit, not in the file.
	if more := 4*limit + 64; len(text) > more {
		text = text[:more]
	}
	return CleanText([]byte(strings.Join(strings.Fields(CleanText(text, 4*limit+64)), " ")), limit)
}
