// Package snapshots reads trees out of the blob store: manifests with packs, and uploaded archives. See internal/snapshot
// for both.
//
// What is known of contents is shared by all who have them, and who has a snapshot says itself what is in it. So the
// contents of snapshots are kept apart by owner: nobody sees, by naming an object ID, what others keep under it, and nobody
// puts anything under an ID for others. Within an owner a content is verified against its ID before it is read.
package snapshots

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"witan.dev/internal/blob"
	"witan.dev/internal/diff"
	"witan.dev/internal/snapshot"
	"witan.dev/services/retrieval"
)

// Store is what is read of the blobs.
type Store interface {
	Stat(ctx context.Context, owner string, sum blob.SHA256) (blob.Ref, error)
	Get(ctx context.Context, owner string, sum blob.SHA256) ([]byte, error)
}

// Snapshots reads snapshots. Safe for concurrent use.
type Snapshots struct {
	store Store
	packs *packs
}

var _ retrieval.Trees = (*Snapshots)(nil)

// New returns a reader of the store. What is unpacked lies in nameless files below dir, which vanish with the process; an
// empty dir stands for the system's folder of temporary files. The caller closes it.
func New(store Store, dir string) *Snapshots {
	return &Snapshots{store: store, packs: newPacks(dir)}
}

// Close gives the space back. No Blobs may be open.
func (s *Snapshots) Close() error { return s.packs.close() }

// Resolve implements retrieval.Trees: it reads a manifest, and takes an archive as it is. Errors: blob.ErrNotFound,
// retrieval.ErrSnapshotInvalid, retrieval.ErrSnapshotTooLarge.
func (s *Snapshots) Resolve(ctx context.Context, source retrieval.Source) (retrieval.Resolved, error) {
	opened, err := s.open(ctx, source)
	if err != nil {
		return retrieval.Resolved{}, err
	}
	tree := opened.tree()
	return retrieval.Resolved{Tree: tree, Repository: "snapshot:" + tree}, nil
}

// Packs are the blobs that a snapshot needs beside itself. Errors are those of Resolve.
func (s *Snapshots) Packs(ctx context.Context, source retrieval.Source) ([]blob.SHA256, error) {
	opened, err := s.open(ctx, source)
	if err != nil || opened.manifest == nil {
		return nil, err
	}
	return opened.manifest.Packs, nil
}

// List implements retrieval.Trees.
func (s *Snapshots) List(ctx context.Context, source retrieval.Source, _ string, each func(retrieval.Entry) error) error {
	opened, err := s.open(ctx, source)
	if err != nil {
		return err
	}
	prefix := namespace(source.Owner)
	list := func(f snapshot.File) error {
		e := retrieval.Entry{Path: diff.DisplayPath(f.Path), Mode: f.Mode, Blob: prefix + f.ID, Size: f.Size}
		return errors.Join(ctx.Err(), each(e))
	}
	if opened.manifest == nil {
		return known(snapshot.ReadTar(bytes.NewReader(opened.content), func(f snapshot.File, _ []byte) error { return list(f) }))
	}
	for _, f := range opened.manifest.Files {
		if err := list(f); err != nil {
			return err
		}
	}
	return nil
}

// namespace begins the names of an owner's contents.
func namespace(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(sum[:8]) + "-"
}

// opened is a snapshot in memory: a manifest, or an archive.
type opened struct {
	sum      blob.SHA256
	manifest *snapshot.Manifest
	content  []byte
}

func (s *Snapshots) open(ctx context.Context, source retrieval.Source) (*opened, error) {
	sum, err := blob.ParseSHA256(source.Snapshot)
	if err != nil {
		return nil, err
	}
	content, err := s.store.Get(ctx, source.Owner, sum)
	if err != nil {
		return nil, err
	}
	o := &opened{sum: sum, content: content}
	if snapshot.IsManifest(content) {
		o.content = nil
		o.manifest, err = snapshot.ReadManifest(content)
	}
	return o, known(err)
}

// tree names the files of a snapshot, whatever packs they lie in.
func (o *opened) tree() string {
	if o.manifest == nil {
		return o.sum.String()
	}
	h := sha256.New()
	for _, f := range o.manifest.Files {
		_, _ = fmt.Fprintf(h, "%o %s %s\x00", f.Mode, f.ID, f.Path) // never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}

// known makes errors of the format those that callers see.
func known(err error) error {
	switch {
	case errors.Is(err, snapshot.ErrTooLarge):
		return retrieval.ErrSnapshotTooLarge.Field("index.snapshot_blob", err.Error()).Wrap(err)
	case errors.Is(err, snapshot.ErrInvalid):
		return retrieval.ErrSnapshotInvalid.Field("index.snapshot_blob", err.Error()).Wrap(err)
	}
	return err
}

// OpenBlobs implements retrieval.Trees.
func (s *Snapshots) OpenBlobs(ctx context.Context, source retrieval.Source) (retrieval.Blobs, error) {
	o, err := s.open(ctx, source)
	if err != nil {
		return nil, err
	}
	return &blobs{ctx: ctx, Snapshots: s, owner: source.Owner, opened: o, prefix: namespace(source.Owner)}, nil
}

// blobs reads contents. It belongs to one goroutine.
type blobs struct {
	*Snapshots

	ctx    context.Context //nolint:containedctx // the reader's life is one call's
	owner  string
	opened *opened
	prefix string
	held   []*pack
}

// Read implements retrieval.Blobs.
func (b *blobs) Read(id string, limit int64) ([]byte, error) {
	id, mine := strings.CutPrefix(id, b.prefix)
	if !mine {
		return nil, retrieval.ErrBlobMissing
	}
	p, err := b.pack(id)
	if err != nil {
		return nil, err
	}
	content, err := p.read(id, limit)
	if err != nil {
		return nil, err
	}
	if snapshot.Verify(id, content) != nil {
		return nil, fmt.Errorf("%s is something else: %w", id, retrieval.ErrBlobMissing)
	}
	return content, nil
}

// pack finds the pack in which a content lies, and unpacks it unless it is.
func (b *blobs) pack(id string) (*pack, error) {
	key, load := packKey{b.owner, b.opened.sum}, func() ([]byte, error) { return b.opened.content, nil }
	fill := unpackTar
	if b.opened.manifest != nil {
		n, has := b.opened.manifest.Pack(id)
		if !has {
			return nil, retrieval.ErrBlobMissing
		}
		key.sum, fill = b.opened.manifest.Packs[n], unpackPack
		load = func() ([]byte, error) { return b.store.Get(b.ctx, b.owner, key.sum) }
	}
	for _, p := range b.held {
		if p.key == key {
			return p, nil
		}
	}
	p, err := b.packs.take(key, load, fill)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, fmt.Errorf("pack %s is gone: %w", key.sum, retrieval.ErrBlobMissing)
	}
	if err != nil {
		return nil, known(err)
	}
	b.held = append(b.held, p)
	return p, nil
}

// Close implements retrieval.Blobs.
func (b *blobs) Close() error {
	for _, p := range b.held {
		b.packs.give(p)
	}
	b.held = nil
	return nil
}
