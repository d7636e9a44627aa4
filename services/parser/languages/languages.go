// Package languages describes what the parser must know of a language beyond its grammar: the queries that find
// definitions, references and imports in a syntax tree, and the few rules that queries cannot say (visibility, qualified
// names, parameters). Each language has its folder with three query files, its rules and golden cases.
//
// A query marks nodes by captures:
//
//	@definition.<kind>   a definition; its @name, @parameters, @body, @doc, @receiver, @modifiers stand in the same pattern
//	@scope               a container that is no definition itself (a Rust impl block); its @name qualifies what is inside
//	@outer               a wrapper whose beginning belongs to the definition inside (decorators, an export statement)
//	@comment, @attribute what may stand before a definition as documentation or as part of it
//	@decorator           leading part of a definition's node that is not yet the definition (a Java annotation)
//	@exported            marks the definitions that lie directly inside or at the same place
//	@reference.{call,type,name}  a used name; its @qualifier and @arguments stand in the same pattern
//	@local               a locally bound name, visible from the end of its @declaration (or at once) in its @block
//	@hoisted             a locally bound name, visible in all of its @block
//	@global              a name that its @block binds elsewhere, whatever else is said of it
//	@exports             a name of this file that is exported by a statement of its own
//	@block               limits the visibility of locals
//	@import              an import statement
//	@opaque              a node in which no name is a reference
//	@ignore              a name that is neither reference nor definition (a label, a keyword argument's name)
//
// Where two patterns mark the same node and name as a definition, the earlier one in the file holds. Predicates are not
// supported, since the binding evaluates them slowly.
package languages

import (
	"slices"

	"witan.dev/services/parser"
)

// Spec is one language. Functions may be nil where a language has nothing to say; they must not keep their arguments.
type Spec struct {
	// Name and Title as in parser.Language.
	Name, Title string
	// Extensions with their dot.
	Extensions []string
	// Definitions, References and Imports are tree-sitter queries.
	Definitions, References, Imports string
	// Separator between the parts of a qualified name.
	Separator string
	// Keywords that may stand before a definition's node on the same line and belong to it ("type" in Go).
	Keywords []string
	// TrimComments cuts comments from the end of definitions: a grammar of indentation takes them for a part of the body.
	TrimComments bool
	// Atoms are node types that are never cut into chunks, though they have children (template strings).
	Atoms []string
	// Container gives the name of the type that a receiver or scope belongs to.
	Container func(text string) string
	// Refine sets what depends on more than the syntax: Exported, Test, sometimes Kind. KindUnknown leaves the definition
	// out.
	Refine func(*Candidate)
	// IsLocal says whether what @local marks can be a bound name.
	IsLocal func(name string) bool
	// LocalQualifier recognises qualifiers that begin with a variable by their text alone.
	LocalQualifier func(text string) bool
	// Doc reads what @doc marks; without it comment marks are taken away.
	Doc func(text string) string
	// Parameters reads a parameter list.
	Parameters func(Node) []parser.Parameter
	// Arguments reads an argument list.
	Arguments func(Node) parser.Arguments
	// PlainArguments reports that an argument list can be counted without Arguments: every named child is one argument.
	PlainArguments func(text []byte) bool
	// Imports reads an import statement. Ranges are filled in by the caller, those of names are taken from nodes.
	ReadImports func(Node) []parser.Import
}

// Candidate is a definition while its language refines it.
type Candidate struct {
	*parser.Definition
	// Path of the file.
	Path string
	// Parent is the innermost definition around it, nil at the top. It has been refined.
	ParentDefinition *parser.Definition
	// InBlock means that a @block lies around it, inside of the parent.
	InBlock bool
	// Scoped means that a @scope lies around it, or that it has a receiver.
	Scoped bool
	// Modifiers is the text of @modifiers, Leading what stands between the beginnings of FullRange and Range (attributes,
	// decorators, comments), cut at 1,000 bytes from its end. Marked says whether an @exported applies.
	Modifiers, Leading string
	Marked             bool
}

// Node is a copy of a small part of a syntax tree: named nodes only.
type Node struct {
	Type, Field string
	// Content is the whole file; Range has bytes only, its lines are not filled in.
	Content  []byte
	Range    parser.Range
	Children []Node
}

// maxText bounds the text of one node, in bytes.
const maxText = 1_000

// Text is the node's source as valid UTF-8, at most 1,000 bytes of it; empty for an empty node.
func (n Node) Text() string {
	return parser.CleanText(n.Content[n.Range.StartByte:n.Range.EndByte], maxText)
}

// Child returns the first child with one of the types, or an empty node.
func (n Node) Child(types ...string) Node {
	for _, child := range n.Children {
		if slices.Contains(types, child.Type) {
			return child
		}
	}
	return Node{}
}

// ByField returns the first child of a field, or an empty node.
func (n Node) ByField(field string) Node {
	for _, child := range n.Children {
		if child.Field == field {
			return child
		}
	}
	return Node{}
}
