package structure

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"witan.dev/services/review"
)

// A use is one place of the new state that the change breaks.
type use struct {
	path    string
	span    review.Span
	kind    review.ReferenceKind
	grade   review.Grade
	content []byte
	symbol  string // the definition around it
}

// search looks for the uses of one candidate after the other. One review uses it from one goroutine.
type search struct {
	*Reviewer

	in         review.Inspection
	base, head *files
	gaps       []string // why the index may not have told everything, each once
}

// remaining returns the places at which the new state still uses what the candidate says is gone, ordered by path and
// position.
func (s *search) remaining(ctx context.Context, c *candidate) ([]use, error) {
	var (
		found []use
		err   error
	)
	if c.rule == RuleSignature {
		found, err = s.misfits(ctx, c)
	} else {
		found, err = s.leftBehind(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b use) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.span.StartByte, b.span.StartByte))
	})
	return slices.CompactFunc(found, func(a, b use) bool { return a.path == b.path && a.span.StartLine == b.span.StartLine }), nil
}

// related asks the index, and notes what it could not look up as usual.
func (s *search) related(ctx context.Context, index string, place review.Place, relation review.Relation) ([]review.Piece, error) {
	found, err := s.index.Related(ctx, index, place, maxCallers, relation)
	if found.Degraded != "" && !slices.Contains(s.gaps, found.Degraded) {
		s.gaps = append(s.gaps, found.Degraded)
	}
	return found.Pieces, err
}

// callers returns the graded references to the definition, by file.
func (s *search) callers(ctx context.Context, index, file string, d *review.Definition) (map[string][]review.Piece, error) {
	place := review.Place{Path: file, StartLine: d.NameSpan.StartLine, EndLine: d.NameSpan.StartLine, Name: d.Name}
	pieces, err := s.related(ctx, index, place, review.RelationCallers)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]review.Piece)
	for _, p := range pieces {
		if p.Relation == review.RelationCallers && p.Grade.Certain() {
			out[p.Place.Path] = append(out[p.Place.Path], p)
		}
	}
	return out, nil
}

// referencesIn returns the references to name on the lines of the pieces, each with the best grade of its pieces.
func referencesIn(code *review.Code, name string, pieces []review.Piece) map[*review.Reference]review.Grade {
	out := make(map[*review.Reference]review.Grade)
	for i := range code.References {
		r := &code.References[i]
		if r.Name != name {
			continue
		}
		for _, p := range pieces {
			if p.Place.StartLine <= r.Span.StartLine && r.Span.StartLine <= p.Place.EndLine && better(p.Grade, out[r]) {
				out[r] = p.Grade
			}
		}
	}
	return out
}

func better(a, than review.Grade) bool {
	order := []review.Grade{review.GradeSameFile, review.GradeImported, review.GradeUnique}
	ia, ib := slices.Index(order, a), slices.Index(order, than)
	return ia >= 0 && (ib < 0 || ia < ib)
}

// leftBehind finds the references that meant a removed definition and mean nothing now.
func (s *search) leftBehind(ctx context.Context, c *candidate) ([]use, error) {
	callers, err := s.callers(ctx, s.in.BaseIndex, c.oldPath, &c.old)
	if err != nil {
		return nil, err
	}
	var found []use
	for _, basePath := range sortedKeys(callers) {
		before, _, err := s.base.get(ctx, basePath)
		if err != nil {
			return nil, err
		}
		if !before.Usable() {
			continue
		}
		refs := referencesIn(before, c.old.Name, callers[basePath])
		grades := qualifiers(refs)
		if len(grades) == 0 {
			continue
		}
		uses, err := s.stillThere(ctx, c, before, s.headPath(basePath), grades)
		if err != nil {
			return nil, err
		}
		found = append(found, uses...)
	}
	return found, nil
}

// qualifiers folds the references of one file into the best grade for each way in which they are written.
func qualifiers(refs map[*review.Reference]review.Grade) map[string]review.Grade {
	out := make(map[string]review.Grade)
	for r, g := range refs {
		if better(g, out[r.Qualifier]) {
			out[r.Qualifier] = g
		}
	}
	return out
}

// headPath is where the file of the old state stands in the new one, empty when it was deleted.
func (s *search) headPath(basePath string) string {
	f := s.in.Change.OldFile(basePath)
	switch {
	case f == nil:
		return basePath
	case f.Change == review.Deleted:
		return ""
	default:
		return f.Path
	}
}

// stillThere returns the references in one file of the new state that are written like those that meant the removed
// definition, and that mean no other one.
func (s *search) stillThere(
	ctx context.Context, c *candidate, before *review.Code, headPath string, grades map[string]review.Grade,
) ([]use, error) {
	if headPath == "" {
		return nil, nil
	}
	after, content, err := s.head.get(ctx, headPath)
	if err != nil || !after.Usable() || after.Generated || after.Vendored {
		return nil, err
	}
	var found []use
	for i := range after.References {
		r := &after.References[i]
		grade, ok := grades[r.Qualifier]
		if r.Name != c.old.Name || !ok || after.Broken(r.Span) || len(found) > maxPlaces || labels(r, content) {
			continue
		}
		broken, err := s.unresolved(ctx, c, before, after, headPath, r, grade)
		if err != nil {
			return nil, err
		}
		if !broken || grade == review.GradeUnique && !s.plausible(c, after, content, r) {
			continue
		}
		found = append(found, newUse(headPath, after, content, r, grade))
	}
	return found, nil
}

