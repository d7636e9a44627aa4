// Package ruby describes Ruby to the parser.
package ruby

import (
	"bytes"
	_ "embed" // for the queries
	"path"
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

// Spec returns the description of Ruby.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "ruby",
		Title:          "Ruby",
		Extensions:     []string{".rb", ".rake", ".gemspec", ".ru"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      "::",
		Atoms:          []string{"string", "heredoc_body", "regex"},
		Container:      container,
		Refine:         refine,
		LocalQualifier: func(text string) bool { return strings.HasPrefix(text, "@") || strings.HasPrefix(text, "$") },
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: plainArguments,
		ReadImports:    readImports,
	}
}

// container: a method of self belongs to the class around it.
func container(text string) string {
	if text == "self" {
		return ""
	}
	return text
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	inType := around != nil && (around.Kind == parser.KindClass || around.Kind == parser.KindModule)
	if c.Kind == parser.KindFunction && inType {
		c.Kind = parser.KindMethod
	}
	if c.Kind == parser.KindConstant && around != nil && !inType {
		c.Kind = parser.KindUnknown
		return
	}
	c.Exported = !strings.HasPrefix(c.Name, "_") && (around == nil || inType)
	base := path.Base(c.Path)
	c.Test = strings.HasSuffix(base, "_test.rb") || strings.HasSuffix(base, "_spec.rb") || strings.HasPrefix(base, "test_")
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	for _, child := range list.Children {
		p := parser.Parameter{Name: child.ByField("name").Text()}
		switch child.Type {
		case "identifier", "destructured_parameter":
			p = parser.Parameter{Name: child.Text(), PositionalOnly: true}
		case "optional_parameter":
			p.Kind, p.PositionalOnly = parser.ParameterOptional, true
		case "splat_parameter", "forward_parameter":
			p.Kind, p.PositionalOnly = parser.ParameterVariadic, true
		case "keyword_parameter":
			p.KeywordOnly = true
			if child.ByField("value").Type != "" {
				p.Kind = parser.ParameterOptional
			}
		case "hash_splat_parameter":
			p.Kind, p.KeywordOnly = parser.ParameterKeywordVariadic, true
		default: // a block is no argument; comments
			continue
		}
		result = append(result, p)
	}
	return result
}

// plainArguments: no pair, splat, block or comment hides in the list.
func plainArguments(text []byte) bool { return !bytes.ContainsAny(text, ":=*&#") }

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		switch child.Type {
		case "comment", "block_argument":
		case "splat_argument", "hash_splat_argument", "forward_argument":
			result.Spread = true
		case "pair":
			result.Keywords = append(result.Keywords, strings.Trim(child.ByField("key").Text(), ":\"'"))
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	list := n.ByField("arguments")
	file := strings.Trim(list.Child("string").Text(), "\"'")
	switch n.ByField("method").Text() {
	case "require", "load":
		return []parser.Import{{Path: file}}
	case "require_relative":
		if !strings.HasPrefix(file, ".") {
			file = "./" + file
		}
		return []parser.Import{{Path: file}}
	case "autoload":
		symbol := list.Child("simple_symbol")
		return []parser.Import{{Path: file, Names: []parser.ImportedName{{Name: strings.Trim(symbol.Text(), ":")}}}}
	default:
		return nil
	}
}
