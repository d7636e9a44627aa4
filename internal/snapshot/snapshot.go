// Package snapshot is the form in which the files of a tree travel through the blob store, from who has the repository to
// who reads it.
//
// A snapshot is a manifest: gzip of JSON with the comment "witan snapshot 1" in its header. It lists the files of the tree,
// each with its path (in Base64, since paths are bytes), git's mode, the object ID of its content (SHA-1 or SHA-256) and
// its size, and names packs: blobs of the same owner that hold contents. A pack is a gzip of a tar whose members are named
// by object IDs. Contents are verified against their IDs when they are read.
//
// A later snapshot names the packs of an earlier one and adds one with what is new, so a commit costs what it changed:
// [Write] asks for those contents only. Contents of more than MaxFile bytes, and those beyond MaxFiles or MaxBytes, are
// listed without content.
//
// An uploaded tar of a tree, gzip or not, is read by [ReadTar] to the same files.
package snapshot

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"witan.dev/internal/blob"
	"witan.dev/internal/diff"
)

// Limits of a snapshot.
const (
	// MaxFiles and MaxBytes bound the files that have a content, and their contents.
	MaxFiles = 50_000
	MaxBytes = 500 << 20
	// MaxFile is the largest content.
	MaxFile = 1 << 20
	// MaxListed bounds the files that are listed, with or without content.
	MaxListed = 200_000
	// MaxPacks bounds the packs that a manifest names.
	MaxPacks = 64

	// maxManifest bounds the manifest when it is unpacked.
	maxManifest = 128 << 20
	comment     = "witan snapshot 1"
)

// What is wrong with a snapshot.
var (
	// ErrInvalid: it is none, or breaks a rule.
	ErrInvalid = errors.New("no valid snapshot")
	// ErrTooLarge: it exceeds MaxFiles, MaxBytes or MaxListed.
	ErrTooLarge = errors.New("the snapshot is too large")
)

// git's modes of entries that are no files.
const (
	ModeFile       = 0o100644
	ModeExecutable = 0o100755
	ModeSymlink    = 0o120000
	ModeSubmodule  = 0o160000
)

// File is one entry of a tree.
type File struct {
	// Path is relative and clean, with slashes; it need not be UTF-8.
	Path string
	// Mode is git's.
	Mode uint32
	// ID is the full object ID of the content in hexadecimal digits.
	ID string
	// Size of the content in bytes.
	Size int64
}

// regular reports whether the entry has a content that is worth having.
func (f File) regular() bool { return f.Mode&0o170000 == 0o100000 && f.Size <= MaxFile }

// Manifest is a snapshot without its contents.
type Manifest struct {
	// Files ordered by path.
	Files []File
	// Packs are the blobs that hold contents.
	Packs []blob.SHA256
	// in says which pack holds a content.
	in map[string]int
}

// Pack returns the number of the pack that holds a content.
func (m *Manifest) Pack(id string) (int, bool) {
	n, ok := m.in[id]
	return n, ok
}

// encodedFile is a File in a manifest.
type encodedFile struct {
	Path []byte `json:"p"`
	Mode uint32 `json:"m"`
	ID   string `json:"i"`
	Size int64  `json:"s,omitempty"`
	// Pack counts from 1; 0 stands for none.
	Pack int `json:"k,omitempty"`
}

type encoded struct {
	Packs []string      `json:"packs"`
	Files []encodedFile `json:"files"`
}

// IsManifest reports whether content is a manifest, or at least says so.
func IsManifest(content []byte) bool {
	r, err := gzip.NewReader(bytes.NewReader(content))
	return err == nil && r.Comment == comment
}

// ReadManifest reads a manifest. Errors: ErrInvalid, ErrTooLarge.
func ReadManifest(content []byte) (*Manifest, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil || r.Comment != comment {
		return nil, fmt.Errorf("%w: not a manifest", ErrInvalid)
	}
	limited := &io.LimitedReader{R: r, N: maxManifest}
	var e encoded
	decoder := json.NewDecoder(limited)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		if limited.N == 0 {
			return nil, fmt.Errorf("%w: its manifest has more than %d bytes", ErrTooLarge, maxManifest)
		}
		return nil, fmt.Errorf("%w: manifest: %w", ErrInvalid, err)
	}
	return e.manifest()
}

func (e *encoded) manifest() (*Manifest, error) {
	switch {
	case len(e.Files) > MaxListed:
		return nil, fmt.Errorf("%w: it lists %d files", ErrTooLarge, len(e.Files))
	case len(e.Packs) > MaxPacks:
		return nil, fmt.Errorf("%w: it names %d packs", ErrInvalid, len(e.Packs))
	}
	m := &Manifest{Files: make([]File, 0, len(e.Files)), in: map[string]int{}}
	for _, p := range e.Packs {
		sum, err := blob.ParseSHA256(p)
		if err != nil {
			return nil, fmt.Errorf("%w: a pack is no blob", ErrInvalid)
		}
		m.Packs = append(m.Packs, sum)
	}
	var contents counter
	for _, f := range e.Files {
		file := File{Path: string(f.Path), Mode: f.Mode, ID: f.ID, Size: f.Size}
		if err := m.check(file, f.Pack); err != nil {
			return nil, err
		}
		m.Files = append(m.Files, file)
		if f.Pack == 0 {
			continue
		}
		if err := contents.add(f.Size); err != nil {
			return nil, err
		}
		m.in[f.ID] = f.Pack - 1
	}
	return m, nil
}

// check refuses a file that breaks a rule; files come in the order of their paths.
func (m *Manifest) check(f File, pack int) error {
	switch {
	case diff.CheckPath(f.Path) != nil:
		return fmt.Errorf("%w: the path %.80q is not relative and clean", ErrInvalid, f.Path)
	case len(m.Files) > 0 && m.Files[len(m.Files)-1].Path >= f.Path:
		return fmt.Errorf("%w: the path %.80q is not in order", ErrInvalid, f.Path)
	case !objectID(f.ID):
		return fmt.Errorf("%w: %.80q has no object ID", ErrInvalid, f.Path)
	case f.Size < 0, pack < 0 || pack > len(m.Packs), pack > 0 && !f.regular():
		return fmt.Errorf("%w: %.80q has an impossible size, mode or pack", ErrInvalid, f.Path)
	}
	return nil
}

// counter holds contents to the limits.
type counter struct {
	files int
	bytes int64
}

func (c *counter) add(size int64) error {
	c.files++
	c.bytes += size
	if c.files > MaxFiles || c.bytes > MaxBytes {
		return fmt.Errorf("%w: more than %d files or %d bytes", ErrTooLarge, MaxFiles, int64(MaxBytes))
	}
	return nil
}

// objectID reports whether id is a full object ID.
func objectID(id string) bool {
	if len(id) != 40 && len(id) != 64 {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
