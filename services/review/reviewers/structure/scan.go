package structure

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxScan bounds how far a list of parameters or arguments is followed. Longer ones are unknown.
const maxScan = 16 << 10

// A list is the text between two brackets, cut at its top-level commas.
type list struct {
	items []string
	end   int // byte after the closing bracket, in the text that was scanned
}

// brackets reads the balanced list whose opening bracket is text[open]. Strings and comments of the language are
// stepped over. ok is false when the list does not end within maxScan or its commas cannot be attributed for sure.
func brackets(text string, open int, l language) (list, bool) {
	s := scanner{text: text, at: open, lang: l}
	return s.list()
}

type scanner struct {
	text string
	at   int
	lang language
}

func (s *scanner) list() (list, bool) {
	var (
		stack []byte
		items []string
		item  strings.Builder // of the item so far, without its comments
		from  = s.at + 1
		limit = min(len(s.text), s.at+maxScan)
	)
	for s.at < limit {
		begin := s.at
		if s.skipComment() {
			item.WriteString(s.text[min(from, begin):begin])
			from = s.at
			continue
		}
		if s.skipString() {
			continue
		}
		c := s.text[s.at]
		switch c {
		case '(', '[', '{':
			stack = append(stack, closing(c))
		case ')', ']', '}':
			if len(stack) == 0 || stack[len(stack)-1] != c {
				return list{}, false
			}
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				item.WriteString(s.text[from:s.at])
				return list{items: appendItem(items, item.String()), end: s.at + 1}, true
			}
		case ',':
			if len(stack) == 1 {
				item.WriteString(s.text[from:s.at])
				items = append(items, strings.TrimSpace(item.String()))
				item.Reset()
				from = s.at + 1
			}
		case '<':
			if s.lang.angle && !s.skipAngle() && !s.comparison() {
				return list{}, false
			}
		case '|':
			if s.lang.pipeLambda && len(stack) == 1 {
				return list{}, false // |a, b| of a closure: its commas are not ours
			}
		}
		s.at++
	}
	return list{}, false
}

// appendItem adds the last item unless the list was empty or ended in a comma.
func appendItem(items []string, last string) []string {
	if last = strings.TrimSpace(last); last != "" {
		return append(items, last)
	}
	return items
}

func closing(c byte) byte {
	switch c {
	case '(':
		return ')'
	case '[':
		return ']'
	default:
		return '}'
	}
}

// skipAngle steps over generic arguments that begin at s.at and leaves s.at on the closing bracket. It moves only over
// text that can be nothing else: names, dots, brackets, commas, blanks and the few marks of types.
func (s *scanner) skipAngle() bool {
	depth := 0
	for i := s.at; i < len(s.text) && i < s.at+1024; i++ {
		switch c := s.text[i]; {
		case c == '<':
			depth++
		case c == '>':
			if s.text[i-1] == '=' || s.text[i-1] == '-' {
				continue // => and -> inside function types
			}
			if depth--; depth == 0 {
				s.at = i
				return true
			}
		case strings.IndexByte(" \t\n\r.,?&:'\"|=-[]{}()*", c) >= 0, identByte(c):
		default:
			return false
		}
	}
	return false
}

// comparison says whether the '<' at s.at is surely an operator: it stands between blanks, or is part of <=, <<.
func (s *scanner) comparison() bool {
	next := byte(0)
	if s.at+1 < len(s.text) {
		next = s.text[s.at+1]
	}
	if next == '=' || next == '<' || next == '-' {
		return true
	}
	return s.at > 0 && s.text[s.at-1] == ' ' && next == ' '
}

func (s *scanner) skipComment() bool {
	rest := s.text[s.at:]
	for _, mark := range s.lang.lineComments {
		if strings.HasPrefix(rest, mark) {
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				n = len(rest)
			}
			s.at += n
			return true
		}
	}
	if s.lang.blockComments && strings.HasPrefix(rest, "/*") {
		n := strings.Index(rest[2:], "*/")
		if n < 0 {
			s.at = len(s.text)
			return true
		}
		s.at += n + 4
		return true
	}
	return false
}

func (s *scanner) skipString() bool {
	c := s.text[s.at]
	if strings.IndexByte(s.lang.quotes, c) < 0 {
		return false
	}
	if c == '\'' && s.lang.lifetimes && s.lifetime() {
		s.at++
		return true
	}
	rest := s.text[s.at:]
	if s.lang.triple && (strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, "'''")) {
		n := strings.Index(rest[3:], rest[:3])
		if n < 0 {
			s.at = len(s.text)
			return true
		}
		s.at += n + 6
		return true
	}
	raw := c == '`' && s.lang.rawBacktick
	for i := 1; i < len(rest); i++ {
		if rest[i] == '\\' && !raw {
			i++
			continue
		}
		if rest[i] == c {
			s.at += i + 1
			return true
		}
	}
	s.at = len(s.text)
	return true
}

// lifetime tells Rust's 'a from the character 'a'.
func (s *scanner) lifetime() bool {
	rest := s.text[s.at+1:]
	r, n := utf8.DecodeRuneInString(rest)
	if !unicode.IsLetter(r) && r != '_' {
		return false
	}
	return len(rest) <= n || rest[n] != '\''
}

func identByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

// token finds name as a whole word in text, at or after from, and returns its offset or -1.
func token(text, name string, from int) int {
	for from <= len(text) && name != "" {
		n := strings.Index(text[from:], name)
		if n < 0 {
			return -1
		}
		at := from + n
		end := at + len(name)
		if (at == 0 || !identByte(text[at-1])) && (end >= len(text) || !identByte(text[end])) {
			return at
		}
		from = at + 1
	}
	return -1
}

// blanks returns the offset of the first byte at or after from that is no blank.
func blanks(text string, from int) int {
	for from < len(text) && strings.IndexByte(" \t\r\n", text[from]) >= 0 {
		from++
	}
	return from
}
