package treesitter

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
)

// invariants checks what is promised of every extraction, whatever the content: ranges inside the content, in order and
// nested, indexes that exist, valid texts, limits kept. Plain conditions keep it fast over 200,000 references.
type invariants struct {
	t       testing.TB
	content []byte
	valid   bool
}

func requireInvariants(t testing.TB, content []byte, e parser.Extraction) {
	t.Helper()
	c := invariants{t: t, content: content, valid: utf8.Valid(content)}
	c.definitions(e.Definitions)
	c.references(e.References, len(e.Definitions))
	for i, b := range e.Borders {
		c.must(0 < b.Offset && b.Offset < len(content), "border inside", b)
		c.must(i == 0 || e.Borders[i-1].Offset < b.Offset, "borders in order", b)
	}
	for _, r := range e.Errors {
		c.inside(r)
	}
	require.LessOrEqual(t, len(e.Definitions), parser.MaxDefinitions)
	require.LessOrEqual(t, len(e.References), parser.MaxReferences)
	require.LessOrEqual(t, len(e.Imports), parser.MaxImports)
	require.LessOrEqual(t, len(e.Errors), parser.MaxErrors)
	require.LessOrEqual(t, e.ErrorBytes, len(content))
}

func (c invariants) must(holds bool, rule string, what any) {
	if !holds {
		c.t.Helper()
		require.Fail(c.t, rule, "%+v in a content of %d bytes", what, len(c.content))
	}
}

func (c invariants) inside(r parser.Range) {
	c.must(0 <= r.StartByte && r.StartByte <= r.EndByte && r.EndByte <= len(c.content), "range inside", r)
	c.must(1 <= r.StartLine && r.StartLine <= r.EndLine, "lines in order", r)
}

func (c invariants) definitions(defs []parser.Definition) {
	for i, d := range defs {
		c.inside(d.Range)
		c.inside(d.FullRange)
		c.inside(d.NameRange)
		c.must(d.FullRange.Contains(d.Range), "full range holds range", d)
		c.must(d.Range.EndByte >= d.NameRange.EndByte, "range holds name", d)
		c.must(d.Kind != parser.KindUnknown, "kind is known", d)
		c.must(utf8.ValidString(d.Name+d.QualifiedName+d.Signature+d.Doc), "texts are UTF-8", d)
		c.must(len(d.Signature) <= parser.MaxSignature && len(d.Doc) <= parser.MaxDoc, "texts are short", d)
		c.must(parser.NoDefinition <= d.Parent && d.Parent < i, "parent comes first", d)
		if d.Parent != parser.NoDefinition {
			c.must(defs[d.Parent].FullRange.Contains(d.FullRange), "parent holds child", d)
		}
	}
}

func (c invariants) references(references []parser.Reference, defs int) {
	last := 0
	for _, r := range references {
		c.inside(r.Range)
		c.must(r.Range.StartByte >= last, "references in order", r)
		last = r.Range.StartByte
		c.must(utf8.ValidString(r.Name) && utf8.ValidString(r.Qualifier), "texts are UTF-8", r)
		c.must(len(r.Qualifier) <= parser.MaxQualifier, "qualifier is short", r)
		c.must(parser.NoDefinition <= r.Enclosing && r.Enclosing < defs, "enclosing exists", r)
		// A default import is the name "default" at the place of the name that it gets.
		if c.valid && len(r.Name) < parser.MaxName && r.Kind != parser.ReferenceImport {
			c.must(string(c.content[r.Range.StartByte:r.Range.EndByte]) == r.Name, "range is the name", r)
		}
	}
}
