package diff

import (
	"strings"

	"github.com/bluekeyes/go-gitdiff/gitdiff"
)

// convertHunks numbers the lines and refuses hunks that no file can have: out of order, overlapping, beyond maxNumber.
func convertHunks(fragments []*gitdiff.TextFragment, line int) ([]Hunk, error) {
	hunks := make([]Hunk, 0, len(fragments))
	oldNext, newNext := 1, 1
	for _, f := range fragments {
		if !plausible(f.OldPosition, f.OldLines) || !plausible(f.NewPosition, f.NewLines) {
			return nil, refuse(Malformed, line, "a hunk's line numbers are negative, zero or beyond %d", maxNumber)
		}
		h := Hunk{
			OldStart: int(f.OldPosition), OldLines: int(f.OldLines),
			NewStart: int(f.NewPosition), NewLines: int(f.NewLines), Section: f.Comment,
		}
		oldFirst, newFirst := firstLineOf(h.OldStart, h.OldLines), firstLineOf(h.NewStart, h.NewLines)
		if oldFirst < oldNext || newFirst < newNext {
			return nil, refuse(Malformed, line, "hunks overlap or stand out of order")
		}
		oldNext, newNext = oldFirst+h.OldLines, newFirst+h.NewLines
		h.Lines = number(f.Lines, oldFirst, newFirst)
		f.Lines = nil
		hunks = append(hunks, h)
	}
	return hunks, nil
}

func plausible(start, count int64) bool {
	if start < 0 || count < 0 || start > maxNumber || count > maxNumber {
		return false
	}
	return count == 0 || start > 0
}

// firstLineOf returns the first line that the hunk touches; a side without lines names the line before.
func firstLineOf(start, count int) int {
	if count == 0 {
		return start + 1
	}
	return start
}

func number(lines []gitdiff.Line, oldNext, newNext int) []Line {
	out := make([]Line, len(lines))
	for i, l := range lines {
		text, ended := strings.CutSuffix(l.Line, "\n")
		out[i] = Line{Text: text, NoEOL: !ended}
		switch l.Op {
		case gitdiff.OpContext:
			out[i].Op, out[i].Old, out[i].New = Context, oldNext, newNext
			oldNext++
			newNext++
		case gitdiff.OpDelete:
			out[i].Op, out[i].Old = Delete, oldNext
			oldNext++
		case gitdiff.OpAdd:
			out[i].Op, out[i].New = Add, newNext
			newNext++
		}
	}
	return out
}
