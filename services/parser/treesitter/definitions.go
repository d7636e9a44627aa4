package treesitter

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
	"strings"

	"witan.dev/services/parser"
	"witan.dev/services/parser/languages"
)

const (
	// maxLeading bounds Candidate.Leading.
	maxLeading = 1_000
	// maxValue bounds the signature of constants, variables and fields.
	maxValue = 300
)

// addDraft notes a definition or a scope. Its texts are copied now, since the node does not outlive the match.
func (r *reader) addDraft(p *parts, pattern int) {
	node := p.nodes[roleDefinition]
	if node == nil {
		node = p.nodes[roleScope]
	}
	if p.nodes[roleName] == nil {
		return // an ERROR inside of the node may have swallowed it
	}
	at, name := r.withKeyword(spanOf(node)), spanOf(p.nodes[roleName])
	d := draft{scope: p.nodes[roleDefinition] == nil, pattern: pattern}
	d.definition = parser.Definition{
		Kind: p.kind, Name: strings.Trim(parser.CleanText(r.text(name), parser.MaxName), "\"'`"),
		Range: r.lines.Range(at.start, at.end), NameRange: r.lines.Range(name.start, name.end),
	}
	d.head = at.end
	if p.nodes[roleBody] != nil {
		d.head = max(at.start, int(p.nodes[roleBody].StartByte()))
	}
	if p.nodes[roleParameters] != nil && r.Spec.Parameters != nil {
		d.definition.Parameters = r.Spec.Parameters(r.copyNode(p.nodes[roleParameters]))
	}
	if p.nodes[roleDoc] != nil {
		d.definition.Doc = r.readDoc(spanOf(p.nodes[roleDoc]))
	}
	if p.nodes[roleReceiver] != nil {
		d.receiver = r.container(parser.CleanText(r.text(spanOf(p.nodes[roleReceiver])), parser.MaxQualifier))
	}
	if p.nodes[roleModifiers] != nil {
		d.modifiers = parser.CleanText(r.text(spanOf(p.nodes[roleModifiers])), parser.MaxQualifier)
	}
	r.drafts = append(r.drafts, d)
}

func (r *reader) container(text string) string {
	if r.Container == nil {
		return text
	}
	return r.Container(text)
}

func (r *reader) readDoc(at span) string {
	if r.Spec.Doc == nil {
		return cleanDoc(r.text(at))
	}
	return parser.CleanText([]byte(r.Spec.Doc(parser.CleanText(r.text(at), parser.MaxDoc))), parser.MaxDoc)
}

// withKeyword moves the start of a node before a keyword of the language on the same line ("type", "const").
func (r *reader) withKeyword(at span) span {
	before := bytes.TrimRight(r.content[max(0, at.start-32):at.start], " \t")
	for _, keyword := range r.Keywords {
		head, found := bytes.CutSuffix(before, []byte(keyword))
		if !found || len(before) == at.start-max(0, at.start-32) { // some blank must stand between
			continue
		}
		if len(head) == 0 || !isWordByte(head[len(head)-1]) {
			at.start -= at.start - max(0, at.start-32) - len(head)
			return at
		}
	}
	return at
}

