package treesitter

import (
	"time"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

const (
	// maxMatches bounds the work after a parse; real files of 1 MiB have fewer than 400,000 matches.
	maxMatches = 2_000_000
	// maxNodes bounds the walks for borders and errors.
	maxNodes = 1_000_000
	// checkEvery says after how many steps the clock is looked at.
	checkEvery = 1024
)

// span is a range of bytes.
type span struct{ start, end int }

func (s span) contains(o span) bool { return s.start <= o.start && o.end <= s.end }

// reader collects the matches of one file, then makes an extraction of them.
type reader struct {
	*language
	query   *query
	source  parser.Source
	content []byte
	lines   *parser.Lines

	deadline  time.Time
	steps     int
	truncated bool // something is missing
	stopped   bool // a limit was reached, nothing more is read

	drafts     []draft
	uses       []use
	locals     []local
	blocks     []span
	trivia     []trivia
	outers     []span
	exported   []span
	decorators []span
	imports    []parser.Import
	opaque     []span // import statements and other nodes without references
	globals    []span
	exports    map[string]bool
	ignored    []int // starts of names that are no references
}

// draft is a definition or a scope before its place among the others is known.
type draft struct {
	definition parser.Definition
	head       int // where the signature ends
	scope      bool
	pattern    int
	receiver   string
	modifiers  string
}

// use is a name that may become a reference.
type use struct {
	span
	kind      parser.ReferenceKind
	qualifier span // empty when there is none
	arguments *parser.Arguments
}

// local is a name that is bound at a place and visible from another one on, or in its whole block.
type local struct {
	span
	from    int
	hoisted bool
}

// trivia is a comment or an attribute.
type trivia struct {
	span
	comment bool
}

func newReader(l *language, q *query, source parser.Source) *reader {
	return &reader{
		language: l, query: q, source: source, content: source.Content, lines: source.Lines,
		deadline: time.Now().Add(parser.ParseTimeout), exports: make(map[string]bool),
	}
}

// exhausted counts a step and reports whether the limits are reached; then the result is marked as truncated.
func (r *reader) exhausted(limit int) bool {
	r.steps++
	if r.steps > limit || r.steps%checkEvery == 0 && time.Now().After(r.deadline) {
		r.truncated, r.stopped = true, true
	}
	return r.stopped
}

func (r *reader) text(s span) []byte { return r.content[s.start:s.end] }

func spanOf(n *sitter.Node) span { return span{start: int(n.StartByte()), end: int(n.EndByte())} }

// read fills the lists from a tree. What costs the query too much is left out, and marks the result as truncated.
func (r *reader) read(root *sitter.Node, s survey) {
	r.steps = 0
	if len(s.hard) == 0 && !s.hardRoot {
		r.match(root)
		return
	}
	r.truncated = true
	cursor := sitter.NewTreeCursor(root)
	defer cursor.Close()
	for more := cursor.GoToFirstChild(); more && !r.exhausted(maxMatches); more = cursor.GoToNextSibling() {
		if child := cursor.CurrentNode(); child.IsNamed() && !s.hard[int(child.StartByte())] {
			r.match(child)
		}
	}
}

// match runs the query over a node and sorts its captures into the reader's lists.
func (r *reader) match(node *sitter.Node) {
	cursor := sitter.NewQueryCursor()
	defer cursor.Close()
	cursor.Exec(r.query.compiled, node)
	for !r.exhausted(maxMatches) {
		match, more := cursor.NextMatch()
		if !more {
			return
		}
		r.sort(match)
	}
}

// parts are the captured nodes of one match, by their role.
type parts struct {
	nodes [roleMarks]*sitter.Node
	kind  parser.Kind
	use   parser.ReferenceKind
}

func (r *reader) sort(match *sitter.QueryMatch) {
	var p parts
	for i := range match.Captures {
		c, node := r.query.captures[match.Captures[i].Index], match.Captures[i].Node
		if c.role > roleMarks {
			r.mark(c.role, node)
			continue
		}
		p.nodes[c.role] = node
		p.kind, p.use = max(p.kind, c.kind), max(p.use, c.reference)
	}
	switch {
	case p.nodes[roleDefinition] != nil || p.nodes[roleScope] != nil:
		r.addDraft(&p, int(match.PatternIndex))
	case p.nodes[roleReference] != nil:
		r.addUse(&p)
	case p.nodes[roleLocal] != nil:
		r.addLocal(&p)
	}
}

// mark notes a node that means something by itself.
func (r *reader) mark(what role, node *sitter.Node) {
	at := spanOf(node)
	switch what { //nolint:exhaustive // the other roles belong to a match and are handled by sort
	case roleComment, roleAttribute:
		r.trivia = append(r.trivia, trivia{span: at, comment: what == roleComment})
	case roleOuter:
		r.outers = append(r.outers, at)
	case roleExported:
		r.exported = append(r.exported, at)
	case roleDecorator:
		r.decorators = append(r.decorators, at)
	case roleBlock:
		r.blocks = append(r.blocks, at)
	case roleIgnore:
		r.ignored = append(r.ignored, at.start)
	case roleHoisted:
		r.locals = append(r.locals, local{span: at, from: at.start, hoisted: true})
	case roleGlobal:
		r.globals = append(r.globals, at)
		r.ignored = append(r.ignored, at.start)
	case roleExports:
		r.exports[string(r.text(at))] = true
	case roleOpaque:
		r.opaque = append(r.opaque, at)
	case roleImport:
		r.addImports(node, at)
	}
}

func (r *reader) addUse(p *parts) {
	u := use{span: spanOf(p.nodes[roleReference]), kind: p.use}
	if p.nodes[roleQualifier] != nil {
		u.qualifier = spanOf(p.nodes[roleQualifier])
	}
	if p.nodes[roleArguments] != nil {
		u.arguments = r.readArguments(p.nodes[roleArguments])
	}
	r.uses = append(r.uses, u)
}

func (r *reader) addLocal(p *parts) {
	l := local{span: spanOf(p.nodes[roleLocal])}
	if r.IsLocal != nil && !r.IsLocal(string(r.text(l.span))) {
		return
	}
	l.from = l.start
	if p.nodes[roleDeclaration] != nil {
		l.from = int(p.nodes[roleDeclaration].EndByte())
	}
	r.locals = append(r.locals, l)
}

func (r *reader) readArguments(node *sitter.Node) *parser.Arguments {
	if r.PlainArguments != nil && r.PlainArguments(r.text(spanOf(node))) {
		return &parser.Arguments{Positional: int(node.NamedChildCount())}
	}
	result := r.Arguments(r.copyNode(node))
	return &result
}

// addImports reads a statement; the names it takes are references as well.
func (r *reader) addImports(node *sitter.Node, at span) {
	if len(r.imports) >= parser.MaxImports {
		r.truncated = true
		return
	}
	where := r.lines.Range(at.start, at.end)
	found := r.ReadImports(r.copyNode(node))
	for _, i := range found {
		i.Range = where
		for n := range i.Names {
			i.Names[n].Range = r.lines.Range(i.Names[n].Range.StartByte, i.Names[n].Range.EndByte)
		}
		r.imports = append(r.imports, i)
	}
	if len(found) > 0 {
		r.opaque = append(r.opaque, at)
	}
}
