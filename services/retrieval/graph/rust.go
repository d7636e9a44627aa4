package graph

import (
	"strings"
)

// rustRules: a path starts at the crate (crate::), at the module of the file (self::, super::, or nothing) or at a crate
// of the same workspace; a module is a file, a folder with mod.rs, or a block in a file.
func rustRules() rules {
	return rules{
		family: "rust", own: []string{"self", "Self"}, module: rustModule, common: commonRust,
		defaultName: lastName, separator: "::", paths: true,
	}
}

func rustModule(g *Graph, file int, importPath string) []int {
	names := strings.Split(importPath, "::")
	dir, root := g.rustDirs(file)
	switch names[0] {
	case "crate":
		return g.rustFile(root, names[1:])
	case "self":
		return g.rustFile(dir, names[1:])
	case "super":
		for len(names) > 0 && names[0] == "super" {
			dir, names = dirOf(dir), names[1:]
		}
		return g.rustFile(dir, names)
	}
	if crate, known := g.packages.crates[names[0]]; known {
		return g.rustFile(join(crate, "src"), names[1:])
	}
	return g.rustFile(dir, names)
}

// rustDirs returns the folder in which the submodules of a file lie, and the source folder of its crate.
func (g *Graph) rustDirs(file int) (dir, root string) {
	p := g.sources[file].Path
	dir = dirOf(p)
	switch base := strings.TrimSuffix(p[strings.LastIndexByte(p, '/')+1:], ".rs"); base {
	case "mod", "lib", "main":
	default:
		dir = join(dir, base)
	}
	for at := dirOf(p); ; at = dirOf(at) {
		if g.file(join(at, "lib.rs"), join(at, "main.rs")) != nil {
			return dir, at
		}
		if at == "" {
			return dir, ""
		}
	}
}

// rustFile finds the file of the longest part of a path: what is left are modules inside of it.
func (g *Graph) rustFile(dir string, names []string) []int {
	for n := len(names); n > 0; n-- {
		module := join(append([]string{dir}, names[:n]...)...)
		if found := g.file(module+".rs", join(module, "mod.rs")); found != nil {
			if len(names)-n > 1 {
				return nil
			}
			return found
		}
	}
	if len(names) > 1 {
		return nil
	}
	if found := g.file(join(dir, "lib.rs"), join(dir, "main.rs"), join(dir, "mod.rs"), dir+".rs"); found != nil && len(names) == 0 {
		return found
	}
	return nil
}
