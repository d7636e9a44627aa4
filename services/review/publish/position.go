package publish

import (
	"unicode/utf8"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// Position is a place on lines of the diff that a forge takes. StartLine is 0 for one line.
type Position struct {
	Path            string    `json:"path"`
	Side            diff.Side `json:"side"`
	StartLine, Line int
	// Exact says that it is all of the finding's lines, so that a suggestion can replace them.
	Exact bool `json:"exact,omitempty"`
}

// Why a comment stands in another place than on its lines. Their names are shown to people.
const (
	ReasonLineNotInDiff = "LINE_NOT_IN_DIFF" // a comment on the file
	ReasonNotInDiff     = "NOT_IN_DIFF"      // from here on: in the walkthrough
	ReasonPathNotUTF8   = "PATH_NOT_UTF8"
	ReasonTooMany       = "TOO_MANY_COMMENTS"
	ReasonInlineOff     = "INLINE_OFF"
	ReasonHeadGone      = "HEAD_GONE"
	ReasonRefused       = "REFUSED"
	ReasonForbidden     = "FORBIDDEN"
	// ReasonPending: ErrPending. A later review makes up for it.
	ReasonPending = "PENDING_REVIEW"
	ReasonLocked  = "LOCKED" // nobody may comment, whatever the token may do
	// ReasonNoCheckRun: all else is there. GitHub lets Apps alone write check runs, and those only that are permitted to.
	ReasonNoCheckRun = "NO_CHECK_RUN"
)

// Locate returns the position of a finding in the reviewed change. Where there is none, reason says why: the file can be
// commented as a whole with ReasonLineNotInDiff only.
func Locate(c *review.Change, l *finding.Location) (p Position, reason string) {
	f := c.File(l.Path)
	if l.Side == finding.Left && l.OldPath != "" {
		if old := c.OldFile(l.OldPath); old != nil {
			f = old
		}
	}
	switch {
	case f == nil:
		return Position{}, ReasonNotInDiff
	case !utf8.ValidString(f.Path):
		return Position{}, ReasonPathNotUTF8
	}
	p.Path = f.Path
	if f.Whole {
		return p, ReasonLineNotInDiff
	}
	file := f.Diff()
	r, ok := diff.Range{}, false
	// Where a file became a link, git shows two patches of one path. The forge's is the second one, which deletes nothing.
	gone := f.Change == review.TypeChanged && l.Side == diff.Left
	if l.StartLine > 0 && l.EndLine >= l.StartLine && !gone {
		r, ok = clip(file, diff.Range{Side: l.Side, Start: l.StartLine, End: l.EndLine})
	}
	if !ok {
		return p, ReasonLineNotInDiff
	}
	p.Side, p.Line = r.Side, r.End
	if r.Start < r.End {
		p.StartLine = r.Start
	}
	p.Exact = r == diff.Range{Side: diff.Right, Start: l.StartLine, End: l.EndLine}
	return p, ""
}

// clip cuts a range to lines of one hunk that can be commented: the hunk of its last line, else that of its first, else
// the first one within it. On the left these are deleted lines; where there are only lines that stay, they are on the right.
func clip(f *diff.File, r diff.Range) (diff.Range, bool) {
	for i := range f.Hunks {
		h := &f.Hunks[len(f.Hunks)-1-i] // the last one that overlaps
		cut, ok := within(h, r)
		if !ok {
			continue
		}
		return cut, true
	}
	return diff.Range{}, false
}

// within returns the lines of a range that a hunk holds and that can be commented.
func within(h *diff.Hunk, r diff.Range) (diff.Range, bool) {
	out, kept := diff.Range{Side: r.Side}, diff.Range{Side: diff.Right}
	for _, l := range h.Lines {
		n := l.New
		if r.Side == diff.Left {
			n = l.Old
		}
		if n < r.Start || n > r.End || n == 0 {
			continue
		}
		if r.Side == diff.Left && l.Op != diff.Delete {
			extend(&kept, l.New)
			continue
		}
		extend(&out, n)
	}
	if out.Start > 0 {
		return out, true
	}
	return kept, kept.Start > 0
}

func extend(r *diff.Range, n int) {
	if r.Start == 0 {
		r.Start = n
	}
	r.End = n
}
