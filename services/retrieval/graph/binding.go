package graph

import (
	"path"
	"strings"

	"witan.dev/services/retrieval"
)

// maxReexports bounds how far a name is followed from module to module.
const maxReexports = 8

// binding is what an import makes of a name.
type binding struct {
	// external means something outside of the repository.
	external bool
	// modules are files of the module that the name stands for, or that holds the symbol.
	modules []int
	// symbol is the name in the module; empty when the name stands for the module itself.
	symbol string
	// path of the module as written, for symbols that are modules themselves.
	path string
}

// wildcards is the key under which the modules stand whose names are all taken. No identifier is like it.
const wildcards = "*"

// bind reads the imports of a file.
func (g *Graph) bind(file int) map[string]binding {
	s := &g.sources[file]
	r := rulesOf(s.Language)
	if r.module == nil || len(s.Imports) == 0 {
		return nil
	}
	bound := make(map[string]binding, len(s.Imports))
	for _, i := range s.Imports {
		g.bindImport(bound, r, file, i)
	}
	return bound
}

func (g *Graph) bindImport(bound map[string]binding, r rules, file int, i retrieval.Import) {
	modules := r.module(g, file, i.Path)
	external := len(modules) == 0
	for _, n := range i.Names {
		if n.Name == "*" {
			all := bound[wildcards]
			all.modules = append(all.modules, modules...)
			bound[wildcards] = all
			continue
		}
		bound[orElse(n.Alias, n.Name)] = binding{external: external, modules: modules, symbol: n.Name, path: i.Path}
	}
	if i.Alias == "" && len(i.Names) > 0 {
		return
	}
	if r.symbolOf != nil {
		if module, symbol := r.symbolOf(i.Path); symbol != "" {
			inside := r.module(g, file, module)
			bound[orElse(i.Alias, symbol)] = binding{external: external && len(inside) == 0, modules: orFiles(inside, modules), symbol: symbol, path: module}
			return
		}
	}
	if name := orElse(i.Alias, r.defaultName(i.Path)); name != "" && name != "_" {
		bound[name] = binding{external: external, modules: modules, path: i.Path}
	}
	if i.Alias == "" && len(modules) > 0 && r.defaultName(i.Path) == "" { // the file is read for what it defines
		all := bound[wildcards]
		all.modules = append(all.modules, modules...)
		bound[wildcards] = all
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func orFiles(a, b []int) []int {
	if len(a) > 0 {
		return a
	}
	return b
}

// exported finds a name at the top of modules, or where they take it from. In a class file the name may be a member.
func (g *Graph) exported(modules []int, name string, depth int) []target {
	found := g.top(modules, name)
	if len(found) > 0 || depth == maxReexports {
		return found
	}
	for _, m := range modules {
		if b, known := g.bindings[m][name]; known && !b.external {
			found = append(found, g.follow(m, b, name, depth+1)...)
		}
	}
	if len(found) > 0 {
		return found
	}
	for _, m := range modules {
		if all := g.bindings[m][wildcards]; len(all.modules) > 0 {
			found = append(found, g.exported(all.modules, name, depth+1)...)
		}
	}
	return found
}

// follow returns the definitions that a binding stands for.
func (g *Graph) follow(file int, b binding, as string, depth int) []target {
	if b.symbol == "" {
		return nil
	}
	if b.symbol != "default" {
		return g.exported(b.modules, b.symbol, depth)
	}
	if found := g.exported(b.modules, as, depth); len(found) > 0 {
		return found
	}
	return g.onlyExport(b.modules)
}

// onlyExport is what a default import means when the module exports a single definition: which one is the default is
// not told by the parser.
func (g *Graph) onlyExport(modules []int) []target {
	var found []target
	for _, m := range modules {
		for i, d := range g.sources[m].Definitions {
			if d.Exported && d.Parent == retrieval.NoDefinition {
				found = append(found, target{m, i})
			}
		}
	}
	if len(found) != 1 {
		return nil
	}
	return found
}

func (g *Graph) top(files []int, name string) []target {
	var found []target
	for _, f := range files {
		for _, d := range g.scopes[f].top[name] {
			found = append(found, target{f, d})
		}
	}
	return found
}

func (g *Graph) members(files []int, container, name string) []target {
	var found []target
	for _, f := range files {
		for _, d := range g.scopes[f].members[container+"."+name] {
			found = append(found, target{f, d})
		}
	}
	return found
}

// withSuffix returns the files whose path is suffix or ends with "/" + suffix, shortest paths first in the order of the
// view.
func (g *Graph) withSuffix(suffix string) []int {
	var found []int
	for _, f := range g.byBase[path.Base(suffix)] {
		if p := g.sources[f].Path; p == suffix || strings.HasSuffix(p, "/"+suffix) {
			found = append(found, f)
		}
	}
	return found
}

// file returns the first of paths that is a file of the view.
func (g *Graph) file(paths ...string) []int {
	for _, p := range paths {
		if f, known := g.byPath[p]; known {
			return []int{f}
		}
	}
	return nil
}

// join is path.Join for repository paths, where the root is "".
func join(parts ...string) string {
	p := path.Join(parts...)
	if p == "." {
		return ""
	}
	return p
}

// dirOf is path.Dir for repository paths.
func dirOf(p string) string { return join(path.Dir(p)) }
