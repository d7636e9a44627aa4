package server

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	parserv1 "witan.dev/gen/witan/parser/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/services/parser"
)

func requestFromProto(r *parserv1.ParseRequest) parser.Request {
	request := parser.Request{
		Path: filepath.ToSlash(r.GetPath()), Content: r.GetContent(), Language: r.GetLanguage(),
	}
	for _, want := range r.GetWant() {
		switch want {
		case parserv1.ParseRequest_DEFINITIONS:
			request.Want.Definitions = true
		case parserv1.ParseRequest_REFERENCES:
			request.Want.References = true
		case parserv1.ParseRequest_IMPORTS:
			request.Want.Imports = true
		case parserv1.ParseRequest_CHUNKS:
			request.Want.Chunks = true
		case parserv1.ParseRequest_WANT_UNSPECIFIED:
		}
	}
	for _, lines := range r.GetEnclosing() {
		request.Enclosing = append(request.Enclosing, parser.LineRange{
			Start: int(lines.GetStartLine()), End: int(lines.GetEndLine()),
		})
	}
	return request
}

func responseToProto(request *parserv1.ParseRequest, r parser.Result) *parserv1.ParseResponse {
	response := &parserv1.ParseResponse{
		Id:               request.GetId(),
		Sha256:           r.SHA256,
		Language:         r.Language,
		Status:           statusToProto(r.Status),
		ErrorShare:       r.ErrorShare,
		ExtractorVersion: parser.ExtractorVersion,
		Generated:        r.Generated,
		Vendored:         r.Vendored,
		Test:             r.Test,
		LockFile:         r.LockFile,
		Definitions:      mapped(r.Definitions, definitionToProto),
		References:       mapped(r.References, referenceToProto),
		Imports:          mapped(r.Imports, importToProto),
		Enclosing:        mapped(r.Enclosing, enclosingToProto),
		Errors:           mapped(r.Errors, rangeToProto),
	}
	for _, chunk := range r.Chunks {
		response.Chunks = append(response.Chunks, chunkToProto(request.GetContent(), chunk))
	}
	return response
}

func mapped[From, To any](from []From, translate func(From) To) []To {
	to := make([]To, 0, len(from))
	for _, f := range from {
		to = append(to, translate(f))
	}
	return to
}

// number brings an int of the domain into a message. All are bounded by the size of a content.
func number(n int) int32 { return int32(n) } //nolint:gosec // at most parser.MaxContent, or -1

func rangeToProto(r parser.Range) *parserv1.Range {
	return &parserv1.Range{
		StartByte: number(r.StartByte), EndByte: number(r.EndByte),
		StartLine: number(r.StartLine), EndLine: number(r.EndLine),
	}
}

func languageToProto(l parser.Language) *parserv1.Language {
	return &parserv1.Language{
		Id: l.Name, DisplayName: l.Title, Tier: parserv1.Language_FULL, Extensions: l.Extensions,
		ExtractorVersion: parser.ExtractorVersion,
	}
}

func definitionToProto(d parser.Definition) *parserv1.Definition {
	return &parserv1.Definition{
		Kind: kindToProto(d.Kind), Name: d.Name, QualifiedName: d.QualifiedName, Signature: d.Signature, Doc: d.Doc,
		Range: rangeToProto(d.Range), FullRange: rangeToProto(d.FullRange), NameRange: rangeToProto(d.NameRange),
		Parent: number(d.Parent), Exported: d.Exported, Test: d.Test,
		Parameters: mapped(d.Parameters, parameterToProto),
	}
}

func parameterToProto(p parser.Parameter) *parserv1.Parameter {
	return &parserv1.Parameter{
		Name: p.Name, Type: p.Type, KeywordOnly: p.KeywordOnly, PositionalOnly: p.PositionalOnly,
		Optional: p.Kind != parser.ParameterRequired,
		Variadic: p.Kind == parser.ParameterVariadic || p.Kind == parser.ParameterKeywordVariadic,
	}
}

func referenceToProto(r parser.Reference) *parserv1.Reference {
	reference := &parserv1.Reference{
		Name: r.Name, Kind: referenceKindToProto(r.Kind), Range: rangeToProto(r.Range), Enclosing: number(r.Enclosing),
		Qualifier: r.Qualifier, QualifierLocal: r.QualifierLocal, Arguments: -1,
	}
	if r.Arguments != nil {
		reference.ArgumentNames = r.Arguments.Keywords
		if !r.Arguments.Spread {
			reference.Arguments = number(r.Arguments.Positional + len(r.Arguments.Keywords))
		}
	}
	return reference
}

