package git

import (
	"fmt"
	"strconv"
	"strings"

	"witan.dev/internal/diff"
)

// entry is one path of `git diff --raw --numstat -z`.
type entry struct {
	diff.File

	added, deleted int
}

// fields walks NUL-terminated fields.
type fields struct{ rest string }

func (f *fields) next() (string, bool) {
	field, rest, ok := strings.Cut(f.rest, "\x00")
	f.rest = rest
	return field, ok
}

// parseList reads the raw entries and then the counts, which stand in the same order.
func parseList(out []byte) ([]*entry, error) {
	f := &fields{rest: string(out)}
	var entries []*entry
	for strings.HasPrefix(f.rest, ":") {
		e, err := parseRaw(f)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	for _, e := range entries {
		if err := e.parseCounts(f); err != nil {
			return nil, err
		}
	}
	if f.rest != "" {
		return nil, fmt.Errorf("%w: %.80q after the list", ErrInconsistent, f.rest)
	}
	return entries, nil
}

// parseRaw reads ":<mode> <mode> <blob> <blob> <status>", the path and, for renames and copies, the second path.
func parseRaw(f *fields) (*entry, error) {
	head, _ := f.next()
	words := strings.Fields(strings.TrimPrefix(head, ":"))
	path, ok := f.next()
	if len(words) != 5 || !ok {
		return nil, fmt.Errorf("%w: entry %.80q", ErrInconsistent, head)
	}
	e := &entry{File: diff.File{OldBlob: words[2], NewBlob: words[3], OldPath: path, NewPath: path, Change: diff.Change(words[4][0])}}
	var err error
	if e.OldMode, err = parseMode(words[0]); err != nil {
		return nil, err
	}
	if e.NewMode, err = parseMode(words[1]); err != nil {
		return nil, err
	}
	switch e.Change {
	case diff.Added:
		e.OldPath = ""
	case diff.Deleted:
		e.NewPath = ""
	case diff.Renamed, diff.Copied:
		e.Score, _ = strconv.Atoi(words[4][1:])
		if e.NewPath, ok = f.next(); !ok {
			return nil, fmt.Errorf("%w: entry %.80q lacks its second path", ErrInconsistent, head)
		}
	case diff.Modified, diff.TypeChanged:
	default:
		return nil, fmt.Errorf("%w: status %.10q", ErrInconsistent, words[4])
	}
	for _, p := range []string{e.OldPath, e.NewPath} {
		if p == "" {
			continue
		}
		if err := diff.CheckPath(p); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func parseMode(octal string) (diff.Mode, error) {
	n, err := strconv.ParseUint(octal, 8, 32)
	if err != nil {
		return 0, fmt.Errorf("%w: mode %.10q", ErrInconsistent, octal)
	}
	return diff.Mode(n), nil
}

// parseCounts reads "<added>\t<deleted>\t<path>", where a rename has an empty path and both paths behind it. Dashes
// stand for a binary file.
func (e *entry) parseCounts(f *fields) error {
	row, ok := f.next()
	words := strings.SplitN(row, "\t", 3)
	if !ok || len(words) != 3 {
		return fmt.Errorf("%w: counts %.80q", ErrInconsistent, row)
	}
	path := words[2]
	if path == "" {
		_, _ = f.next()
		path, _ = f.next()
	}
	if path != e.Path() {
		return fmt.Errorf("%w: counts of %s where %s is due", ErrInconsistent, diff.QuotePath(path), diff.QuotePath(e.Path()))
	}
	if words[0] == "-" {
		e.Binary = true
		return nil
	}
	var err error
	if e.added, err = strconv.Atoi(words[0]); err != nil {
		return fmt.Errorf("%w: counts %.80q", ErrInconsistent, row)
	}
	if e.deleted, err = strconv.Atoi(words[1]); err != nil {
		return fmt.Errorf("%w: counts %.80q", ErrInconsistent, row)
	}
	return nil
}
