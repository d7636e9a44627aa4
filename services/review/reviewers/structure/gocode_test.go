package structure_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"

	"witan.dev/services/review"
)

// goParser is a review.Parser for Go on the standard library's own parser.
type goParser struct{}

func (goParser) Parse(_ context.Context, files []review.ParseInput) ([]review.Code, error) {
	out := make([]review.Code, len(files))
	for i, f := range files {
		out[i] = goCode(f.Path, f.Content)
	}
	return out, nil
}

func goCode(file string, content []byte) review.Code {
	c := review.Code{Path: file, Language: "go", Status: review.ParseOK, Test: strings.HasSuffix(file, "_test.go")}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, content, parser.ParseComments)
	if err != nil {
		c.Status = review.ParseErrors
		c.Errors = []review.Span{{EndByte: len(content), StartLine: 1, EndLine: 1 << 20}}
		return c
	}
	span := func(n ast.Node) review.Span {
		from, to := set.Position(n.Pos()), set.Position(n.End())
		return review.Span{StartByte: from.Offset, EndByte: to.Offset, StartLine: from.Line, EndLine: to.Line}
	}
	for _, i := range parsed.Imports {
		c.Imports = append(c.Imports, review.Import{Path: strings.Trim(i.Path.Value, `"`), Span: span(i)})
	}
	defined := map[*ast.Ident]bool{}
	add := func(kind review.SymbolKind, name *ast.Ident, container string, node ast.Node, signature string, params *ast.FieldList) {
		defined[name] = true
		d := review.Definition{
			Kind: kind, Name: name.Name, QualifiedName: container + name.Name, Signature: signature, Span: span(node),
			FullSpan: span(node), NameSpan: span(name), Parent: -1, Exported: name.IsExported(), Test: c.Test,
		}
		if params != nil {
			for _, p := range params.List {
				_, variadic := p.Type.(*ast.Ellipsis)
				for range max(len(p.Names), 1) {
					d.Parameters = append(d.Parameters, review.Parameter{Variadic: variadic})
				}
				for n, name := range p.Names {
					d.Parameters[len(d.Parameters)-len(p.Names)+n].Name = name.Name
				}
			}
		}
		c.Definitions = append(c.Definitions, d)
	}
	for _, decl := range parsed.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			end := d.End()
			if d.Body != nil {
				end = d.Body.Pos()
			}
			signature := string(content[set.Position(d.Pos()).Offset:set.Position(end).Offset])
			if d.Recv == nil {
				add(review.KindFunction, d.Name, "", d, signature, d.Type.Params)
				continue
			}
			t := d.Recv.List[0].Type
			if star, ok := t.(*ast.StarExpr); ok {
				t = star.X
			}
			if owner, ok := t.(*ast.Ident); ok {
				add(review.KindMethod, d.Name, owner.Name+".", d, signature, d.Type.Params)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					add(review.KindStruct, s.Name, "", d, "type "+s.Name.Name, nil)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						add(review.KindVariable, n, "", d, "var "+n.Name, nil)
					}
				}
			}
		}
	}
	calls := map[*ast.Ident]*ast.CallExpr{}
	qualifiers := map[*ast.Ident]string{}
	skip := map[*ast.Ident]bool{parsed.Name: true}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch e := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := e.X.(*ast.Ident); ok {
				qualifiers[e.Sel], skip[x] = x.Name, true
			}
		case *ast.CallExpr:
			switch f := e.Fun.(type) {
			case *ast.Ident:
				calls[f] = e
			case *ast.SelectorExpr:
				calls[f.Sel] = e
			}
		case *ast.Field:
			for _, name := range e.Names {
				skip[name] = true
			}
		}
		return true
	})
	ast.Inspect(parsed, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || defined[id] || skip[id] {
			return true
		}
		r := review.Reference{Kind: review.ReferenceName, Name: id.Name, Qualifier: qualifiers[id], Span: span(id), Arguments: review.UnknownArguments}
		if call := calls[id]; call != nil {
			r.Kind = review.ReferenceCall
			if !call.Ellipsis.IsValid() {
				r.Arguments = len(call.Args)
			}
		}
		c.References = append(c.References, r)
		return true
	})
	return c
}

// goTree is a review.Tree of files in memory.
type goTree map[string]string

func (t goTree) Read(_ context.Context, path string) ([]byte, error) {
	content, ok := t[path]
	if !ok {
		return nil, review.ErrNoFile
	}
	return []byte(content), nil
}

func (goTree) HasFolder(context.Context, string) (bool, error) { return false, nil }

// goIndex is a review.Index over trees by their index names, with the grades of the real one.
type goIndex map[string]goTree

func (goIndex) Build(context.Context, review.IndexSource) (index, job string, err error) {
	panic("the reviewer builds no index")
}

func (x goIndex) Related(
	_ context.Context, index string, place review.Place, _ int, relations ...review.Relation,
) (review.Related, error) {
	code := map[string]review.Code{}
	for file, content := range x[index] {
		code[file] = goCode(file, []byte(content))
	}
	var out []review.Piece
	for _, file := range slices.Sorted(maps.Keys(code)) {
		for _, r := range code[file].References {
			target, d, grade := resolve(code, file, &r)
			if d == nil {
				continue
			}
			at := review.Place{Path: file, StartLine: r.Span.StartLine, EndLine: r.Span.EndLine, Name: r.Name}
			switch {
			case slices.Contains(relations, review.RelationCallers) && target == place.Path && d.NameSpan.StartLine == place.StartLine && d.Name == place.Name:
				out = append(out, review.Piece{Relation: review.RelationCallers, Grade: grade, Place: at})
			case slices.Contains(relations, review.RelationDefinition) && file == place.Path && r.Name == place.Name && r.Span.StartLine == place.StartLine:
				out = append(out, review.Piece{
					Relation: review.RelationDefinition, Grade: grade, Symbol: d.QualifiedName,
					Place: review.Place{Path: target, StartLine: d.Span.StartLine, EndLine: d.Span.EndLine, Name: d.Name},
				})
			}
		}
	}
	return review.Related{Pieces: out}, nil
}

func resolve(code map[string]review.Code, file string, r *review.Reference) (string, *review.Definition, review.Grade) {
	dir, imported := path.Dir(file), ""
	for _, i := range code[file].Imports {
		if path.Base(i.Path) == r.Qualifier {
			imported = strings.TrimPrefix(i.Path, "example.com/")
		}
	}
	type found struct {
		file string
		def  review.Definition
	}
	var same []found
	for _, other := range slices.Sorted(maps.Keys(code)) {
		for _, d := range code[other].Definitions {
			if d.Name == r.Name {
				same = append(same, found{other, d})
			}
		}
	}
	for _, f := range same {
		switch {
		case f.def.Kind == review.KindMethod:
		case r.Qualifier == "" && f.file == file:
			return f.file, &f.def, review.GradeSameFile
		case r.Qualifier == "" && path.Dir(f.file) == dir, imported != "" && path.Dir(f.file) == imported:
			return f.file, &f.def, review.GradeImported
		}
	}
	switch {
	case len(same) == 1 && len(r.Name) >= 4:
		return same[0].file, &same[0].def, review.GradeUnique
	case len(same) > 0:
		return same[0].file, &same[0].def, review.GradeAmbiguous
	default:
		return "", nil, ""
	}
}
