package git

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Diff is what git says about the difference of two trees, with renames found at 50 % and three lines of context.
type Diff struct {
	// Patch is git's text, as GitHub's diff media type has it.
	Patch []byte
	Files []Changed
}

// Changed is one changed file.
type Changed struct {
	// Status is git's letter: A, C, D, M, R or T.
	Status           byte
	OldPath, Path    string
	OldMode, NewMode string
	OldID, NewID     string
	Added, Deleted   int
	Binary           bool
	// Patch is the text from the first hunk header on, empty where git shows no hunks.
	Patch string
	Hunks []Hunk
}

// Side is a side of the diff: the old file's or the new one's.
type Side string

// The sides by the names that GitHub gives them.
const (
	Left  Side = "LEFT"
	Right Side = "RIGHT"
)

// Hunk is one hunk of a file's patch.
type Hunk struct {
	OldStart, OldLines, NewStart, NewLines int
	// Header is its whole first line.
	Header string
	// Lines are the lines below the header with their first character, "\ No newline at end of file" included.
	Lines []string
	// Position is GitHub's number of the header; of the first hunk it is 0.
	Position int
}

// Place is where a line of a file stands in its diff.
type Place struct {
	// Hunk counts from 0.
	Hunk int
	// Position is the number of lines below the file's first hunk header, later headers included.
	Position int
	// Excerpt is the hunk from its header to this line.
	Excerpt string
	// Text is the line without its first character.
	Text string
	// Changed says that the line was added or deleted, and is no context.
	Changed bool
}

// Find returns where the line of a side stands: RIGHT has added and context lines by their number in the new file, LEFT
// deleted and context lines by their number in the old one. It reports false for lines outside the hunks.
func (f *Changed) Find(side Side, line int) (Place, bool) {
	for i, h := range f.Hunks {
		number, count, skip := h.NewStart, h.NewLines, byte('-')
		if side == Left {
			number, count, skip = h.OldStart, h.OldLines, '+'
		}
		if line < number || line >= number+count {
			continue
		}
		for j, l := range h.Lines {
			if l[0] == skip || l[0] == '\\' {
				continue
			}
			if number == line {
				return Place{
					Hunk: i, Position: h.Position + j + 1, Text: l[1:], Changed: l[0] != ' ',
					Excerpt: strings.Join(append([]string{h.Header}, h.Lines[:j+1]...), "\n"),
				}, true
			}
			number++
		}
	}
	return Place{}, false
}

// File returns the change of the file that has this path on the new side, or had it, if it was deleted.
func (d *Diff) File(path string) (*Changed, bool) {
	for i := range d.Files {
		if d.Files[i].Path == path {
			return &d.Files[i], true
		}
	}
	return nil, false
}

// Lines counts the lines of the patch.
func (d *Diff) Lines() int { return strings.Count(string(d.Patch), "\n") }

// Diff compares two commits. Results are kept: the IDs name them for ever.
func (r *Repository) Diff(ctx context.Context, from, to string) (*Diff, error) {
	key := [2]string{from, to}
	r.mu.Lock()
	d := r.diffs[key]
	r.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := r.FreshDiff(ctx, from, to)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.diffs) > 256 {
		clear(r.diffs)
	}
	r.diffs[key] = d
	return d, nil
}

