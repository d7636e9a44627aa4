// Package rust describes Rust to the parser.
package rust

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

// Spec returns the description of Rust.
func Spec() languages.Spec {
	return languages.Spec{
		Name:           "rust",
		Title:          "Rust",
		Extensions:     []string{".rs"},
		Definitions:    definitions,
		References:     references,
		Imports:        imports,
		Separator:      "::",
		Atoms:          []string{"string_literal", "raw_string_literal", "block_comment"},
		Container:      container,
		Refine:         refine,
		IsLocal:        isLocal,
		Parameters:     parameters,
		Arguments:      arguments,
		PlainArguments: func(text []byte) bool { return !bytes.Contains(text, []byte("/")) },
		ReadImports:    readImports,
	}
}

// container takes the name out of the type of an impl block: "&'a mut crate::Set<T>" gives "Set".
func container(text string) string {
	if bracket := strings.IndexByte(text, '<'); bracket >= 0 {
		text = text[:bracket]
	}
	fields := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}

// isLocal: constants, unit structs and variants look like bound names in patterns, but begin with a capital.
func isLocal(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return !unicode.IsUpper(first)
}

func refine(c *languages.Candidate) {
	around := c.ParentDefinition
	inTrait := around != nil && around.Kind == parser.KindTrait
	if c.Kind == parser.KindFunction && (c.Scoped || inTrait) {
		c.Kind = parser.KindMethod
	}
	inEnum := around != nil && around.Kind == parser.KindEnum
	c.Exported = strings.HasPrefix(c.Modifiers, "pub") || (inTrait || inEnum) && around.Exported
	c.Test = strings.Contains(c.Leading, "#[test]") || strings.Contains(c.Leading, "::test]") ||
		strings.Contains(c.Leading, "::test(") || strings.Contains(c.Leading, "#[cfg(test)]") ||
		around != nil && around.Test || strings.HasPrefix(c.Path, "tests/") || strings.Contains(c.Path, "/tests/")
}

func parameters(list languages.Node) []parser.Parameter {
	var result []parser.Parameter
	for _, child := range list.Children {
		switch child.Type {
		case "parameter":
			result = append(result, parser.Parameter{
				Name: child.ByField("pattern").Text(), Type: child.ByField("type").Text(), PositionalOnly: true,
			})
		case "variadic_parameter":
			result = append(result, parser.Parameter{Kind: parser.ParameterVariadic, PositionalOnly: true})
		}
	}
	return result
}

func arguments(list languages.Node) parser.Arguments {
	var result parser.Arguments
	for _, child := range list.Children {
		switch child.Type {
		case "line_comment", "block_comment", "attribute_item":
		default:
			result.Positional++
		}
	}
	return result
}

func readImports(n languages.Node) []parser.Import {
	if n.Type == "extern_crate_declaration" {
		return []parser.Import{{Path: n.ByField("name").Text(), Alias: n.ByField("alias").Text()}}
	}
	var u uses
	u.read("", n.ByField("argument"))
	return u.imports
}

// uses collects what a use declaration brings in.
type uses struct{ imports []parser.Import }

// read recurses over nested lists; copies of trees are limited in depth.
func (u *uses) read(prefix string, n languages.Node) {
	switch n.Type {
	case "scoped_identifier":
		u.add(join(prefix, n.ByField("path").Text()), n.ByField("name"), "")
	case "use_as_clause":
		alias := n.ByField("alias").Text()
		if path := n.ByField("path"); path.Type == "scoped_identifier" {
			u.add(join(prefix, path.ByField("path").Text()), path.ByField("name"), alias)
		} else {
			u.add(prefix, path, alias)
		}
	case "use_wildcard":
		path := prefix
		if len(n.Children) > 0 {
			path = join(prefix, n.Children[0].Text())
		}
		u.imports = append(u.imports, parser.Import{Path: path, Wildcard: true})
	case "scoped_use_list":
		u.readList(join(prefix, n.ByField("path").Text()), n.ByField("list"))
	case "use_list":
		u.readList(prefix, n)
	case "line_comment", "block_comment":
	default:
		u.add(prefix, n, "")
	}
}

func (u *uses) readList(prefix string, list languages.Node) {
	for _, child := range list.Children {
		u.read(prefix, child)
	}
}

// add notes one name; "self" and a name without a path stand for a whole module.
func (u *uses) add(path string, name languages.Node, alias string) {
	switch {
	case name.Type == "self" && path != "":
		u.imports = append(u.imports, parser.Import{Path: path, Alias: alias})
	case path == "":
		u.imports = append(u.imports, parser.Import{Path: name.Text(), Alias: alias})
	default:
		imported := parser.ImportedName{Name: name.Text(), Alias: alias, Range: name.Range}
		if last := len(u.imports) - 1; last >= 0 && u.imports[last].Path == path && len(u.imports[last].Names) > 0 {
			u.imports[last].Names = append(u.imports[last].Names, imported)
			return
		}
		u.imports = append(u.imports, parser.Import{Path: path, Names: []parser.ImportedName{imported}})
	}
}

func join(prefix, path string) string {
	if prefix == "" || path == "" {
		return prefix + path
	}
	return prefix + "::" + path
}
