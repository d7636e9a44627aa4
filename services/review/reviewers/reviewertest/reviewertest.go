// Package reviewertest makes inspections for the tests of static reviewers.
package reviewertest

import (
	"maps"
	"slices"
	"testing"

	"witan.dev/services/review"
)

// around is how many unchanged lines a hunk shows before and after the changed ones.
const around = 3

// Inspection compares two states of a repository, files by their paths. renames maps new paths to old ones. The sides are
// known in full; nothing is parsed, and there is no tree.
func Inspection(t testing.TB, old, now, renames map[string]string) review.Inspection {
	t.Helper()
	c := &review.Change{}
	gone := make(map[string]bool)
	for path, from := range renames {
		if _, ok := now[path]; !ok || gone[from] {
			t.Fatalf("%s cannot be renamed from %s", path, from)
		}
		gone[from] = true
	}
	for _, path := range slices.Sorted(maps.Keys(now)) {
		from, change := path, review.Modified
		if renames[path] != "" {
			from, change = renames[path], review.Renamed
		} else if _, ok := old[path]; !ok {
			change = review.Added
		}
		if change == review.Modified && old[path] == now[path] {
			continue
		}
		c.Files = append(c.Files, file(path, from, change, old[from], now[path]))
	}
	for _, path := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[path]; !ok && !gone[path] {
			c.Files = append(c.Files, file(path, path, review.Deleted, old[path], ""))
		}
	}
	return review.Inspection{Change: c}
}

func file(path, from string, change review.ChangeKind, old, now string) review.File {
	f := review.File{
		Path: path, OldPath: from, Change: change, Nature: review.NatureText, Old: []byte(old), New: []byte(now),
		HasOld: change != review.Added, HasNew: change != review.Deleted,
		Hunks: Hunks(review.SplitLines([]byte(old)), review.SplitLines([]byte(now))),
	}
	if len(f.Hunks) == 0 {
		f.Nature = review.NatureUnchanged
	}
	for i := range f.Hunks {
		for _, l := range f.Hunks[i].Lines {
			switch l.Op {
			case '+':
				f.Added++
			case '-':
				f.Removed++
			}
		}
	}
	return f
}

// Hunks compares two texts line by line, by their longest common subsequence.
func Hunks(old, now []string) []review.Hunk {
	script := compare(old, now)
	var out []review.Hunk
	o, n, quiet := 1, 1, around+1
	for i, l := range script {
		near := slices.ContainsFunc(script[max(0, i-around):min(len(script), i+around+1)], func(l review.Line) bool { return l.Op != ' ' })
		if near {
			if quiet > 0 {
				out = append(out, review.Hunk{OldStart: o, NewStart: n})
			}
			h := &out[len(out)-1]
			h.Lines = append(h.Lines, l)
			quiet = 0
		} else {
			quiet++
		}
		if l.Op != '+' {
			o++
		}
		if l.Op != '-' {
			n++
		}
		if near && l.Op != '+' {
			out[len(out)-1].OldLines++
		}
		if near && l.Op != '-' {
			out[len(out)-1].NewLines++
		}
	}
	for i := range out { // a side without lines starts before them
		if out[i].OldLines == 0 {
			out[i].OldStart--
		}
		if out[i].NewLines == 0 {
			out[i].NewStart--
		}
	}
	return out
}

func compare(old, now []string) []review.Line {
	common := make([][]int, len(old)+1)
	for i := range common {
		common[i] = make([]int, len(now)+1)
	}
	for i, was := range slices.Backward(old) {
		for j, is := range slices.Backward(now) {
			if was == is {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out []review.Line
	i, j := 0, 0
	for i < len(old) || j < len(now) {
		switch {
		case i < len(old) && j < len(now) && old[i] == now[j]:
			out = append(out, review.Line{Op: ' ', Text: old[i]})
			i, j = i+1, j+1
		case j == len(now) || i < len(old) && common[i+1][j] >= common[i][j+1]:
			out = append(out, review.Line{Op: '-', Text: old[i]})
			i++
		default:
			out = append(out, review.Line{Op: '+', Text: now[j]})
			j++
		}
	}
	return out
}
