// Package graph joins references to definitions by the rules of each language: what is in scope in the file, what its
// imports name, and, where types would be needed to say more, whether only one definition can be meant. It never guesses
// silently: every edge has a grade, and a name that an import binds to something outside of the repository gets no edge.
//
// A language is one file of this package with a value of rules. All methods are pure; a [Graph] may be shared by
// goroutines once it is built.
package graph

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"witan.dev/services/retrieval"
)

// Source is one file of a view.
type Source struct {
	retrieval.File

	Definitions []retrieval.Definition
	Imports     []retrieval.Import
	// Text of files that IsManifest names; empty for others.
	Text string
}

// IsManifest reports whether the text of a file is needed: it says where modules and packages lie.
func IsManifest(p string) bool {
	switch path.Base(p) {
	case "go.mod", "package.json", "tsconfig.json", "jsconfig.json", "composer.json", "Cargo.toml":
		return true
	}
	return false
}

// Graph knows the definitions and imports of a view. The zero value knows nothing; see New.
type Graph struct {
	sources []Source
	byID    map[int64]int
	byPath  map[string]int
	byDir   map[string][]int
	// byBase and dirsByBase list files and folders by their last name, for languages that find modules by the end of a
	// path.
	byBase     map[string][]int
	dirsByBase map[string][]string
	// names holds all definitions of a language family by name.
	names    map[string]map[string][]target
	scopes   []scope
	bindings []bindings
	packages manifests
}

// target is a definition of a file, both by their place.
type target struct{ file, definition int }

// scope holds what a file defines, by name.
type scope struct {
	// top are definitions at the top of the file or of a namespace.
	top map[string][]int
	// members are those of a type, by "Type.member".
	members map[string][]int
}

// New reads the definitions and imports of all files of a view.
func New(sources []Source) *Graph {
	g := &Graph{
		sources: sources, byID: make(map[int64]int, len(sources)), byPath: make(map[string]int, len(sources)),
		byDir: map[string][]int{}, byBase: map[string][]int{}, dirsByBase: map[string][]string{}, names: map[string]map[string][]target{},
		scopes: make([]scope, len(sources)), bindings: make([]bindings, len(sources)),
	}
	for i, s := range sources {
		g.byID[s.ID] = i
		g.byPath[s.Path] = i
		dir, base := path.Split(s.Path)
		dir = strings.TrimSuffix(dir, "/")
		if len(g.byDir[dir]) == 0 {
			g.dirsByBase[path.Base(dir)] = append(g.dirsByBase[path.Base(dir)], dir)
		}
		g.byDir[dir] = append(g.byDir[dir], i)
		g.byBase[base] = append(g.byBase[base], i)
		g.addScope(i)
	}
	g.packages = readManifests(sources)
	for i := range sources {
		g.bindings[i] = g.bind(i)
	}
	return g
}

func (g *Graph) addScope(file int) {
	s := &g.sources[file]
	family := rulesOf(s.Language).family
	sc := scope{top: map[string][]int{}, members: map[string][]int{}}
	byName := g.names[family]
	if byName == nil {
		byName = map[string][]target{}
		g.names[family] = byName
	}
	for i, d := range s.Definitions {
		byName[d.Name] = append(byName[d.Name], target{file, i})
		if container := containerOf(d); container != "" {
			key := container + "." + d.Name
			sc.members[key] = append(sc.members[key], i)
		}
		if atTop(s.Definitions, d) {
			sc.top[d.Name] = append(sc.top[d.Name], i)
		}
	}
	g.scopes[file] = sc
}

// atTop reports whether d can be named without a type or function around it.
func atTop(all []retrieval.Definition, d retrieval.Definition) bool {
	if d.Kind == retrieval.KindMethod || d.Kind == retrieval.KindField {
		return false
	}
	for d.Parent >= 0 && d.Parent < len(all) {
		if all[d.Parent].Kind != retrieval.KindModule {
			return false
		}
		d = all[d.Parent]
	}
	return true
}

// containerOf returns the bare name of what a definition's qualified name puts before it.
func containerOf(d retrieval.Definition) string {
	head, found := strings.CutSuffix(d.Qualified, d.Name)
	if !found {
		return ""
	}
	words := strings.FieldsFunc(head, func(r rune) bool { return r == '.' || r == ':' || r == '\\' || r == '#' })
	if len(words) == 0 {
		return ""
	}
	return words[len(words)-1]
}

// Edges returns the edges of the references of a file, ordered by the reference; File and To name the definition.
func (g *Graph) Edges(file int64, references []retrieval.Reference) []retrieval.Edge {
	at, known := g.byID[file]
	if !known {
		return nil
	}
	var edges []retrieval.Edge
	r := resolver{Graph: g, file: at, source: &g.sources[at], rules: rulesOf(g.sources[at].Language)}
	for i, ref := range references {
		targets, grade := r.resolve(ref)
		for _, t := range g.nearest(at, targets) {
			edges = append(edges, retrieval.Edge{From: i, File: g.sources[t.file].ID, To: t.definition, Grade: grade})
		}
	}
	return edges
}

// nearest orders targets by how near their paths are to a file and keeps the first of them.
func (g *Graph) nearest(file int, targets []target) []target {
	if len(targets) < 2 {
		return targets
	}
	from := g.sources[file].Path
	sorted := slices.Clone(targets)
	slices.SortFunc(sorted, func(a, b target) int {
		pa, pb := g.sources[a.file].Path, g.sources[b.file].Path
		return cmp.Or(cmp.Compare(distance(from, pa), distance(from, pb)), cmp.Compare(pa, pb), cmp.Compare(a.definition, b.definition))
	})
	return sorted[:min(len(sorted), retrieval.MaxCandidates)]
}

// distance counts the folders that two paths do not share, and 0 for the same file.
func distance(a, b string) int {
	if a == b {
		return 0
	}
	shared := 0
	for shared < len(a) && shared < len(b) && a[shared] == b[shared] {
		shared++
	}
	shared = strings.LastIndexByte(a[:shared], '/') + 1
	return 1 + strings.Count(a[shared:], "/") + strings.Count(b[shared:], "/")
}
