package worker

import (
	"slices"
	"strings"

	"witan.dev/services/council"
)

const (
	excerptAround = 12 // lines before and after the quoted ones
	excerptBytes  = 6 << 10
)

// excerpts finds quoted code in the material: each part is read once, however many claims quote it. For one goroutine.
type excerpts struct {
	parts []council.MaterialPart
	read  []*partLines
}

// partLines are the lines of a part and where each bare one stands first.
type partLines struct {
	lines []string
	first map[string]int
}

func newExcerpts(parts []council.MaterialPart) *excerpts {
	return &excerpts{parts: parts, read: make([]*partLines, len(parts))}
}

// of is the code that a proposal quotes with the lines around it as they stand in the material, or the quoted code alone.
func (x *excerpts) of(p council.Proposal) string {
	quoted := strings.Split(strings.TrimSpace(p.Code), "\n")
	first := bareLine(quoted[0])
	if first == "" {
		return cut(p.Code)
	}
	for i, part := range x.parts {
		if len(part.Paths) > 0 && !slices.Contains(part.Paths, p.Path) {
			continue
		}
		text := x.part(i)
		if at, found := text.first[first]; found {
			from, to := max(0, at-excerptAround), min(len(text.lines), at+len(quoted)+excerptAround)
			return cut(strings.Join(text.lines[from:to], "\n"))
		}
	}
	return cut(p.Code)
}

func (x *excerpts) part(i int) *partLines {
	if x.read[i] != nil {
		return x.read[i]
	}
	out := &partLines{lines: strings.Split(x.parts[i].Text, "\n"), first: map[string]int{}}
	for at, line := range out.lines {
		line = bareLine(line)
		if _, found := out.first[line]; !found {
			out.first[line] = at
		}
	}
	x.read[i] = out
	return out
}

// bareLine drops blanks and the marks of a diff.
func bareLine(line string) string {
	line = strings.TrimSpace(line)
	if line != "" && (line[0] == '+' || line[0] == '-') {
		line = line[1:]
	}
	return strings.TrimSpace(line)
}

func cut(text string) string {
	if len(text) <= excerptBytes {
		return text
	}
	return strings.ToValidUTF8(text[:excerptBytes], "") + "\n…"
}
