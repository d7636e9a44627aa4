package graph

import "strings"

// rubyRules: required files are read as a whole; constants of other files may be loaded by name.
func rubyRules() rules {
	return rules{
		family: "ruby", own: []string{"self", "super", "class"}, implicitOwn: true, loose: true, module: rubyModule, common: commonRuby,
		separator: "/", defaultName: func(string) string { return "" },
	}
}

// rubyModule finds a file next to the one that requires it, or below a load path.
func rubyModule(g *Graph, file int, importPath string) []int {
	name := strings.TrimSuffix(importPath, ".rb") + ".rb"
	dir := dirOf(g.sources[file].Path)
	if found := g.file(join(dir, name)); found != nil || strings.HasPrefix(importPath, ".") {
		return found
	}
	for _, root := range append([]string{"lib", "app"}, roots(dir)...) {
		if found := g.file(join(root, name), join(root, "lib", name)); found != nil {
			return found
		}
	}
	return nil
}