func importToProto(i parser.Import) *parserv1.Import {
	message := &parserv1.Import{
		Path: parser.CleanText([]byte(i.Path), 4*parser.MaxName), Alias: i.Alias, Range: rangeToProto(i.Range),
	}
	for _, name := range i.Names {
		message.Names = append(message.Names, &parserv1.ImportedName{Name: name.Name, Alias: name.Alias})
	}
	if i.Wildcard {
		message.Names = append(message.Names, &parserv1.ImportedName{Name: "*"})
	}
	return message
}

// chunkToProto adds the digest by which equal chunks are known, wherever their file lies.
func chunkToProto(content []byte, c parser.Chunk) *parserv1.Chunk {
	digest := sha256.New()
	digest.Write([]byte(c.Heading))
	digest.Write([]byte{0})
	digest.Write(content[c.Range.StartByte:c.Range.EndByte])
	return &parserv1.Chunk{
		Range: rangeToProto(c.Range), Definition: number(c.Definition), Heading: c.Heading,
		Sha256: hex.EncodeToString(digest.Sum(nil)),
	}
}

// enclosingToProto leaves out the share of lines outside of all definitions: what is missing to 1 is the file's.
func enclosingToProto(e parser.Enclosing) *parserv1.Enclosing {
	message := &parserv1.Enclosing{Lines: &typev1.LineRange{StartLine: number(e.Lines.Start), EndLine: number(e.Lines.End)}}
	for _, d := range e.Definitions {
		if d.Definition != parser.NoDefinition {
			message.Definitions = append(message.Definitions, &parserv1.EnclosingDefinition{
				Definition: number(d.Definition), Share: d.Share,
			})
		}
	}
	return message
}

func statusToProto(s parser.Status) parserv1.ParseResponse_ParseStatus {
	switch s {
	case parser.StatusOK:
		return parserv1.ParseResponse_OK
	case parser.StatusErrors:
		return parserv1.ParseResponse_ERRORS
	case parser.StatusTruncated:
		return parserv1.ParseResponse_TRUNCATED
	case parser.StatusTimeout:
		return parserv1.ParseResponse_TIMEOUT
	case parser.StatusTooLarge:
		return parserv1.ParseResponse_TOO_LARGE
	case parser.StatusNoGrammar:
		return parserv1.ParseResponse_NO_GRAMMAR
	case parser.StatusBinary:
		return parserv1.ParseResponse_BINARY
	case parser.StatusCrashed:
		return parserv1.ParseResponse_CRASHED
	case parser.StatusUnknown:
		return parserv1.ParseResponse_PARSE_STATUS_UNSPECIFIED
	default:
		return parserv1.ParseResponse_PARSE_STATUS_UNSPECIFIED
	}
}

func referenceKindToProto(k parser.ReferenceKind) parserv1.Reference_Kind {
	switch k {
	case parser.ReferenceCall:
		return parserv1.Reference_CALL
	case parser.ReferenceType:
		return parserv1.Reference_TYPE
	case parser.ReferenceImport:
		return parserv1.Reference_IMPORT
	case parser.ReferenceName:
		return parserv1.Reference_NAME
	default:
		return parserv1.Reference_KIND_UNSPECIFIED
	}
}

func kindToProto(k parser.Kind) typev1.SymbolKind {
	switch k {
	case parser.KindFunction:
		return typev1.SymbolKind_SYMBOL_KIND_FUNCTION
	case parser.KindMethod:
		return typev1.SymbolKind_SYMBOL_KIND_METHOD
	case parser.KindClass:
		return typev1.SymbolKind_SYMBOL_KIND_CLASS
	case parser.KindStruct:
		return typev1.SymbolKind_SYMBOL_KIND_STRUCT
	case parser.KindInterface:
		return typev1.SymbolKind_SYMBOL_KIND_INTERFACE
	case parser.KindTrait:
		return typev1.SymbolKind_SYMBOL_KIND_TRAIT
	case parser.KindEnum:
		return typev1.SymbolKind_SYMBOL_KIND_ENUM
	case parser.KindType:
		return typev1.SymbolKind_SYMBOL_KIND_TYPE
	case parser.KindConstant:
		return typev1.SymbolKind_SYMBOL_KIND_CONSTANT
	case parser.KindVariable:
		return typev1.SymbolKind_SYMBOL_KIND_VARIABLE
	case parser.KindField:
		return typev1.SymbolKind_SYMBOL_KIND_FIELD
	case parser.KindModule:
		return typev1.SymbolKind_SYMBOL_KIND_MODULE
	case parser.KindMacro:
		return typev1.SymbolKind_SYMBOL_KIND_MACRO
	case parser.KindUnknown:
		return typev1.SymbolKind_SYMBOL_KIND_UNSPECIFIED
	default:
		return typev1.SymbolKind_SYMBOL_KIND_UNSPECIFIED
	}
}
