// Package golang describes Go to the parser.
package golang

import (
	"bytes"
	_ "embed" // for the queries
	"strings"
	"unicode"
	"unicode/utf8"

	"witan.dev/services/parser"
	"witan.dev/services/parser/languages"
)

//go:embed definitions.scm
var definitions string

//go:embed references.scm
var references string

//go:embed imports.scm
var imports string

// Spec returns the description of Go.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "go",
		Title:          "Go",
		Extensions:     []string{".go"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      ".",
		Keywords:       []string{"type", "const", "var"},
		Container:      container,
		Refine:         refine,
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: plainArguments,
		ReadImports:    readImports,
	}
}

// container takes the type out of a receiver: "(s *Stack[T])" gives "Stack".
func container(receiver string) string {
	s := strings.Trim(receiver, "() \t\r\n")
	if bracket := strings.IndexByte(s, '['); bracket >= 0 {
		s = s[:bracket]
	}
	fields := strings.Fields(strings.ReplaceAll(s, "*", " "))
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

func refine(c *languages.Candidate) {
	if isLocal(c) || c.Name == "_" {
		c.Kind = parser.KindUnknown
		return
	}
	first, _ := utf8.DecodeRuneInString(c.Name)
	c.Exported = unicode.IsUpper(first)
	c.Test = strings.HasSuffix(c.Path, "_test.go")
}

// isLocal: what a function declares is bound there, and nothing outside can name it.
func isLocal(c *languages.Candidate) bool {
	around := c.ParentDefinition
	if around == nil {
		return c.Kind == parser.KindField // of a type that was left out
	}
	inFunction := around.Kind == parser.KindFunction || around.Kind == parser.KindMethod
	isValue := c.Kind == parser.KindConstant || c.Kind == parser.KindVariable
	return inFunction || isValue || around.Kind == parser.KindVariable && c.Kind != parser.KindField
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	for _, declaration := range list.Children {
		p := parser.Parameter{Type: declaration.ByField("type").Text(), PositionalOnly: true}
		switch declaration.Type {
		case "variadic_parameter_declaration":
			p.Kind = parser.ParameterVariadic
		case "parameter_declaration":
		default:
			continue
		}
		before := len(result)
		for _, child := range declaration.Children {
			if child.Field == "name" {
				p.Name = child.Text()
				result = append(result, p)
			}
		}
		if len(result) == before {
			result = append(result, p)
		}
	}
	return result
}

// plainArguments: neither a comment nor a spread slice hides in the list.
func plainArguments(text []byte) bool {
	return !bytes.Contains(text, []byte("...")) && !bytes.Contains(text, []byte("/"))
}

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		switch child.Type {
		case "comment":
		case "variadic_argument":
			result.Spread = true
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(spec languages.Node) []parser.Import {
	result := parser.Import{Path: strings.Trim(spec.ByField("path").Text(), "`\"")}
	switch name := spec.ByField("name"); name.Type {
	case "dot":
		result.Wildcard = true
	default:
		result.Alias = name.Text()
	}
	return []parser.Import{result}
}
