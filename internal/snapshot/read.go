package snapshot

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha1" //nolint:gosec // git's object IDs
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	"witan.dev/internal/diff"
)

// ReadPack calls each with every content of a pack, and refuses one of more than MaxBytes. Whether a content is that of
// its ID, the reader checks with [Verify].
func ReadPack(pack io.Reader, each func(id string, content []byte) error) error {
	z, err := gzip.NewReader(pack)
	if err != nil {
		return fmt.Errorf("%w: pack: %w", ErrInvalid, err)
	}
	members := tar.NewReader(bounded(z))
	var contents counter
	for {
		header, err := members.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return broken("pack", err)
		case header.Typeflag != tar.TypeReg || !objectID(header.Name) || header.Size > MaxFile:
			return fmt.Errorf("%w: pack: %.80q is no content", ErrInvalid, header.Name)
		}
		if err := contents.add(header.Size); err != nil {
			return err
		}
		content, err := io.ReadAll(members)
		if err != nil {
			return broken("pack", err)
		}
		if err := each(header.Name, content); err != nil {
			return err
		}
	}
}

// Verify returns ErrInvalid unless the content is the one of a git object ID.
func Verify(id string, content []byte) error {
	h := hasher(len(id), int64(len(content)))
	_, _ = h.Write(content) // never fails
	if hex.EncodeToString(h.Sum(nil)) != id {
		return fmt.Errorf("%w: a content is not that of %.64q", ErrInvalid, id)
	}
	return nil
}

// hasher makes the object ID of a blob of a size.
func hasher(digits int, size int64) hash.Hash {
	h := sha1.New() //nolint:gosec // git's object IDs
	if digits == 2*sha256.Size {
		h = sha256.New()
	}
	_, _ = fmt.Fprintf(h, "blob %d\x00", size) // never fails
	return h
}

// ReadTar calls each with every file of an archive of a tree and with its content; symbolic links are listed with the mode
// of one and never followed. Files of more than MaxFile bytes have a size and no ID, since their contents are not read;
// contents of the others are the reader's to take within the call. Refused with ErrInvalid are paths that are absolute or
// have a ".." in them, the same path twice, hard links, devices and whatever else is no file; with ErrTooLarge more than
// MaxFiles files or MaxBytes of contents.
func ReadTar(archive io.Reader, each func(f File, content []byte) error) error {
	buffered := bufio.NewReaderSize(archive, 512)
	unpacked := io.Reader(buffered)
	if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		if unpacked, err = gzip.NewReader(buffered); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	r := &tarReader{members: tar.NewReader(bounded(unpacked)), seen: map[string]bool{}, each: each}
	for {
		switch done, err := r.next(); {
		case err != nil:
			return err
		case done && len(r.seen) == 0:
			return fmt.Errorf("%w: the archive has no files", ErrInvalid)
		case done:
			return nil
		}
	}
}

type tarReader struct {
	members  *tar.Reader
	seen     map[string]bool
	each     func(f File, content []byte) error
	contents counter
}

func (r *tarReader) next() (done bool, err error) {
	header, err := r.members.Next()
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	if err != nil {
		return false, broken("archive", err)
	}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeSymlink:
	case tar.TypeDir:
		_, err := cleanPath(header.Name)
		return false, err
	case tar.TypeXGlobalHeader:
		return false, nil // git archive writes the commit into one
	default:
		return false, fmt.Errorf("%w: %.80q is neither file, folder nor symbolic link", ErrInvalid, header.Name)
	}
	name, err := cleanPath(header.Name)
	if err != nil || name == "" {
		return false, errors.Join(err, ErrInvalid)
	}
	if r.seen[name] {
		return false, fmt.Errorf("%w: the path %.80q comes twice", ErrInvalid, name)
	}
	r.seen[name] = true
	return false, r.file(name, header)
}

func (r *tarReader) file(name string, header *tar.Header) error {
	f := File{Path: name, Mode: ModeFile, Size: header.Size}
	if header.Mode&0o111 != 0 {
		f.Mode = ModeExecutable
	}
	if header.Typeflag == tar.TypeSymlink {
		f.Mode, f.Size = ModeSymlink, int64(len(header.Linkname))
	}
	if err := r.contents.add(f.Size); err != nil {
		return err
	}
	if !f.regular() {
		return r.each(f, nil)
	}
	content, err := io.ReadAll(r.members)
	if err != nil {
		return broken("archive", err)
	}
	h := hasher(2*sha256.Size, f.Size)
	_, _ = h.Write(content) // never fails
	f.ID = hex.EncodeToString(h.Sum(nil))
	return r.each(f, content)
}

// cleanPath takes "./" and the slash of folders off a path, which must be relative and clean otherwise.
func cleanPath(name string) (string, error) {
	cleaned := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	if cleaned == "" || cleaned == "." {
		return "", nil
	}
	if diff.CheckPath(cleaned) != nil || path.Clean(cleaned) != cleaned {
		return "", fmt.Errorf("%w: the path %.80q is not relative and clean", ErrInvalid, name)
	}
	return cleaned, nil
}

// bounded ends with ErrTooLarge after what the largest snapshot can have: contents, and a header and padding for each.
func bounded(r io.Reader) io.Reader { return &boundedReader{r, MaxBytes + MaxListed*2048} }

type boundedReader struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func broken(what string, err error) error {
	if errors.Is(err, ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
}
