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

// bindings are what the imports of a file make of names.
type bindings map[string]binding

// takeAll adds modules whose names are all taken.
func (b bindings) takeAll(modules []int) {
	all := b[wildcards]
	all.modules = append(all.modules, modules...)
	b[wildcards] = all
}

// wildcards is the key under which the modules stand whose names are all taken. No identifier is like it.
const wildcards = "*"

// bind reads the imports of a file.
func (g *Graph) bind(file int) bindings {
	s := &g.sources[file]
	r := rulesOf(s.Language)
	if r.module == nil || len(s.Imports) == 0 {
		return nil
	}
	bound := make(bindings, len(s.Imports))
	for _, i := range s.Imports {
		g.bindImport(bound, r, file, i)
	}
	return bound
}

func (g *Graph) bindImport(bound bindings, r rules, file int, i retrieval.Import) {
	modules := r.module(g, file, i.Path)
	external := len(modules) == 0
	for _, n := range i.Names {
		if n.Name == "*" {
			bound.takeAll(modules)
			continue
		}
		from, symbol := i.Path, n.Name
		if at := strings.LastIndexByte(symbol, '\\'); at >= 0 { // a group of PHP may name deeper ones
			from, symbol = from+symbol[:at], symbol[at+1:]
		}
		bound[orElse(n.Alias, symbol)] = binding{external: external, modules: modules, symbol: symbol, path: from}
	}
	if i.Alias == "" && len(i.Names) > 0 {
		return
	}
	name := orElse(i.Alias, r.defaultName(i.Path))
	switch {
	case name == "": // the file is read for what it defines
		bound.takeAll(modules)
	case name != "_":
		bound[name] = binding{external: external, modules: modules, path: i.Path}
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// exported finds a name at the top of modules, or where they take it from.
func (g *Graph) exported(modules []int, name string, depth int) []target {
	found := g.top(modules, name)
	if len(found) > 0 || depth == maxReexports {
		return found
	}
	for _, m := range modules {
		if b, known := g.bindings[m][name]; known && !b.external {
			found = append(found, g.follow(b, name, depth+1)...)
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
func (g *Graph) follow(b binding, as string, depth int) []target {
	if b.symbol == "" {
		return nil
	}
	if b.symbol != "default" {
		return g.inPath(b.modules, b.path, b.symbol, depth)
	}
	if found := g.exported(b.modules, as, depth); len(found) > 0 {
		return found
	}
	return g.onlyExport(b.modules)
}

// inPath finds a name in the modules of a path: at their top, or in the type that the path ends with (a static import).
func (g *Graph) inPath(modules []int, importPath, name string, depth int) []target {
	if found := g.exported(modules, name, depth); len(found) > 0 {
		return found
	}
	return g.members(modules, lastName(importPath), name)
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

// join is path.Join for repository paths, where the root is "". Nothing begins with a slash, so that climbing up ends.
func join(parts ...string) string {
	p := strings.TrimLeft(path.Join(parts...), "/")
	if p == "." {
		return ""
	}
	return p
}

// dirOf is path.Dir for repository paths.
func dirOf(p string) string { return join(path.Dir(p)) }
