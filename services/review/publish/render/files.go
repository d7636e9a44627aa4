package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"witan.dev/internal/diff"
	"witan.dev/internal/finding"
)

const (
	// tableRows is how many files stand in a table; more are listed by their folders.
	tableRows = 200
	// maxCounts is what the counts of files without a row of their own may take, in bytes.
	maxCounts = 6_000
	// maxDepth is how many names of folders such a count may have.
	maxDepth = 12
)

// files lists every changed file with its status, folded.
func (o *Overview) files(t *body) {
	c := o.Report.Coverage
	if len(c.Files) == 0 {
		return
	}
	line := finding.EscapeHTML(finding.CoverageLine(c))
	inner := newBody(t.room - len(line) - 100)
	o.inventory(inner)
	t.add("<details><summary>Coverage: %s</summary>\n\n%s\n\n</details>", line, inner.end(""))
}

// unread is the room, in bytes, that naming the files takes of which not everything was read, and counting the others.
func (o *Overview) unread() int {
	files := o.Report.Coverage.Files
	n := min(maxCounts, 300*len(files)) + 500
	for i := range files {
		if files[i].Status != finding.Reviewed {
			n += 2*len(files[i].Path) + 100
		}
	}
	return n
}

// fits says whether a text holds a row for each file.
func (o *Overview) fits(t *body) bool {
	files := inOrder(o.Report.Coverage.Files)
	if _, all := table(t.room, files); all {
		return true
	}
	_, rest := folders(t.room, files)
	return len(rest) == 0
}

// inventory gives every changed file a row, those first of which not everything was read: in a table where there are few
// files, else by folder, and going on in the next text where one is full. Files whose row fits nowhere are counted in the
// last text, by status and by the folders that fit.
func (o *Overview) inventory(texts ...*body) {
	files := inOrder(o.Report.Coverage.Files)
	if rows, all := table(texts[0].room, files); all {
		texts[0].add("%s", rows)
		return
	}
	last := texts[len(texts)-1]
	blocks, rest := spread(files, texts)
	kept := 0
	if len(rest) > 0 {
		kept = last.keep(maxCounts)
		blocks, rest = spread(files, texts)
	}
	for i, t := range texts {
		t.add("%s", blocks[i])
	}
	last.room += kept
	if len(rest) > 0 {
		last.add("%s", o.counts(last.room, rest))
	}
}

func spread(files []finding.FileCoverage, texts []*body) (blocks []string, rest []finding.FileCoverage) {
	blocks, rest = make([]string, len(texts)), files
	for i, t := range texts {
		blocks[i], rest = folders(t.room, rest)
	}
	return blocks, rest
}

// inOrder sorts files by how much of them was read, what makes the review incomplete first.
func inOrder(files []finding.FileCoverage) []finding.FileCoverage {
	files = slices.Clone(files)
	rank := func(f *finding.FileCoverage) int {
		switch {
		case f.Incomplete():
			return 0
		case f.Status != finding.Reviewed:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(files, func(a, b finding.FileCoverage) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(b.Status, a.Status), cmp.Compare(a.Note(), b.Note()), cmp.Compare(a.Path, b.Path))
	})
	return files
}

// table reports whether there are few enough files for one, and it fits.
func table(room int, files []finding.FileCoverage) (string, bool) {
	if len(files) > tableRows {
		return "", false
	}
	var b strings.Builder
	b.WriteString("| file | change | status | why |\n|---|---|---|---|")
	for i := range files {
		f := &files[i]
		fmt.Fprintf(&b, "\n| %s | %s | %s | %s |", finding.CodeSpan(shown(f)), f.Change, strings.ToLower(f.Status.String()), because(f))
	}
	return b.String(), b.Len()+2 <= room
}

func because(f *finding.FileCoverage) string {
	reasons := f.Note()
	if f.CarriedFrom != "" {
		reasons = strings.TrimPrefix(reasons+", unchanged since an earlier review", ", ")
	}
	return finding.EscapeMarkdown(reasons)
}

func shown(f *finding.FileCoverage) string { return diff.DisplayPath(f.Path) }

// folders writes files in a fence, under a line for each status and folder, and returns those whose rows do not fit.
func folders(room int, files []finding.FileCoverage) (block string, rest []finding.FileCoverage) {
	var b strings.Builder
	status, folder, ticks := "", "\x00", 0
	for i := range files {
		f := &files[i]
		path := finding.Visible(shown(f))
		dir, name := "", path
		if at := strings.LastIndexByte(path, '/'); at >= 0 && !strings.HasPrefix(path, `"`) {
			dir, name = path[:at+1], path[at+1:]
		}
		now := strings.ToLower(f.Status.String())
		if reasons := f.Note(); reasons != "" {
			now += ": " + reasons
		}
		var lines string
		if now != status {
			lines = now + "\n"
		}
		if now != status || dir != folder {
			lines += " " + cmp.Or(dir, "./") + "\n"
		}
		lines += "  " + f.Change + " " + name + "\n"
		longest := max(ticks, strings.Count(lines, "`")) // the fence is longer than any of the text
		if b.Len()+len(lines)+2*longest+30 > room {
			rest = append(rest, *f)
			continue
		}
		status, folder, ticks = now, dir, longest
		b.WriteString(lines)
	}
	if b.Len() == 0 {
		return "", rest
	}
	return finding.FenceMarkdown(b.String()), rest
}

// counts says how many files there are of each status, and in which folders as far as that fits.
func (o *Overview) counts(room int, files []finding.FileCoverage) string {
	where := link("the job", o.Address) + " has them all"
	if o.Report.Name != "" {
		where += ", as JSON at " + finding.CodeSpan("/v1/"+shorten(o.Report.Name, 200)+":export")
	}
	text := fmt.Sprintf("%d more files do not fit here; %s.", len(files), where)
	for depth := maxDepth; depth >= 0; depth-- {
		if all := text + "\n\n" + finding.FenceMarkdown(tally(files, depth)); len(all)+2 <= room {
			return all
		}
	}
	return text
}

func tally(files []finding.FileCoverage, depth int) string {
	folders, statuses := map[finding.CoverageStatus]map[string]int{}, []finding.CoverageStatus{}
	for i := range files {
		s := files[i].Status
		if folders[s] == nil {
			folders[s] = map[string]int{}
			statuses = append(statuses, s)
		}
		folders[s][parent(files[i].Path, depth)]++
	}
	var b strings.Builder
	for _, s := range statuses {
		total := 0
		var rows []string
		for dir, n := range folders[s] {
			total += n
			rows = append(rows, fmt.Sprintf(" %s %d\n", finding.Visible(cmp.Or(diff.DisplayPath(dir), "./")), n))
		}
		slices.Sort(rows)
		fmt.Fprintf(&b, "%s: %d\n", strings.ToLower(s.String()), total)
		if depth > 0 {
			b.WriteString(strings.Join(rows, ""))
		}
	}
	return b.String()
}

// parent is the folder of a path, at most so many folders deep.
func parent(path string, depth int) string {
	end := 0
	for ; depth > 0; depth-- {
		at := strings.IndexByte(path[end:], '/')
		if at < 0 {
			break
		}
		end += at + 1
	}
	return path[:end]
}