func isWordByte(b byte) bool {
	return b == '_' || b == '$' || b >= 0x80 || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// definitions orders the drafts, joins them with their documentation, parents and qualified names, and lets the language
// refine them.
func (r *reader) definitions() []parser.Definition {
	r.orderTrivia()
	if r.TrimComments {
		r.trimComments()
	}
	r.orderDrafts()
	b := builder{reader: r, blocks: newNesting(r.blocks), result: make([]parser.Definition, 0, len(r.drafts))}
	for i := range r.drafts {
		b.place(&r.drafts[i])
	}
	return b.result
}

// trimComments ends each draft and wrapper with its last code. Trivia must be in order.
func (r *reader) trimComments() {
	for i := range r.drafts {
		at := &r.drafts[i].definition.Range
		*at = r.lines.Range(at.StartByte, r.codeEnd(span{start: at.StartByte, end: at.EndByte}))
	}
	for i := range r.outers {
		r.outers[i].end = r.codeEnd(r.outers[i])
	}
}

// codeEnd returns where the last code of a node ends when comments follow it, else the end of the node.
func (r *reader) codeEnd(at span) int {
	end := at.end
	next := sort.Search(len(r.trivia), func(i int) bool { return r.trivia[i].start >= end })
	for next--; next >= 0 && r.trivia[next].start > at.start && r.trivia[next].end <= end; next-- {
		if len(bytes.TrimSpace(r.content[r.trivia[next].end:end])) > 0 {
			break
		}
		end = r.trivia[next].start
	}
	if end == at.end {
		return end
	}
	return at.start + len(bytes.TrimRight(r.content[at.start:end], " \t\r\n"))
}

// orderDrafts sorts by place, outer ones first, and keeps the first pattern's draft of each node and name.
func (r *reader) orderDrafts() {
	slices.SortStableFunc(r.drafts, func(a, b draft) int {
		x, y := a.definition, b.definition
		return cmp.Or(
			cmp.Compare(x.Range.StartByte, y.Range.StartByte), cmp.Compare(y.Range.EndByte, x.Range.EndByte),
			cmp.Compare(x.NameRange.StartByte, y.NameRange.StartByte), cmp.Compare(a.pattern, b.pattern),
		)
	})
	r.drafts = slices.CompactFunc(r.drafts, func(a, b draft) bool {
		return a.definition.Range == b.definition.Range && a.definition.NameRange == b.definition.NameRange
	})
	if len(r.drafts) > parser.MaxDefinitions {
		r.drafts, r.truncated = r.drafts[:parser.MaxDefinitions], true
	}
}

func (r *reader) orderTrivia() {
	byStart := func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end)) }
	slices.SortFunc(r.trivia, func(a, b trivia) int { return byStart(a.span, b.span) })
	slices.SortFunc(r.outers, byStart)
	slices.SortFunc(r.exported, byStart)
	slices.SortFunc(r.decorators, byStart)
}

// builder turns ordered drafts into definitions. The stack holds the drafts around the current one.
type builder struct {
	*reader
	result []parser.Definition
	stack  []level
	blocks *nesting
	floor  int // the end of the definitions before the current one: no documentation begins before it
}

type level struct {
	span
	index int    // in result, or NoDefinition for a scope
	path  string // qualified name
	scope bool
}

func (b *builder) place(d *draft) {
	def := d.definition
	at := span{start: def.Range.StartByte, end: def.Range.EndByte}
	// Names of one declaration ("a, b = 1, 2") share a node and are siblings.
	for last := len(b.stack) - 1; last >= 0 && (!b.stack[last].contains(at) || b.stack[last].span == at); last-- {
		b.floor = max(b.floor, b.stack[last].end)
		b.stack = b.stack[:last]
	}
	around := level{index: parser.NoDefinition, span: span{end: len(b.content)}}
	if len(b.stack) > 0 {
		around = b.stack[len(b.stack)-1]
	}
	name := def.Name
	if d.scope {
		name = b.container(name)
	}
	def.QualifiedName = qualify(b.Separator, around.path, d.receiver, name)
	own := level{span: at, index: parser.NoDefinition, path: def.QualifiedName, scope: d.scope}
	if !d.scope {
		def.Parent = b.realParent()
		if b.finish(&def, d, around); def.Kind == parser.KindUnknown {
			return
		}
		own.index = len(b.result)
		b.result = append(b.result, def)
	}
	b.stack = append(b.stack, own)
}

func qualify(separator string, parts ...string) string {
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return parser.CleanText([]byte(strings.Join(parts, separator)), 4*parser.MaxName)
}

func (b *builder) realParent() int {
	for _, l := range slices.Backward(b.stack) {
		if !l.scope {
			return l.index
		}
	}
	return parser.NoDefinition
}

// finish sets the full range and the documentation, then asks the language.
func (b *builder) finish(def *parser.Definition, d *draft, around level) {
	inner := b.afterDecorators(def.Range)
	low := max(around.start, b.floor)
	outer := b.outerStart(def.Range, low)
	start, doc := b.leadingTrivia(outer, low)
	def.FullRange = b.lines.Range(start, def.Range.EndByte)
	if inner > def.Range.StartByte {
		def.Range = b.lines.Range(inner, def.Range.EndByte)
	}
	if def.Doc == "" {
		def.Doc = doc
	}
	leading := b.content[start:def.Range.StartByte]
	leading = leading[max(0, len(leading)-maxLeading):]
	block, found := b.blocks.around(d.definition.Range.StartByte, d.definition.Range.EndByte)
	c := languages.Candidate{
		Definition: def, Path: b.source.Path, InBlock: found && block.start >= around.start, Modifiers: d.modifiers,
		Leading: parser.CleanText(leading, maxLeading), Scoped: around.scope || d.receiver != "",
		Marked: b.marked(def.Range, around) || around.index == parser.NoDefinition && b.exports[def.Name],
	}
	if def.Parent != parser.NoDefinition {
		c.ParentDefinition = &b.result[def.Parent]
	}
	def.Signature = b.signature(def, d.head)
	b.Refine(&c)
}

