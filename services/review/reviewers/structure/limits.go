package structure

import (
	"slices"

	"witan.dev/internal/finding"
	"witan.dev/services/review"
)

// looked returns the paths that the reviewer compared.
func looked(in review.Inspection) []review.Path {
	all := pairs(in)
	out := make([]review.Path, 0, len(all))
	for i := range all {
		out = append(out, review.Path(all[i].file.Path))
	}
	return out
}

// parseLimits names the files in which the grammar failed over a changed line, or altogether.
func parseLimits(in review.Inspection) map[review.Path][]finding.Reason {
	out := make(map[review.Path][]finding.Reason)
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

func limit(limits map[review.Path][]finding.Reason, path string, r finding.Reason) {
	at := review.Path(path)
	if !slices.Contains(limits[at], r) {
		limits[at] = append(limits[at], r)
	}
}
