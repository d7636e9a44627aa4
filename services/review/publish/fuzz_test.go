package publish_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
	"witan.dev/services/review"
	"witan.dev/services/review/publish"
)

// standing are the lines of one side of a file that a diff shows, with their hunks. On the left only deleted ones can be commented.
func standing(f *review.File, side diff.Side) map[int]int {
	lines := map[int]int{}
	for h := range f.Hunks {
		before, after := f.Hunks[h].OldStart, f.Hunks[h].NewStart
		for _, l := range f.Hunks[h].Lines {
			switch {
			case l.Op == '-' && side == diff.Left:
				lines[before] = h
			case l.Op != '-' && side == diff.Right:
				lines[after] = h
			}
			if l.Op != '+' {
				before++
			}
			if l.Op != '-' {
				after++
			}
		}
	}
	return lines
}

// FuzzPositions places a finding anywhere in any diff. Lines are counted here from the hunks' headers, not read from them.
func FuzzPositions(f *testing.F) {
	f.Add([]byte("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n d\n@@ -9 +9,2 @@\n e\n+f\n"), uint8(0), false, 1, 9)
	f.Add([]byte("diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -4,2 +4 @@\n-a\n b\n"), uint8(0), true, 4, 5)
	f.Fuzz(func(t *testing.T, patch []byte, which uint8, left bool, start, end int) {
		parsed, err := diff.Parse(patch)
		if err != nil || len(parsed.Files) == 0 {
			return
		}
		change := &review.Change{Files: review.Files(parsed)}
		file := &change.Files[int(which)%len(change.Files)]
		l := finding.Location{Path: file.Path, OldPath: file.OldPath, Side: diff.Right, StartLine: start, EndLine: end}
		if left {
			l.Side = diff.Left
		}
		p, reason := publish.Locate(change, &l)
		if reason != "" {
			return
		}
		at := change.File(p.Path)
		require.NotNil(t, at)
		lines := standing(at, p.Side)
		hunk, ok := lines[p.Line]
		require.True(t, ok, "%+v stands in no hunk", p)
		if p.StartLine != 0 {
			first, ok := lines[p.StartLine]
			require.True(t, ok, "%+v begins in no hunk", p)
			require.Equal(t, hunk, first, "one hunk holds all lines")
			require.Less(t, p.StartLine, p.Line)
		}
		if p.Side == l.Side {
			require.LessOrEqual(t, p.Line, l.EndLine)
			require.GreaterOrEqual(t, max(p.StartLine, p.Line), l.StartLine)
		}
	})
}
