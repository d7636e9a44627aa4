package finding

import (
	"cmp"
	"slices"
)

// Compare orders findings as every output shows them: worst severity first, then most votes, path, line, fingerprint.
func Compare(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(b.Severity, a.Severity),
		cmp.Compare(b.Tally.Margin(), a.Tally.Margin()),
		cmp.Compare(a.Location.Path, b.Location.Path),
		cmp.Compare(a.Location.StartLine, b.Location.StartLine),
		cmp.Compare(a.Fingerprint, b.Fingerprint),
		cmp.Compare(a.Name, b.Name),
	)
}

// Sort brings findings into the order of Compare; equal ones keep their places.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int { return Compare(&a, &b) })
}
