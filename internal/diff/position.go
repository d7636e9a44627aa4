package diff

// Range is a run of lines on one side, both ends included.
type Range struct {
	Side       Side
	Start, End int
}

// At returns the line with the number on the side, and whether a hunk holds it.
func (f *File) At(side Side, number int) (Line, bool) {
	h := f.hunkAt(side, number)
	if h == nil {
		return Line{}, false
	}
	for i := range h.Lines {
		if h.Lines[i].number(side) == number {
			return h.Lines[i], true
		}
	}
	return Line{}, false
}

// Contains reports whether a hunk holds the line.
func (f *File) Contains(side Side, number int) bool {
	return f.hunkAt(side, number) != nil
}

// Covers reports whether one hunk holds all lines of the range.
func (f *File) Covers(r Range) bool {
	if r.Start > r.End {
		return false
	}
	h := f.hunkAt(r.Side, r.Start)
	return h != nil && h == f.hunkAt(r.Side, r.End)
}

// Clip cuts the range to the hunk that holds its last line, since a comment may not span hunks. It reports false where
// no hunk holds that line.
func (f *File) Clip(r Range) (Range, bool) {
	h := f.hunkAt(r.Side, r.End)
	if h == nil || r.Start > r.End {
		return Range{}, false
	}
	start, _ := h.span(r.Side)
	r.Start = max(r.Start, start)
	return r, true
}

// Commentable reports whether a review comment can stand on the line: every line of a hunk on the right, deleted lines
// on the left. Context lines are addressed on the right.
func (f *File) Commentable(side Side, number int) bool {
	line, ok := f.At(side, number)
	return ok && (side == Right || line.Op == Delete)
}

func (f *File) hunkAt(side Side, number int) *Hunk {
	for i := range f.Hunks {
		if start, count := f.Hunks[i].span(side); count > 0 && number >= start && number < start+count {
			return &f.Hunks[i]
		}
	}
	return nil
}

func (h *Hunk) span(side Side) (start, count int) {
	switch side {
	case Left:
		return h.OldStart, h.OldLines
	case Right:
		return h.NewStart, h.NewLines
	case SideUnspecified:
	}
	return 0, 0
}

func (l Line) number(side Side) int {
	if side == Left {
		return l.Old
	}
	return l.New
}
