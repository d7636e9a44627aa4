package graph

import (
	"path"
	"strings"
)

// scriptRules: TypeScript and JavaScript import files by relative paths (with or without extension, or a folder's
// index), by aliases of tsconfig.json, or packages of the same repository by name.
func scriptRules() rules {
	return rules{
		family: "script", separator: "/", own: []string{"this", "super"}, module: scriptModule, common: commonScript,
		defaultName: func(string) string { return "" },
	}
}

func scriptModule(g *Graph, file int, importPath string) []int {
	dir := dirOf(g.sources[file].Path)
	if strings.HasPrefix(importPath, ".") {
		return g.scriptFile(join(dir, importPath))
	}
	for _, a := range g.packages.scriptPaths {
		rest, matches := strings.CutPrefix(importPath, a.prefix)
		if !matches || !inside(dir, a.within) {
			continue
		}
		for _, target := range a.dirs {
			if found := g.scriptFile(join(target, rest)); found != nil {
				return found
			}
		}
	}
	return g.scriptPackage(importPath)
}

// scriptPackage finds a package of the repository, or a file in it.
func (g *Graph) scriptPackage(importPath string) []int {
	for name := importPath; name != "." && name != "/"; name = path.Dir(name) {
		dir, known := g.packages.scriptPackages[name]
		if !known {
			continue
		}
		rest := strings.TrimPrefix(importPath[len(name):], "/")
		for _, sub := range []string{"", "src", "lib"} {
			if found := g.scriptFile(join(dir, sub, rest)); found != nil {
				return found
			}
		}
	}
	return nil
}

func (g *Graph) scriptFile(p string) []int {
	extensions := []string{".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mts", ".cts", ".mjs", ".cjs"}
	candidates := []string{}
	switch ext := path.Ext(p); ext {
	case ".ts", ".tsx", ".jsx", ".mts", ".cts":
		candidates = append(candidates, p)
	case ".js", ".mjs", ".cjs": // TypeScript's sources name what they are compiled to
		stem := strings.TrimSuffix(p, ext)
		candidates = append(candidates, p, stem+".ts", stem+".tsx", stem+".mts", stem+".cts", stem+".jsx")
	}
	for _, e := range extensions {
		candidates = append(candidates, p+e)
	}
	for _, e := range extensions {
		candidates = append(candidates, join(p, "index"+e))
	}
	return g.file(candidates...)
}

// inside reports whether dir is within or below another folder.
func inside(dir, within string) bool {
	return within == "" || dir == within || strings.HasPrefix(dir, within+"/")
}
