package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
	"witan.dev/services/parser/languages"
)

const (
	// maxCopied bounds the nodes of one copy (a parameter list, an argument list, an import), maxCopyDepth its depth.
	maxCopied    = 4_000
	maxCopyDepth = 12
)

// copyNode copies the named nodes of a small subtree, so that languages need not know the library.
func (r *reader) copyNode(node *sitter.Node) languages.Node {
	cursor := sitter.NewTreeCursor(node)
	defer cursor.Close()
	c := copier{reader: r, cursor: cursor, left: maxCopied}
	return c.copy(node, "", maxCopyDepth)
}

type copier struct {
	*reader
	cursor *sitter.TreeCursor
	left   int
}

// copy recurses at most maxCopyDepth levels.
func (c *copier) copy(node *sitter.Node, field string, depth int) languages.Node {
	at := spanOf(node)
	result := languages.Node{
		Type: c.nodeType(node), Field: field, Content: c.content,
		Range: parser.Range{StartByte: at.start, EndByte: at.end},
	}
	if depth == 0 || !c.cursor.GoToFirstChild() {
		return result
	}
	for more := true; more && c.left > 0; more = c.cursor.GoToNextSibling() {
		child := c.cursor.CurrentNode()
		if child.IsNamed() {
			c.left--
			result.Children = append(result.Children, c.copy(child, c.cursor.CurrentFieldName(), depth-1))
		}
	}
	c.cursor.GoToParent()
	return result
}
