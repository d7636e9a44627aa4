package gittree

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"witan.dev/services/retrieval"
)

// maxPath bounds a path, in bytes; git itself allows 4,096 on most systems.
const maxPath = 8 << 10

// List calls each with every entry of the tree below source, in git's order of paths. It stops at the first error of
// each and returns it, and refuses trees with more than retrieval.MaxTreeEntries entries.
func (g *Git) List(ctx context.Context, source retrieval.Source, tree string, each func(retrieval.Entry) error) error {
	if err := check(source); err != nil {
		return err
	}
	if !objectID(tree) {
		return fmt.Errorf("%w: not a full object ID", retrieval.ErrRevisionUnknown)
	}
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	cmd := g.command(ctx, source, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
	var stderr capped
	stderr.limit = maxStderr
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start git: %w", err)
	}
	listErr := entries(stdout, each)
	if listErr != nil {
		cancel()
	}
	waitErr := cmd.Wait()
	switch {
	case listErr != nil:
		return listErr
	case ctx.Err() != nil:
		return fmt.Errorf("list the tree: %w", context.Cause(ctx))
	case waitErr != nil:
		return errGit(waitErr, stderr.String())
	}
	return nil
}

func entries(r io.Reader, each func(retrieval.Entry) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxPath)
	lines.Split(untilNUL)
	for n := 0; lines.Scan(); n++ {
		if n == retrieval.MaxTreeEntries {
			return retrieval.ErrTreeTooLarge
		}
		e, err := entry(lines.Text())
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return lines.Err()
}

func untilNUL(data []byte, atEOF bool) (int, []byte, error) {
	for i, b := range data {
		if b == 0 {
			return i + 1, data[:i], nil
		}
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errors.New("git ls-tree: the listing ends in the middle of an entry")
	}
	return 0, nil, nil
}

// entry reads "<mode> <type> <id> <size>\t<path>".
func entry(line string) (retrieval.Entry, error) {
	head, path, tab := strings.Cut(line, "\t")
	fields := strings.Fields(head)
	if !tab || path == "" || len(fields) != 4 || !objectID(fields[2]) {
		return retrieval.Entry{}, fmt.Errorf("git ls-tree: unexpected line %.100q", line)
	}
	mode, err := strconv.ParseUint(fields[0], 8, 32)
	if err != nil {
		return retrieval.Entry{}, fmt.Errorf("git ls-tree: mode: %w", err)
	}
	e := retrieval.Entry{Path: quotePath(path), Mode: uint32(mode), Blob: fields[2]}
	if fields[3] != "-" {
		if e.Size, err = strconv.ParseInt(fields[3], 10, 64); err != nil {
			return retrieval.Entry{}, fmt.Errorf("git ls-tree: size: %w", err)
		}
	}
	return e, nil
}

// quotePath returns a path as it is where it is UTF-8, and as git quotes it otherwise.
func quotePath(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		switch c := path[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
