package diff

// Limits of one diff. Numbers are far above what a person can review, and keep a hostile one from filling the memory.
const (
	// MaxBytes is the largest diff that is read, 50 MB.
	MaxBytes = 50_000_000
	// MaxFiles is the most files that one diff may change.
	MaxFiles = 5_000
	// MaxLines is the most lines of a diff, headers included.
	MaxLines = 5_000_000
	// maxNumber bounds line numbers and counts in hunk headers.
	maxNumber = 1_000_000_000
)

// Change is the kind of a file's change, git's letter for it.
type Change byte

// The kinds of change.
const (
	Added       Change = 'A'
	Modified    Change = 'M'
	Deleted     Change = 'D'
	Renamed     Change = 'R'
	Copied      Change = 'C'
	TypeChanged Change = 'T'
)

// String returns the letter.
func (c Change) String() string { return string(rune(c)) }

// Mode is git's file mode, 0 where the file does not exist on that side or the diff does not say.
type Mode uint32

// The modes that git stores.
const (
	ModeFile       Mode = 0o100644
	ModeExecutable Mode = 0o100755
	ModeSymlink    Mode = 0o120000
	ModeSubmodule  Mode = 0o160000
)

const modeTypeMask Mode = 0o170000

// Type returns the mode without its permission bits; two modes of one type may differ in the executable bit only.
func (m Mode) Type() Mode { return m & modeTypeMask }

// Side says which version of a file a line number counts in.
type Side int

// The sides of a change. The zero value is unspecified.
const (
	SideUnspecified Side = iota
	// Left is the file before the change.
	Left
	// Right is the file after the change.
	Right
)

// String returns "LEFT", "RIGHT" or "UNSPECIFIED".
func (s Side) String() string {
	switch s {
	case Left:
		return "LEFT"
	case Right:
		return "RIGHT"
	case SideUnspecified:
	}
	return "UNSPECIFIED"
}

// Op is what a line of a hunk does.
type Op byte

// The operations, as the diff writes them.
const (
	Context Op = ' '
	Add     Op = '+'
	Delete  Op = '-'
)

// Line is one line of a hunk. Old and New count from 1 and are 0 where the line does not exist on that side. Text has
// no line feed, but keeps a carriage return; NoEOL says that the file ends without a line feed there.
type Line struct {
	Text     string
	Old, New int
	Op       Op
	NoEOL    bool
}

// Hunk is one stretch of changed lines with its context. A side with no lines has the start that the header names: the
// line before which nothing is.
type Hunk struct {
	OldStart, OldLines int
	NewStart, NewLines int
	// Section is what git writes behind the header, usually the enclosing function's first line.
	Section string
	Lines   []Line
}

// File is the change of one path.
type File struct {
	// OldPath is empty for an added file, NewPath for a deleted one; they are equal unless renamed or copied.
	OldPath, NewPath string
	Change           Change
	OldMode, NewMode Mode
	// OldBlob and NewBlob are object IDs or prefixes of them as the diff gives them, empty where it does not.
	OldBlob, NewBlob string
	// Score is the similarity in percent of a rename or copy.
	Score int
	// Binary says that the content is not shown as lines. A pure rename or mode change of a binary file does not say
	// so in the patch: the reader of the repository sets it.
	Binary bool
	// Hunks ascend. A type change has the old content's deletion first, then the new content's addition.
	Hunks []Hunk
}

// Path returns the path that the file is called by: the new one, or the old one of a deleted file.
func (f *File) Path() string {
	if f.Change == Deleted {
		return f.OldPath
	}
	return f.NewPath
}

// Counts returns how many lines the change adds and deletes.
func (f *File) Counts() (added, deleted int) {
	for i := range f.Hunks {
		for j := range f.Hunks[i].Lines {
			switch f.Hunks[i].Lines[j].Op {
			case Add:
				added++
			case Delete:
				deleted++
			case Context:
			}
		}
	}
	return added, deleted
}

// Diff is a whole patch. Files stand in the order of the input and have distinct paths.
type Diff struct {
	Files []*File
	// Normalised says that every line of the input ended in CRLF and was read without the CR.
	Normalised bool
}

// File returns the change of the path, by new path first and then by the old path of a deleted or renamed file, or nil.
func (d *Diff) File(path string) *File {
	var old *File
	for _, f := range d.Files {
		if f.NewPath == path && path != "" {
			return f
		}
		if old == nil && f.OldPath == path && path != "" && f.Change != Copied {
			old = f
		}
	}
	return old
}
