package diff

import (
	"strings"
	"unicode/utf8"
)

// maxPath is the longest path that is accepted, in bytes.
const maxPath = 4096

// QuotePath returns the path as git quotes it (core.quotepath on): unchanged where it is plain ASCII without quotes,
// backslashes and control bytes, else between double quotes with C escapes and octal bytes.
func QuotePath(path string) string {
	var b strings.Builder
	quoted := false
	for i := range len(path) {
		if escape := escapeByte(path[i]); escape != "" {
			quoted = true
			b.WriteString(escape)
			continue
		}
		b.WriteByte(path[i])
	}
	if !quoted {
		return path
	}
	return `"` + b.String() + `"`
}

func escapeByte(c byte) string {
	const named = "\a\b\t\n\v\f\r\"\\"
	if at := strings.IndexByte(named, c); at >= 0 {
		return `\` + string(`abtnvfr"\`[at])
	}
	if c >= 0x20 && c < 0x7f {
		return ""
	}
	return `\` + string([]byte{'0' + c>>6, '0' + c>>3&7, '0' + c&7})
}

// DisplayPath returns the path itself where it is valid UTF-8 and QuotePath's form otherwise, so that it fits into JSON
// and protobuf strings.
func DisplayPath(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	return QuotePath(path)
}

// CheckPath returns an *Error with reason UnsafePath unless the path is relative, clean and within the repository: no
// empty, "." or ".." segment, no NUL byte, at most 4,096 bytes.
func CheckPath(path string) error {
	return checkPath(path, 0)
}

func checkPath(path string, line int) error {
	if path == "" || len(path) > maxPath || strings.IndexByte(path, 0) >= 0 {
		return refuse(UnsafePath, line, "path is empty, too long or holds a NUL byte: %.80q", path)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return refuse(UnsafePath, line, "path is not relative and clean: %.80q", path)
		}
	}
	return nil
}
