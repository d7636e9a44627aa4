package review

import (
	"bytes"
	"strings"

	"witan.dev/internal/finding"
)

// VendorRoot is the folder of a path in which package managers and people keep the code of others, as the parser knows
// such folders; empty: there is none.
func VendorRoot(path string) string {
	if strings.HasPrefix(path, ".") {
		return ""
	}
	folders := strings.Split(path, "/")
	for i, folder := range folders[:len(folders)-1] {
		switch folder {
		case "vendor", "node_modules", "third_party", "bower_components":
			return strings.Join(folders[:i+1], "/")
		case "_workspace":
			if i > 0 && folders[i-1] == "Godeps" {
				return strings.Join(folders[:i+1], "/")
			}
		}
	}
	return ""
}

// movedIn says whether no review has read a file of the old name for what is not so of the new one, as far as names tell. Each
// reason counts for itself: a name that generators choose leaves out nothing that has no header of theirs.
func (r PathRules) movedIn(from, to string) bool {
	for _, leavesOut := range [...]func(string) bool{
		r.Excluded, r.generated.Match, func(path string) bool { return VendorRoot(path) != "" }, GeneratedName, lockFile,
	} {
		if leavesOut(from) && !leavesOut(to) {
			return true
		}
	}
	return false
}

// readWhole makes all of the new side the change of a renamed file: what its old name left out was never read, and git
// shows the lines that differ only.
func (f *File) readWhole() {
	if f.Nature != NatureText && f.Nature != NatureUnchanged || !f.HasNew || len(f.New) == 0 {
		return
	}
	if text, _ := Text(f.New); !text {
		if f.Nature = NatureBinary; !binaryName(f.Path) {
			f.Limit(ReasonNotUTF8)
		}
		return
	}
	h := Hunk{NewStart: 1}
	for line := range strings.Lines(string(f.New)) {
		l := Line{Op: '+', Text: strings.TrimSuffix(line, "\n")}
		if l.Text == line {
			l.End = EndNone
		}
		if text, cr := strings.CutSuffix(l.Text, "\r"); cr {
			l.Text, l.End = text, EndCR+l.End
		}
		h.Lines = append(h.Lines, l)
	}
	h.NewLines = len(h.Lines)
	f.Nature, f.Whole, f.Hunks, f.Added, f.Removed = NatureText, true, []Hunk{h}, h.NewLines, 0
	f.CheckText()
}

// pointerHead is the first line of a file that Git LFS keeps elsewhere.
const pointerHead = "version https://git-lfs.github.com/spec/v1"

// checkPointer notes that a side of the file is kept elsewhere: what was read is the pointer to it.
func (f *File) checkPointer() {
	for _, side := range [][]byte{f.Old, f.New} {
		if line, _, _ := bytes.Cut(side, []byte("\n")); string(bytes.TrimSuffix(line, []byte("\r"))) == pointerHead {
			f.Limit(finding.ReasonLFSPointer)
		}
	}
	for i := range f.Hunks {
		if h := &f.Hunks[i]; h.OldStart > 1 || h.NewStart > 1 {
			continue
		}
		for _, l := range f.Hunks[i].Lines {
			if l.Text == pointerHead {
				f.Limit(finding.ReasonLFSPointer)
			}
			if l.Op == ' ' {
				break
			}
		}
	}
}
