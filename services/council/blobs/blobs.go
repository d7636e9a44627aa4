// Package blobs reads the material of deliberations from the shared blob store.
package blobs

import (
	"context"

	"witan.dev/internal/blob"
	"witan.dev/services/council"
)

// Store is a council.Blobs. Safe for concurrent use.
type Store struct{ blobs blob.Store }

var _ council.Blobs = (*Store)(nil)

// New returns a reader of the shared store.
func New(blobs blob.Store) *Store { return &Store{blobs: blobs} }

// Read implements council.Blobs. An ID that is no hash is as missing as one that was never stored.
func (s *Store) Read(ctx context.Context, owner, id string, limit int64) ([]byte, error) {
	sum, err := blob.ParseSHA256(id)
	if err != nil {
		return nil, err
	}
	content, err := s.blobs.Get(ctx, owner, sum)
	return content[:min(int64(len(content)), limit)], err
}
