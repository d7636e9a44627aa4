package graph

import (
	"path"
	"strings"
)

// javaRules: a class a.b.C lies in a file that ends with a/b/C.java; the files of a folder are a package.
func javaRules() rules {
	return rules{
		family: "java", own: []string{"this", "super"}, implicitOwn: true, scope: sameDir, module: javaModule, common: commonJava,
		defaultName: lastName, separator: ".",
	}
}

// sameDir is the other files of the folder in the same language.
func sameDir(g *Graph, file int) []int {
	var scope []int
	for _, f := range g.byDir[dirOf(g.sources[file].Path)] {
		if f != file && g.sources[f].Language == g.sources[file].Language {
			scope = append(scope, f)
		}
	}
	return scope
}

func lastName(importPath string) string {
	return importPath[strings.LastIndexAny(importPath, `.:\/`)+1:]
}

// javaModule finds a class's file, that of the class around an inner class or a static member, or a package's files.
func javaModule(g *Graph, _ int, importPath string) []int {
	p := strings.ReplaceAll(strings.TrimSuffix(importPath, ".*"), ".", "/")
	for range 3 {
		if p == "" || p == "." {
			return nil
		}
		if found := g.withSuffix(p + ".java"); len(found) > 0 {
			return found
		}
		if files := g.inFolder(p, "java"); len(files) > 0 {
			return files
		}
		p = dirOf(p)
		if !startsUpper(lastName(p)) {
			return nil
		}
	}
	return nil
}

func startsUpper(s string) bool { return s != "" && s[0] >= 'A' && s[0] <= 'Z' }

// inFolder returns the files of a language in the folders whose path ends with suffix.
func (g *Graph) inFolder(suffix, language string) []int {
	var found []int
	for _, dir := range g.dirsByBase[path.Base(suffix)] {
		if dir == suffix || strings.HasSuffix(dir, "/"+suffix) {
			found = append(found, g.filesIn(dir, language)...)
		}
	}
	return found
}

// filesIn returns the files of a language in a folder.
func (g *Graph) filesIn(dir, language string) []int {
	var found []int
	for _, f := range g.byDir[dir] {
		if g.sources[f].Language == language {
			found = append(found, f)
		}
	}
	return found
}
