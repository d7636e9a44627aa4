package retrieval

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// Relation says how a piece is related to the target.
type Relation string

// Relations.
const (
	RelationDefinition      Relation = "DEFINITION"
	RelationCallers         Relation = "CALLERS"
	RelationCallees         Relation = "CALLEES"
	RelationImplementations Relation = "IMPLEMENTATIONS"
	RelationTests           Relation = "TESTS"
	RelationSimilar         Relation = "SIMILAR"
)

// Relations lists all of them in the order in which they are answered.
func Relations() []Relation {
	return []Relation{RelationDefinition, RelationCallers, RelationCallees, RelationImplementations, RelationTests, RelationSimilar}
}

// RelatedQuery asks for the code around a target: a symbol, or the definitions and references at a place.
type RelatedQuery struct {
	Index ID
	Owner string
	// Symbol is a bare or qualified name; used when Path is empty.
	Symbol string
	// Path and Lines are a place; Name restricts it to that name there.
	Path  string
	Lines Lines
	Name  string
	// Relations that are wanted, each at most once.
	Relations []Relation
	// Limit is the largest number of pieces of each relation, from 1.
	Limit int
	// Tokens bounds the texts of all pieces together; 0 means no bound.
	Tokens int
	// OmitText leaves all texts out.
	OmitText bool
}

// Piece is a piece of related code.
type Piece struct {
	Relation Relation
	Grade    Grade
	Path     string
	// Lines of the definition, or of the place of use.
	Lines Lines
	// Symbol is the definition at or around the place; empty without one.
	Symbol string
	Kind   Kind
	// Text is that of the definition; at a place of use two lines around it are added.
	Text string
	// Tokens is an estimate for Text.
	Tokens int
	// Why is one line for people.
	Why string
	// Name, Qualifier and Usage are those of the reference at a place of use.
	Name, Qualifier string
	Usage           Usage
}

// Related is the answer.
type Related struct {
	// Pieces by relation in the order of the query, then grade, nearness, path and line.
	Pieces []Piece
	// Incomplete says of each relation that was cut, or could not be looked up, why.
	Incomplete map[Relation]string
	// Degraded says why the answer may be worse than usual, whatever its limits; empty: it is not.
	Degraded string
}

// Related finds the code around a target. A target that the index does not know gives no pieces. Errors:
// ErrIndexNotFound, ErrIndexNotReady.
func (l *Library) Related(ctx context.Context, q RelatedQuery) (Related, error) {
	v, err := l.view(ctx, q.Owner, q.Index)
	if err != nil {
		return Related{}, err
	}
	r := &related{Library: l, view: v, query: q, codes: map[int64]*code{}, answer: Related{Incomplete: map[Relation]string{}}}
	if err := r.findTargets(ctx); err != nil {
		return Related{}, err
	}
	for _, relation := range q.Relations {
		pieces, err := r.relation(ctx, relation)
		if err != nil {
			return Related{}, fmt.Errorf("%s: %w", strings.ToLower(string(relation)), err)
		}
		r.add(relation, pieces)
	}
	return r.answer, r.addTexts(ctx)
}

// related is one such question in one view.
type related struct {
	*Library

	view  *View
	query RelatedQuery
	codes map[int64]*code
	// definitions and references are the target.
	definitions []definitionIn
	references  []referenceIn
	answer      Related
}

// code is a content that a question has looked at.
type code struct {
	definitions []Definition
	references  []Reference
	lines       []string
}

// definitionIn names a definition of a file of the view, and how sure it is that it is meant.
type definitionIn struct {
	file, ordinal int
	grade         Grade
}

// referenceIn names a reference of a file of the view.
type referenceIn struct{ file, ordinal int }

func (r *related) relation(ctx context.Context, relation Relation) ([]Piece, error) {
	switch relation {
	case RelationDefinition:
		return r.definitionPieces(ctx, relation, r.definitions, "defined here")
	case RelationCallers:
		return r.callers(ctx, relation, func(Piece, *Definition) bool { return true })
	case RelationTests:
		return r.callers(ctx, relation, func(p Piece, around *Definition) bool { return TestPath(p.Path) || around != nil && around.Test })
	case RelationCallees:
		return r.callees(ctx)
	case RelationImplementations:
		return r.implementations(ctx)
	case RelationSimilar:
		return r.similar(ctx)
	}
	return nil, nil
}

