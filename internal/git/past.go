package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// maxPast bounds what one look at a history may print, in bytes.
const maxPast = 256 << 20

// PastParams bound a look at a history.
type PastParams struct {
	// Commits is how many are looked at, Paths how many changed paths one may have to be told.
	Commits, Paths int
}

// Past calls fn with the paths that each of the last commits up to tip changed, the newest first. A renamed file is two
// paths. Merges are left out, commits of more paths than asked for, and those without a parent, among them the last ones of
// a shallow clone. An error of fn ends the reading and is returned. The error is ErrTooLarge where one commit alone
// changed more than can be read.
func (r *Repository) Past(ctx context.Context, tip string, p PastParams, fn func(paths []string) error) error {
	if err := needObjectIDs(tip); err != nil {
		return err
	}
	c := r.bind(command{args: []string{
		"log", "--no-merges", "--max-count=" + strconv.Itoa(p.Commits), "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--no-textconv",
		"--no-color", "--no-decorate", "--no-notes", "--ignore-submodules=none", "--format=tformat:%H", tip, "--",
	}, limit: maxPast})
	return r.git.stream(ctx, c, func(out io.Reader) error {
		return readPast(bufio.NewReaderSize(out, 64<<10), p.Paths, fn)
	})
}

// readPast reads "<commit>", and for each path that it changed ":<modes, blobs, status>" and the path, all NUL-terminated.
func readPast(in *bufio.Reader, limit int, fn func(paths []string) error) error {
	var paths []string
	n := 0
	tell := func() error {
		if n == 0 || n > limit {
			return nil
		}
		return fn(paths)
	}
	for {
		field, err := pastField(in)
		if errors.Is(err, io.EOF) {
			return tell()
		}
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(strings.TrimPrefix(field, "\n"), ":"):
			path, err := pastField(in)
			if err != nil {
				return err
			}
			if n++; n <= limit {
				paths = append(paths, path)
			}
		case IsObjectID(field):
			if err := tell(); err != nil {
				return err
			}
			paths, n = nil, 0
		default:
			return fmt.Errorf("%w: %.80q in a history", ErrInconsistent, field)
		}
	}
}

// pastField reads up to the next NUL, which is not in the field. The error is io.EOF where there is nothing more.
func pastField(in *bufio.Reader) (string, error) {
	field, err := in.ReadSlice(0)
	switch {
	case err == nil:
		return string(field[:len(field)-1]), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("git log: a path is above %d bytes: %w", in.Size(), ErrTooLarge)
	case errors.Is(err, io.EOF) && len(field) == 0:
		return "", io.EOF
	default:
		return "", fmt.Errorf("git log: %w: the output ends in the middle: %w", ErrInconsistent, err)
	}
}
