package retrieval

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxWord is the longest run of letters and digits that is indexed, in bytes; longer ones are data, not names.
	maxWord = 80
	// maxQueryTerms bounds the terms of one query: the index scores every row that matches any of them.
	maxQueryTerms = 64
)

// Words splits text into lower-case words: runs of letters and digits are cut at the borders of case and digits, and a
// word that was cut is followed by its whole, so that parseHTTPRequest gives parse, http, request, parsehttprequest,
// and parse_http_request gives the same. Runs of more than 80 bytes are left out. fn gets each word; whole says that it
// repeats the parts before it.
func Words(text string, fn func(word string, whole bool)) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if !wordRune(r) {
			i += size
			continue
		}
		end := i + runLength(text[i:])
		if end-i <= maxWord {
			splitRun(text[i:end], fn)
		}
		i = end
	}
}

// wordRune reports whether r belongs to a word. An underscore inside a run joins its parts; elsewhere it is a blank.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// runLength returns the length of the identifier at the start of s, in bytes.
func runLength(s string) int {
	end := 0
	for i, r := range s {
		switch {
		case wordRune(r):
			end = i + utf8.RuneLen(r)
		case r != '_':
			return end
		}
	}
	return end
}

func splitRun(run string, fn func(string, bool)) {
	parts, start, before := 0, 0, rune(0)
	emit := func(end int) {
		if end > start {
			parts++
			fn(strings.ToLower(run[start:end]), false)
		}
	}
	for i, r := range run {
		if r == '_' {
			emit(i)
			start = i + 1
		} else if i > start && border(before, r, run[i+utf8.RuneLen(r):]) {
			emit(i)
			start = i
		}
		before = r
	}
	if start == 0 {
		fn(strings.ToLower(run), false)
		return
	}
	emit(len(run))
	if parts > 1 {
		fn(strings.ToLower(strings.ReplaceAll(run, "_", "")), true)
	}
}

// border reports whether a word ends between a and b: lower to upper case, letter to digit or back, and before the last
// capital of several when a small letter follows (HTTP|Request).
func border(a, b rune, rest string) bool {
	switch {
	case digit(a) != digit(b):
		return true
	case lower(a) && upper(b):
		return true
	case upper(a) && upper(b):
		next, _ := utf8.DecodeRuneInString(rest)
		return lower(next)
	}
	return false
}

// The next three are those of package unicode, quicker for the letters of most code.

func digit(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9'
	}
	return unicode.IsDigit(r)
}

func lower(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z'
	}
	return unicode.IsLower(r)
}

func upper(r rune) bool {
	if r < utf8.RuneSelf {
		return 'A' <= r && r <= 'Z'
	}
	return unicode.IsUpper(r)
}

// SplitText returns the words of text joined by blanks, as the text index takes them in.
func SplitText(text string) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/4)
	Words(text, func(word string, _ bool) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(word)
	})
	return b.String()
}

// QueryTerms returns the words of a query, each once, in their order, without English stop words (unless there is
// nothing else), at most 64.
func QueryTerms(query string) []string {
	terms := queryTerms(query, func(word string) bool { return !stopWord(word) })
	if len(terms) == 0 {
		terms = queryTerms(query, func(string) bool { return true })
	}
	return terms
}

func queryTerms(query string, keep func(string) bool) []string {
	var terms []string
	seen := map[string]bool{}
	Words(query, func(word string, _ bool) {
		if len(terms) < maxQueryTerms && !seen[word] && keep(word) {
			seen[word] = true
			terms = append(terms, word)
		}
	})
	return terms
}

// stopWord reports whether a word says nothing about code. The list is short on purpose: "not", "if" and "for" are
// words of programs as well, but nobody looks for them.
func stopWord(word string) bool {
	switch word {
	case "a", "an", "the", "and", "or", "but", "if", "of", "at", "by", "for", "with", "about", "to", "from", "in", "on",
		"is", "are", "was", "were", "be", "been", "am", "do", "does", "did", "has", "have", "had", "can", "could", "should",
		"would", "will", "may", "might", "i", "you", "we", "it", "its", "they", "he", "she", "this", "that", "these", "those",
		"there", "what", "which", "who", "how", "when", "where", "why", "as", "so", "not", "my", "your", "our", "me", "us",
		"into", "than", "then", "using", "s", "t":
		return true
	}
	return false
}