// add orders the pieces of a relation and cuts them at the limit.
func (r *related) add(relation Relation, pieces []Piece) {
	near := func(p Piece) int {
		least := 1 << 20
		for _, d := range r.definitions {
			least = min(least, folders(r.view.files[d.file].Path, p.Path))
		}
		return least
	}
	if relation != RelationSimilar {
		slices.SortStableFunc(pieces, func(a, b Piece) int {
			return cmp.Or(cmp.Compare(b.Grade, a.Grade), cmp.Compare(near(a), near(b)), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Lines.Start, b.Lines.Start))
		})
	}
	if len(pieces) > r.query.Limit {
		r.answer.Incomplete[relation] = fmt.Sprintf("%d of %d are shown", r.query.Limit, len(pieces))
		pieces = pieces[:r.query.Limit]
	}
	r.answer.Pieces = append(r.answer.Pieces, pieces...)
}

// folders counts the folders that two paths do not share.
func folders(a, b string) int {
	if a == b {
		return 0
	}
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	shared := 0
	for shared < len(x)-1 && shared < len(y)-1 && x[shared] == y[shared] {
		shared++
	}
	return 1 + len(x) + len(y) - 2*shared - 2
}

// code reads what is known of a file.
func (r *related) code(ctx context.Context, file int) (*code, error) {
	f := r.view.files[file]
	if c := r.codes[f.Parse]; c != nil {
		return c, nil
	}
	c := &code{}
	var err error
	if c.definitions, err = r.p.Store.Definitions(ctx, f.Parse); err != nil {
		return nil, fmt.Errorf("definitions of %s: %w", f.Path, err)
	}
	if c.references, err = r.p.Store.References(ctx, f.Parse); err != nil {
		return nil, fmt.Errorf("references of %s: %w", f.Path, err)
	}
	r.codes[f.Parse] = c
	return c, nil
}

// text reads the lines of a file.
func (r *related) text(ctx context.Context, file int, lines Lines) (string, error) {
	c, err := r.code(ctx, file)
	if err != nil {
		return "", err
	}
	if c.lines == nil {
		chunks, err := r.p.Store.Chunks(ctx, r.view.files[file].Parse)
		if err != nil {
			return "", fmt.Errorf("chunks of %s: %w", r.view.files[file].Path, err)
		}
		var text strings.Builder
		for _, k := range chunks {
			text.WriteString(k.Text)
		}
		c.lines = strings.SplitAfter(text.String(), "\n")
	}
	start, end := max(lines.Start, 1), min(lines.End, len(c.lines))
	if start > end {
		return "", nil
	}
	return strings.Join(c.lines[start-1:end], ""), nil
}

// contextLines are shown before and after a place of use.
const contextLines = 2

// addTexts fills in texts in the order of the pieces until the budget is used up.
func (r *related) addTexts(ctx context.Context) error {
	if r.query.OmitText {
		return nil
	}
	used := 0
	for i := range r.answer.Pieces {
		p := &r.answer.Pieces[i]
		lines := p.Lines
		if p.Usage != UsageUnknown {
			lines = Lines{Start: lines.Start - contextLines, End: lines.End + contextLines}
		}
		text, err := r.text(ctx, r.view.byPath[p.Path], lines)
		if err != nil {
			return err
		}
		text = CutText(text, MaxHitText)
		tokens := estimateTokens(text)
		if r.query.Tokens > 0 && used+tokens > r.query.Tokens {
			if r.answer.Incomplete[p.Relation] == "" {
				r.answer.Incomplete[p.Relation] = "texts are missing: the token budget is used up"
			}
			continue
		}
		used += tokens
		p.Text, p.Tokens = text, tokens
	}
	return nil
}

// estimateTokens counts four bytes a token, rounded up.
func estimateTokens(text string) int { return (len(text) + 3) / 4 }
