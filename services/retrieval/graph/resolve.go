package graph

import (
	"slices"
	"strings"

	"witan.dev/services/retrieval"
)

// minUniqueName is the shortest name that can be unique, in bytes.
const minUniqueName = 4

// resolver finds what the references of one file mean.
type resolver struct {
	*Graph

	file   int
	source *Source
	rules  rules
}

// resolve returns what a reference means, and how sure that is. Of several targets with a grade above AMBIGUOUS any may
// be meant (overloads, definitions under conditions).
func (r *resolver) resolve(ref retrieval.Reference) ([]target, retrieval.Grade) {
	switch {
	case ref.Usage == retrieval.UsageImport:
		return r.imported(ref), retrieval.GradeImported
	case ref.Qualifier == "":
		return r.plain(ref)
	default:
		return r.qualified(ref)
	}
}

// imported resolves a name in an import statement; its qualifier is the path.
func (r *resolver) imported(ref retrieval.Reference) []target {
	if r.rules.module == nil {
		return nil
	}
	modules := r.rules.module(r.Graph, r.file, ref.Qualifier)
	if ref.Name == "default" {
		return r.onlyExport(modules)
	}
	return r.inPath(modules, ref.Qualifier, ref.Name, 0)
}

// plain resolves a name without a qualifier: from the inside of the file to its imports and its package.
func (r *resolver) plain(ref retrieval.Reference) ([]target, retrieval.Grade) {
	if found := r.inFile(ref); len(found) > 0 {
		return found, retrieval.GradeSameFile
	}
	if b, bound := r.bindings[r.file][ref.Name]; bound {
		return r.fitting(ref, r.follow(b, ref.Name, 0)), retrieval.GradeImported
	}
	if all := r.bindings[r.file][wildcards]; len(all.modules) > 0 {
		if found := r.fitting(ref, r.exported(all.modules, ref.Name, 0)); len(found) > 0 {
			return found, retrieval.GradeImported
		}
	}
	if r.rules.scope != nil {
		if found := r.fitting(ref, r.top(r.rules.scope(r.Graph, r.file), ref.Name)); len(found) > 0 {
			return found, retrieval.GradeImported
		}
	}
	if r.rules.implicitOwn && ref.Usage == retrieval.UsageCall || r.rules.loose {
		return r.byName(ref, r.rules.loose)
	}
	return nil, retrieval.GradeNone
}

// inFile climbs from the definition around a reference to the top of the file.
func (r *resolver) inFile(ref retrieval.Reference) []target {
	all := r.source.Definitions
	candidates := r.scopes[r.file]
	for at := ref.Enclosing; at >= 0 && at < len(all); at = all[at].Parent {
		container := all[at]
		if container.Kind.Group() == retrieval.GroupType && !r.rules.implicitOwn && at != ref.Enclosing {
			continue // the names of a class are not in scope in its methods
		}
		var found []target
		for _, i := range candidates.members[container.Name+"."+ref.Name] {
			if all[i].Parent == at {
				found = append(found, target{r.file, i})
			}
		}
		if found = r.fitting(ref, found); len(found) > 0 {
			return found
		}
	}
	if r.rules.implicitOwn { // methods whose type is no definition around them
		if owner := r.owner(ref); owner != "" {
			if found := r.fitting(ref, r.members([]int{r.file}, owner, ref.Name)); len(found) > 0 {
				return found
			}
		}
	}
	return r.fitting(ref, r.top([]int{r.file}, ref.Name))
}

// owner is the name of the type around a reference, or "".
func (r *resolver) owner(ref retrieval.Reference) string {
	all := r.source.Definitions
	for at := ref.Enclosing; at >= 0 && at < len(all); at = all[at].Parent {
		switch {
		case all[at].Kind.Group() == retrieval.GroupType:
			return all[at].Name
		case all[at].Kind == retrieval.KindMethod && all[at].Parent == retrieval.NoDefinition:
			return containerOf(all[at])
		}
	}
	return ""
}

// qualified resolves qualifier.name.
func (r *resolver) qualified(ref retrieval.Reference) ([]target, retrieval.Grade) {
	names, pure := splitQualifier(ref.Qualifier)
	if len(names) == 0 || names[0] == "" {
		return r.byName(ref, false)
	}
	if pure && len(names) == 1 && slices.Contains(r.rules.own, strings.TrimPrefix(names[0], "$")) {
		if found := r.members([]int{r.file}, r.owner(ref), ref.Name); len(found) > 0 {
			return found, retrieval.GradeSameFile
		}
		return r.byName(ref, false)
	}
	if !ref.QualifierLocal {
		if found, grade, done := r.throughImport(ref, names, pure); done {
			return found, grade
		}
		if found, grade := r.throughType(ref, names, pure); len(found) > 0 {
			return found, grade
		}
		if r.rules.paths && pure {
			written := strings.Join(names, r.rules.separator)
			if found := r.inPath(r.rules.module(r.Graph, r.file, written), written, ref.Name, 0); len(found) > 0 {
				return found, retrieval.GradeImported
			}
		}
	}
	return r.byName(ref, false)
}

// throughImport resolves a qualifier that begins with an imported name; done says that it does.
func (r *resolver) throughImport(ref retrieval.Reference, names []string, pure bool) (found []target, grade retrieval.Grade, done bool) {
	b, length := r.longestBinding(names)
	if length == 0 {
		return nil, retrieval.GradeNone, false
	}
	switch rest := names[length:]; {
	case b.external:
		return nil, retrieval.GradeNone, true
	case !pure:
		found, grade = r.byName(ref, false)
		return found, grade, true
	case b.symbol == "":
		return r.inModule(ref, b.modules, rest), retrieval.GradeImported, true
	default:
		return r.inSymbol(ref, b, rest)
	}
}

