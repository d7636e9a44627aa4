package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	parserv1 "witan.dev/gen/witan/parser/v1"
	typev1 "witan.dev/gen/witan/type/v1"
	"witan.dev/internal/diff"
	"witan.dev/services/review"
)

// inFlight is how many files the parser works on at once; its contract allows 64.
const inFlight = 16

// Parser is a review.Parser over gRPC. Safe for concurrent use.
type Parser struct {
	client parserv1.ParserServiceClient
}

var _ review.Parser = (*Parser)(nil)

// NewParser returns a parser that is reached over the connection.
func NewParser(conn grpc.ClientConnInterface) *Parser {
	return &Parser{client: parserv1.NewParserServiceClient(conn)}
}

// Parse implements review.Parser. Files above review.MaxText are not sent: their status is TOO_LARGE.
func (p *Parser) Parse(ctx context.Context, files []review.ParseInput) ([]review.Code, error) {
	out := make([]review.Code, len(files))
	if len(files) == 0 {
		return out, nil
	}
	group, call := errgroup.WithContext(ctx) // a failure of either side ends the stream
	stream, err := p.client.ParseMany(call)
	if err != nil {
		return nil, callError(ctx, "parse files", err)
	}
	slots := make(chan struct{}, inFlight)
	group.Go(func() error { return sendAll(call, stream, files, slots, out) })
	group.Go(func() error { return receiveAll(stream, files, slots, out) })
	if err := group.Wait(); err != nil {
		return nil, callError(ctx, "parse files", err)
	}
	for i := range out {
		if out[i].Status == "" {
			return nil, fmt.Errorf("parse files: the parser ended without an answer for file %d of %d", i+1, len(files))
		}
	}
	return out, nil
}

func sendAll(
	ctx context.Context, stream parserv1.ParserService_ParseManyClient, files []review.ParseInput, slots chan<- struct{}, out []review.Code,
) error {
	for i, f := range files {
		if len(f.Content) > review.MaxText {
			out[i] = review.Code{Path: f.Path, Status: "TOO_LARGE"}
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		err := stream.Send(&parserv1.ParseManyRequest{Request: &parserv1.ParseRequest{
			Id: strconv.Itoa(i), Path: diff.DisplayPath(f.Path), Content: f.Content,
			Want: []parserv1.ParseRequest_Want{
				parserv1.ParseRequest_DEFINITIONS, parserv1.ParseRequest_REFERENCES, parserv1.ParseRequest_IMPORTS,
			},
		}})
		if errors.Is(err, io.EOF) {
			return nil // the stream's error is what the receiver gets
		}
		if err != nil {
			return err
		}
	}
	return stream.CloseSend()
}

// receiveAll takes one answer for each file that was sent. An answer that nobody waits for is an error: it would take
// the place of another file's.
func receiveAll(stream parserv1.ParserService_ParseManyClient, files []review.ParseInput, slots <-chan struct{}, out []review.Code) error {
	answered := make([]bool, len(files))
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		i, err := strconv.Atoi(answer.GetResponse().GetId())
		if err != nil || i < 0 || i >= len(files) || len(files[i].Content) > review.MaxText {
			return fmt.Errorf("the parser answered for a file that was not sent: %.40q", answer.GetResponse().GetId())
		}
		if answered[i] {
			return fmt.Errorf("the parser answered twice for a file: %.40q", answer.GetResponse().GetId())
		}
		select {
		case <-slots: // taken before the file was sent
		default:
			return fmt.Errorf("the parser answered for a file before it was sent: %.40q", answer.GetResponse().GetId())
		}
		answered[i], out[i] = true, code(files[i].Path, answer.GetResponse())
	}
}

func code(path string, r *parserv1.ParseResponse) review.Code {
	c := review.Code{
		Path: path, Language: r.GetLanguage(), Status: review.ParseStatus(r.GetStatus().String()),
		Generated: r.GetGenerated(), Vendored: r.GetVendored(), Test: r.GetTest(),
		Definitions: make([]review.Definition, 0, len(r.GetDefinitions())),
		References:  make([]review.Reference, 0, len(r.GetReferences())),
	}
	for _, d := range r.GetDefinitions() {
		c.Definitions = append(c.Definitions, definition(d))
	}
	for _, ref := range r.GetReferences() {
		c.References = append(c.References, reference(ref))
	}
	for _, i := range r.GetImports() {
		c.Imports = append(c.Imports, importOf(i))
	}
	for _, e := range r.GetErrors() {
		c.Errors = append(c.Errors, span(e))
	}
	return c
}

func span(r *parserv1.Range) review.Span {
	return review.Span{
		StartByte: int(r.GetStartByte()), EndByte: int(r.GetEndByte()), StartLine: int(r.GetStartLine()), EndLine: int(r.GetEndLine()),
	}
}

func definition(d *parserv1.Definition) review.Definition {
	out := review.Definition{
		Kind: symbolKind(d.GetKind()), Name: d.GetName(), QualifiedName: d.GetQualifiedName(), Signature: d.GetSignature(),
		Doc: d.GetDoc(), Span: span(d.GetRange()), FullSpan: span(d.GetFullRange()), NameSpan: span(d.GetNameRange()),
		Parent: int(d.GetParent()), Exported: d.GetExported(), Test: d.GetTest(),
	}
	for _, p := range d.GetParameters() {
		out.Parameters = append(out.Parameters, review.Parameter{
			Name: p.GetName(), Optional: p.GetOptional(), Variadic: p.GetVariadic(), KeywordOnly: p.GetKeywordOnly(),
		})
	}
	return out
}

// reference translates a use. The contract counts all arguments, the named ones among them.
func reference(r *parserv1.Reference) review.Reference {
	out := review.Reference{
		Kind: review.ReferenceKind(r.GetKind().String()), Name: r.GetName(), Qualifier: r.GetQualifier(), Span: span(r.GetRange()),
		Arguments: review.UnknownArguments, ArgumentNames: slices.Clone(r.GetArgumentNames()),
	}
	if n := int(r.GetArguments()); n >= len(out.ArgumentNames) {
		out.Arguments = n - len(out.ArgumentNames)
	}
	return out
}

func importOf(i *parserv1.Import) review.Import {
	out := review.Import{Path: i.GetPath(), Alias: i.GetAlias(), Span: span(i.GetRange())}
	for _, n := range i.GetNames() {
		out.Names = append(out.Names, review.ImportedName{Name: n.GetName(), Alias: n.GetAlias()})
	}
	return out
}

// symbolKind drops the prefix of the shared enum.
func symbolKind(k typev1.SymbolKind) review.SymbolKind {
	if k == typev1.SymbolKind_SYMBOL_KIND_UNSPECIFIED {
		return ""
	}
	return review.SymbolKind(k.String()[len("SYMBOL_KIND_"):])
}
