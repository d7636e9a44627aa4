package review

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// ChangeKind is git's letter for what happened to a path.
type ChangeKind string

// The kinds of change.
const (
	Added       ChangeKind = "A"
	Modified    ChangeKind = "M"
	Deleted     ChangeKind = "D"
	Renamed     ChangeKind = "R"
	Copied      ChangeKind = "C"
	TypeChanged ChangeKind = "T"
)

// Nature says what kind of thing a changed path holds, and so what there is to read.
type Nature string

// The natures. Everything but Text has no lines: the change itself is looked at, not its content.
const (
	NatureText      Nature = "TEXT"
	NatureBinary    Nature = "BINARY"
	NatureSymlink   Nature = "SYMLINK"
	NatureSubmodule Nature = "SUBMODULE"
	NatureEmpty     Nature = "EMPTY"     // nothing on either side
	NatureUnchanged Nature = "UNCHANGED" // mode or name only
)

// Line is one line of a hunk. Op is ' ', '+' or '-'; Text is without the line's end. End is empty where a mere line feed
// ends it, else EndCR, EndNone or both.
type Line struct {
	Op   byte   `json:"op"`
	Text string `json:"text"`
	End  string `json:"end,omitempty"`
}

// The ends of lines that are no mere line feed.
const (
	EndCR   = "\r" // before the line feed
	EndNone = "\\" // the file ends with the line
)

// Hunk is one hunk of a file's patch. Lines count from 1; a side without lines starts where git says.
type Hunk struct {
	OldStart int    `json:"old_start"`
	OldLines int    `json:"old_lines"`
	NewStart int    `json:"new_start"`
	NewLines int    `json:"new_lines"`
	Section  string `json:"section,omitempty"`
	Lines    []Line `json:"lines,omitempty"`
}

// File is one changed path. Paths are the repository's bytes and need not be UTF-8.
type File struct {
	Path    string
	OldPath string // differs from Path for renames and copies only, else equal
	Change  ChangeKind
	Nature  Nature
	OldMode uint32
	NewMode uint32
	OldBlob string // object IDs; empty where a side is missing or unknown
	NewBlob string
	Hunks   []Hunk
	Added   int
	Removed int
	// Whole says that the hunks show all of the new side as added, and are not those that a forge shows.
	Whole bool
	// Old and New are the contents of the sides. They are nil where the side does not exist, was not read (Limits says
	// why), or is no text.
	Old, New []byte
	// HasOld and HasNew tell a side that was read and is empty from one that was not read.
	HasOld, HasNew bool
	// OldStrings and NewStrings are the printable strings of a binary's sides, as far as it was read. They are there to be
	// scanned for secrets and for nothing else.
	OldStrings, NewStrings string
	// Policy is the reason for not planning to read the file (generated, vendored, lock file), empty otherwise.
	Policy Reason
	// Limits are the reasons for which something of the file could not be read.
	Limits []Reason
}

// Metadata says whether there is no text to read: the change itself is all.
func (f *File) Metadata() bool { return f.Nature != NatureText }

// Lines is the number of changed lines.
func (f *File) Lines() int { return f.Added + f.Removed }

// Limit notes that something of the file could not be read. The same reason twice counts once.
func (f *File) Limit(r Reason) {
	if !slices.Contains(f.Limits, r) {
		f.Limits = append(f.Limits, r)
	}
}

// Texts are all that is known of what the file says: its sides where they were read whole, else what the hunks show.
func (f *File) Texts() []string {
	out := make([]string, 0, 2)
	if f.HasOld {
		out = append(out, string(f.Old))
	}
	if f.HasNew {
		out = append(out, string(f.New))
	}
	if len(out) == 2 || len(out) == 1 && (f.Change == Added || f.Change == Deleted) {
		return out
	}
	for i := range f.Hunks {
		out = append(out, hunkText(&f.Hunks[i]))
	}
	return out
}

func hunkText(h *Hunk) string {
	n := 0
	for _, l := range h.Lines {
		n += len(l.Text) + 1
	}
	text := make([]byte, 0, n)
	for _, l := range h.Lines {
		text = append(append(text, l.Text...), '\n')
	}
	return string(text)
}

// InDiff says whether line n of the new (or, with old set, the old) side lies in a hunk.
func (f *File) InDiff(old bool, n int) bool {
	for i := range f.Hunks {
		start, lines := f.Hunks[i].NewStart, f.Hunks[i].NewLines
		if old {
			start, lines = f.Hunks[i].OldStart, f.Hunks[i].OldLines
		}
		if lines > 0 && n >= start && n < start+lines {
			return true
		}
	}
	return false
}

// TouchedLines returns the changed lines of the new side (added ones) and of the old side (removed ones), ascending.
func (f *File) TouchedLines() (newSide, oldSide []int) {
	for i := range f.Hunks {
		o, n := f.Hunks[i].OldStart, f.Hunks[i].NewStart
		for _, l := range f.Hunks[i].Lines {
			switch l.Op {
			case '+':
				newSide = append(newSide, n)
				n++
			case '-':
				oldSide = append(oldSide, o)
				o++
			default:
				o++
				n++
			}
		}
	}
	return newSide, oldSide
}

// Change is everything that differs between two states of a repository, ordered by path.
type Change struct {
	Files []File
}

// File returns the change of the path on the new side, or nil.
func (c *Change) File(path string) *File {
	for i := range c.Files {
		if c.Files[i].Path == path {
			return &c.Files[i]
		}
	}
	return nil
}

// OldFile returns the change whose old side is path and which took it away from there: modified, renamed or deleted.
func (c *Change) OldFile(path string) *File {
	for i := range c.Files {
		f := &c.Files[i]
		if f.OldPath == path && f.Change != Added && f.Change != Copied {
			return f
		}
	}
	return nil
}

// Lines is the number of changed lines of all files.
func (c *Change) Lines() int {
	n := 0
	for i := range c.Files {
		n += c.Files[i].Lines()
	}
	return n
}

// Text says whether content can be read as text: no NUL byte in its beginning, as git decides, and valid UTF-8.
func Text(content []byte) (text, utf8Valid bool) {
	head := content[:min(len(content), 8000)]
	if bytes.IndexByte(head, 0) >= 0 {
		return false, false
	}
	return true, utf8.Valid(content)
}

// SplitLines cuts content at its line ends and drops them, a carriage return before them included. The last line counts
// also when it does not end.
func SplitLines(content []byte) []string {
	if len(content) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}