// inModule finds module.name and module.Type.name.
func (r *resolver) inModule(ref retrieval.Reference, modules []int, rest []string) []target {
	if len(rest) == 0 {
		return r.fitting(ref, r.exported(modules, ref.Name, 0))
	}
	if found := r.members(modules, rest[len(rest)-1], ref.Name); len(found) > 0 {
		return found
	}
	for _, t := range r.exported(modules, rest[0], 0) {
		if found := r.members([]int{t.file}, rest[len(rest)-1], ref.Name); len(found) > 0 {
			return found
		}
	}
	return nil
}

// inSymbol finds a member of an imported type, or a name in an imported module.
func (r *resolver) inSymbol(ref retrieval.Reference, b binding, rest []string) ([]target, retrieval.Grade, bool) {
	holders := r.follow(b, b.symbol, 0)
	isModule := func(t target) bool { return r.sources[t.file].Definitions[t.definition].Kind == retrieval.KindModule }
	if !slices.ContainsFunc(holders, func(t target) bool { return !isModule(t) }) {
		if modules := r.submodule(b); len(modules) > 0 {
			return r.inModule(ref, modules, rest), retrieval.GradeImported, true
		}
	}
	for _, t := range holders {
		container := r.sources[t.file].Definitions[t.definition].Name
		if len(rest) > 0 {
			container = rest[len(rest)-1]
		}
		if found := r.members([]int{t.file}, container, ref.Name); len(found) > 0 {
			return found, retrieval.GradeImported, true
		}
	}
	found, grade := r.byName(ref, false)
	return found, grade, true
}

// submodule returns the module that "from path import symbol" names when the symbol is a module.
func (r *resolver) submodule(b binding) []int {
	separator := r.rules.separator
	if b.path == "" || strings.HasSuffix(b.path, separator) {
		separator = ""
	}
	return r.rules.module(r.Graph, r.file, b.path+separator+b.symbol)
}

// longestBinding finds the longest beginning of names that an import binds.
func (r *resolver) longestBinding(names []string) (binding, int) {
	bound := r.bindings[r.file]
	if len(bound) == 0 {
		return binding{}, 0
	}
	for n := min(len(names), 6); n > 0; n-- {
		if b, known := bound[strings.Join(names[:n], ".")]; known {
			return b, n
		}
	}
	return binding{}, 0
}

// throughType resolves Type.member where the type is in the file or its package.
func (r *resolver) throughType(ref retrieval.Reference, names []string, pure bool) ([]target, retrieval.Grade) {
	if !pure {
		return nil, retrieval.GradeNone
	}
	container := names[len(names)-1]
	if found := r.members([]int{r.file}, container, ref.Name); len(found) > 0 {
		return found, retrieval.GradeSameFile
	}
	if r.rules.scope != nil {
		if found := r.members(r.rules.scope(r.Graph, r.file), container, ref.Name); len(found) > 0 {
			return found, retrieval.GradeImported
		}
	}
	if all := r.bindings[r.file][wildcards]; len(all.modules) > 0 {
		return r.members(all.modules, container, ref.Name), retrieval.GradeImported
	}
	return nil, retrieval.GradeNone
}

// byName looks at all definitions of a name in the language. A qualified name means a member; anywhere takes others in.
func (r *resolver) byName(ref retrieval.Reference, anywhere bool) ([]target, retrieval.Grade) {
	var candidates []target
	for _, t := range r.names[r.rules.family][ref.Name] {
		d := r.sources[t.file].Definitions[t.definition]
		if r.rules.reaches != nil && !r.rules.reaches(r.Graph, r.file, t) {
			continue
		}
		if anywhere && d.Kind.Group() != retrieval.GroupModule || d.Kind == retrieval.KindMethod || d.Kind == retrieval.KindField || containerOf(d) != "" {
			candidates = append(candidates, t)
		}
	}
	candidates = r.fitting(ref, candidates)
	switch {
	case len(candidates) == 0:
		return nil, retrieval.GradeNone
	case len(candidates) > 1:
		return candidates, retrieval.GradeAmbiguous
	case len(ref.Name) < minUniqueName || r.rules.common != nil && r.rules.common(ref.Name):
		return candidates, retrieval.GradeAmbiguous
	}
	return candidates, retrieval.GradeUnique
}

// fitting keeps the targets whose kind goes with the use of the name.
func (r *resolver) fitting(ref retrieval.Reference, targets []target) []target {
	fits := func(groups ...retrieval.Group) []target {
		var kept []target
		for _, t := range targets {
			if slices.Contains(groups, r.sources[t.file].Definitions[t.definition].Kind.Group()) {
				kept = append(kept, t)
			}
		}
		return kept
	}
	switch ref.Usage {
	case retrieval.UsageCall: // functions before types before what may hold a function
		for _, g := range []retrieval.Group{retrieval.GroupCallable, retrieval.GroupType, retrieval.GroupValue} {
			if kept := fits(g); len(kept) > 0 {
				return kept
			}
		}
		return nil
	case retrieval.UsageType:
		return fits(retrieval.GroupType)
	case retrieval.UsageName:
		if r.rules.keys && ref.Qualifier == "" {
			return fits(retrieval.GroupValue, retrieval.GroupCallable)
		}
		return fits(retrieval.GroupValue, retrieval.GroupCallable, retrieval.GroupType)
	case retrieval.UsageImport, retrieval.UsageUnknown:
		return fits(retrieval.GroupValue, retrieval.GroupCallable, retrieval.GroupType)
	}
	return nil
}
