package pack_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

func definitions() []retrieval.Definition {
	return []retrieval.Definition{
		{Kind: retrieval.KindClass, Name: "A", Qualified: "A", Signature: "class A", Lines: retrieval.Lines{Start: 10, End: 20}, NameLine: 11, Parent: -1, Exported: true},
		{Kind: retrieval.KindMethod, Name: "m", Qualified: "A.m", Lines: retrieval.Lines{Start: 12, End: 12}, NameLine: 12, Parent: 0, Test: true},
		{Kind: retrieval.KindFunction, Name: "A", Qualified: "A", Lines: retrieval.Lines{Start: 5, End: 6}, NameLine: 5, Parent: -1},
	}
}

func references() []retrieval.Reference {
	return []retrieval.Reference{
		{Name: "x", Usage: retrieval.UsageCall, Line: 7, Enclosing: -1, Qualifier: "x", QualifierLocal: true},
		{Name: "y", Usage: retrieval.UsageImport, Line: 3, Enclosing: 4},
	}
}

func imports() []retrieval.Import {
	return []retrieval.Import{
		{Path: "./a", Alias: "b", Line: 1, Names: []retrieval.ImportedName{{Name: "n"}, {Name: "*", Alias: "./a"}}}, {Path: "", Line: 2},
	}
}

func edges() []retrieval.Edge {
	return []retrieval.Edge{{From: 1, File: 7, To: 3, Grade: retrieval.GradeUnique}, {From: 1, File: 1 << 33, To: 0, Grade: retrieval.GradeAmbiguous}, {From: 9}}
}

func TestWhatIsPackedComesBack(t *testing.T) {
	t.Parallel()
	d, err := pack.ReadDefinitions(pack.Definitions(definitions()))
	require.NoError(t, err)
	require.Equal(t, definitions(), d)
	r, err := pack.ReadReferences(pack.References(references()))
	require.NoError(t, err)
	require.Equal(t, references(), r)
	i, err := pack.ReadImports(pack.Imports(imports()))
	require.NoError(t, err)
	require.Equal(t, imports(), i)
	e, err := pack.ReadEdges(pack.Edges(edges()))
	require.NoError(t, err)
	require.Equal(t, edges(), e)
	e, err = pack.ReadEdges(pack.Edges(nil))
	require.NoError(t, err)
	require.Empty(t, e)
}

func TestWhatIsCutIsCorrupt(t *testing.T) {
	t.Parallel()
	whole := pack.Definitions(definitions())
	for n := range whole {
		_, err := pack.ReadDefinitions(whole[:n])
		require.ErrorIs(t, err, pack.ErrCorrupt, "cut at %d", n)
	}
}

// FuzzRead reads any bytes as each kind of value: an error or a value that packs again, within the memory of its input.
func FuzzRead(f *testing.F) {
	f.Add(pack.Definitions(definitions()))
	f.Add(pack.References(references()))
	f.Add(pack.Imports(imports()))
	f.Add(pack.Edges(edges()))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, value []byte) {
		if d, err := pack.ReadDefinitions(value); err == nil {
			require.LessOrEqual(t, len(d), len(value))
			_ = pack.Definitions(d)
		}
		if r, err := pack.ReadReferences(value); err == nil {
			require.LessOrEqual(t, len(r), len(value))
		}
		if i, err := pack.ReadImports(value); err == nil {
			require.LessOrEqual(t, len(i), len(value))
		}
		if e, err := pack.ReadEdges(value); err == nil {
			require.LessOrEqual(t, len(e), len(value))
		}
	})
}
