package structure

import (
	"slices"
	"strings"

	"witan.dev/services/review"
)

// accepts says whether a call is legal under the parameters. What cannot be told is legal.
func accepts(params []review.Parameter, r *review.Reference, content []byte, l language) bool {
	if r.Arguments == review.UnknownArguments {
		return true
	}
	var positions, required int
	anyPosition, anyName := false, false
	for _, p := range params {
		switch {
		case p.Variadic && p.KeywordOnly:
			anyName = true
		case p.Variadic:
			anyPosition = true
		case !p.KeywordOnly:
			positions++
			if !p.Optional {
				required++
			}
		}
	}
	if !anyName && strange(params, r.ArgumentNames) {
		return l.name == "Ruby" && r.Arguments < positions // a trailing hash of options
	}
	if r.Arguments > positions && !anyPosition {
		return false
	}
	if l.surplusOnly || l.name == "Go" && r.Arguments == 1 && required > 1 && nested(r, content) {
		return true
	}
	return filled(params, r)
}

// strange says whether a name is none of the parameters'.
func strange(params []review.Parameter, names []string) bool {
	for _, n := range names {
		if !slices.ContainsFunc(params, func(p review.Parameter) bool { return p.Name == n && !p.Variadic }) {
			return true
		}
	}
	return false
}

// filled says whether every parameter that needs a value gets one.
func filled(params []review.Parameter, r *review.Reference) bool {
	position := 0
	for _, p := range params {
		if p.Variadic {
			continue
		}
		given := p.Name != "" && slices.Contains(r.ArgumentNames, p.Name)
		if !p.KeywordOnly {
			given = given || position < r.Arguments
			position++
		}
		if !given && !p.Optional {
			return false
		}
	}
	return true
}

// nested says whether the only argument is itself a call, which in Go may stand for several values: f(g()).
func nested(r *review.Reference, content []byte) bool {
	const far = 4 << 10
	if r.Span.EndByte < 0 || r.Span.EndByte >= len(content) {
		return true
	}
	text := string(content[r.Span.EndByte:min(len(content), r.Span.EndByte+far)])
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return strings.HasSuffix(strings.TrimRight(text[:i], " \t\r\n,"), ")")
			}
		}
	}
	return true
}

// token finds name as a whole word in text and returns its offset, or -1.
func token(text, name string) int {
	for from := 0; from <= len(text) && name != ""; {
		n := strings.Index(text[from:], name)
		if n < 0 {
			return -1
		}
		at, end := from+n, from+n+len(name)
		if (at == 0 || !wordByte(text[at-1])) && (end >= len(text) || !wordByte(text[end])) {
			return at
		}
		from = at + 1
	}
	return -1
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}
