// Package reply reads what models wrote. All of it is hostile input: bounded in size, depth and count, checked field by
// field, and only labels that were shown have a meaning. What cannot be read is an error for the caller to repair or to
// count as an abstention; a label is never taken from prose. Pure and safe for concurrent use.
package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of what is read.
const (
	// MaxBytes is the longest text that is looked at; a longer one is not read at all.
	MaxBytes = 1 << 20
	// maxObjects bounds the search for JSON in a text, maxDepth the nesting of what is taken for an object.
	maxObjects = 64
	maxDepth   = 32
)

// Errors of reading.
var (
	ErrTooLong   = errors.New("the output is too long to be read")
	ErrNoObject  = errors.New("there is no readable JSON object of the wanted form, and no list after the last FINAL RANKING line")
	ErrAmbiguous = errors.New("there are several different JSON objects of the wanted form")
)

// candidates are the texts in which an object may stand, in the order of the repair chain: the whole output, each fenced
// block, each complete object in the text.
func candidates(text string) [][]string {
	whole := strings.TrimSpace(text)
	return [][]string{{whole}, fenced(text), objects(text)}
}

// fenced are the bodies of ``` blocks.
func fenced(text string) []string {
	var blocks []string
	var body []string
	open := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			if open {
				blocks = append(blocks, strings.TrimSpace(strings.Join(body, "")))
			}
			open, body = !open, nil
			if len(blocks) == maxObjects {
				break
			}
			continue
		}
		if open {
			body = append(body, line)
		}
	}
	return blocks
}

// objects are the complete top-level {…} of a text, found by counting braces outside of strings. A brace that never
// closes costs one look over the rest, and there are at most maxObjects looks.
func objects(text string) []string {
	var found []string
	for range maxObjects {
		at := strings.IndexByte(text, '{')
		if at < 0 {
			break
		}
		text = text[at:]
		end := closing(text)
		if end < 0 {
			text = text[1:]
			continue
		}
		found = append(found, text[:end])
		text = text[end:]
	}
	return found
}

// closing is the length of the object that text begins with, -1 where it is not complete or nested too deep.
func closing(text string) int {
	depth, inString, escaped := 0, false, false
	for i := range len(text) {
		switch c := text[i]; {
		case escaped:
			escaped = false
		case inString && c == '\\':
			escaped = true
		case c == '"':
			inString = !inString
		case inString:
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return -1
			}
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// pick returns the one value that parse accepts at the first link of the chain where it accepts any. Two different ones
// at one link are nobody's answer: a quoted ballot beside the own one must not win by standing first.
func pick[T any](text string, parse func(object string) (T, error), same func(a, b T) bool) (T, error) {
	var none T
	if len(text) > MaxBytes {
		return none, ErrTooLong
	}
	cause := ErrNoObject
	for _, link := range candidates(text) {
		var got []T
		for _, object := range link {
			v, err := parse(object)
			if err != nil {
				if strings.HasPrefix(object, "{") {
					cause = fmt.Errorf("%w: %w", ErrNoObject, err)
				}
				continue
			}
			got = append(got, v)
		}
		for _, v := range got[min(1, len(got)):] {
			if !same(got[0], v) {
				return none, ErrAmbiguous
			}
		}
		if len(got) > 0 {
			return got[0], nil
		}
	}
	return none, cause
}

// decode reads one JSON object and nothing after it. Unknown fields are left out: models add some.
func decode(object string, into any) error {
	if !strings.HasPrefix(object, "{") || closing(object) != len(object) {
		return errors.New("not one JSON object")
	}
	d := json.NewDecoder(bytes.NewReader([]byte(object)))
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("malformed JSON: %w", err)
	}
	return nil
}

// clip cuts a text to at most n characters and makes it valid UTF-8 without NUL.
func clip(text string, n int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(strings.TrimSpace(text), "\uFFFD"), "\x00", "")
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	count := 0
	for i := range text {
		if count == n {
			return text[:i]
		}
		count++
	}
	return text
}
