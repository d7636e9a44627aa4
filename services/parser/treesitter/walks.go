package treesitter

import (
	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

const (
	// A node above one of these sizes does not fit into one chunk with its neighbours, so its children are noted as places
	// for a cut.
	borderBytes = 2_048
	borderLines = 60
	// maxDepth bounds how many nodes above those sizes may lie in one another where the query runs. The library keeps a
	// state for each node around the current one and looks at all of them for each node: 400,000 nested brackets took
	// more than three minutes inside one call that cannot be interrupted.
	maxDepth = 1_000
	// maxErrorChildren bounds the children of one ERROR node where the query runs: at each of them the library looks for
	// a later named sibling, and 900,000 open brackets in a row took minutes as well.
	maxErrorChildren = 10_000
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

// survey is what a first walk over the large nodes of a tree finds.
type survey struct {
	borders []parser.Border
	// hard are the children of the root that cost the query too much, by their start; hardRoot says that the root does.
	hard     map[int]bool
	hardRoot bool
}

// look walks over the large nodes. It is cheap: of usual code it sees one node in twenty.
func (r *reader) look(root *sitter.Node) survey {
	s := survey{hard: make(map[int]bool)}
	last, top := 0, 0
	r.walk(root, func(n *sitter.Node, depth int) bool {
		at := spanOf(n)
		if depth <= 1 {
			top = at.start
		}
		if at.start > last {
			s.borders = append(s.borders, parser.Border{Offset: at.start, Depth: depth})
			last = at.start
		}
		large := at.end-at.start > borderBytes || r.lines.At(max(at.start, at.end-1))-r.lines.At(at.start) >= borderLines
		if !large {
			return false
		}
		switch wide := n.IsError() && n.ChildCount() > maxErrorChildren; {
		case depth == 0:
			s.hardRoot = wide
		case wide || depth > maxDepth:
			s.hard[top] = true
		}
		return !r.atoms[r.nodeType(n)]
	})
	return s
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
