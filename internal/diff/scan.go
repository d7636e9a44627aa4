package diff

import (
	"bytes"
	"strconv"
	"strings"
)

// header is the start of one file's change as it stands in the text.
type header struct {
	line int
	// git says that the file starts with "diff --git"; else it is a bare pair of ---/+++ lines, whose names follow.
	git              bool
	oldName, newName string
}

// scanner walks the lines of a diff, knows which of them belong to hunks, and finds every line that starts a file. It is
// the second opinion on the parser, which drops what it does not know without an error. On the way it mends two things
// that the parser misreads: diffs written without prefixes, and quoted names that end in a backslash.
type scanner struct {
	headers  []header
	combined int // line of the first combined diff, 0 for none
	overrun  int // line of the first hunk line beyond what the hunk's header counts, 0 for none
	stray    int // line of the first change that GNU diff tells without its content, 0 for none
	anyGit   bool
	noPrefix bool
	mended   []byte // the text with mended header lines; nil while nothing had to be mended

	inGitHeader      bool
	oldLeft, newLeft int64
	afterHunk        bool   // the line before ended a hunk
	previous         []byte // the last line outside hunks
}

// scan reads the whole text. Every line ends in a line feed.
func scan(text []byte) *scanner {
	s := &scanner{noPrefix: writtenWithoutPrefix(text)}
	rest := text
	for number := 1; len(rest) > 0; number++ {
		end := bytes.IndexByte(rest, '\n') + 1
		line := rest[:end]
		mended := line
		if !s.inHunk(line) {
			mended = s.outside(line, number)
		}
		if s.mended == nil && !bytes.Equal(mended, line) {
			s.mended = append(make([]byte, 0, len(text)+len(text)/16), text[:len(text)-len(rest)]...)
		}
		if s.mended != nil {
			s.mended = append(s.mended, mended...)
		}
		rest = rest[end:]
	}
	return s
}

// inHunk counts the line against the open hunk and reports whether it belongs to it.
func (s *scanner) inHunk(line []byte) bool {
	if s.oldLeft <= 0 && s.newLeft <= 0 {
		return false
	}
	s.afterHunk = true
	switch line[0] {
	case ' ', '\n':
		s.oldLeft--
		s.newLeft--
	case '-':
		s.oldLeft--
	case '+':
		s.newLeft--
	case '\\':
	default: // the hunk is cut short; the parser says so with its line
		s.oldLeft, s.newLeft = 0, 0
		return false
	}
	return true
}

func (s *scanner) outside(line []byte, number int) []byte {
	previous := s.previous
	s.previous = line
	if s.afterHunk && line[0] != '\\' {
		s.afterHunk = false
		if looksLikeHunkLine(line) {
			s.note(&s.overrun, number)
		}
	}
	switch {
	case bytes.HasPrefix(line, []byte("diff --cc ")), bytes.HasPrefix(line, []byte("diff --combined ")):
		s.note(&s.combined, number)
		s.inGitHeader = false
	case bytes.HasPrefix(line, []byte("diff --git ")):
		s.headers = append(s.headers, header{line: number, git: true})
		s.inGitHeader, s.anyGit = true, true
		return s.mend(line)
	case bytes.HasPrefix(line, []byte("@@ -")):
		s.oldLeft, s.newLeft = hunkCounts(line)
		s.inGitHeader = false
	case s.inGitHeader:
		s.inGitHeader = isHeaderLine(line)
		return s.mend(line)
	case bytes.HasPrefix(line, []byte("+++ ")) && bytes.HasPrefix(previous, []byte("--- ")):
		s.headers = append(s.headers, header{line: number - 1, oldName: traditionalName(previous), newName: traditionalName(line)})
	case isBinaryMarker(line), bytes.HasPrefix(line, []byte("Only in ")) && bytes.Contains(line, []byte(": ")):
		s.note(&s.stray, number)
	}
	return line
}

func (s *scanner) note(at *int, number int) {
	if *at == 0 {
		*at = number
	}
}

// looksLikeHunkLine reports whether the line is a hunk's, and neither the signature below a mailed patch nor the next
// file's name.
func looksLikeHunkLine(line []byte) bool {
	switch line[0] {
	case ' ', '+':
		return true
	case '-':
		return !bytes.HasPrefix(line, []byte("-- ")) && !bytes.HasPrefix(line, []byte("--- ")) && !bytes.Equal(line, []byte("--\n"))
	default:
		return false
	}
}

func isBinaryMarker(line []byte) bool {
	return bytes.HasPrefix(line, []byte("Binary files ")) && bytes.HasSuffix(line, []byte(" differ\n"))
}

func isHeaderLine(line []byte) bool {
	for _, prefix := range []string{
		"--- ", "+++ ", "old mode ", "new mode ", "deleted file mode ", "new file mode ", "copy from ", "copy to ",
		"rename old ", "rename new ", "rename from ", "rename to ", "similarity index ", "dissimilarity index ", "index ",
	} {
		if bytes.HasPrefix(line, []byte(prefix)) {
			return true
		}
	}
	return false
}

// hunkCounts reads the counts of "@@ -a,b +c,d @@"; what is no such line opens no hunk.
func hunkCounts(line []byte) (oldLines, newLines int64) {
	body, _, ok := strings.Cut(string(line[len("@@ -"):]), " @@")
	if !ok {
		return 0, 0
	}
	before, after, ok := strings.Cut(body, " +")
	if !ok {
		return 0, 0
	}
	oldLines, okOld := rangeCount(before)
	newLines, okNew := rangeCount(after)
	if !okOld || !okNew {
		return 0, 0
	}
	return oldLines, newLines
}

func rangeCount(s string) (int64, bool) {
	_, count, has := strings.Cut(s, ",")
	if !has {
		return 1, true
	}
	n, err := strconv.ParseInt(count, 10, 64)
	return n, err == nil
}

// traditionalName returns the name of a "--- name<tab>time" line.
func traditionalName(line []byte) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(string(line[len("--- "):]), "\n"), "\t")
	if unquoted, err := strconv.Unquote(name); err == nil && strings.HasPrefix(name, `"`) {
		return unquoted
	}
	return name
}
