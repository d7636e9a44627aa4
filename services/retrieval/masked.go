package retrieval

import (
	"context"
	"fmt"
)

// Masker takes secrets out of a content without changing its length or its lines, so that places stay true. Safe for
// concurrent use.
type Masker interface {
	// Mask returns the content without secrets; it may change it in place. After an error the content must not be kept.
	Mask(ctx context.Context, content []byte) ([]byte, error)
}

// Masked returns trees whose contents have passed the masker: what an index keeps of a repository (texts, words,
// signatures) then holds none of its secrets.
func Masked(trees Trees, masker Masker) Trees { return maskedTrees{trees, masker} }

type maskedTrees struct {
	Trees

	masker Masker
}

// OpenBlobs implements Trees.
func (t maskedTrees) OpenBlobs(ctx context.Context, source Source) (Blobs, error) {
	blobs, err := t.Trees.OpenBlobs(ctx, source)
	if err != nil {
		return nil, err
	}
	return maskedBlobs{Blobs: blobs, mask: func(content []byte) ([]byte, error) { return t.masker.Mask(ctx, content) }}, nil
}

type maskedBlobs struct {
	Blobs

	mask func(content []byte) ([]byte, error)
}

// Read implements Blobs.
func (b maskedBlobs) Read(id string, limit int64) ([]byte, error) {
	content, err := b.Blobs.Read(id, limit)
	if err != nil {
		return nil, err
	}
	masked, err := b.mask(content)
	if err != nil {
		return nil, fmt.Errorf("mask the secrets of %s: %w", id, err)
	}
	return masked, nil
}
