package snapshot

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"witan.dev/internal/blob"
)

// packBytes is about how much one pack holds before it is compressed.
const packBytes = 32 << 20

// Params say what to write.
type Params struct {
	Store blob.Store
	// Owner has the blobs; Resource names them, and keeps them until it is deleted.
	Owner, Resource string
	// Files of the tree, in any order.
	Files []File
	// Bases are earlier snapshots of the owner; their contents are not written again. One that is gone is no error.
	Bases []blob.SHA256
	// Contents calls each with the contents of object IDs, in any order; what it does not have, it leaves out.
	Contents func(ctx context.Context, ids []string, each func(id string, content []byte) error) error
}

// Written says what was written.
type Written struct {
	// Snapshot is the blob to name in CreateIndex.
	Snapshot blob.SHA256
	// Packed contents were written now, Reused ones lie in packs of a base, Absent ones nowhere.
	Packed, Reused, Absent int
}

// Write stores a snapshot. Twice with the same parameters gives the same blobs. Errors: ErrInvalid, ErrTooLarge, and those
// of the store and of Contents.
func Write(ctx context.Context, p Params) (Written, error) {
	if len(p.Files) > MaxListed {
		return Written{}, fmt.Errorf("%w: it lists %d files", ErrTooLarge, len(p.Files))
	}
	w := &writer{Params: p, m: &Manifest{Files: slices.Clone(p.Files), in: map[string]int{}}}
	slices.SortFunc(w.m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	need := w.needed()
	need, err := w.reuse(ctx, need)
	if err != nil {
		return Written{}, err
	}
	w.written.Reused = len(w.m.in)
	if len(need) > 0 {
		if err := p.Contents(ctx, need, func(id string, content []byte) error { return w.add(ctx, id, content) }); err != nil {
			return Written{}, err
		}
	}
	if err := w.flush(ctx); err != nil {
		return Written{}, err
	}
	w.written.Absent = len(need) - w.written.Packed
	return w.finish(ctx)
}

type writer struct {
	Params

	m       *Manifest
	written Written
	sizes   map[string]int64 // of the contents that are wanted

	pack     *bytes.Buffer
	gzip     *gzip.Writer
	tar      *tar.Writer
	unpacked int64
}

// needed lists the contents that belong into the snapshot, each once, as far as the limits go.
func (w *writer) needed() []string {
	w.sizes = map[string]int64{}
	var (
		need     []string
		contents counter
	)
	for _, f := range w.m.Files {
		if !f.regular() || contents.add(f.Size) != nil {
			continue
		}
		if _, known := w.sizes[f.ID]; !known {
			w.sizes[f.ID] = f.Size
			need = append(need, f.ID)
		}
	}
	return need
}

// reuse finds contents in the packs of bases and returns those that are in none. There must be room for new packs.
func (w *writer) reuse(ctx context.Context, need []string) ([]string, error) {
	for _, sum := range w.Bases {
		content, err := w.Store.Get(ctx, w.Owner, sum)
		if errors.Is(err, blob.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the snapshot %s: %w", sum, err)
		}
		base, err := ReadManifest(content)
		if err != nil {
			continue // an uploaded tar
		}
		if need, err = w.reuseOf(ctx, base, need); err != nil {
			return nil, err
		}
	}
	return need, nil
}

func (w *writer) reuseOf(ctx context.Context, base *Manifest, need []string) ([]string, error) {
	number := map[int]int{} // in the new manifest, by that in the base; -1: gone
	var missing []string
	for _, id := range need {
		in, has := base.Pack(id)
		if !has {
			missing = append(missing, id)
			continue
		}
		if _, asked := number[in]; !asked {
			n, err := w.hold(ctx, base.Packs[in])
			if err != nil {
				return nil, err
			}
			number[in] = n
		}
		if number[in] < 0 {
			missing = append(missing, id)
			continue
		}
		w.m.in[id] = number[in]
	}
	return missing, nil
}

// hold notes that the resource names a pack, and returns its number; -1 for one that is gone or has no room.
func (w *writer) hold(ctx context.Context, pack blob.SHA256) (int, error) {
	if n := slices.Index(w.m.Packs, pack); n >= 0 {
		return n, nil
	}
	const room = MaxBytes/packBytes + 2
	if len(w.m.Packs) >= MaxPacks-room {
		return -1, nil
	}
	err := w.Store.Refer(ctx, w.Owner, w.Resource, pack)
	if errors.Is(err, blob.ErrNotFound) {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("keep the pack %s: %w", pack, err)
	}
	w.m.Packs = append(w.m.Packs, pack)
	return len(w.m.Packs) - 1, nil
}

// add packs a content.
func (w *writer) add(ctx context.Context, id string, content []byte) error {
	size, wanted := w.sizes[id]
	if _, has := w.m.in[id]; !wanted || has {
		return fmt.Errorf("%w: the content %.64q was not asked for", ErrInvalid, id)
	}
	if int64(len(content)) != size {
		return fmt.Errorf("%w: the content %s has %d bytes and not %d", ErrInvalid, id, len(content), size)
	}
	if w.tar == nil {
		w.pack, w.unpacked = &bytes.Buffer{}, 0
		var err error
		if w.gzip, err = gzip.NewWriterLevel(w.pack, gzip.BestSpeed); err != nil {
			return err
		}
		w.tar = tar.NewWriter(w.gzip)
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: id, Size: size, Mode: 0o600, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	if _, err := w.tar.Write(content); err != nil {
		return err
	}
	w.m.in[id] = len(w.m.Packs)
	w.written.Packed++
	if w.unpacked += size; w.unpacked >= packBytes {
		return w.flush(ctx)
	}
	return nil
}

// flush stores the pack that is being filled.
func (w *writer) flush(ctx context.Context) error {
	if w.tar == nil {
		return nil
	}
	if err := errors.Join(w.tar.Close(), w.gzip.Close()); err != nil {
		return err
	}
	ref, err := w.Store.Put(ctx, w.Owner, w.Resource, w.pack)
	if err != nil {
		return fmt.Errorf("store a pack: %w", err)
	}
	w.m.Packs, w.tar = append(w.m.Packs, ref.SHA256), nil
	return nil
}

func (w *writer) finish(ctx context.Context) (Written, error) {
	content, err := w.m.encode()
	if err != nil {
		return Written{}, err
	}
	if _, err := ReadManifest(content); err != nil { // what nobody could read is not written
		return Written{}, err
	}
	ref, err := w.Store.Put(ctx, w.Owner, w.Resource, bytes.NewReader(content))
	if err != nil {
		return Written{}, fmt.Errorf("store the manifest: %w", err)
	}
	w.written.Snapshot = ref.SHA256
	return w.written, nil
}

func (m *Manifest) encode() ([]byte, error) {
	e := encoded{Packs: make([]string, 0, len(m.Packs)), Files: make([]encodedFile, 0, len(m.Files))}
	for _, p := range m.Packs {
		e.Packs = append(e.Packs, p.String())
	}
	var contents counter
	for _, f := range m.Files {
		file := encodedFile{Path: []byte(f.Path), Mode: f.Mode, ID: f.ID, Size: f.Size}
		if n, has := m.in[f.ID]; has && f.regular() && contents.add(f.Size) == nil {
			file.Pack = n + 1
		}
		e.Files = append(e.Files, file)
	}
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	z.Comment = comment
	if err := errors.Join(json.NewEncoder(z).Encode(e), z.Close()); err != nil {
		return nil, err
	}
	return io.ReadAll(&out)
}
