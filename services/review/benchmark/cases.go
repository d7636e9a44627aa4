package benchmark

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// The sets of cases.
const (
	SetPulls     = "aacr"             // pull requests with comments that experts accepted or rejected
	SetReversals = "swebench-reverse" // bug fixes put back
	SetFixes     = "swebench-fix"     // the same fixes as they were made: what is found there is counted as found on a clean commit
)

// maxRow bounds one row of a file of cases in bytes.
const maxRow = 64 << 20

// A Case is one change to review.
type Case struct {
	ID, Set, Language string
	// Diff is the change; where the sides are known, Base and Head hold the changed files by path.
	Diff       string
	Base, Head map[string]string
	// Golden are the places of accepted comments, Rejected those of rejected ones.
	Golden, Rejected []Place
}

// Place is a range of lines in the new file.
type Place struct {
	Path       string
	Start, End int
	// Serious marks defects and security problems; the others are mostly a matter of taste.
	Serious bool
}

type row struct {
	ID, Language, Diff string
	Golden             []comment
	Rejected           []comment `json:"invalid_comments"`
}

type comment struct {
	Path      string
	Line      int
	StartLine *int `json:"start_line"`
	Category  string
}

func (c comment) place() Place {
	p := Place{Path: c.Path, Start: c.Line, End: c.Line, Serious: c.Category == "" || c.Category == "Code Defect" || c.Category == "Security Vulnerability"}
	if c.StartLine != nil && *c.StartLine > 0 && *c.StartLine < c.Line {
		p.Start = *c.StartLine
	}
	return p
}

func places(in []comment) []Place {
	out := make([]Place, 0, len(in))
	for _, c := range in {
		out = append(out, c.place())
	}
	return out
}

// Load reads the cases of a folder: aacr.jsonl with aacr.files.jsonl.gz, and swebench_lite_reverse.dev.jsonl. Each
// reversal gives two cases: the bug put back, and its fix.
func Load(dir string) ([]Case, error) {
	var out []Case
	at := make(map[string]int)
	err := each(filepath.Join(dir, "aacr.jsonl"), func(r row) {
		at[r.ID] = len(out)
		out = append(out, Case{
			ID: r.ID, Set: SetPulls, Language: r.Language, Diff: r.Diff, Base: map[string]string{}, Head: map[string]string{},
			Golden: places(r.Golden), Rejected: places(r.Rejected),
		})
	})
	if err != nil {
		return nil, err
	}
	err = each(filepath.Join(dir, "aacr.files.jsonl.gz"), func(f struct{ ID, Side, Path, Text string }) {
		i, ok := at[f.ID]
		if !ok {
			return
		}
		if f.Side == "base" {
			out[i].Base[f.Path] = f.Text
		} else {
			out[i].Head[f.Path] = f.Text
		}
	})
	if err != nil {
		return nil, err
	}
	var fixes []Case
	err = each(filepath.Join(dir, "swebench_lite_reverse.dev.jsonl"), func(r row) {
		out = append(out, Case{ID: r.ID, Set: SetReversals, Language: r.Language, Diff: r.Diff, Golden: places(r.Golden)})
		fixes = append(fixes, Case{ID: r.ID, Set: SetFixes, Language: r.Language, Diff: reverse(r.Diff)})
	})
	return append(out, fixes...), err
}

func each[T any](file string, fn func(T)) error {
	f, err := os.Open(file) //nolint:gosec // the user names the folder
	if err != nil {
		return fmt.Errorf("read cases: %w", err)
	}
	var r io.Reader = f
	if strings.HasSuffix(file, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return errors.Join(fmt.Errorf("read cases of %s: %w", file, err), f.Close())
		}
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), maxRow)
	for n := 1; lines.Scan(); n++ {
		var v T
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return errors.Join(fmt.Errorf("read cases of %s: row %d: %w", file, n, err), f.Close())
		}
		fn(v)
	}
	return errors.Join(lines.Err(), f.Close())
}

// reverse turns a diff around.
func reverse(diff string) string {
	var out, added []string
	flush := func() { out, added = append(out, added...), nil }
	inHunk := false
	for line := range strings.SplitSeq(strings.TrimSuffix(diff, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "diff "):
			flush()
			inHunk = false
			out = append(out, line)
		case !inHunk && strings.HasPrefix(line, "--- "):
			added = append(added, "+++ b/"+strings.TrimPrefix(line[4:], "a/")) // after the other side's name
		case !inHunk && strings.HasPrefix(line, "+++ "):
			out = append(out, "--- a/"+strings.TrimPrefix(line[4:], "b/"))
			flush()
		case strings.HasPrefix(line, "@@ "):
			flush()
			inHunk = true
			fields := strings.SplitN(line, " ", 4)
			heading := "@@ -" + strings.TrimPrefix(fields[2], "+") + " +" + strings.TrimPrefix(fields[1], "-")
			out = append(out, heading+" "+strings.Join(fields[3:], " "))
		case inHunk && strings.HasPrefix(line, "-"):
			added = append(added, "+"+line[1:]) // removed lines come first
		case inHunk && strings.HasPrefix(line, "+"):
			out = append(out, "-"+line[1:])
		default:
			flush()
			out = append(out, line)
		}
	}
	flush()
	return strings.Join(out, "\n") + "\n"
}
