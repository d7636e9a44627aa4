package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// minLikeness is how alike chunks must be to be called similar. Own choice: below it, words in common are the
// language's keywords.
const minLikeness = 0.3

func (r *related) definitionPieces(ctx context.Context, relation Relation, definitions []definitionIn, why string) ([]Piece, error) {
	pieces := make([]Piece, 0, len(definitions))
	for _, d := range definitions {
		c, err := r.code(ctx, d.file)
		if err != nil {
			return nil, err
		}
		if d.ordinal >= len(c.definitions) {
			continue
		}
		def := c.definitions[d.ordinal]
		pieces = append(pieces, Piece{
			Relation: relation, Grade: d.grade, Path: r.view.files[d.file].Path, Lines: def.Lines, Symbol: def.Qualified, Kind: def.Kind,
			Name: def.Name, Why: why,
		})
	}
	return pieces, nil
}

// callers returns the places where the target definitions are used.
func (r *related) callers(ctx context.Context, relation Relation, keep func(p Piece, around *Definition) bool) ([]Piece, error) {
	var pieces []Piece
	seen := map[referenceIn]bool{}
	for _, d := range r.definitions {
		r.noteGaps(relation, d.file)
		edges, err := r.p.Store.Edges(ctx, r.view.index.ID, r.view.files[d.file].ID)
		if err != nil {
			return nil, err
		}
		for _, e := range from(edges.Incoming, d.ordinal) {
			file, known := r.view.byID[e.File]
			if !known || seen[referenceIn{file, e.To}] {
				continue
			}
			seen[referenceIn{file, e.To}] = true
			p, around, err := r.use(ctx, relation, file, e)
			if err != nil {
				return nil, err
			}
			if keep(p, around) {
				pieces = append(pieces, p)
			}
		}
	}
	return pieces, nil
}

// use makes a piece of a place of use, and returns the definition around it.
func (r *related) use(ctx context.Context, relation Relation, file int, e Edge) (Piece, *Definition, error) {
	c, err := r.code(ctx, file)
	if err != nil {
		return Piece{}, nil, err
	}
	if e.To >= len(c.references) {
		return Piece{}, nil, fmt.Errorf("retrieval: %s has no reference %d", r.view.files[file].Path, e.To)
	}
	f := c.references[e.To]
	p := Piece{
		Relation: relation, Grade: e.Grade, Path: r.view.files[file].Path, Lines: Lines{f.Line, f.Line},
		Name: f.Name, Qualifier: f.Qualifier, Usage: f.Usage, Why: whyGrade(e.Grade),
	}
	if f.Enclosing < 0 || f.Enclosing >= len(c.definitions) {
		return p, nil, nil
	}
	around := c.definitions[f.Enclosing]
	p.Symbol, p.Kind = around.Qualified, around.Kind
	return p, &around, nil
}

func whyGrade(g Grade) string {
	switch g {
	case GradeSameFile:
		return "uses the definition in its own file"
	case GradeImported:
		return "uses it through an import or its package"
	case GradeUnique:
		return "uses the only definition of this name"
	case GradeAmbiguous:
		return "uses a name that several definitions bear"
	case GradeNone:
	}
	return ""
}

const partialIndex = "the repository is larger than what is indexed"

// noteGaps says when nothing can be known of references to a file.
func (r *related) noteGaps(relation Relation, file int) {
	if r.view.index.Partial {
		r.answer.Degraded = cmp.Or(r.answer.Degraded, partialIndex)
		r.answer.Incomplete[relation] = cmp.Or(r.answer.Incomplete[relation], partialIndex)
	}
	if r.view.files[file].Language == "" {
		r.answer.Incomplete[relation] = "the language of the file is not known, so its references are not either"
	}
}

