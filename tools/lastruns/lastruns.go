// Package lastruns keeps reports of what takes too long to be run at once: a Markdown table with a row for each thing that is
// run, which holds its last run and the commit of that.
package lastruns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// never stands in the rows of what has not been run.
const never = "not run yet"

// Page is such a report.
type Page struct {
	// Head is the Markdown before the table.
	Head string
	// Columns are the table's, without the last one, which says when and of which commit. The first Keys of them tell rows apart.
	Columns []string
	Keys    int
}

// Update writes the page to the file at path: in the order of keys the row of each, which is the one of rows with that key, else
// the one that stands there already. Rows of other keys are dropped. A row has a cell for each of Columns, and stamp says of what
// it was run.
func (p Page) Update(path, stamp string, keys, rows [][]string) error {
	text, err := os.ReadFile(path) //nolint:gosec // the caller's own report
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kept := read(string(text), len(p.Columns)+1)
	for _, row := range rows {
		kept = append(kept, append(cells(row), stamp))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", p.Head)
	line(&b, append(slices.Clone(p.Columns), "run"))
	line(&b, slices.Repeat([]string{"---"}, len(p.Columns)+1))
	for _, key := range keys {
		row := append(cells(key), slices.Repeat([]string{""}, len(p.Columns)-len(key))...)
		row = append(row, never)
		for _, old := range kept { // the last one counts
			if slices.Equal(old[:p.Keys], row[:p.Keys]) {
				row = old
			}
		}
		line(&b, row)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644) //nolint:gosec // a page for everybody
}

// Stamp is the date, the commit, with a plus where something but documentation was changed since, and the machine. Ask for it
// before the run.
func Stamp(ctx context.Context) (string, error) {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("name the commit: %w", err)
	}
	changes, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/", ":!/docs").Output()
	if err != nil {
		return "", fmt.Errorf("look for changes: %w", err)
	}
	return fmt.Sprintf("%s, %s%s, %s/%s, %d CPUs, %s", time.Now().UTC().Format(time.DateOnly), strings.TrimSpace(string(commit)),
		strings.Repeat("+", min(len(changes), 1)), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version()), nil
}

// cells are texts as they stand in a table.
func cells(texts []string) []string {
	out := make([]string, len(texts), len(texts)+1)
	for i, t := range texts {
		out[i] = strings.TrimSpace(strings.NewReplacer("|", `\|`, "\n", " ").Replace(t))
	}
	return out
}

func line(b *strings.Builder, row []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(row, " | ")) }

// read returns the rows of a table with n columns, as they stand there.
func read(text string, n int) (rows [][]string) {
	for l := range strings.Lines(text) {
		row := strings.Split(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(l), "| "), " |"), " | ")
		if strings.HasPrefix(l, "| ") && len(row) == n && row[n-1] != never {
			rows = append(rows, row)
		}
	}
	return rows
}
