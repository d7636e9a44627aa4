package structure

import (
	"slices"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// looked returns the paths that the reviewer compared.
func looked(in review.Inspection) []string {
	all := pairs(in)
	out := make([]string, 0, len(all))
	for i := range all {
		out = append(out, all[i].file.Path)
	}
	return out
}

// parseLimits names the files in which the grammar failed over a changed line, or altogether.
func parseLimits(in review.Inspection) map[string][]finding.Reason {
	out := make(map[string][]finding.Reason)
	all := pairs(in)
	for i := range all {
		p := &all[i]
		newLines, oldLines := p.file.TouchedLines()
		if failed(p.old, oldLines) || failed(p.new, newLines) {
			limit(out, p.file.Path, finding.ReasonParseErrors)
		}
	}
	return out
}

func failed(code *review.Code, touched []int) bool {
	if code == nil || code.Status == review.ParseNoGrammar {
		return false
	}
	if !code.Usable() {
		return true
	}
	for _, n := range touched {
		if code.Broken(review.Span{StartLine: n, EndLine: n}) {
			return true
		}
	}
	return false
}

func limit(limits map[string][]finding.Reason, path string, r finding.Reason) {
	if !slices.Contains(limits[path], r) {
		limits[path] = append(limits[path], r)
	}
}
