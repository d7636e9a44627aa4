package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"witan.dev/internal/diff"
)

const (
	// maxTreeList bounds the listing of one tree in bytes.
	maxTreeList = 1 << 30
	// unlimited is for output whose size is bounded by what was asked for.
	unlimited = int64(1) << 50
)

// Blob is one object's content as it was read.
type Blob struct {
	ID   string
	Size int64
	// Data is nil where the object is missing or above the limit.
	Data []byte
	// Missing says that there is no such blob here (a submodule's commit, an object of a partial clone).
	Missing bool
	// TooLarge says that the blob is above the limit; it was not read.
	TooLarge bool
}

// Blobs calls fn with the blobs of the given object IDs, in their order, one at a time. Blobs above maxBytes are told by
// size only. An error of fn ends the reading and is returned.
func (r *Repository) Blobs(ctx context.Context, ids []string, maxBytes int64, fn func(Blob) error) error {
	if err := needObjectIDs(ids...); err != nil {
		return err
	}
	blobs, err := r.sizes(ctx, ids)
	if err != nil {
		return err
	}
	wanted := make([]string, 0, len(ids))
	for i := range blobs {
		blobs[i].TooLarge = !blobs[i].Missing && blobs[i].Size > maxBytes
		if !blobs[i].Missing && !blobs[i].TooLarge {
			wanted = append(wanted, blobs[i].ID)
		}
	}
	if len(wanted) == 0 {
		return each(blobs, fn)
	}
	c := r.bind(command{args: []string{"cat-file", "--batch"}, stdin: lines(wanted), limit: unlimited})
	return r.git.stream(ctx, c, func(out io.Reader) error {
		in := bufio.NewReaderSize(out, 64<<10)
		return each(blobs, func(b Blob) error {
			if !b.Missing && !b.TooLarge {
				if err := b.read(in); err != nil {
					return err
				}
			}
			return fn(b)
		})
	})
}

// Head returns the first n bytes of a blob, or all of it where it has fewer.
func (r *Repository) Head(ctx context.Context, id string, n int64) ([]byte, error) {
	if err := needObjectIDs(id); err != nil {
		return nil, err
	}
	var head []byte
	err := r.git.stream(ctx, r.bind(command{args: []string{"cat-file", "blob", id}, limit: unlimited}), func(out io.Reader) (err error) {
		if head, err = io.ReadAll(io.LimitReader(out, n)); err == nil && int64(len(head)) == n {
			return errHead
		}
		return err
	})
	if err != nil && !errors.Is(err, errHead) {
		return nil, fmt.Errorf("read the head of %s: %w", id, err)
	}
	return head, nil
}

// errHead ends a command of whose output the rest is not wanted.
var errHead = errors.New("the head was read")

func each(blobs []Blob, fn func(Blob) error) error {
	for _, b := range blobs {
		if err := fn(b); err != nil {
			return err
		}
	}
	return nil
}

func lines(ids []string) io.Reader {
	return strings.NewReader(strings.Join(ids, "\n") + "\n")
}

func (r *Repository) sizes(ctx context.Context, ids []string) ([]Blob, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := r.run(ctx, command{args: []string{"cat-file", "--batch-check"}, stdin: lines(ids), limit: int64(len(ids)+1) * 128})
	if err != nil {
		return nil, fmt.Errorf("read object sizes: %w", err)
	}
	rows := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(rows) != len(ids) {
		return nil, fmt.Errorf("git cat-file: %d answers for %d objects", len(rows), len(ids))
	}
	blobs := make([]Blob, len(ids))
	for i, row := range rows {
		blobs[i] = Blob{ID: ids[i], Missing: true}
		words := strings.Fields(row)
		if len(words) != 3 || words[0] != ids[i] || words[1] != "blob" {
			continue
		}
		if size, err := strconv.ParseInt(words[2], 10, 64); err == nil {
			blobs[i].Size, blobs[i].Missing = size, false
		}
	}
	return blobs, nil
}

// read takes "<id> blob <size>", the content and a line feed.
func (b *Blob) read(in *bufio.Reader) error {
	head, err := in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("git cat-file: object %s: %w", b.ID, err)
	}
	if want := b.ID + " blob " + strconv.FormatInt(b.Size, 10) + "\n"; head != want {
		return fmt.Errorf("git cat-file: object %s: unexpected answer %.80q", b.ID, head)
	}
	b.Data = make([]byte, b.Size)
	if _, err := io.ReadFull(in, b.Data); err != nil {
		return fmt.Errorf("git cat-file: object %s: %w", b.ID, err)
	}
	_, err = in.Discard(1)
	return err
}

// Entry is one file of a tree.
type Entry struct {
	Path string
	Mode diff.Mode
	// Blob is the content's object ID, a commit's for a submodule.
	Blob string
}

// Tree calls fn with every file below a commit or tree, in git's order. An error of fn ends the listing and is returned.
func (r *Repository) Tree(ctx context.Context, id string, fn func(Entry) error) error {
	if err := needObjectIDs(id); err != nil {
		return err
	}
	c := r.bind(command{args: []string{"ls-tree", "-r", "-z", "--full-tree", id}, limit: maxTreeList})
	return r.git.stream(ctx, c, func(out io.Reader) error {
		in := bufio.NewReaderSize(out, 64<<10)
		for {
			row, err := in.ReadString(0)
			if err == io.EOF && row == "" { //nolint:errorlint // a bufio.Reader returns io.EOF as it is
				return nil
			}
			if err != nil {
				return fmt.Errorf("git ls-tree: %w", err)
			}
			entry, err := parseEntry(strings.TrimSuffix(row, "\x00"))
			if err != nil {
				return err
			}
			if err := fn(entry); err != nil {
				return err
			}
		}
	})
}

func parseEntry(row string) (Entry, error) {
	head, path, ok := strings.Cut(row, "\t")
	words := strings.Fields(head)
	if !ok || len(words) != 3 {
		return Entry{}, fmt.Errorf("git ls-tree: unexpected answer %.80q", row)
	}
	mode, err := parseMode(words[0])
	if err != nil {
		return Entry{}, err
	}
	return Entry{Path: path, Mode: mode, Blob: words[2]}, diff.CheckPath(path)
}