// FreshDiff compares two commits by asking git again.
func (r *Repository) FreshDiff(ctx context.Context, from, to string) (*Diff, error) {
	options := []string{"diff", "--no-color", "--no-ext-diff", "--no-textconv", "-M50%", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/"}
	raw, err := r.run(ctx, nil, append(options, "--raw", "--numstat", "-z", "--no-abbrev", from, to)...)
	if err != nil {
		return nil, err
	}
	patch, err := r.run(ctx, nil, append(options, "-U3", "-p", from, to)...)
	if err != nil {
		return nil, err
	}
	d := &Diff{Patch: patch}
	if d.Files, err = parseRaw(string(raw)); err != nil {
		return nil, err
	}
	return d, d.attach(string(patch))
}

// parseRaw reads the records of `git diff --raw --numstat -z`.
func parseRaw(raw string) ([]Changed, error) {
	fields := strings.Split(strings.TrimSuffix(raw, "\x00"), "\x00")
	var files []Changed
	counted := 0
	for i := 0; i < len(fields) && fields[i] != ""; {
		var err error
		if strings.HasPrefix(fields[i], ":") {
			var f Changed
			if f, i, err = rawRecord(fields, i); err == nil {
				files = append(files, f)
			}
		} else {
			if counted >= len(files) {
				return nil, fmt.Errorf("git counts more files than it lists: %q", fields[i])
			}
			i, err = countRecord(fields, i, &files[counted])
			counted++
		}
		if err != nil {
			return nil, err
		}
	}
	if counted != len(files) {
		return nil, fmt.Errorf("git lists %d files and counts %d", len(files), counted)
	}
	return files, nil
}

func rawRecord(fields []string, i int) (Changed, int, error) {
	f := strings.Fields(fields[i])
	if len(f) != 5 || i+1 >= len(fields) {
		return Changed{}, 0, fmt.Errorf("git lists a change as %q", fields[i])
	}
	c := Changed{OldMode: f[0][1:], NewMode: f[1], OldID: f[2], NewID: f[3], Status: f[4][0], OldPath: fields[i+1], Path: fields[i+1]}
	if c.Status == 'R' || c.Status == 'C' {
		if i+2 >= len(fields) {
			return Changed{}, 0, fmt.Errorf("git lists a rename as %q", fields[i])
		}
		c.Path = fields[i+2]
		return c, i + 3, nil
	}
	return c, i + 2, nil
}

func countRecord(fields []string, i int, c *Changed) (next int, err error) {
	f := strings.SplitN(fields[i], "\t", 3)
	if len(f) != 3 {
		return 0, fmt.Errorf("git counts a change as %q", fields[i])
	}
	next = i + 1
	path := f[2]
	if path == "" && i+2 < len(fields) { // a rename has both names behind it
		path, next = fields[i+2], i+3
	}
	if path != c.Path {
		return 0, fmt.Errorf("git counts %q where it lists %q", path, c.Path)
	}
	if c.Binary = f[0] == "-"; c.Binary {
		return next, nil
	}
	if c.Added, err = strconv.Atoi(f[0]); err == nil {
		c.Deleted, err = strconv.Atoi(f[1])
	}
	return next, err
}

// attach gives each file the hunks of its section: git writes the sections in the order of its list, and two of them
// for a change of type. A line of a hunk never starts like a section.
func (d *Diff) attach(patch string) error {
	var sections []string
	for rest := patch; rest != ""; {
		end := strings.Index(rest, "\ndiff --git ")
		if end < 0 {
			sections, rest = append(sections, rest), ""
		} else {
			sections, rest = append(sections, rest[:end+1]), rest[end+1:]
		}
	}
	for i := range d.Files {
		n := 1
		if d.Files[i].Status == 'T' {
			n = 2
		}
		if len(sections) < n {
			return fmt.Errorf("git's patch has no section for %s", d.Files[i].Path)
		}
		if err := d.Files[i].read(sections[n-1]); err != nil {
			return err
		}
		sections = sections[n:]
	}
	if len(sections) != 0 {
		return fmt.Errorf("git's patch has %d sections more than changed files", len(sections))
	}
	return nil
}

func (f *Changed) read(section string) error {
	start := strings.Index(section, "\n@@ ")
	if start < 0 {
		return nil
	}
	f.Patch = strings.TrimSuffix(section[start+1:], "\n")
	var err error
	f.Hunks, err = Hunks(f.Patch)
	if err != nil {
		return fmt.Errorf("patch of %s: %w", f.Path, err)
	}
	return nil
}

// Hunks reads the hunks of one file's patch, which starts with a hunk header. The counts of a header must agree with
// the lines below it.
func Hunks(patch string) ([]Hunk, error) {
	var hunks []Hunk
	oldLeft, newLeft := 0, 0
	for i, line := range strings.Split(patch, "\n") {
		switch {
		case oldLeft == 0 && newLeft == 0 && strings.HasPrefix(line, "@@ "):
			h, err := header(line)
			if err != nil {
				return nil, err
			}
			h.Position = i
			hunks, oldLeft, newLeft = append(hunks, h), h.OldLines, h.NewLines
			continue
		case len(hunks) == 0 || line == "":
			return nil, fmt.Errorf("line %d stands in no hunk: %q", i+1, line)
		case line[0] == ' ':
			oldLeft, newLeft = oldLeft-1, newLeft-1
		case line[0] == '-':
			oldLeft--
		case line[0] == '+':
			newLeft--
		case line[0] == '\\':
		default:
			return nil, fmt.Errorf("line %d has no known first character: %q", i+1, line)
		}
		if oldLeft < 0 || newLeft < 0 {
			return nil, fmt.Errorf("line %d is more than its header counts", i+1)
		}
		h := &hunks[len(hunks)-1]
		h.Lines = append(h.Lines, line)
	}
	if oldLeft != 0 || newLeft != 0 {
		return nil, fmt.Errorf("the last hunk lacks %d old and %d new lines", oldLeft, newLeft)
	}
	return hunks, nil
}

// header reads "@@ -a,b +c,d @@ …"; a missing count is 1.
func header(line string) (Hunk, error) {
	h := Hunk{Header: line}
	f := strings.SplitN(line, " ", 5)
	if len(f) < 4 || f[3] != "@@" || !strings.HasPrefix(f[1], "-") || !strings.HasPrefix(f[2], "+") {
		return h, fmt.Errorf("no hunk header: %q", line)
	}
	var err error
	if h.OldStart, h.OldLines, err = span(f[1][1:]); err == nil {
		h.NewStart, h.NewLines, err = span(f[2][1:])
	}
	return h, err
}

func span(s string) (start, count int, err error) {
	first, second, counted := strings.Cut(s, ",")
	count = 1
	if start, err = strconv.Atoi(first); err == nil && counted {
		count, err = strconv.Atoi(second)
	}
	return start, count, err
}

// MapLine returns where a line of a file of one commit stands in another commit: its path and number there, or false
// where it was changed or removed on the way.
func (r *Repository) MapLine(ctx context.Context, from, to, path string, line int) (newPath string, newLine int, ok bool, err error) {
	if from == to {
		return path, line, true, nil
	}
	d, err := r.Diff(ctx, from, to)
	if err != nil {
		return "", 0, false, err
	}
	for i := range d.Files {
		f := &d.Files[i]
		if f.OldPath != path || f.Status == 'A' || f.Status == 'C' {
			continue
		}
		if f.Status == 'D' || f.Binary {
			return "", 0, false, nil
		}
		newLine, ok = f.carry(line)
		return f.Path, newLine, ok, nil
	}
	return path, line, true, nil
}

// carry follows a line of the old file into the new one.
func (f *Changed) carry(line int) (int, bool) {
	offset := 0
	for _, h := range f.Hunks {
		if line < h.OldStart {
			break
		}
		if line >= h.OldStart+h.OldLines {
			offset += h.NewLines - h.OldLines
			continue
		}
		old, current := h.OldStart, h.NewStart
		for _, l := range h.Lines {
			switch l[0] {
			case ' ':
				if old == line {
					return current, true
				}
				old, current = old+1, current+1
			case '-':
				if old == line {
					return 0, false
				}
				old++
			case '+':
				current++
			}
		}
	}
	return line + offset, true
}
