package graph

import (
	"path"
	"regexp"
	"strings"
)

// goRules: a package is a folder; an import path is the path of a module of the repository (go.mod) plus a folder.
func goRules() rules {
	return rules{family: "go", separator: "/", scope: goScope, module: goModule, defaultName: goPackageName, common: commonGo, keys: true, reaches: goReaches}
}

// goReaches: names that begin with a small letter are for their package only.
func goReaches(g *Graph, from int, to target) bool {
	return g.sources[to.file].Definitions[to.definition].Exported || dirOf(g.sources[from].Path) == dirOf(g.sources[to.file].Path)
}

// goScope is the other files of the package. Tests of an external test package are taken for a part of it: the parser
// does not say which package a file belongs to.
func goScope(g *Graph, file int) []int {
	var scope []int
	for _, f := range g.byDir[dirOf(g.sources[file].Path)] {
		if f != file && g.sources[f].Language == "go" {
			scope = append(scope, f)
		}
	}
	return scope
}

func goModule(g *Graph, _ int, importPath string) []int {
	dir, found := g.packages.goDir(importPath)
	if !found {
		return nil
	}
	var files []int
	for _, f := range g.byDir[dir] {
		if s := &g.sources[f]; s.Language == "go" && !strings.HasSuffix(s.Path, "_test.go") {
			files = append(files, f)
		}
	}
	return files
}

// goPackageName guesses what a package calls itself: the last element of its path without a major version and without
// the "go" that many repositories have in their name.
func goPackageName(importPath string) string {
	name := path.Base(importPath)
	if majorVersion(name) && name != importPath {
		name = path.Base(path.Dir(importPath))
	}
	name, _, _ = strings.Cut(name, ".v")
	name = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "-go"), "go-")
	return name[strings.LastIndexByte(name, '-')+1:]
}

func majorVersion(name string) bool {
	return len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == ""
}

// goModuleLine finds the module line of a go.mod.
func goModuleLine(text string) string {
	m := regexp.MustCompile(`(?m)^\s*module\s+"?([^\s"/]\S*?)"?\s*(?://.*)?$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}