// callees returns the definitions that are used inside of the target definitions.
func (r *related) callees(ctx context.Context) ([]Piece, error) {
	var found []definitionIn
	for _, d := range r.definitions {
		c, err := r.code(ctx, d.file)
		if err != nil {
			return nil, err
		}
		for i, f := range c.references {
			if f.Usage == UsageImport || !within(c.definitions, f.Enclosing, d.ordinal) {
				continue
			}
			meant, err := r.meaning(ctx, referenceIn{d.file, i})
			if err != nil {
				return nil, err
			}
			for _, m := range meant {
				same := func(e definitionIn) bool { return e.file == m.file && e.ordinal == m.ordinal }
				if at := slices.IndexFunc(found, same); at >= 0 {
					found[at].grade = max(found[at].grade, m.grade)
				} else if !same(d) {
					found = append(found, m)
				}
			}
		}
	}
	return r.definitionPieces(ctx, RelationCallees, found, "used by the target")
}

// within reports whether the definition inner is outer or lies in it.
func within(all []Definition, inner, outer int) bool {
	for ; inner >= 0 && inner < len(all); inner = all[inner].Parent {
		if inner == outer {
			return true
		}
	}
	return false
}

// implementations returns types that name a target type among their supertypes, and for interfaces of Go the types that
// have all of its methods.
func (r *related) implementations(ctx context.Context) ([]Piece, error) {
	var found []definitionIn
	for _, d := range r.definitions {
		c, err := r.code(ctx, d.file)
		if err != nil {
			return nil, err
		}
		if d.ordinal >= len(c.definitions) || c.definitions[d.ordinal].Kind.Group() != GroupType {
			continue
		}
		declared, err := r.subtypes(ctx, d, c.definitions[d.ordinal])
		if err != nil {
			return nil, err
		}
		found = append(found, declared...)
		if r.view.files[d.file].Language == "go" && c.definitions[d.ordinal].Kind == KindInterface {
			methods, err := r.byMethods(ctx, c.definitions, d.ordinal)
			if err != nil {
				return nil, err
			}
			found = append(found, methods...)
		}
	}
	return r.definitionPieces(ctx, RelationImplementations, found, "implements or extends the target")
}

// subtypes finds the types whose signature refers to d.
func (r *related) subtypes(ctx context.Context, d definitionIn, target Definition) ([]definitionIn, error) {
	edges, err := r.p.Store.Edges(ctx, r.view.index.ID, r.view.files[d.file].ID)
	if err != nil {
		return nil, err
	}
	var found []definitionIn
	for _, e := range from(edges.Incoming, d.ordinal) {
		file, known := r.view.byID[e.File]
		if !known {
			continue
		}
		c, err := r.code(ctx, file)
		if err != nil {
			return nil, err
		}
		f := c.references[e.To]
		if f.Enclosing < 0 || f.Enclosing >= len(c.definitions) {
			continue
		}
		around := c.definitions[f.Enclosing]
		inHead := f.Line <= around.NameLine+strings.Count(around.Signature, ",")+1 && strings.Contains(around.Signature, target.Name)
		if around.Kind.Group() == GroupType && around.Name != target.Name && inHead {
			found = append(found, definitionIn{file, f.Enclosing, e.Grade})
		}
	}
	return found, nil
}

