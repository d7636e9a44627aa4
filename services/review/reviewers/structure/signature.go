package structure

import (
	"slices"
	"strings"

	"witan.dev/services/review"
)

// A parameter of a function.
type parameter struct {
	name     string
	optional bool // has a default, or is marked as such
	rest     bool // takes any number of arguments
	named    bool // can be given by name only
	position bool // can be given by position only
	block    bool // takes no argument at all (Ruby's &block)
}

// A signature is how a function may be called. receiver is true for a method whose first parameter stands before the
// dot in a call.
type signature struct {
	params   []parameter
	receiver bool
}

// parameters reads the parameters of a definition's signature. ok is false when they cannot be told for sure.
func parameters(d *review.Definition, l language) (signature, bool) {
	text := d.Signature
	open := parameterList(text, d.Name, l)
	if open < 0 {
		return signature{}, false
	}
	args, ok := brackets(text, open, l)
	if !ok {
		return signature{}, false
	}
	var (
		s    signature
		mode int // Python: 1 after * (by name only)
	)
	for i, item := range args.items {
		if l.name == "Python" && item == "/" {
			for j := range s.params {
				s.params[j].position = true
			}
			continue
		}
		if l.name == "Python" && item == "*" {
			mode = 1
			continue
		}
		if i == 0 && receiver(item, l) {
			s.receiver = true
			continue
		}
		p, ok := readParameter(item, l)
		if !ok {
			return signature{}, false
		}
		if p.rest && l.name == "Python" && !strings.HasPrefix(item, "**") {
			mode = 1
		} else if mode == 1 && !p.rest {
			p.named = true
		}
		s.params = append(s.params, p)
	}
	return s, true
}

// parameterList returns the offset of the bracket that opens the parameters of name in its signature, or -1.
func parameterList(text, name string, l language) int {
	for at := token(text, name, 0); at >= 0; at = token(text, name, at+1) {
		i := blanks(text, at+len(name))
		if i < len(text) && (text[i] == '<' && l.angle || text[i] == '[' && l.name == "Go") {
			s := scanner{text: text, at: i, lang: l}
			if text[i] == '<' {
				if !s.skipAngle() {
					return -1
				}
				i = blanks(text, s.at+1)
			} else if types, ok := s.list(); ok {
				i = blanks(text, types.end)
			}
		}
		if i < len(text) && text[i] == '?' { // an optional method of TypeScript
			i = blanks(text, i+1)
		}
		if i < len(text) && text[i] == '(' {
			return i
		}
		if i < len(text) && text[i] == '=' { // an arrow function: name = async (…) =>
			i = blanks(text, i+1)
			if strings.HasPrefix(text[i:], "async") {
				i = blanks(text, i+len("async"))
			}
			if i < len(text) && text[i] == '(' {
				return i
			}
		}
	}
	return -1
}

func receiver(item string, l language) bool {
	if l.name == "Rust" {
		bare := strings.TrimLeft(item, "& ")
		if strings.HasPrefix(bare, "'") { // &'a self
			if _, after, ok := strings.Cut(bare, " "); ok {
				bare = after
			}
		}
		bare = strings.TrimPrefix(bare, "mut ")
		name, _, _ := strings.Cut(bare, ":")
		return strings.TrimSpace(name) == "self"
	}
	end := 0
	for end < len(item) && identByte(item[end]) {
		end++
	}
	return slices.Contains(l.receiverNames, item[:end])
}

func readParameter(item string, l language) (parameter, bool) {
	switch l.name {
	case "Go":
		return goParameter(item), true
	case "Python":
		return pythonParameter(item), true
	case "Ruby":
		return rubyParameter(item), true
	case "PHP":
		return phpParameter(item)
	case "Java":
		return parameter{name: lastWord(item), rest: strings.Contains(item, "...")}, true
	case "Rust":
		name, _, typed := strings.Cut(item, ":")
		return parameter{name: strings.TrimSpace(name)}, typed
	default:
		return scriptParameter(item), true
	}
}

// goParameter takes the first word for the name. In (a, b int) as in (int, string) there is one item an argument.
func goParameter(item string) parameter {
	name, _, _ := strings.Cut(item, " ")
	return parameter{name: name, rest: strings.Contains(item, "...")}
}

func pythonParameter(item string) parameter {
	if after, ok := strings.CutPrefix(item, "**"); ok {
		return parameter{name: word(after), rest: true, named: true}
	}
	if after, ok := strings.CutPrefix(item, "*"); ok {
		return parameter{name: word(after), rest: true}
	}
	return parameter{name: word(item), optional: assigned(item)}
}

func rubyParameter(item string) parameter {
	switch {
	case strings.HasPrefix(item, "**"):
		return parameter{name: word(item[2:]), rest: true, named: true}
	case strings.HasPrefix(item, "*"), item == "...":
		return parameter{name: word(strings.TrimLeft(item, "*.")), rest: true}
	case strings.HasPrefix(item, "&"):
		return parameter{name: word(item[1:]), block: true}
	}
	name := word(item)
	rest := item[len(name):]
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		return parameter{name: name, named: true, optional: strings.TrimSpace(after) != ""}
	}
	return parameter{name: name, optional: assigned(item)}
}

func phpParameter(item string) (parameter, bool) {
	at := strings.IndexByte(item, '$')
	if at < 0 {
		return parameter{}, false
	}
	return parameter{name: word(item[at+1:]), optional: assigned(item[at:]), rest: strings.Contains(item[:at], "...")}, true
}

func scriptParameter(item string) parameter {
	if after, ok := strings.CutPrefix(item, "..."); ok {
		return parameter{name: word(after), rest: true}
	}
	for _, modifier := range []string{"public ", "private ", "protected ", "readonly "} {
		item = strings.TrimPrefix(item, modifier)
	}
	name := word(item)
	after := item[len(name):]
	return parameter{name: name, optional: strings.HasPrefix(after, "?") || assigned(item)}
}

// assigned says whether a default value stands behind the parameter: an equals sign outside of brackets that is none
// of =>, ==, <=, >=.
func assigned(item string) bool {
	depth := 0
	for i := range len(item) {
		switch c := item[i]; c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '=':
			before, after := byte(0), byte(0)
			if i > 0 {
				before = item[i-1]
			}
			if i+1 < len(item) {
				after = item[i+1]
			}
			if depth == 0 && after != '>' && after != '=' && strings.IndexByte("=<>!", before) < 0 {
				return true
			}
		}
	}
	return false
}

// word returns the identifier that text begins with.
func word(text string) string {
	end := 0
	for end < len(text) && identByte(text[end]) {
		end++
	}
	return text[:end]
}

func lastWord(text string) string {
	text = strings.TrimRight(text, " []")
	start := len(text)
	for start > 0 && identByte(text[start-1]) {
		start--
	}
	return text[start:]
}
