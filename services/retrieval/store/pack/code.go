package pack

import "witan.dev/services/retrieval"

// Definitions packs the definitions of a file.
func Definitions(definitions []retrieval.Definition) []byte {
	w := newWriter(len(definitions))
	line := 0
	for _, d := range definitions {
		w.number(int(d.Kind))
		w.text(d.Name)
		w.text(d.Qualified)
		w.text(d.Signature)
		w.signed(d.Lines.Start - line)
		w.signed(d.Lines.End - d.Lines.Start)
		w.signed(d.NameLine - d.Lines.Start)
		w.signed(d.Parent)
		w.flag(d.Exported)
		w.flag(d.Test)
		line = d.Lines.Start
	}
	return w.bytes
}

// ReadDefinitions is the inverse of Definitions.
func ReadDefinitions(value []byte) ([]retrieval.Definition, error) {
	r, n := newReader(value, 10)
	definitions := make([]retrieval.Definition, 0, n)
	line := 0
	for range n {
		d := retrieval.Definition{Kind: retrieval.Kind(r.small()), Name: r.text(), Qualified: r.text(), Signature: r.text()}
		line += r.signed()
		d.Lines.Start = line
		d.Lines.End = line + r.signed()
		d.NameLine = line + r.signed()
		d.Parent = r.signed()
		d.Exported, d.Test = r.flag(), r.flag()
		definitions = append(definitions, d)
	}
	return definitions, r.err
}

// References packs the references of a file.
func References(references []retrieval.Reference) []byte {
	w := newWriter(len(references))
	line := 0
	for _, f := range references {
		w.text(f.Name)
		w.number(int(f.Usage))
		w.signed(f.Line - line)
		w.signed(f.Enclosing)
		w.text(f.Qualifier)
		w.flag(f.QualifierLocal)
		line = f.Line
	}
	return w.bytes
}

// ReadReferences is the inverse of References.
func ReadReferences(value []byte) ([]retrieval.Reference, error) {
	r, n := newReader(value, 6)
	references := make([]retrieval.Reference, 0, n)
	line := 0
	for range n {
		f := retrieval.Reference{Name: r.text(), Usage: retrieval.Usage(r.small())}
		line += r.signed()
		f.Line, f.Enclosing, f.Qualifier, f.QualifierLocal = line, r.signed(), r.text(), r.flag()
		references = append(references, f)
	}
	return references, r.err
}

// Imports packs the imports of a file.
func Imports(imports []retrieval.Import) []byte {
	w := newWriter(len(imports))
	for _, i := range imports {
		w.text(i.Path)
		w.text(i.Alias)
		w.number(i.Line)
		w.number(len(i.Names))
		for _, n := range i.Names {
			w.text(n.Name)
			w.text(n.Alias)
		}
	}
	return w.bytes
}

// ReadImports is the inverse of Imports.
func ReadImports(value []byte) ([]retrieval.Import, error) {
	r, n := newReader(value, 4)
	imports := make([]retrieval.Import, 0, n)
	for range n {
		i := retrieval.Import{Path: r.text(), Alias: r.text(), Line: r.number()}
		names := r.number()
		if names > len(r.bytes) {
			r.fail()
			break
		}
		for range names {
			i.Names = append(i.Names, retrieval.ImportedName{Name: r.text(), Alias: r.text()})
		}
		imports = append(imports, i)
	}
	return imports, r.err
}

// Edges packs edges, ordered by From.
func Edges(edges []retrieval.Edge) []byte {
	w := newWriter(len(edges))
	from := 0
	for _, e := range edges {
		w.signed(e.From - from)
		w.number(int(e.File))
		w.number(e.To)
		w.number(int(e.Grade))
		from = e.From
	}
	return w.bytes
}

// ReadEdges is the inverse of Edges.
func ReadEdges(value []byte) ([]retrieval.Edge, error) {
	r, n := newReader(value, 4)
	edges := make([]retrieval.Edge, 0, n)
	from := 0
	for range n {
		from += r.signed()
		edges = append(edges, retrieval.Edge{From: from, File: int64(r.number()), To: r.number(), Grade: retrieval.Grade(r.small())})
	}
	return edges, r.err
}
