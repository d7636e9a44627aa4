// Package python describes Python to the parser. The grammar takes Python 2 as well.
package python

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

// Spec returns the description of Python.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "python",
		Title:          "Python",
		Extensions:     []string{".py", ".pyi", ".pyw"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      ".",
		Atoms:          []string{"string"},
		TrimComments:   true,
		Refine:         refine,
		Doc:            doc,
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: plainArguments,
		ReadImports:    readImports,
	}
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	inClass := around != nil && around.Kind == parser.KindClass
	if c.Kind == parser.KindFunction && inClass {
		c.Kind = parser.KindMethod
		c.Parameters = withoutReceiver(c.Parameters)
	}
	if c.Kind == parser.KindVariable {
		refineVariable(c, inClass)
	}
	private := strings.HasPrefix(c.Name, "_") && !(strings.HasPrefix(c.Name, "__") && strings.HasSuffix(c.Name, "__"))
	c.Exported = !private && (around == nil || inClass)
	c.Test = isTestFile(c.Path) || strings.HasPrefix(c.Name, "test_") && c.Parameters == nil
}

// refineVariable: names in capitals are constants, those of a class are its fields, those of a function are bound there.
func refineVariable(c *languages.Candidate, inClass bool) {
	switch {
	case inClass:
		c.Kind = parser.KindField
	case c.ParentDefinition != nil:
		c.Kind = parser.KindUnknown
	case strings.ToUpper(c.Name) == c.Name && strings.ToLower(c.Name) != c.Name:
		c.Kind = parser.KindConstant
	}
}

func withoutReceiver(list []parser.Parameter) []parser.Parameter {
	if len(list) > 0 && list[0].Kind == parser.ParameterRequired {
		switch list[0].Name {
		case "self", "cls", "mcs", "metacls", "klass":
			return list[1:]
		}
	}
	return list
}

func isTestFile(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, "test_") || strings.HasSuffix(base, "_test.py") || base == "conftest.py"
}

// doc takes prefix and quotes from a documentation string, and the indentation from its lines.
func doc(text string) string {
	text = strings.TrimLeft(text, "rRuUbBfF")
	for _, quote := range []string{`"""`, "'''", `"`, "'"} {
		if inner, found := strings.CutPrefix(text, quote); found {
			text = strings.TrimSuffix(inner, quote)
			break
		}
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	keywordOnly := false
	for _, child := range list.Children {
		switch child.Type {
		case "comment":
			continue
		case "positional_separator":
			for i := range result {
				result[i].PositionalOnly = true
			}
			continue
		case "keyword_separator":
			keywordOnly = true
			continue
		}
		p := parameter(child)
		p.KeywordOnly = keywordOnly || p.Kind == parser.ParameterKeywordVariadic
		keywordOnly = keywordOnly || p.Kind == parser.ParameterVariadic
		result = append(result, p)
	}
	return result
}

func parameter(n languages.Node) parser.Parameter {
	switch n.Type {
	case "default_parameter", "typed_default_parameter":
		return parser.Parameter{Name: n.ByField("name").Text(), Type: n.ByField("type").Text(), Kind: parser.ParameterOptional}
	case "typed_parameter":
		if len(n.Children) == 0 {
			return parser.Parameter{Name: n.Text()}
		}
		p := parameter(n.Children[0])
		p.Type = n.ByField("type").Text()
		return p
	case "list_splat_pattern":
		return parser.Parameter{Name: strings.TrimLeft(n.Text(), "* "), Kind: parser.ParameterVariadic}
	case "dictionary_splat_pattern":
		return parser.Parameter{Name: strings.TrimLeft(n.Text(), "* "), Kind: parser.ParameterKeywordVariadic}
	default:
		return parser.Parameter{Name: n.Text()}
	}
}

// plainArguments: no keyword, spread argument or comment hides in the list.
func plainArguments(text []byte) bool {
	return bytes.HasPrefix(text, []byte("(")) && !bytes.ContainsAny(text, "=*#") && !bytes.Contains(text, []byte(" for "))
}

func arguments(list languages.Node) parser.Arguments {
	if list.Type != "argument_list" { // f(x for x in y)
		return parser.Arguments{Positional: 1}
	}
	var result parser.Arguments
	for _, child := range list.Children {
		switch child.Type {
		case "comment":
		case "list_splat", "dictionary_splat", "parenthesized_list_splat":
			result.Spread = true
		case "keyword_argument":
			result.Keywords = append(result.Keywords, child.ByField("name").Text())
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	if n.Type == "import_statement" {
		return readModules(n)
	}
	result := parser.Import{Path: n.ByField("module_name").Text(), Wildcard: n.Child("wildcard_import").Type != ""}
	if n.Type == "future_import_statement" {
		result.Path = "__future__"
	}
	for _, child := range n.Children {
		if child.Field != "name" {
			continue
		}
		name := parser.ImportedName{Name: child.Text(), Range: child.Range}
		if child.Type == "aliased_import" {
			original := child.ByField("name")
			name = parser.ImportedName{Name: original.Text(), Alias: child.ByField("alias").Text(), Range: original.Range}
		}
		result.Names = append(result.Names, name)
	}
	return []parser.Import{result}
}

func readModules(n languages.Node) []parser.Import {
	var result []parser.Import
	for _, child := range n.Children {
		switch child.Type {
		case "dotted_name":
			result = append(result, parser.Import{Path: child.Text()})
		case "aliased_import":
			result = append(result, parser.Import{Path: child.ByField("name").Text(), Alias: child.ByField("alias").Text()})
		}
	}
	return result
}
