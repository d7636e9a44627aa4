package parser

import (
	"bytes"
	"sort"
)

// Chunk is a part of a file that is stored and searched as one piece.
type Chunk struct {
	Range Range
	// Definition is the index of the definition that the chunk is or lies in, or NoDefinition. Small neighbours that
	// share a chunk lie in their common parent.
	Definition int
	// Heading is the signature of that definition when the chunk does not hold its beginning, else empty.
	Heading string
}

// chunker cuts one file. Pieces are made in order and always follow each other without a gap.
type chunker struct {
	content  []byte
	lines    *Lines
	defs     []Definition
	children map[int][]int
	borders  []Border
	pieces   []piece
	done     int // everything before this offset is in a piece
}

type piece struct {
	start, end int
	def        int
	small      bool // shorter than smallChunkLines, or joined of such
}

// cut returns the chunks of a file and whether MaxChunks forced the rest of the file into the last one. Definitions and
// borders are ordered by offset.
func cut(content []byte, lines *Lines, defs []Definition, borders []Border) (chunks []Chunk, truncated bool) {
	if len(content) == 0 {
		return nil, false
	}
	c := &chunker{content: content, lines: lines, defs: defs, children: make(map[int][]int), borders: borders}
	for i := range defs {
		c.children[defs[i].Parent] = append(c.children[defs[i].Parent], i)
	}
	c.split(len(content), NoDefinition)
	return c.chunks()
}

// split makes pieces of [done, end), which belongs to the definition def: its parts one by one, the code between them.
func (c *chunker) split(end, def int) {
	for _, child := range c.children[def] {
		full := c.defs[child].FullRange
		from, to := max(c.lineStart(full.StartByte), c.done), min(c.lineEnd(full.EndByte), end)
		if to <= from {
			continue
		}
		c.gap(from, def)
		switch {
		case c.fits(c.done, to):
			c.add(to, child)
		default:
			c.split(to, child)
		}
	}
	c.gap(end, def)
}

// gap makes pieces of the code in [done, end) that is no definition of its own. White space joins the piece before it.
func (c *chunker) gap(end, def int) {
	if end <= c.done {
		return
	}
	if len(bytes.TrimSpace(c.content[c.done:end])) == 0 {
		if last := len(c.pieces) - 1; last >= 0 {
			c.pieces[last].end, c.done = end, end
		} else if end == len(c.content) {
			c.add(end, def)
		}
		return // at the beginning of the file it joins the next piece
	}
	for !c.fits(c.done, end) {
		at := c.border(c.done, end)
		if at >= end {
			break
		}
		c.add(at, def)
	}
	c.add(end, def)
}

func (c *chunker) add(end, def int) {
	c.pieces = append(c.pieces, piece{start: c.done, end: end, def: def})
	c.done = end
}

func (c *chunker) fits(start, end int) bool {
	return end-start <= maxChunkBytes && c.lineCount(start, end) <= maxChunkLines
}

func (c *chunker) lineCount(start, end int) int {
	return c.lines.At(max(start, end-1)) - c.lines.At(start) + 1
}

// border finds the best place in (start, end) for a cut: within the size limits, at the beginning of a line, with few
// nodes around it, late. Where the limits hold no border at all, the next one after them; where there is none, end.
func (c *chunker) border(start, end int) int {
	limit := min(end-1, start+maxChunkBytes, c.lines.Start(c.lines.At(start)+maxChunkLines))
	first := sort.Search(len(c.borders), func(i int) bool { return c.borders[i].Offset > start })
	best, bestRank := 0, [3]int{}
	for _, b := range c.borders[first:] {
		at := max(c.lineStart(b.Offset), start)
		if at <= start {
			continue
		}
		if at > limit {
			if best == 0 {
				return min(at, end)
			}
			break
		}
		rank := [3]int{0, 0, b.Depth}
		if at == b.Offset && c.lines.Start(c.lines.At(at)) != at {
			rank[0] = 1
		}
		if at-start < (limit-start)/3 {
			rank[1] = 1
		}
		if best == 0 || !less(bestRank, rank) {
			best, bestRank = at, rank
		}
	}
	if best == 0 {
		return end
	}
	return best
}

func less(a, b [3]int) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// lineStart moves an offset to the start of its line when only blanks stand between.
func (c *chunker) lineStart(offset int) int {
	at := offset
	for at > 0 && (c.content[at-1] == ' ' || c.content[at-1] == '\t') {
		at--
	}
	if at == 0 || c.content[at-1] == '\n' {
		return at
	}
	return offset
}

// lineEnd moves the end of a definition behind the end of its line when only blanks and closing signs stand between.
func (c *chunker) lineEnd(offset int) int {
	for at := offset; at < len(c.content); at++ {
		switch c.content[at] {
		case '\n':
			return at + 1
		case ' ', '\t', '\r', ';', ',', ')', ']', '}':
		default:
			return offset
		}
	}
	return len(c.content)
}

// chunks joins small neighbours and gives each piece its heading.
func (c *chunker) chunks() ([]Chunk, bool) {
	joined := c.pieces[:0]
	for _, p := range c.pieces {
		p.small = c.lineCount(p.start, p.end) < smallChunkLines
		last := len(joined) - 1
		switch {
		case last >= 0 && c.join(joined[last], p):
			joined[last].end = p.end
			joined[last].def = c.common(joined[last].def, p.def)
		default:
			joined = append(joined, p)
		}
	}
	if len(joined) > MaxChunks {
		joined = joined[:MaxChunks]
		joined[MaxChunks-1].end, joined[MaxChunks-1].def = len(c.content), NoDefinition
		return c.finish(joined), true
	}
	return c.finish(joined), false
}

// join reports whether the piece p may become part of the chunk before it.
func (c *chunker) join(chunk, p piece) bool {
	return chunk.small && p.small && p.end-chunk.start <= maxChunkBytes &&
		c.lineCount(chunk.start, p.end) <= joinedChunkLines
}

// common returns the innermost definition that a and b are or lie in.
func (c *chunker) common(a, b int) int {
	for a != b {
		if a < b {
			a, b = b, a
		}
		a = c.defs[a].Parent // the larger index is never around the smaller one
	}
	return a
}

func (c *chunker) finish(pieces []piece) []Chunk {
	chunks := make([]Chunk, 0, len(pieces))
	for _, p := range pieces {
		chunk := Chunk{Range: c.lines.Range(p.start, p.end), Definition: p.def}
		if p.def != NoDefinition && c.defs[p.def].Range.StartByte < p.start {
			chunk.Heading = c.defs[p.def].Signature
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

// lineBorders makes borders for text without a tree: before each line, better after an empty one, and between words of
// very long lines.
func lineBorders(content []byte, lines *Lines) []Border {
	borders := make([]Border, 0, lines.Count())
	empty := false
	for n := 1; n <= lines.Count(); n++ {
		start, end := lines.Start(n), lines.Start(n+1)
		blank := len(bytes.TrimSpace(content[start:end])) == 0
		depth := 1
		if empty && !blank {
			depth = 0
		}
		if empty = blank; start > 0 && !blank {
			borders = append(borders, Border{Offset: start, Depth: depth})
		}
		if end-start > maxChunkBytes {
			borders = appendWordBorders(borders, content, start, end)
		}
	}
	return borders
}

func appendWordBorders(borders []Border, content []byte, start, end int) []Border {
	for at := start + 1; at < end; at++ {
		if before := content[at-1]; (before == ' ' || before == '\t') && content[at] != ' ' && content[at] != '\t' {
			borders = append(borders, Border{Offset: at, Depth: 2})
		}
	}
	return borders
}
