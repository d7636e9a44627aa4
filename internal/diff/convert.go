package diff

import (
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// convert turns the parser's files into ours, checks what the parser does not, and joins type changes. Headers stand in
// the order of the files, one each.
func convert(parsed []*gitdiff.File, headers []header) ([]*File, error) {
	files := make([]*File, 0, len(parsed))
	byPath := make(map[string]*File, len(parsed))
	for i, p := range parsed {
		f, err := convertFile(p, headers[i])
		if err != nil {
			return nil, err
		}
		parsed[i] = nil // the lines are ours now
		if before, twice := byPath[f.Path()]; twice {
			if !joinTypeChange(before, f) {
				return nil, refuse(SeveralPatches, headers[i].line, "%s is changed a second time: this is more than one patch", QuotePath(f.Path()))
			}
			continue
		}
		byPath[f.Path()] = f
		files = append(files, f)
	}
	return files, nil
}

func convertFile(p *gitdiff.File, h header) (*File, error) {
	f := &File{
		OldPath: p.OldName, NewPath: p.NewName, Change: changeOf(p),
		OldMode: Mode(p.OldMode), NewMode: Mode(p.NewMode),
		OldBlob: p.OldOIDPrefix, NewBlob: p.NewOIDPrefix, Score: p.Score, Binary: p.IsBinary,
	}
	if !h.git {
		f.OldPath, f.NewPath = stripPrefixes(p, h)
	}
	switch f.Change {
	case Added:
		f.OldPath = ""
	case Deleted:
		f.NewPath = ""
	case Modified, Renamed, Copied, TypeChanged:
		if f.NewMode == 0 {
			f.NewMode = f.OldMode // the diff names a mode once where it did not change
		}
	}
	if err := f.check(h.line); err != nil {
		return nil, err
	}
	hunks, err := convertHunks(p.TextFragments, h.line)
	f.Hunks = hunks
	return f, err
}

func changeOf(p *gitdiff.File) Change {
	switch {
	case p.IsNew:
		return Added
	case p.IsDelete:
		return Deleted
	case p.IsCopy:
		return Copied
	case p.IsRename:
		return Renamed
	default:
		return Modified
	}
}

func (f *File) check(line int) error {
	for _, path := range []string{f.OldPath, f.NewPath} {
		if path == "" {
			continue
		}
		if err := checkPath(path, line); err != nil {
			return err
		}
	}
	if f.Path() == "" || (f.Change != Added && f.OldPath == "") {
		return refuse(Malformed, line, "the change names no file")
	}
	if f.OldMode > 0o177777 || f.NewMode > 0o177777 {
		return refuse(Malformed, line, "not a file mode of git")
	}
	return nil
}

// stripPrefixes takes the first segment off the names of a diff without git headers where both sides agree: the rest is
// the same and the first segments differ ("a/x", "b/x"), or one side is absent and the other has its own letter.
func stripPrefixes(p *gitdiff.File, h header) (oldPath, newPath string) {
	oldFirst, oldRest, okOld := strings.Cut(h.oldName, "/")
	newFirst, newRest, okNew := strings.Cut(h.newName, "/")
	switch {
	case p.IsNew && newFirst == "b" && okNew:
		return "", newRest
	case p.IsDelete && oldFirst == "a" && okOld:
		return oldRest, ""
	case okOld && okNew && oldRest == newRest && oldFirst != newFirst && oldRest != "":
		return oldRest, newRest
	default:
		return p.OldName, p.NewName
	}
}

// joinTypeChange makes one change of a deletion and an addition of one path with different types of file, which is how
// a patch shows a file that became a symbolic link. It reports false where the two are no such pair.
func joinTypeChange(first, second *File) bool {
	removed, added := first, second
	if first.Change == Added {
		removed, added = second, first
	}
	if removed.Change != Deleted || added.Change != Added || removed.OldMode.Type() == added.NewMode.Type() {
		return false
	}
	*first = File{
		OldPath: removed.OldPath, NewPath: added.NewPath, Change: TypeChanged,
		OldMode: removed.OldMode, NewMode: added.NewMode, OldBlob: removed.OldBlob, NewBlob: added.NewBlob,
		Binary: removed.Binary || added.Binary, Hunks: append(removed.Hunks, added.Hunks...),
	}
	return true
}
