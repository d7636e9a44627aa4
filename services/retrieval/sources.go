package retrieval

import "context"

// Either returns trees that read snapshots with one adapter and repositories with the other.
func Either(repositories, snapshots Trees) Trees { return either{repositories, snapshots} }

type either struct{ repositories, snapshots Trees }

func (e either) of(source Source) Trees {
	if source.Snapshot != "" {
		return e.snapshots
	}
	return e.repositories
}

// Resolve implements Trees.
func (e either) Resolve(ctx context.Context, source Source) (Resolved, error) {
	return e.of(source).Resolve(ctx, source)
}

// List implements Trees.
func (e either) List(ctx context.Context, source Source, tree string, each func(Entry) error) error {
	return e.of(source).List(ctx, source, tree, each)
}

// OpenBlobs implements Trees.
func (e either) OpenBlobs(ctx context.Context, source Source) (Blobs, error) {
	return e.of(source).OpenBlobs(ctx, source)
}
