package diff

import (
	"bytes"
	"strings"
)

// writtenWithoutPrefix reports whether some "diff --git" line names the same path twice, which no diff with prefixes
// does. Such a diff was written with --no-prefix (or one prefix for both sides, which cannot be told apart).
func writtenWithoutPrefix(text []byte) bool {
	mark := []byte("\ndiff --git ")
	rest := text
	if bytes.HasPrefix(rest, mark[1:]) && sameHalves(firstLine(rest[len(mark)-1:])) {
		return true
	}
	for {
		at := bytes.Index(rest, mark)
		if at < 0 {
			return false
		}
		rest = rest[at+len(mark):]
		if sameHalves(firstLine(rest)) {
			return true
		}
	}
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return string(line)
}

func sameHalves(names string) bool {
	half := len(names) / 2
	return len(names) >= 3 && len(names)%2 == 1 && names[half] == ' ' && names[:half] == names[half+1:]
}

// mend rewrites a line of a git header where the parser would misread it: prefixes are added to a diff without them,
// and an escaped backslash becomes its octal form, since the parser takes a quote after any backslash as escaped.
func (s *scanner) mend(line []byte) []byte {
	if !s.noPrefix && !bytes.Contains(line, []byte(`\\`)) {
		return line
	}
	text := strings.TrimSuffix(string(line), "\n")
	if s.noPrefix {
		text = addPrefixes(text)
	}
	return []byte(octalBackslashes(text) + "\n")
}

func addPrefixes(line string) string {
	if names, ok := strings.CutPrefix(line, "diff --git "); ok {
		if half := len(names) / 2; sameHalves(names) {
			return "diff --git " + prefixed("a/", names[:half]) + " " + prefixed("b/", names[half+1:])
		}
		return "diff --git a/old b/new" // the lines "rename" or "copy" below it give both names
	}
	if name, ok := strings.CutPrefix(line, "--- "); ok {
		return "--- " + prefixed("a/", name)
	}
	if name, ok := strings.CutPrefix(line, "+++ "); ok {
		return "+++ " + prefixed("b/", name)
	}
	return line
}

func prefixed(prefix, name string) string {
	if name == "/dev/null" || strings.HasPrefix(name, "/dev/null\t") {
		return name
	}
	if quoted, ok := strings.CutPrefix(name, `"`); ok {
		return `"` + prefix + quoted
	}
	return prefix + name
}

// octalBackslashes rewrites each escaped backslash of quoted names as \134; names without quotes are left alone.
func octalBackslashes(line string) string {
	if !strings.Contains(line, `"`) {
		return line
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '\\':
			b.WriteString(`\134`)
			i++
		case line[i] == '\\' && i+1 < len(line):
			b.WriteString(line[i : i+2])
			i++
		default:
			b.WriteByte(line[i])
		}
	}
	return b.String()
}
