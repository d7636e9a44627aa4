package git

import (
	"context"

	"witan.dev/services/review"
)

// LoadWithin is Load with room for so many bytes of texts.
func (r *Repository) LoadWithin(ctx context.Context, p review.Pinned, room int) (*review.Change, error) {
	return r.load(ctx, p, room)
}
