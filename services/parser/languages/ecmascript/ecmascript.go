// Package ecmascript holds what the descriptions of JavaScript, TypeScript and TSX have in common.
package ecmascript

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

//go:embed jsx.scm
var jsx string

//go:embed imports.scm
var imports string

// Queries are what a language adds to the common patterns. JSX says whether its grammar knows JSX.
type Queries struct {
	Definitions, References, Imports string
	JSX                              bool
}

// Spec returns a description with the common rules. The language's own definitions go first, so that they hold where a
// common pattern finds the same.
func Spec(name, title string, extensions []string, own Queries) languages.Spec {
	spec := languages.Spec{
		Name:           name,
		Title:          title,
		Extensions:     extensions,
		Definitions:    own.Definitions + definitions,
		References:     own.References + references,
		Imports:        own.Imports + imports,
		Separator:      ".",
		Atoms:          []string{"template_string", "string", "regex", "jsx_text"},
		Refine:         refine,
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: plainArguments,
		ReadImports:    readImports,
	}
	if own.JSX {
		spec.References += jsx
	}
	return spec
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	if c.Kind == parser.KindVariable && c.InBlock && (around == nil || around.Kind != parser.KindModule) {
		c.Kind = parser.KindUnknown
		return
	}
	c.Exported = exported(c, around)
	c.Test = isTestFile(c.Path)
}

func exported(c *languages.Candidate, around *parser.Definition) bool {
	private := strings.HasPrefix(c.Name, "#") || strings.Contains(c.Modifiers, "private") || strings.Contains(c.Modifiers, "protected")
	switch {
	case private:
		return false
	case around == nil:
		return c.Marked || strings.HasPrefix(c.Signature, "exports.") || strings.HasPrefix(c.Signature, "module.exports.")
	case around.Kind == parser.KindModule:
		return c.Marked
	case around.Kind == parser.KindFunction || around.Kind == parser.KindMethod:
		return false
	default:
		return around.Exported
	}
}

func isTestFile(path string) bool {
	return strings.Contains(path, ".test.") || strings.Contains(path, ".spec.") || strings.Contains(path, "__tests__/")
}

func parameters(list languages.Node) []parser.Parameter {
	if list.Type == "identifier" { // x => x
		return []parser.Parameter{{Name: list.Text(), PositionalOnly: true}}
	}
	var result []parser.Parameter
	for _, child := range list.Children {
		p, ok := parameter(child)
		if ok {
			p.PositionalOnly = true
			result = append(result, p)
		}
	}
	return result
}

// parameter reads one of a list; false stands for a comment, a decorator or TypeScript's "this".
func parameter(n languages.Node) (parser.Parameter, bool) {
	switch n.Type {
	case "comment", "decorator":
		return parser.Parameter{}, false
	case "assignment_pattern":
		return parser.Parameter{Name: n.ByField("left").Text(), Kind: parser.ParameterOptional}, true
	case "rest_pattern":
		return parser.Parameter{Name: strings.TrimLeft(n.Text(), ". "), Kind: parser.ParameterVariadic}, true
	case "required_parameter", "optional_parameter":
		pattern := n.ByField("pattern")
		if pattern.Type == "this" {
			return parser.Parameter{}, false
		}
		p, _ := parameter(pattern)
		p.Type = strings.TrimLeft(n.ByField("type").Text(), ": ")
		if n.Type == "optional_parameter" || n.ByField("value").Type != "" {
			p.Kind = parser.ParameterOptional
		}
		return p, true
	default:
		return parser.Parameter{Name: n.Text()}, true
	}
}

// plainArguments: neither a spread value nor a comment hides in the list.
func plainArguments(text []byte) bool {
	return !bytes.Contains(text, []byte("...")) && !bytes.Contains(text, []byte("/"))
}

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		switch child.Type {
		case "comment":
		case "spread_element":
			result.Spread = true
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	if n.Type == "variable_declarator" {
		return readRequire(n)
	}
	result := parser.Import{Path: unquote(n.ByField("source").Text())}
	if n.Type == "export_statement" {
		result.Wildcard = true // unless a clause says otherwise
	}
	for _, child := range n.Children {
		switch child.Type {
		case "import_clause", "export_clause":
			result.Wildcard = false
			readClause(&result, child)
		case "namespace_export":
			result.Wildcard = false
			result.Alias = child.Child("identifier").Text()
		case "import_require_clause":
			result.Path = unquote(child.ByField("source").Text())
			result.Alias = child.Child("identifier").Text()
		}
	}
	return []parser.Import{result}
}

func readClause(result *parser.Import, clause languages.Node) {
	for _, child := range clause.Children {
		switch child.Type {
		case "identifier":
			result.Names = append(result.Names, parser.ImportedName{Name: "default", Alias: child.Text(), Range: child.Range})
		case "namespace_import":
			result.Alias = child.Child("identifier").Text()
		case "named_imports":
			readClause(result, child)
		case "import_specifier", "export_specifier":
			name := child.ByField("name")
			result.Names = append(result.Names, parser.ImportedName{
				Name: unquote(name.Text()), Alias: child.ByField("alias").Text(), Range: name.Range,
			})
		}
	}
}

// readRequire reads CommonJS imports; any other call gives none.
func readRequire(n languages.Node) []parser.Import {
	call := n.ByField("value")
	if call.ByField("function").Text() != "require" {
		return nil
	}
	result := parser.Import{Path: unquote(call.ByField("arguments").Child("string").Text())}
	switch name := n.ByField("name"); name.Type {
	case "identifier":
		result.Alias = name.Text()
	case "object_pattern":
		for _, child := range name.Children {
			switch child.Type {
			case "shorthand_property_identifier_pattern":
				result.Names = append(result.Names, parser.ImportedName{Name: child.Text(), Range: child.Range})
			case "pair_pattern":
				key := child.ByField("key")
				result.Names = append(result.Names, parser.ImportedName{
					Name: key.Text(), Alias: child.ByField("value").Text(), Range: key.Range,
				})
			}
		}
	}
	return []parser.Import{result}
}

func unquote(text string) string { return strings.Trim(text, "\"'`") }
