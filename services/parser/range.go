package parser

import (
	"bytes"
	"sort"
)

// Range is a part of a file: bytes from StartByte (inclusive) to EndByte (exclusive), and the lines that hold them,
// counted from 1, both inclusive. An empty range lies on the line of its start.
type Range struct {
	StartByte, EndByte int
	StartLine, EndLine int
}

// Contains reports whether other lies inside r; equal ranges contain each other.
func (r Range) Contains(other Range) bool {
	return r.StartByte <= other.StartByte && other.EndByte <= r.EndByte
}

// Len returns the number of bytes.
func (r Range) Len() int { return r.EndByte - r.StartByte }

// LineRange is a range of lines, counted from 1, both inclusive.
type LineRange struct{ Start, End int }

// Lines finds the lines of byte offsets in one content. It may be shared by goroutines.
type Lines struct {
	starts []int // offset of the first byte of each line
	size   int
}

// NewLines reads content once. Lines end at "\n"; a last line without one counts, an empty one after it does not.
func NewLines(content []byte) *Lines {
	starts := make([]int, 1, 1+len(content)/32)
	for at := 0; ; {
		next := bytes.IndexByte(content[at:], '\n')
		if next < 0 || at+next+1 == len(content) {
			return &Lines{starts: starts, size: len(content)}
		}
		at += next + 1
		starts = append(starts, at)
	}
}

// Count returns the number of lines; an empty content has one.
func (l *Lines) Count() int { return len(l.starts) }

// At returns the line that holds the byte at offset.
func (l *Lines) At(offset int) int {
	return sort.Search(len(l.starts), func(i int) bool { return l.starts[i] > offset })
}

// Start returns the offset of the first byte of a line between 1 and Count. Beyond the last line it returns the size.
func (l *Lines) Start(line int) int {
	if line > len(l.starts) {
		return l.size
	}
	return l.starts[max(line, 1)-1]
}

// Range returns the range of the bytes from start to end, both brought inside the content.
func (l *Lines) Range(start, end int) Range {
	start = min(max(start, 0), l.size)
	end = min(max(end, start), l.size)
	return Range{StartByte: start, EndByte: end, StartLine: l.At(start), EndLine: l.At(max(start, end-1))}
}
