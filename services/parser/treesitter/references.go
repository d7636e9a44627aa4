package treesitter

import (
	"cmp"
	"slices"
	"sort"

	sitter "github.com/smacker/go-tree-sitter"

	"witan.dev/services/parser"
)

// extraction makes the result of what match has collected.
func (r *reader) extraction(root *sitter.Node, borders []parser.Border) parser.Extraction {
	e := parser.Extraction{Definitions: r.definitions(), Imports: r.imports}
	if r.source.References {
		e.References = r.references(e.Definitions)
	}
	slices.SortFunc(e.Imports, func(a, b parser.Import) int { return cmp.Compare(a.Range.StartByte, b.Range.StartByte) })
	e.Borders = borders
	e.Errors, e.ErrorBytes = r.findErrors(root)
	e.Truncated = r.truncated
	return e
}

// scopes says where locally bound names are visible.
type scopes map[string][]span

// references turns the used names into references: without those that are bound locally, define something or stand in
// an import; of several for one name the kind that says most.
func (r *reader) references(defs []parser.Definition) []parser.Reference {
	visible := r.visibility()
	for i := range defs {
		r.ignored = append(r.ignored, defs[i].NameRange.StartByte)
	}
	slices.SortFunc(r.uses, func(a, b use) int {
		return cmp.Or(
			cmp.Compare(a.start, b.start), cmp.Compare(b.kind, a.kind), cmp.Compare(b.qualifier.end, a.qualifier.end),
			cmp.Compare(given(b.arguments), given(a.arguments)),
		)
	})
	slices.SortFunc(r.opaque, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	slices.Sort(r.ignored)
	result := r.importReferences()
	last, ignored := -1, r.ignored
	for _, u := range r.uses {
		for len(ignored) > 0 && ignored[0] < u.start {
			ignored = ignored[1:]
		}
		if u.start == last || len(ignored) > 0 && ignored[0] == u.start || r.inOpaque(u.start) {
			continue
		}
		last = u.start
		if len(result) >= parser.MaxReferences {
			r.truncated = true
			break
		}
		if reference, ok := r.reference(u, visible); ok {
			result = append(result, reference)
		}
	}
	slices.SortStableFunc(result, func(a, b parser.Reference) int {
		return cmp.Compare(a.Range.StartByte, b.Range.StartByte)
	})
	encloseReferences(result, defs)
	return result
}

func given(arguments *parser.Arguments) int {
	if arguments == nil {
		return 0
	}
	return 1
}

func (r *reader) reference(u use, visible scopes) (parser.Reference, bool) {
	result := parser.Reference{
		Name: parser.CleanText(r.text(u.span), parser.MaxName), Kind: u.kind,
		Range: r.lines.Range(u.start, u.end), Arguments: u.arguments,
	}
	if u.qualifier.end > u.qualifier.start {
		qualifier := r.text(u.qualifier)
		result.Qualifier = parser.Collapse(qualifier, parser.MaxQualifier)
		result.QualifierLocal = visible.hold(string(firstWord(qualifier)), u.qualifier.start) ||
			r.LocalQualifier != nil && r.LocalQualifier(result.Qualifier)
		return result, true
	}
	return result, !visible.hold(result.Name, u.start)
}

func firstWord(text []byte) []byte {
	for i, b := range text {
		if !isWordByte(b) {
			return text[:i]
		}
	}
	return text
}

func (r *reader) importReferences() []parser.Reference {
	var result []parser.Reference
	for _, i := range r.imports {
		for _, name := range i.Names {
			if name.Range.EndByte > name.Range.StartByte {
				result = append(result, parser.Reference{
					Name: name.Name, Kind: parser.ReferenceImport, Qualifier: parser.CleanText([]byte(i.Path), parser.MaxQualifier),
					Range: r.lines.Range(name.Range.StartByte, name.Range.EndByte),
				})
			}
		}
	}
	if len(result) > parser.MaxReferences {
		r.truncated = true
		result = result[:parser.MaxReferences]
	}
	return result
}

func (r *reader) inOpaque(offset int) bool {
	i := sort.Search(len(r.opaque), func(i int) bool { return r.opaque[i].start > offset }) - 1
	return i >= 0 && offset < r.opaque[i].end
}

// visibility gives each local the rest of the innermost block that goes on behind its declaration, or all of it.
func (r *reader) visibility() scopes {
	result := make(scopes, len(r.locals))
	slices.SortFunc(r.locals, func(a, b local) int { return cmp.Compare(a.start, b.start) })
	globals := r.globalNames()
	blocks := newNesting(r.blocks)
	for _, l := range r.locals {
		block, found := blocks.around(l.start, l.from)
		if !found {
			continue // not in a block: what the file binds at its top is for definitions and imports
		}
		text := r.text(l.span)
		if len(globals) > 0 && globals[nameIn{string(text), block}] {
			continue
		}
		visible := span{start: l.from, end: block.end}
		if l.hoisted {
			visible.start = block.start
		} else {
			r.ignored = append(r.ignored, l.start)
		}
		known := result[string(text)] // this lookup copies nothing, and most names are known
		if len(known) == 0 || !known[len(known)-1].contains(visible) {
			result[string(text)] = append(known, visible)
		}
	}
	return result
}

type nameIn struct {
	name  string
	block span
}

func (r *reader) globalNames() map[nameIn]bool {
	if len(r.globals) == 0 {
		return nil
	}
	result := make(map[nameIn]bool)
	slices.SortFunc(r.globals, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	blocks := newNesting(r.blocks)
	for _, g := range r.globals {
		if block, found := blocks.around(g.start, g.start); found {
			result[nameIn{string(r.text(g)), block}] = true
		}
	}
	return result
}

// nesting finds blocks around rising offsets.
type nesting struct {
	blocks, open []span
}

// newNesting sorts blocks, outer ones first.
func newNesting(blocks []span) *nesting {
	slices.SortFunc(blocks, func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) })
	return &nesting{blocks: blocks}
}

// around returns the innermost block that holds offset and goes on behind until. Offsets must not fall.
func (n *nesting) around(offset, until int) (span, bool) {
	for len(n.blocks) > 0 && n.blocks[0].start <= offset {
		n.open = append(n.open, n.blocks[0])
		n.blocks = n.blocks[1:]
	}
	for len(n.open) > 0 && n.open[len(n.open)-1].end <= offset {
		n.open = n.open[:len(n.open)-1]
	}
	for _, block := range slices.Backward(n.open) {
		if block.end > until {
			return block, true
		}
	}
	return span{}, false
}

// maxShadows bounds how many bindings of one name are looked through for one use.
const maxShadows = 1_000

// hold reports whether a name is bound locally at an offset.
func (s scopes) hold(name string, offset int) bool {
	spans := s[name]
	for i := min(len(spans), maxShadows) - 1; i >= 0; i-- {
		if spans[i].start <= offset && offset < spans[i].end {
			return true
		}
	}
	return false
}

// encloseReferences sets Enclosing; both lists are ordered by their start.
func encloseReferences(references []parser.Reference, defs []parser.Definition) {
	var open []int
	next := 0
	for i := range references {
		at := references[i].Range
		for next < len(defs) && defs[next].Range.StartByte <= at.StartByte {
			open = append(open, next)
			next++
		}
		for len(open) > 0 && !defs[open[len(open)-1]].Range.Contains(at) {
			open = open[:len(open)-1]
		}
		references[i].Enclosing = parser.NoDefinition
		if len(open) > 0 {
			references[i].Enclosing = open[len(open)-1]
		}
	}
}
