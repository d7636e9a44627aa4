// Package blobs reads the material of deliberations from the shared blob store.
package blobs

import (
	"context"

	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/services/council"
)

// Store is a council.Blobs. Safe for concurrent use.
type Store struct{ blobs blob.Store }

var _ council.Blobs = (*Store)(nil)

// New returns an adapter of the shared store.
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

// Keep implements council.Blobs.
func (s *Store) Keep(ctx context.Context, tx job.Tx, owner, resource string, ids []string) error {
	for _, id := range ids {
		sum, err := blob.ParseSHA256(id)
		if err != nil {
			return err
		}
		if err := s.blobs.ReferTx(ctx, tx, owner, resource, sum); err != nil {
			return err
		}
	}
	return nil
}

// Release implements council.Blobs.
func (s *Store) Release(ctx context.Context, tx job.Tx, resource string) error {
	return s.blobs.ReleaseTx(ctx, tx, resource)
}
