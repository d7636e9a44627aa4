package retrieval

import (
	"context"
	"slices"
	"strings"
)

// maxTargets bounds the definitions that a symbol may mean.
const maxTargets = 100

// findTargets finds the definitions and references that the question is about. References stand for what they mean.
func (r *related) findTargets(ctx context.Context) error {
	if r.query.Path == "" {
		return r.bySymbol(ctx)
	}
	file, known := r.view.byPath[r.query.Path]
	if !known {
		return nil
	}
	if err := r.byPlace(ctx, file); err != nil {
		return err
	}
	for _, ref := range r.references {
		meant, err := r.meaning(ctx, ref)
		if err != nil {
			return err
		}
		r.addDefinitions(meant...)
	}
	return nil
}

func (r *related) addDefinitions(definitions ...definitionIn) {
	for _, d := range definitions {
		same := func(e definitionIn) bool { return e.file == d.file && e.ordinal == d.ordinal }
		if i := slices.IndexFunc(r.definitions, same); i >= 0 {
			r.definitions[i].grade = max(r.definitions[i].grade, d.grade)
		} else if len(r.definitions) < maxTargets {
			r.definitions = append(r.definitions, d)
		}
	}
}

// byPlace takes the definitions whose name stands on the lines, and the references there; where there is neither, and
// no name was given, the definition around the lines. With a name, references count only where it defines nothing: what
// the body of Close calls Close is something else.
func (r *related) byPlace(ctx context.Context, file int) error {
	c, err := r.code(ctx, file)
	if err != nil {
		return err
	}
	on := func(line int) bool { return r.query.Lines.Start <= line && line <= r.query.Lines.End }
	named := func(name string) bool { return r.query.Name == "" || r.query.Name == name }
	around := NoDefinition
	for i, d := range c.definitions {
		if (on(d.NameLine) || on(d.Lines.Start)) && named(d.Name) {
			r.addDefinitions(definitionIn{file, i, GradeSameFile})
		}
		if d.Lines.Contains(r.query.Lines) {
			around = i
		}
	}
	if r.query.Name != "" && len(r.definitions) > 0 {
		return nil
	}
	for i, f := range c.references {
		if on(f.Line) && named(f.Name) {
			r.references = append(r.references, referenceIn{file, i})
		}
	}
	if len(r.definitions) == 0 && len(r.references) == 0 && around != NoDefinition && r.query.Name == "" {
		r.addDefinitions(definitionIn{file, around, GradeSameFile})
	}
	return nil
}

// bySymbol finds definitions by a bare or qualified name. Only one that fits is UNIQUE, several are AMBIGUOUS.
func (r *related) bySymbol(ctx context.Context) error {
	parts := symbolParts(r.query.Symbol)
	if len(parts) == 0 {
		return nil
	}
	places, err := r.p.Store.Named(ctx, parts[len(parts)-1])
	if err != nil {
		return err
	}
	for _, p := range places {
		for _, file := range r.view.byParse[p.Parse] {
			c, err := r.code(ctx, file)
			if err != nil {
				return err
			}
			if p.Ordinal < len(c.definitions) && endsWith(symbolParts(c.definitions[p.Ordinal].Qualified), parts) {
				r.addDefinitions(definitionIn{file, p.Ordinal, GradeUnique})
			}
		}
	}
	if len(r.definitions) > 1 {
		for i := range r.definitions {
			r.definitions[i].grade = GradeAmbiguous
		}
	}
	return nil
}

func symbolParts(symbol string) []string {
	return strings.FieldsFunc(symbol, func(c rune) bool { return c == '.' || c == ':' || c == '\\' || c == '#' || c == '/' })
}

func endsWith(parts, end []string) bool {
	return len(parts) >= len(end) && slices.Equal(parts[len(parts)-len(end):], end)
}

// meaning returns the definitions that a reference has edges to.
func (r *related) meaning(ctx context.Context, ref referenceIn) ([]definitionIn, error) {
	edges, err := r.p.Store.Edges(ctx, r.view.index.ID, r.view.files[ref.file].ID)
	if err != nil {
		return nil, err
	}
	var meant []definitionIn
	for _, e := range from(edges.Outgoing, ref.ordinal) {
		if file, known := r.view.byID[e.File]; known {
			meant = append(meant, definitionIn{file, e.To, e.Grade})
		}
	}
	return meant, nil
}

// from returns the edges that begin at ordinal; edges are ordered by their beginning.
func from(edges []Edge, ordinal int) []Edge {
	start, _ := slices.BinarySearchFunc(edges, ordinal, func(e Edge, n int) int { return e.From - n })
	end := start
	for end < len(edges) && edges[end].From == ordinal {
		end++
	}
	return edges[start:end]
}