// labels says whether the name stands before a colon: a field of a literal or a keyword bears the name by chance.
func labels(r *review.Reference, content []byte) bool {
	if r.Kind != review.ReferenceName || r.Span.EndByte < 0 || r.Span.EndByte >= len(content) {
		return false
	}
	rest := strings.TrimLeft(string(content[r.Span.EndByte:min(len(content), r.Span.EndByte+80)]), " \t")
	return strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, "::") && !strings.HasPrefix(rest, ":=")
}

func newUse(file string, code *review.Code, content []byte, r *review.Reference, g review.Grade) use {
	u := use{path: file, span: r.Span, kind: r.Kind, grade: g, content: content}
	if at := code.Enclosing(r.Span.StartLine, r.Span.EndLine); at >= 0 {
		u.symbol = code.Definitions[at].Symbol()
	}
	return u
}

// unresolved says whether the reference means nothing in the new state. Where the index names a definition that merely
// has the same name, the language's rules decide whether the reference can mean it.
func (s *search) unresolved(
	ctx context.Context, c *candidate, before, after *review.Code, file string, r *review.Reference, grade review.Grade,
) (bool, error) {
	place := review.Place{Path: file, StartLine: r.Span.StartLine, EndLine: r.Span.StartLine, Name: r.Name}
	pieces, err := s.related(ctx, s.in.HeadIndex, place, review.RelationDefinition)
	if err != nil {
		return false, err
	}
	byName := false
	for _, p := range pieces {
		if p.Relation != review.RelationDefinition || p.Place.Name != c.old.Name {
			continue
		}
		if p.Grade.Firm() {
			return false, nil
		}
		byName = true
	}
	if definesLocally(after, r) {
		return false, nil
	}
	if !byName {
		return true, nil
	}
	// Something of that name exists. A reference that followed an import to the old place, and whose import still leads
	// there, does not mean it.
	return grade == review.GradeImported && sameImports(before, after) && leadsTo(after, file, c), nil
}

// definesLocally says whether the file itself defines the name: the index may not grade parameters and locals.
func definesLocally(code *review.Code, r *review.Reference) bool {
	if r.Qualifier != "" {
		return false
	}
	for i := range code.Definitions {
		if code.Definitions[i].Name == r.Name {
			return true
		}
	}
	return false
}

// sameImports says whether the file imports after the change exactly what it imported before.
func sameImports(before, after *review.Code) bool {
	return slices.Equal(importPaths(before), importPaths(after))
}

func importPaths(code *review.Code) []string {
	out := make([]string, 0, len(code.Imports))
	for _, i := range code.Imports {
		out = append(out, i.Path)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// plausible asks for more than a unique name: the file must know the definition's file or its container, and a call
// must fit the signature that the definition had.
func (s *search) plausible(c *candidate, code *review.Code, content []byte, r *review.Reference) bool {
	if r.Kind == review.ReferenceCall && c.old.Kind.Callable() {
		if !accepts(c.old.Parameters, r, content, c.lang) {
			return false
		}
	}
	if path.Dir(code.Path) == path.Dir(c.oldPath) && c.lang.packageScope || code.Path == c.newPath {
		return true
	}
	owner := containerName(&c.old)
	if owner != "" && token(string(content), owner) >= 0 {
		return true
	}
	return leadsTo(code, code.Path, c)
}

// containerName is the type in which the definition stands, empty at top level.
func containerName(d *review.Definition) string {
	q := strings.NewReplacer("::", ".", "#", ".", `\`, ".", "(", "", ")", "", "*", "").Replace(d.QualifiedName)
	parts := strings.Split(q, ".")
	if len(parts) < 2 || d.Parent < 0 && d.Kind != review.KindMethod {
		return ""
	}
	return parts[len(parts)-2]
}

// misfits finds the calls that the old signature accepted and the new one does not.
func (s *search) misfits(ctx context.Context, c *candidate) ([]use, error) {
	callers, err := s.callers(ctx, s.in.HeadIndex, c.newPath, c.new)
	if err != nil {
		return nil, err
	}
	var found []use
	for _, file := range sortedKeys(callers) {
		code, content, err := s.head.get(ctx, file)
		if err != nil {
			return nil, err
		}
		if !code.Usable() || code.Generated || code.Vendored {
			continue
		}
		for r, grade := range referencesIn(code, c.new.Name, callers[file]) {
			if r.Kind != review.ReferenceCall || code.Broken(r.Span) {
				continue
			}
			if grade == review.GradeUnique && !s.plausible(c, code, content, r) {
				continue
			}
			if !accepts(c.old.Parameters, r, content, c.lang) || accepts(c.new.Parameters, r, content, c.lang) {
				continue
			}
			found = append(found, newUse(file, code, content, r, grade))
		}
	}
	return found, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
