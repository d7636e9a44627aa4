// Package gitignore matches paths of a repository against patterns in the syntax of .gitignore files, as gitignore(5)
// describes it: `!` takes back, the last pattern that matches decides, and what lies below a matched folder is matched
// whatever comes later.
package gitignore

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

const (
	// MaxPatterns bounds one list (own choice).
	MaxPatterns = 500
	// MaxPattern bounds one pattern, in bytes (own choice).
	MaxPattern = 1000
)

// Patterns is a compiled list. The zero value matches nothing. Safe for concurrent use.
type Patterns struct {
	rules []rule
}

type rule struct {
	glob   string
	negate bool
	folder bool // matches folders only
}

// Compile reads patterns, one each. Comments and empty ones count for nothing. The error names every pattern that is none.
func Compile(patterns []string) (Patterns, error) {
	var p Patterns
	if len(patterns) > MaxPatterns {
		return p, fmt.Errorf("%d patterns, at most %d", len(patterns), MaxPatterns)
	}
	var errs []error
	for i, text := range patterns {
		r, ok, err := parse(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("pattern %d: %w", i+1, err))
		} else if ok {
			p.rules = append(p.rules, r)
		}
	}
	return p, errors.Join(errs...)
}

func parse(text string) (r rule, ok bool, err error) {
	if len(text) > MaxPattern {
		return r, false, fmt.Errorf("%d bytes, at most %d", len(text), MaxPattern)
	}
	if strings.ContainsAny(text, "\x00\n") {
		return r, false, errors.New("holds a line's end or a NUL")
	}
	text = trimBlanks(text)
	if strings.HasPrefix(text, "#") {
		return r, false, nil
	}
	text, r.negate = strings.CutPrefix(text, "!")
	text, r.folder = strings.CutSuffix(text, "/")
	if text == "" {
		return r, false, nil
	}
	if !strings.Contains(text, "/") {
		text = "**/" + text
	}
	text = strings.TrimPrefix(text, "/")
	if strings.HasSuffix(text, "/**") {
		text += "/*" // everything below, not the folder itself
	}
	r.glob = literalBraces(text)
	if !doublestar.ValidatePattern(r.glob) {
		return r, false, fmt.Errorf("%.80q is no pattern", text)
	}
	return r, true, nil
}

// trimBlanks drops blanks at the end unless a backslash keeps them.
func trimBlanks(text string) string {
	for strings.HasSuffix(text, " ") && !escaped(text, len(text)-1) {
		text = text[:len(text)-1]
	}
	return text
}

func escaped(text string, at int) bool {
	n := 0
	for at-n > 0 && text[at-n-1] == '\\' {
		n++
	}
	return n%2 == 1
}

// literalBraces keeps braces from being alternatives, which git does not have.
func literalBraces(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if (text[i] == '{' || text[i] == '}') && !escaped(text, i) {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Empty says whether there is no pattern at all.
func (p Patterns) Empty() bool { return len(p.rules) == 0 }

// Match says whether the file at path, relative to the repository's root and with slashes, is matched.
func (p Patterns) Match(path string) bool {
	if len(p.rules) == 0 {
		return false
	}
	for i := range len(path) {
		if path[i] == '/' && p.last(path[:i], true) {
			return true
		}
	}
	return p.last(path, false)
}

// last returns what the last pattern says that matches the path itself.
func (p Patterns) last(path string, folder bool) bool {
	for i := len(p.rules) - 1; i >= 0; i-- {
		r := &p.rules[i]
		if (!r.folder || folder) && doublestar.MatchUnvalidated(r.glob, path) {
			return !r.negate
		}
	}
	return false
}
