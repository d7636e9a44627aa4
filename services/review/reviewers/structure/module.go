package structure

import (
	"path"
	"strings"

	"witan.dev/services/review"
)

// module is the path by which a file is imported: its folder where that is the unit, else the file without its ending
// and without the name that stands for its folder.
func (l language) module(file string) string {
	if l.packageScope {
		return path.Dir(file)
	}
	return trimIndex(strings.TrimSuffix(file, path.Ext(file)))
}

func trimIndex(module string) string {
	switch path.Base(module) {
	case "index", "__init__", "mod":
		return path.Dir(module)
	default:
		return module
	}
}

// sameModule says whether a renamed file is still imported under its old name. Where imports are not relative to the
// importing file, a new source root changes nothing: requests/api.py and src/requests/api.py are one module.
func (l language) sameModule(oldFile, newFile string) bool {
	from, to := l.module(oldFile), l.module(newFile)
	if from == to {
		return true
	}
	return !l.packageScope && !l.relativeImports && (strings.HasSuffix(to, "/"+from) || strings.HasSuffix(from, "/"+to))
}

// leadsTo says whether the file imports the old place of the definition itself, and not something that passes it on or
// the place to which it has moved, or lies in the same package.
func leadsTo(code *review.Code, file string, c *candidate) bool {
	if c.lang.packageScope && path.Dir(file) == path.Dir(c.oldPath) {
		return true
	}
	from, to := c.lang.module(c.oldPath), ""
	if c.newPath != "" && c.newPath != c.oldPath {
		to = c.lang.module(c.newPath)
	}
	for _, i := range code.Imports {
		for _, target := range targets(&i, file) {
			if target.fits(from) && (to == "" || !target.fits(to)) {
				return true
			}
		}
	}
	return false
}

// A target is what an import names: a module's path, exact when it is known from the repository's root.
type target struct {
	module string
	exact  bool
}

// fits says whether the import can mean the module.
func (t target) fits(module string) bool {
	if t.exact || t.module == "" {
		return t.module == module
	}
	return t.module == module || strings.HasSuffix(module, "/"+t.module) || strings.HasSuffix(t.module, "/"+module)
}

// targets returns what an import may mean: the module itself, or one of the names in it that is a module of its own.
func targets(i *review.Import, file string) []target {
	whole := targetOf(i.Path, file)
	out := []target{whole}
	for _, n := range i.Names {
		if n.Name != "*" {
			out = append(out, target{path.Join(whole.module, n.Name), whole.exact})
		}
	}
	return out
}

// targetOf reads an import's path as any of the languages writes it: pkg.mod, .mod, ./dir/mod.js, crate::mod, A\B.
func targetOf(importPath, file string) target {
	p := strings.NewReplacer("::", "/", `\`, "/").Replace(importPath)
	for _, ending := range []string{".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".py", ".rb", ".php"} {
		p = strings.TrimSuffix(p, ending)
	}
	p = strings.TrimPrefix(p, "crate/")
	switch {
	case p == "." || p == ".." || strings.HasPrefix(p, "./") || strings.HasPrefix(p, "../"):
		return target{trimIndex(path.Join(path.Dir(file), p)), true}
	case strings.HasPrefix(p, "."): // Python: one dot is the own package, each further one a package above
		rest := strings.TrimLeft(p, ".")
		dir := path.Dir(file)
		for range len(p) - len(rest) - 1 {
			dir = path.Dir(dir)
		}
		return target{path.Join(dir, strings.ReplaceAll(rest, ".", "/")), true}
	case !strings.Contains(p, "/"):
		return target{strings.ReplaceAll(p, ".", "/"), false}
	default:
		return target{p, false}
	}
}
