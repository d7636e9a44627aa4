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

// excerpt is the quoted code with the lines around it as they stand in the material, or the quoted code alone.
func excerpt(parts []council.MaterialPart, p council.Proposal) string {
	quoted := strings.Split(strings.TrimSpace(p.Code), "\n")
	first := bareLine(quoted[0])
	if first == "" {
		return cut(p.Code)
	}
	for _, part := range parts {
		if len(part.Paths) > 0 && !slices.Contains(part.Paths, p.Path) {
			continue
		}
		lines := strings.Split(part.Text, "\n")
		at := slices.IndexFunc(lines, func(line string) bool { return bareLine(line) == first })
		if at >= 0 {
			from, to := max(0, at-excerptAround), min(len(lines), at+len(quoted)+excerptAround)
			return cut(strings.Join(lines[from:to], "\n"))
		}
	}
	return cut(p.Code)
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
