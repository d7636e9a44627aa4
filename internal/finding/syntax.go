package finding

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Syntax says how a language writes comments and strings: as much as is needed to tell code from comments and blanks.
// The zero value knows no comments.
type Syntax struct {
	line   []string
	block  [][2]string
	quotes string
}

const (
	cQuotes   = "\"'`"
	noBacktic = "\"'"
)

// SyntaxOf returns the syntax of a path's language by its extension or name. Unknown ones get the zero value with
// strings, so that nothing of them is taken for a comment.
func SyntaxOf(file string) Syntax {
	base := strings.ToLower(path.Base(file))
	ext := strings.TrimPrefix(path.Ext(base), ".")
	switch ext {
	case "go", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "java", "kt", "kts", "scala", "groovy", "gradle",
		"swift", "dart", "c", "h", "cc", "cpp", "cxx", "hpp", "hh", "cs", "m", "mm", "proto", "rs", "scss", "less", "zig":
		return Syntax{line: []string{"//"}, block: [][2]string{{"/*", "*/"}}, quotes: cQuotes}
	case "php":
		return Syntax{line: []string{"//", "#"}, block: [][2]string{{"/*", "*/"}}, quotes: cQuotes}
	case "py", "pyi", "sh", "bash", "zsh", "rb", "rake", "gemspec", "pl", "pm", "r", "ex", "exs", "yaml", "yml", "toml",
		"cfg", "conf", "tf", "nix", "mk", "cmake", "jl", "graphql", "ps1":
		return Syntax{line: []string{"#"}, quotes: noBacktic}
	case "sql", "lua", "hs", "elm", "ada", "adb":
		return Syntax{line: []string{"--"}, block: [][2]string{{"/*", "*/"}}, quotes: noBacktic}
	case "html", "htm", "xml", "svg", "vue", "svelte", "md", "markdown", "xhtml":
		return Syntax{block: [][2]string{{"<!--", "-->"}}, quotes: noBacktic}
	case "css":
		return Syntax{block: [][2]string{{"/*", "*/"}}, quotes: noBacktic}
	case "ini", "lisp", "clj", "el", "scm":
		return Syntax{line: []string{";"}, quotes: `"`}
	}
	switch base {
	case "dockerfile", "makefile", "gemfile", "rakefile", "cmakelists.txt":
		return Syntax{line: []string{"#"}, quotes: noBacktic}
	}
	return Syntax{quotes: noBacktic}
}

// Tokens returns the leaf tokens of the code without comments and blanks: words and numbers, strings as a whole, every
// other character by itself. It works on any bytes, in one pass, and never fails: what looks like a string but does not
// end on its line is taken character by character.
func (s Syntax) Tokens(code string) []string {
	var tokens []string
	s.scan(code, "", func(token string) { tokens = append(tokens, token) })
	return tokens
}

// scan calls emit for each token. until is the end mark of a block comment that is open at the start, or empty; the one
// still open at the end is returned, so that lines can be scanned one by one.
func (s Syntax) scan(code, until string, emit func(token string)) string {
	for code != "" {
		if until != "" {
			_, after, closed := strings.Cut(code, until)
			if !closed {
				return until
			}
			code, until = after, ""
			continue
		}
		var size int
		if size, until = s.comment(code); size > 0 {
			code = code[size:]
			continue
		}
		size = s.tokenSize(code)
		if token := code[:size]; !isBlank(token) {
			emit(token)
		}
		code = code[size:]
	}
	return until
}

// comment returns how many bytes of a comment start the code: a whole line comment, or the opening of a block comment
// together with its end mark.
func (s Syntax) comment(code string) (size int, until string) {
	for _, mark := range s.block {
		if strings.HasPrefix(code, mark[0]) {
			return len(mark[0]), mark[1]
		}
	}
	for _, mark := range s.line {
		if !strings.HasPrefix(code, mark) {
			continue
		}
		if end := strings.IndexByte(code, '\n'); end >= 0 {
			return end, ""
		}
		return len(code), ""
	}
	return 0, ""
}

func (s Syntax) tokenSize(code string) int {
	if strings.IndexByte(s.quotes, code[0]) >= 0 {
		if size := stringSize(code); size > 0 {
			return size
		}
		return 1
	}
	first, size := utf8.DecodeRuneInString(code)
	if !isWord(first) || (first == utf8.RuneError && size == 1) {
		return size
	}
	for size < len(code) {
		r, n := utf8.DecodeRuneInString(code[size:])
		if !isWord(r) || (r == utf8.RuneError && n == 1) {
			break
		}
		size += n
	}
	return size
}

// maxStringToken bounds the search for a string's end, so that hostile text full of quotes stays linear.
const maxStringToken = 4096

// stringSize returns the length of the string literal that starts the code, or 0 where it does not end on its line.
func stringSize(code string) int {
	quote := code[0]
	for i := 1; i < len(code) && i < maxStringToken; i++ {
		switch code[i] {
		case '\\':
			i++
		case quote:
			return i + 1
		case '\n':
			return 0
		}
	}
	return 0
}

func isWord(r rune) bool {
	return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

func isBlank(token string) bool {
	return strings.TrimSpace(token) == ""
}
