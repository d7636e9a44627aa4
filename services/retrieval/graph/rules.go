package graph

import "strings"

// rules says how a language finds what a name means.
type rules struct {
	// family is the languages that can name each other's definitions.
	family string
	// own are the words for the object or class around a method.
	own []string
	// implicitOwn means that members are named without such a word.
	implicitOwn bool
	// loose means that a name without import may mean a definition in any file (autoloading, headers).
	loose bool
	// scope returns the other files whose top-level names are visible without an import.
	scope func(g *Graph, file int) []int
	// module returns the files that an import path names for a file, nil when it is not in the repository.
	module func(g *Graph, file int, path string) []int
	// defaultName is what an import without alias binds; "" binds nothing.
	defaultName func(importPath string) string
	// separator joins the names of a module path; a qualifier may be such a path without an import where paths is set.
	separator string
	paths     bool
	// keys means that a name of a type in the place of a value is the key of a literal, so it means a field.
	keys bool
	// reaches reports whether code of one file may name a member that another file defines; nil means always.
	reaches func(g *Graph, from int, to target) bool
	// common reports a method name of the language's own library: too common to mean a repository's definition.
	common func(name string) bool
}

// rulesOf returns the rules of a language; those without rules of their own are joined by unique names only.
func rulesOf(language string) rules {
	switch language {
	case "go":
		return goRules()
	case "python":
		return pythonRules()
	case "typescript", "tsx", "javascript":
		return scriptRules()
	case "java":
		return javaRules()
	case "rust":
		return rustRules()
	case "ruby":
		return rubyRules()
	case "php":
		return phpRules()
	}
	return rules{family: language, loose: true}
}

// splitQualifier returns the names of a qualifier like a.b, a::b, a->b, a\b or a?.b. pure is false when there is more
// in it than names: a call, an index.
func splitQualifier(qualifier string) (names []string, pure bool) {
	qualifier = strings.TrimLeft(qualifier, `\&*( `)
	names = strings.FieldsFunc(qualifier, func(r rune) bool {
		return r == '.' || r == ':' || r == '\\' || r == '?' || r == '>' || r == '!' || r == '-'
	})
	for i, n := range names {
		clean := strings.TrimSpace(n)
		if at := strings.IndexFunc(clean, func(r rune) bool { return r != '_' && r != '$' && r != '@' && !isWord(r) }); at >= 0 {
			names[i] = clean[:at]
			return names[:i+1], false
		}
		names[i] = clean
	}
	return names, true
}

func isWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80
}
