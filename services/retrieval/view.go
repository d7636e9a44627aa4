package retrieval

import (
	"cmp"
	"sync/atomic"
)

// View is the files of a ready index in memory. They never change.
type View struct {
	index   Index
	files   []File
	byPath  map[string]int
	byID    map[int64]int
	byKey   map[FileKey]int
	byParse map[int64][]int
	rarity  Rarity

	// held: the rankings were found to hold it; filling: a Filler has it.
	held, filling atomic.Bool
}

// NewView returns the view of an index. files are ordered by path.
func NewView(index Index, files []File, rarity Rarity) *View {
	v := &View{
		index: index, files: files, rarity: rarity, byPath: make(map[string]int, len(files)), byID: make(map[int64]int, len(files)),
		byKey: make(map[FileKey]int, len(files)), byParse: make(map[int64][]int, len(files)),
	}
	for i, f := range files {
		v.byPath[f.Path], v.byID[f.ID], v.byKey[f.Key] = i, i, i
		v.byParse[f.Parse] = append(v.byParse[f.Parse], i)
	}
	return v
}

// Scope is whose view it is.
func (v *View) Scope() Scope { return Scope{Owner: v.index.Owner, Repository: v.index.Repository} }

// Files of the view, ordered by path. They must not be changed.
func (v *View) Files() []File { return v.files }

// ByKey finds a file of the view.
func (v *View) ByKey(key FileKey) (File, bool) {
	if i, known := v.byKey[key]; known {
		return v.files[i], true
	}
	return File{}, false
}

func (v *View) file(id int64) (File, bool) {
	if i, known := v.byID[id]; known {
		return v.files[i], true
	}
	return File{}, false
}

// Order compares chunks by path and place.
func (v *View) Order(a, b ChunkRef) int {
	return cmp.Or(cmp.Compare(v.byID[a.File], v.byID[b.File]), cmp.Compare(a.Ordinal, b.Ordinal))
}
