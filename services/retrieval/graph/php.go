package graph

import (
	"strings"
)

// phpRules: a namespace is the folder that composer.json maps it to, or else one that ends with the same names.
func phpRules() rules {
	return rules{
		family: "php", own: []string{"this", "self", "static", "parent"}, scope: sameDir, module: phpModule, common: commonPHP,
		defaultName: lastName, separator: `\`,
	}
}

func phpModule(g *Graph, _ int, importPath string) []int {
	importPath = strings.Trim(importPath, `\`)
	for _, a := range g.packages.namespaces {
		rest, matches := strings.CutPrefix(importPath+`\`, a.prefix)
		if !matches {
			continue
		}
		for _, dir := range a.dirs {
			if found := g.filesIn(join(dir, strings.ReplaceAll(rest, `\`, "/")), "php"); len(found) > 0 {
				return found
			}
		}
	}
	if !strings.Contains(importPath, `\`) {
		return nil
	}
	return g.inFolder(strings.ReplaceAll(importPath, `\`, "/"), "php")
}