// signature is the text up to the body; that of a value is cut short, since tables can be long.
func (b *builder) signature(def *parser.Definition, end int) string {
	limit := parser.MaxSignature
	if def.Kind == parser.KindConstant || def.Kind == parser.KindVariable || def.Kind == parser.KindField {
		limit = maxValue
	}
	return parser.Collapse(b.content[def.Range.StartByte:max(def.Range.StartByte, end)], limit)
}

// afterDecorators returns where a definition begins behind the decorators at the front of its node.
func (b *builder) afterDecorators(r parser.Range) int {
	at := r.StartByte
	i := sort.Search(len(b.decorators), func(i int) bool { return b.decorators[i].start >= at })
	for ; i < len(b.decorators) && b.decorators[i].end < r.EndByte; i++ {
		if len(bytes.TrimSpace(b.content[at:b.decorators[i].start])) > 0 {
			break
		}
		at = b.decorators[i].end
	}
	for at < r.EndByte && at > r.StartByte && bytes.IndexByte([]byte(" \t\r\n"), b.content[at]) >= 0 {
		at++
	}
	return at
}

// outerStart returns the beginning of the wrapper around a definition that has nothing but this definition's beginning
// in it: the nearest @outer that ends with or just behind the definition.
func (b *builder) outerStart(r parser.Range, low int) int {
	i := sort.Search(len(b.outers), func(i int) bool { return b.outers[i].start > r.StartByte })
	for i--; i >= 0 && b.outers[i].start >= low; i-- {
		o := b.outers[i]
		if o.end >= r.EndByte && len(bytes.Trim(b.content[r.EndByte:o.end], " \t\r\n;")) == 0 {
			return o.start
		}
		if o.end > r.EndByte || r.StartByte-o.start > borderBytes {
			break
		}
	}
	return r.StartByte
}

// marked reports whether an @exported lies around a definition and inside of what is around that.
func (b *builder) marked(r parser.Range, around level) bool {
	i := sort.Search(len(b.exported), func(i int) bool { return b.exported[i].start > r.StartByte })
	for i--; i >= 0 && b.exported[i].start >= around.start; i-- {
		if b.exported[i].end >= r.EndByte {
			return around.index == parser.NoDefinition || b.exported[i].start > around.start
		}
		if r.StartByte-b.exported[i].end > 0 {
			return false
		}
	}
	return false
}

// leadingTrivia returns where the comments and attributes directly before an offset begin, and the comments' text. It
// does not go below low, over an empty line, or to a comment behind code.
func (r *reader) leadingTrivia(start, low int) (from int, doc string) {
	i := sort.Search(len(r.trivia), func(i int) bool { return r.trivia[i].start >= start })
	from = start
	var texts []string
	for i--; i >= 0; i-- {
		t := r.trivia[i]
		if t.start < low || t.end > from || !r.adjoins(t, from) {
			break
		}
		if t.comment {
			texts = append(texts, cleanDoc(r.text(t.span)))
		}
		from = t.start
	}
	slices.Reverse(texts)
	return from, parser.CleanText([]byte(strings.Trim(strings.Join(texts, "\n"), "\n")), parser.MaxDoc)
}

// adjoins: only white space with at most one line break between, and for comments nothing before them on their line.
func (r *reader) adjoins(t trivia, next int) bool {
	between := r.content[t.end:next]
	if len(bytes.TrimSpace(between)) > 0 {
		return false
	}
	breaks := bytes.Count(between, []byte("\n"))
	if t.end > t.start && r.content[t.end-1] == '\n' {
		breaks++ // some grammars count the line break as part of the comment
	}
	if breaks > 1 {
		return false
	}
	line := r.content[r.lines.Start(r.lines.At(t.start)):t.start]
	return !t.comment || len(bytes.TrimSpace(line)) == 0
}

// cleanDoc takes the comment marks and common decoration out of a comment or a documentation string.
func cleanDoc(text []byte) string {
	s := parser.CleanText(text, parser.MaxDoc)
	s = strings.TrimSuffix(strings.TrimSpace(s), "*/")
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		for _, mark := range []string{"///", "//!", "//", "/**", "/*!", "/*", "*", "#"} {
			if rest, found := strings.CutPrefix(line, mark); found {
				line = strings.TrimPrefix(rest, " ")
				break
			}
		}
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}
