// Package java describes Java to the parser.
package java

import (
	"bytes"
	_ "embed" // for the queries
	"strings"

	"witan.dev/services/parser"
	"witan.dev/services/parser/languages"
)

//go:embed definitions.scm
var definitions string

//go:embed references.scm
var references string

//go:embed imports.scm
var imports string

// Spec returns the description of Java.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "java",
		Title:          "Java",
		Extensions:     []string{".java"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      ".",
		Atoms:          []string{"string_literal", "block_comment"},
		Refine:         refine,
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: func(text []byte) bool { return !bytes.Contains(text, []byte("/")) },
		ReadImports:    readImports,
	}
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	inInterface := around != nil && around.Kind == parser.KindInterface
	c.Exported = c.Kind == parser.KindModule || strings.Contains(c.Modifiers, "public") ||
		strings.Contains(c.Modifiers, "protected") ||
		inInterface && around.Exported && !strings.Contains(c.Modifiers, "private") ||
		around != nil && around.Kind == parser.KindEnum && c.Kind == parser.KindConstant && around.Exported
	if c.Kind == parser.KindField && strings.Contains(c.Modifiers, "static") && strings.Contains(c.Modifiers, "final") {
		c.Kind = parser.KindConstant
	}
	c.Test = strings.HasSuffix(c.Path, "Test.java") || strings.Contains(c.Path, "src/test/") ||
		strings.Contains(c.Leading, "@Test")
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	for _, child := range list.Children {
		switch child.Type {
		case "formal_parameter":
			result = append(result, parser.Parameter{
				Name: child.ByField("name").Text(), Type: child.ByField("type").Text(), PositionalOnly: true,
			})
		case "spread_parameter":
			p := parser.Parameter{Name: child.Child("variable_declarator").Text(), Kind: parser.ParameterVariadic, PositionalOnly: true}
			for _, part := range child.Children {
				if part.Type != "modifiers" {
					p.Type = part.Text()
					break
				}
			}
			result = append(result, p)
		}
	}
	return result
}

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		if child.Type != "line_comment" && child.Type != "block_comment" {
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	name := n.Child("scoped_identifier", "identifier")
	if n.Child("asterisk").Type != "" {
		return []parser.Import{{Path: name.Text(), Wildcard: true}}
	}
	if name.Type != "scoped_identifier" {
		return []parser.Import{{Path: name.Text()}}
	}
	last := name.ByField("name")
	return []parser.Import{{
		Path: name.ByField("scope").Text(), Names: []parser.ImportedName{{Name: last.Text(), Range: last.Range}},
	}}
}
