package treesitter

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"witan.dev/services/parser"
)

// requireInvariants holds what is promised of every extraction, whatever the content: ranges inside the content, in
// order and nested, indexes that exist, valid texts, limits kept.
func requireInvariants(t testing.TB, content []byte, e parser.Extraction) {
	t.Helper()
	inside := func(r parser.Range) {
		require.True(t, 0 <= r.StartByte && r.StartByte <= r.EndByte && r.EndByte <= len(content), "%v of %d", r, len(content))
		require.True(t, 1 <= r.StartLine && r.StartLine <= r.EndLine, "%v", r)
	}
	for i, d := range e.Definitions {
		inside(d.Range)
		inside(d.FullRange)
		inside(d.NameRange)
		require.True(t, d.FullRange.Contains(d.Range), "%v in %v", d.Range, d.FullRange)
		require.GreaterOrEqual(t, d.Range.EndByte, d.NameRange.EndByte)
		require.NotEqual(t, parser.KindUnknown, d.Kind)
		require.True(t, utf8.ValidString(d.Name+d.QualifiedName+d.Signature+d.Doc))
		require.LessOrEqual(t, len(d.Signature), parser.MaxSignature)
		require.LessOrEqual(t, len(d.Doc), parser.MaxDoc)
		if d.Parent == parser.NoDefinition {
			continue
		}
		require.Less(t, d.Parent, i)
		require.True(t, e.Definitions[d.Parent].FullRange.Contains(d.FullRange),
			"%v in %v", d.FullRange, e.Definitions[d.Parent].FullRange)
	}
	requireReferences(t, content, e, inside)
	for i, b := range e.Borders {
		require.True(t, 0 < b.Offset && b.Offset < len(content))
		require.True(t, i == 0 || e.Borders[i-1].Offset < b.Offset)
	}
	require.LessOrEqual(t, len(e.Definitions), parser.MaxDefinitions)
	require.LessOrEqual(t, len(e.Imports), parser.MaxImports)
	require.LessOrEqual(t, len(e.Errors), parser.MaxErrors)
	require.LessOrEqual(t, e.ErrorBytes, len(content))
	for _, r := range e.Errors {
		inside(r)
	}
}

func requireReferences(t testing.TB, content []byte, e parser.Extraction, inside func(parser.Range)) {
	t.Helper()
	require.LessOrEqual(t, len(e.References), parser.MaxReferences)
	last := 0
	for _, r := range e.References {
		inside(r.Range)
		require.GreaterOrEqual(t, r.Range.StartByte, last, "in order")
		last = r.Range.StartByte
		require.True(t, utf8.ValidString(r.Name+r.Qualifier))
		require.LessOrEqual(t, len(r.Qualifier), parser.MaxQualifier)
		require.GreaterOrEqual(t, r.Enclosing, parser.NoDefinition)
		require.Less(t, r.Enclosing, len(e.Definitions))
		// A default import is the name "default" at the place of the name that it gets.
		if utf8.Valid(content) && len(r.Name) < parser.MaxName && r.Kind != parser.ReferenceImport {
			require.Equal(t, string(content[r.Range.StartByte:r.Range.EndByte]), r.Name)
		}
	}
}