// byMethods finds the types of Go that have methods of all names of an interface. Their signatures are not compared, so
// this is no more than UNIQUE.
func (r *related) byMethods(ctx context.Context, definitions []Definition, of int) ([]definitionIn, error) {
	var wanted []string
	for _, m := range definitions {
		if m.Parent == of && m.Kind == KindMethod {
			wanted = append(wanted, m.Name)
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	have := map[string]int{} // folder and type: methods found
	for _, name := range wanted {
		places, err := r.methodsNamed(ctx, name)
		if err != nil {
			return nil, err
		}
		for owner := range places {
			have[owner]++
		}
	}
	var found []definitionIn
	for owner, n := range have {
		if n < len(wanted) {
			continue
		}
		folder, name, _ := strings.Cut(owner, "\x00")
		places, err := r.p.Store.Named(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, d := range r.inView(places) {
			c, err := r.code(ctx, d.file)
			if err != nil {
				return nil, err
			}
			if folderOf(r.view.files[d.file].Path) == folder && c.definitions[d.ordinal].Kind.Group() == GroupType && c.definitions[d.ordinal].Kind != KindInterface {
				found = append(found, definitionIn{d.file, d.ordinal, GradeUnique})
			}
		}
	}
	return found, nil
}

// methodsNamed returns the owners of methods of a name: folder, NUL, type.
func (r *related) methodsNamed(ctx context.Context, name string) (map[string]bool, error) {
	places, err := r.p.Store.Named(ctx, name)
	if err != nil {
		return nil, err
	}
	owners := map[string]bool{}
	for _, d := range r.inView(places) {
		c, err := r.code(ctx, d.file)
		if err != nil {
			return nil, err
		}
		def := c.definitions[d.ordinal]
		if owner, isMethod := strings.CutSuffix(def.Qualified, "."+name); isMethod && def.Kind == KindMethod && r.view.files[d.file].Language == "go" {
			owners[folderOf(r.view.files[d.file].Path)+"\x00"+owner] = true
		}
	}
	return owners, nil
}

func (r *related) inView(places []DefinitionAt) []definitionIn {
	var found []definitionIn
	for _, p := range places {
		for _, file := range r.view.byParse[p.Parse] {
			found = append(found, definitionIn{file: file, ordinal: p.Ordinal})
		}
	}
	return found
}

func folderOf(p string) string { return p[:strings.LastIndexByte(p, '/')+1] }

// similar returns the chunks of other files that are most like the target definitions.
func (r *related) similar(ctx context.Context) ([]Piece, error) {
	if len(r.definitions) == 0 {
		return nil, nil
	}
	d := r.definitions[0]
	c, err := r.code(ctx, d.file)
	if err != nil || d.ordinal >= len(c.definitions) {
		return nil, err
	}
	text, err := r.text(ctx, d.file, c.definitions[d.ordinal].Lines)
	if err != nil {
		return nil, err
	}
	vector := GramsOf(text).Vector(r.view.rarity.Weight)
	near, err := r.likest(ctx, &vector, r.view.files[d.file].ID)
	if err != nil {
		return nil, err
	}
	s := &search{ranker: ranker{Library: r.Library, view: r.view}, chunks: map[int64]fileChunks{}}
	var pieces []Piece
	for _, n := range near {
		if n.Score < minLikeness {
			break
		}
		h, err := s.hit(ctx, Fused{ChunkRef: n.ChunkRef})
		if err != nil {
			return nil, err
		}
		p := Piece{Relation: RelationSimilar, Path: h.File.Path, Lines: h.Chunk.Lines, Why: fmt.Sprintf("likeness %.2f", n.Score)}
		if h.Symbol != nil {
			p.Symbol, p.Kind, p.Name = h.Symbol.Qualified, h.Symbol.Kind, h.Symbol.Name
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// likest ranks the chunks of all files but one by their likeness.
func (r *related) likest(ctx context.Context, vector *Vector, but int64) ([]Scored, error) {
	asked := Asked{View: r.view, Wanted: func(f File) bool { return f.ID != but }, Depth: r.query.Limit}
	ranker := ranker{Library: r.Library, view: r.view}
	near, err := ranker.rank(ctx, func(ranks Rankings) ([]Scored, error) { return ranks.Dense(ctx, asked, vector) })
	if ranker.degraded != "" {
		r.answer.Degraded, r.answer.Incomplete[RelationSimilar] = ranker.degraded, ranker.degraded
	}
	return slices.DeleteFunc(near, func(c Scored) bool {
		f, known := r.view.file(c.File)
		return !known || !asked.Wants(f) || c.Ordinal >= f.Chunks
	}), err
}
