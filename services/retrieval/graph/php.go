package graph

import (
	"strings"
)

// phpRules: a class A\B\C lies where composer.json maps its namespace to, or else in the only file that ends with the
// same names; the classes of a folder are a namespace.
func phpRules() rules {
	return rules{
		family: "php", own: []string{"this", "self", "static", "parent"}, scope: sameDir, module: phpModule, common: commonPHP,
		defaultName: lastName, symbolOf: javaSymbol,
	}
}

func phpModule(g *Graph, _ int, importPath string) []int {
	importPath = strings.TrimPrefix(importPath, `\`)
	for _, a := range g.packages.namespaces {
		rest, matches := strings.CutPrefix(importPath, a.prefix)
		if !matches {
			continue
		}
		for _, dir := range a.dirs {
			if found := g.file(join(dir, strings.ReplaceAll(rest, `\`, "/")) + ".php"); found != nil {
				return found
			}
		}
	}
	names := strings.Split(importPath, `\`)
	for ; len(names) > 1; names = names[1:] {
		if found := g.withSuffix(strings.Join(names, "/") + ".php"); len(found) == 1 {
			return found
		}
	}
	return nil
}
