package graph

import (
	"strings"
)

// pythonRules: a module is a file or a folder with __init__.py; paths are relative to the package, or begin at a root of
// the repository.
func pythonRules() rules {
	return rules{
		family: "python", separator: ".", own: []string{"self", "cls", "super()"}, module: pythonModule, common: commonPython,
		defaultName: func(importPath string) string { return importPath },
	}
}

func pythonModule(g *Graph, file int, importPath string) []int {
	rest := strings.TrimLeft(importPath, ".")
	dots := len(importPath) - len(rest)
	rest = strings.ReplaceAll(rest, ".", "/")
	dir := dirOf(g.sources[file].Path)
	if dots > 0 {
		for range dots - 1 {
			if dir == "" {
				return nil
			}
			dir = dirOf(dir)
		}
		return g.pythonFile(join(dir, rest))
	}
	if rest == "" {
		return nil
	}
	for _, root := range roots(dir) {
		if found := g.pythonFile(join(root, rest)); found != nil {
			return found
		}
	}
	return nil
}

func (g *Graph) pythonFile(module string) []int {
	return g.file(module+".py", join(module, "__init__.py"), module+".pyi")
}

// roots are the folders from which absolute imports may start: the usual ones first, then those around the file, from
// the outside in.
func roots(dir string) []string {
	all := []string{"", "src", "lib", "python"}
	for i := range len(dir) {
		if dir[i] == '/' {
			all = append(all, dir[:i])
		}
	}
	if dir != "" {
		all = append(all, dir)
	}
	return all
}
