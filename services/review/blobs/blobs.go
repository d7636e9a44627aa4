// Package blobs keeps what reviews store in the shared blob store.
package blobs

import (
	"bytes"
	"context"
	"time"

	"witan.dev/internal/blob"
	"witan.dev/services/review"
)

// uploadLife is how long an upload stays that no review names.
const uploadLife = 24 * time.Hour

// Store is a review.Blobs. Safe for concurrent use.
type Store struct {
	blobs blob.Store
	now   func() time.Time
}

var _ review.Blobs = (*Store)(nil)

// New returns a store over the shared one. now is the clock; nil means time.Now.
func New(blobs blob.Store, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{blobs: blobs, now: now}
}

// Put implements review.Blobs. Content without a resource is an upload: it goes after a day unless a review names it.
func (s *Store) Put(ctx context.Context, owner, resource string, content []byte) (string, error) {
	var ref blob.Ref
	var err error
	if resource == "" {
		ref, err = s.blobs.Upload(ctx, owner, bytes.NewReader(content), s.now().Add(uploadLife))
	} else {
		ref, err = s.blobs.Put(ctx, owner, resource, bytes.NewReader(content))
	}
	if err != nil {
		return "", err
	}
	return ref.SHA256.String(), nil
}

// Get implements review.Blobs. An ID that is no hash is as missing as one that was never stored.
func (s *Store) Get(ctx context.Context, owner, sha256 string) ([]byte, error) {
	sum, err := blob.ParseSHA256(sha256)
	if err != nil {
		return nil, err
	}
	return s.blobs.Get(ctx, owner, sum)
}

// Patch returns an uploaded patch.
func (s *Store) Patch(ctx context.Context, owner, sha256 string) ([]byte, error) {
	return s.Get(ctx, owner, sha256)
}
