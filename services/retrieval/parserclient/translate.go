package parserclient

import (
	"strings"

	parserv1 "witan.dev/gen/witan/parser/v1"
	"witan.dev/services/retrieval"
)

// parsed translates an answer. Content that is no part of an index keeps its reason and nothing else.
func parsed(c retrieval.Content, r *parserv1.ParseResponse) retrieval.Parsed {
	p := retrieval.Parsed{
		BlobKey: c.BlobKey, Language: r.GetLanguage(), Status: r.GetStatus().String(), Bytes: int64(len(c.Bytes)), ErrorShare: r.GetErrorShare(),
	}
	switch {
	case r.GetStatus() == parserv1.ParseResponse_BINARY:
		p.LeftOut = retrieval.LeftOutBinary
		return p
	case r.GetGenerated():
		p.LeftOut = retrieval.LeftOutGenerated
		return p
	}
	for _, d := range r.GetDefinitions() {
		p.Definitions = append(p.Definitions, definition(d))
	}
	for _, f := range r.GetReferences() {
		p.References = append(p.References, reference(f))
	}
	for _, i := range r.GetImports() {
		p.Imports = append(p.Imports, imported(i))
	}
	for _, k := range r.GetChunks() {
		p.Chunks = append(p.Chunks, chunk(c.Bytes, k))
	}
	return p
}

func lines(r *parserv1.Range) retrieval.Lines {
	return retrieval.Lines{Start: int(r.GetStartLine()), End: int(r.GetEndLine())}
}

func definition(d *parserv1.Definition) retrieval.Definition {
	return retrieval.Definition{
		Kind: retrieval.Kind(d.GetKind()), //nolint:gosec // an enum of 13 values
		Name: d.GetName(), Qualified: d.GetQualifiedName(), Signature: d.GetSignature(),
		Lines: lines(d.GetRange()), NameLine: int(d.GetNameRange().GetStartLine()), Parent: int(d.GetParent()),
		Exported: d.GetExported(), Test: d.GetTest(),
	}
}

func reference(f *parserv1.Reference) retrieval.Reference {
	return retrieval.Reference{
		Name: f.GetName(), Usage: retrieval.Usage(f.GetKind()), //nolint:gosec // an enum of 4 values
		Line: int(f.GetRange().GetStartLine()), Enclosing: int(f.GetEnclosing()), Qualifier: f.GetQualifier(),
		QualifierLocal: f.GetQualifierLocal(),
	}
}

func imported(i *parserv1.Import) retrieval.Import {
	out := retrieval.Import{Path: i.GetPath(), Alias: i.GetAlias(), Line: int(i.GetRange().GetStartLine())}
	for _, n := range i.GetNames() {
		out.Names = append(out.Names, retrieval.ImportedName{Name: n.GetName(), Alias: n.GetAlias()})
	}
	return out
}

func chunk(content []byte, k *parserv1.Chunk) retrieval.Chunk {
	start := min(max(int(k.GetRange().GetStartByte()), 0), len(content))
	end := min(max(int(k.GetRange().GetEndByte()), start), len(content))
	return retrieval.Chunk{
		Lines: lines(k.GetRange()), Definition: int(k.GetDefinition()), Heading: k.GetHeading(),
		Text: strings.ToValidUTF8(string(content[start:end]), "\uFFFD"),
	}
}
