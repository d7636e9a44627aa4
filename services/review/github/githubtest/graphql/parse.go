// Package graphql reads and runs the few GraphQL documents that the simulated GitHub answers: one operation with
// variables, fields, aliases, arguments and inline fragments. Anything else is an error, as is a field that a type does
// not have.
package graphql

import (
	"fmt"
	"strconv"
	"strings"
)

// Operation is a parsed document.
type Operation struct {
	// Kind is query or mutation.
	Kind      string
	Name      string
	Variables []Variable
	Fields    []Field
}

// Variable is a declared variable.
type Variable struct {
	Name, Type string
	Required   bool
}

// Field is a selected field, or an inline fragment when On is set.
type Field struct {
	Alias, Name string
	On          string
	Arguments   map[string]any
	Fields      []Field
}

// variable is the use of a variable as an argument.
type variable string

// enum is a bare word as an argument.
type enum string

// maxDepth bounds nesting.
const maxDepth = 24

type parser struct {
	tokens []string
	at     int
	depth  int
}

// Parse reads a document of exactly one operation.
func Parse(document string) (*Operation, error) {
	tokens, err := scan(document)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	o := &Operation{Kind: "query"}
	if p.peek() != "{" {
		o.Kind = p.next()
		if o.Kind != "query" && o.Kind != "mutation" {
			return nil, fmt.Errorf("unexpected %q where an operation starts", o.Kind)
		}
		if isName(p.peek()) {
			o.Name = p.next()
		}
		if p.peek() == "(" {
			if o.Variables, err = p.variables(); err != nil {
				return nil, err
			}
		}
	}
	if o.Fields, err = p.selection(); err != nil {
		return nil, err
	}
	if p.at != len(p.tokens) {
		return nil, fmt.Errorf("unexpected %q behind the operation: one operation and no fragments are understood", p.peek())
	}
	return o, nil
}

func scan(s string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == ',':
			i++
		case c == '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
		case strings.HasPrefix(s[i:], "..."):
			tokens, i = append(tokens, "..."), i+3
		case strings.IndexByte("{}()[]:$!=@", c) >= 0:
			tokens, i = append(tokens, s[i:i+1]), i+1
		case c == '"':
			end := i + 1
			for end < len(s) && s[end] != '"' && s[end] != '\n' {
				if s[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(s) || s[end] != '"' {
				return nil, fmt.Errorf("a string does not end")
			}
			tokens, i = append(tokens, s[i:end+1]), end+1
		default:
			end := i
			for end < len(s) && (isLetter(s[end]) || s[end] >= '0' && s[end] <= '9' || s[end] == '-') {
				end++
			}
			if end == i {
				return nil, fmt.Errorf("unexpected character %q", c)
			}
			tokens, i = append(tokens, s[i:end]), end
		}
	}
	return tokens, nil
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isName(t string) bool { return t != "" && isLetter(t[0]) }

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return ""
}

func (p *parser) next() string {
	t := p.peek()
	p.at++
	return t
}

func (p *parser) expect(want string) error {
	if got := p.next(); got != want {
		return fmt.Errorf("expected %q, found %q", want, got)
	}
	return nil
}

func (p *parser) variables() ([]Variable, error) {
	p.at++
	var list []Variable
	for p.peek() != ")" {
		if err := p.expect("$"); err != nil {
			return nil, err
		}
		v := Variable{Name: p.next()}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		for strings.Contains("[]!", p.peek()) && p.peek() != "" || isName(p.peek()) && (v.Type == "" || v.Type == "[") {
			v.Type += p.next()
		}
		v.Required = strings.HasSuffix(v.Type, "!")
		if p.peek() == "=" {
			return nil, fmt.Errorf("defaults of variables are not understood")
		}
		list = append(list, v)
	}
	return list, p.expect(")")
}

func (p *parser) selection() ([]Field, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the document is nested too deeply")
	}
	defer func() { p.depth-- }()
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var fields []Field
	for p.peek() != "}" {
		f, err := p.field()
		if err != nil {
			return nil, err
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("an empty selection")
	}
	return fields, p.expect("}")
}

func (p *parser) field() (f Field, err error) {
	if p.peek() == "..." {
		p.at++
		if err := p.expect("on"); err != nil {
			return f, err
		}
		f.On = p.next()
		f.Fields, err = p.selection()
		return f, err
	}
	f.Name = p.next()
	if !isName(f.Name) {
		return f, fmt.Errorf("expected a field, found %q", f.Name)
	}
	f.Alias = f.Name
	if p.peek() == ":" {
		p.at++
		f.Name = p.next()
	}
	if p.peek() == "(" {
		p.at++
		if f.Arguments, err = p.arguments(")"); err != nil {
			return f, err
		}
	}
	if p.peek() == "{" {
		f.Fields, err = p.selection()
	}
	return f, err
}

func (p *parser) arguments(end string) (map[string]any, error) {
	values := map[string]any{}
	for p.peek() != end {
		name := p.next()
		if !isName(name) {
			return nil, fmt.Errorf("expected an argument, found %q", name)
		}
		if err := p.expect(":"); err != nil {
			return nil, err
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		values[name] = v
	}
	return values, p.expect(end)
}

func (p *parser) value() (any, error) {
	t := p.next()
	switch {
	case t == "$":
		return variable(p.next()), nil
	case t == "{":
		if p.depth++; p.depth > maxDepth {
			return nil, fmt.Errorf("the document is nested too deeply")
		}
		defer func() { p.depth-- }()
		return p.arguments("}")
	case strings.HasPrefix(t, `"`):
		return strconv.Unquote(t)
	case t == "true" || t == "false":
		return t == "true", nil
	case t == "null":
		return nil, nil
	case isName(t):
		return enum(t), nil
	}
	n, err := strconv.Atoi(t)
	if err != nil {
		return nil, fmt.Errorf("unexpected value %q", t)
	}
	return n, nil
}
