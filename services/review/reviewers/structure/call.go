package structure

import (
	"slices"
	"strings"

	"witan.dev/services/review"
)

// A call is the arguments that one call site passes.
type call struct {
	positional int
	named      []string
	spread     bool // some arguments are not told apart: f(xs...), f(*args), f(**options)
	nested     bool // the only argument is itself a call, which in Go may stand for several
	static     bool // called through a type, so that a receiver is passed like any other argument
}

// arguments reads the call of ref in content. ok is false when ref is no call there or its arguments cannot be counted.
func arguments(content []byte, ref *review.Reference, l language) (call, bool) {
	start, end := ref.Span.StartByte, len(content)
	if start < 0 || start >= end {
		return call{}, false
	}
	begin := max(0, start-2)
	text := string(content[begin:min(end, start+maxScan)])
	open, at := callBracket(text, ref.Name, start-begin, l)
	if open < 0 {
		return call{}, false
	}
	args, ok := brackets(text, open, l)
	if !ok {
		return call{}, false
	}
	c := call{static: strings.HasSuffix(strings.TrimRight(text[:at], " "), "::")}
	for _, item := range args.items {
		if !c.add(item, l) {
			return call{}, false
		}
	}
	return c, true
}

// callBracket finds the bracket that opens the arguments of name, and the name itself.
func callBracket(text, name string, from int, l language) (open, at int) {
	for at = token(text, name, from); at >= 0; at = token(text, name, at+1) {
		i := at + len(name)
		if l.name == "Rust" && strings.HasPrefix(text[i:], "::<") {
			i += 2
		}
		if i < len(text) && text[i] == '?' && strings.HasPrefix(text[i:], "?.(") { // TypeScript's optional call
			i += 2
		}
		switch {
		case i < len(text) && text[i] == '<' && l.angle:
			s := scanner{text: text, at: i, lang: l}
			if s.skipAngle() {
				i = s.at + 1
			}
		case i < len(text) && text[i] == '[' && l.name == "Go":
			s := scanner{text: text, at: i, lang: l}
			if types, ok := s.list(); ok {
				i = types.end
			}
		}
		if l.name != "Ruby" { // f (a) is something else in Ruby
			i = blanks(text, i)
		}
		if i < len(text) && text[i] == '(' {
			return i, at
		}
		if at > from+256 {
			break
		}
	}
	return -1, -1
}

// add takes one argument in; false means that it says too little.
func (c *call) add(item string, l language) bool {
	switch {
	case strings.HasPrefix(item, "...") || strings.HasPrefix(item, "*") && (l.name == "Python" || l.name == "Ruby"),
		l.name == "Go" && strings.HasSuffix(item, "..."):
		c.spread = true
		return true
	case l.name == "Ruby" && strings.HasPrefix(item, "&"):
		return true
	case l.name == "Python" && (token(item, "lambda", 0) >= 0 || token(item, "for", 0) >= 0 && !strings.ContainsAny(item, "([{")):
		return token(item, "lambda", 0) < 0 && c.positionalArgument(item)
	case l.name == "Ruby" && strings.Contains(item, "=>"):
		return false
	}
	if name := argumentName(item, l); name != "" {
		c.named = append(c.named, name)
		return true
	}
	return c.positionalArgument(item)
}

func (c *call) positionalArgument(item string) bool {
	c.positional++
	c.nested = c.positional == 1 && strings.HasSuffix(item, ")")
	return true
}

// argumentName returns the name in name=value (Python) or name: value (Ruby, PHP), or "".
func argumentName(item string, l language) string {
	if !l.keywords {
		return ""
	}
	name := word(item)
	if name == "" {
		return ""
	}
	rest := strings.TrimLeft(item[len(name):], " \t\r\n")
	if l.name == "Python" {
		if strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "==") {
			return name
		}
		return ""
	}
	if strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, "::") {
		return name
	}
	return ""
}

// accepts says whether the call is legal under the signature. What cannot be told is legal.
func (s signature) accepts(c call, l language) bool {
	if c.spread || c.static && s.receiver {
		return true
	}
	var required, most int
	restPositional, restNamed := false, false
	names := make([]string, 0, len(s.params))
	for _, p := range s.params {
		switch {
		case p.block:
		case p.rest && p.named:
			restNamed = true
		case p.rest:
			restPositional = true
		default:
			if !p.position {
				names = append(names, p.name)
			}
			if p.named {
				continue
			}
			most++
			if !p.optional {
				required++
			}
		}
	}
	for _, n := range c.named {
		if !restNamed && !slices.Contains(names, n) {
			return l.name == "Ruby" && c.positional < most // a trailing hash of options
		}
	}
	if c.positional > most && !restPositional {
		return false
	}
	if l.arity == arityTooMany {
		return true
	}
	if l.name == "Go" && c.nested && c.positional == 1 && required > 1 {
		return true
	}
	return s.filled(c)
}

// filled says whether every required parameter gets a value.
func (s signature) filled(c call) bool {
	position := 0
	for _, p := range s.params {
		if p.rest || p.block {
			continue
		}
		given := slices.Contains(c.named, p.name)
		if !p.named {
			given = given || position < c.positional
			position++
		}
		if !given && !p.optional {
			return false
		}
	}
	return true
}

// equal says whether two signatures accept the same calls.
func (s signature) equal(o signature) bool {
	return s.receiver == o.receiver && slices.Equal(s.params, o.params)
}
