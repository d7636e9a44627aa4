// Package php describes PHP to the parser.
package php

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

// Spec returns the description of PHP.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "php",
		Title:          "PHP",
		Extensions:     []string{".php"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      "::",
		Atoms:          []string{"string", "encapsed_string", "heredoc", "nowdoc", "text", "comment"},
		Refine:         refine,
		LocalQualifier: func(text string) bool { return strings.HasPrefix(text, "$") && !strings.HasPrefix(text, "$this") },
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: plainArguments,
		ReadImports:    readImports,
	}
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	c.Exported = c.Modifiers != "private" && c.Modifiers != "protected" &&
		(around == nil || around.Kind != parser.KindFunction && around.Kind != parser.KindMethod)
	c.Test = strings.HasSuffix(c.Path, "Test.php")
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	for _, child := range list.Children {
		p := parser.Parameter{
			Name: strings.TrimPrefix(child.ByField("name").Text(), "$"), Type: child.ByField("type").Text(),
		}
		switch child.Type {
		case "simple_parameter", "property_promotion_parameter":
			if child.ByField("default_value").Type != "" {
				p.Kind = parser.ParameterOptional
			}
		case "variadic_parameter":
			p.Kind = parser.ParameterVariadic
		default:
			continue
		}
		result = append(result, p)
	}
	return result
}

// plainArguments: no named or spread argument, no comment hides in the list.
func plainArguments(text []byte) bool {
	return !bytes.ContainsAny(text, ":/#") && !bytes.Contains(text, []byte("..."))
}

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		switch {
		case child.Type == "variadic_placeholder" || child.Child("variadic_unpacking").Type != "":
			result.Spread = true
		case child.Type != "argument":
		case child.ByField("name").Type != "":
			result.Keywords = append(result.Keywords, child.ByField("name").Text())
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	if n.Type != "namespace_use_declaration" {
		file := n.Child("string", "encapsed_string")
		if file.Type == "" {
			return nil // computed
		}
		return []parser.Import{{Path: strings.Trim(file.Text(), "\"'")}}
	}
	group := n.Child("namespace_use_group")
	if group.Type != "" {
		return []parser.Import{readGroup(n.Child("namespace_name").Text(), group)}
	}
	var result []parser.Import
	for _, clause := range n.Children {
		if clause.Type == "namespace_use_clause" {
			result = append(result, readClause(clause))
		}
	}
	return result
}

func readClause(clause languages.Node) parser.Import {
	alias := clause.Child("namespace_aliasing_clause").Child("name").Text()
	name := clause.Child("qualified_name", "name")
	if name.Type != "qualified_name" {
		return parser.Import{Path: name.Text(), Alias: alias}
	}
	last := name.Child("name")
	return parser.Import{
		Path:  strings.Trim(name.Child("namespace_name_as_prefix").Text(), `\`),
		Names: []parser.ImportedName{{Name: last.Text(), Alias: alias, Range: last.Range}},
	}
}

func readGroup(path string, group languages.Node) parser.Import {
	result := parser.Import{Path: strings.Trim(path, `\`)}
	for _, clause := range group.Children {
		name := clause.Child("namespace_name", "name")
		if name.Type == "" {
			continue
		}
		result.Names = append(result.Names, parser.ImportedName{
			Name: name.Text(), Alias: clause.Child("namespace_aliasing_clause").Child("name").Text(), Range: name.Range,
		})
	}
	return result
}
