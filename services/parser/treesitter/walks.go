package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

// A node above one of these sizes does not fit into one chunk, so its children are noted as places for a cut.
const (
	borderBytes = 3_000
	borderLines = 60
)

// walk visits nodes in order, with their depth. Below a node it goes only when visit says so.
func (r *reader) walk(root *sitter.Node, visit func(n *sitter.Node, depth int) (down bool)) {
	cursor := sitter.NewTreeCursor(root)
	defer cursor.Close()
	r.steps = 0
	for depth := 0; !r.exhausted(maxNodes); {
		if visit(cursor.CurrentNode(), depth) && cursor.GoToFirstChild() {
			depth++
			continue
		}
		for !cursor.GoToNextSibling() {
			if !cursor.GoToParent() {
				return
			}
			depth--
		}
	}
}

// findBorders notes the beginnings of nodes inside oversized ones.
func (r *reader) findBorders(root *sitter.Node) []parser.Border {
	if len(r.content) <= borderBytes && r.lines.Count() <= borderLines {
		return nil
	}
	var borders []parser.Border
	last := 0
	r.walk(root, func(n *sitter.Node, depth int) bool {
		at := spanOf(n)
		if at.start > last {
			borders = append(borders, parser.Border{Offset: at.start, Depth: depth})
			last = at.start
		}
		lines := r.lines.At(max(at.start, at.end-1)) - r.lines.At(at.start) + 1
		return (at.end-at.start > borderBytes || lines > borderLines) && !r.atoms[r.nodeType(n)]
	})
	return borders
}

// findErrors notes what does not fit the grammar: ERROR nodes, and MISSING ones, which are empty.
func (r *reader) findErrors(root *sitter.Node) (ranges []parser.Range, bytes int) {
	if !root.HasError() {
		return nil, 0
	}
	r.walk(root, func(n *sitter.Node, _ int) bool {
		if !n.IsError() && !n.IsMissing() {
			return n.HasError()
		}
		at := spanOf(n)
		bytes += at.end - at.start
		if len(ranges) < parser.MaxErrors {
			ranges = append(ranges, r.lines.Range(at.start, at.end))
		}
		return false
	})
	return ranges, bytes
}
