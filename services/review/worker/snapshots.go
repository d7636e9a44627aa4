package worker

import (
	"context"
	"errors"

	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// errNoSnapshots: nothing stores the trees of pull requests here.
var errNoSnapshots = errors.New("trees of pull requests are not stored here")

// buildOfSnapshots stores both trees of a pull request in the blob store and starts the jobs that index them: who indexes
// sees no repository and no token. What an earlier review of the repository has stored is not stored again, and what its
// index knows is not parsed again.
func (s *session) buildOfSnapshots(ctx context.Context, f *fetched) error {
	if s.p.Snapshots == nil || s.p.Subjects == nil {
		return errNoSnapshots
	}
	p := s.resolution.Pinned
	name := repositoryName(p)
	before, err := s.p.Subjects.Subject(ctx, name)
	if err != nil && !errors.Is(err, review.ErrNotFound) {
		return err
	}
	source := review.IndexSource{Repository: name, ParentJob: wire.JobName(s.run.Job().ID), BaseIndex: before.Index}
	base, err := s.indexed(ctx, p.OldTree, before.Snapshot, stepBase, &source, &f.BaseIndex, &f.BaseIndexJob)
	if err != nil {
		return err
	}
	source.BaseIndex = f.BaseIndex
	if _, err := s.indexed(ctx, p.NewTree, base, stepHead, &source, &f.Index, &f.IndexJob); err != nil {
		return err
	}
	if before.Snapshot == base && before.Index == f.BaseIndex && !before.IndexedFor(s.review.Owner, p.Source.Pull.Repo) {
		return nil
	}
	return s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		row, err := s.p.Subjects.Lock(ctx, tx, name, s.review.Owner)
		if err != nil {
			return err
		}
		row.Snapshot, row.Index = base, f.BaseIndex
		row.IndexedFor(s.review.Owner, p.Source.Pull.Repo)
		return s.p.Subjects.Put(ctx, tx, row)
	}})
}

// indexed stores a tree and starts its index. The request is another one when the index begins with another one, as after
// another review of the repository.
func (s *session) indexed(
	ctx context.Context, tree, base, step string, source *review.IndexSource, index, indexJob *string,
) (snapshot string, err error) {
	of := review.TreeOf{Pinned: s.resolution.Pinned, Tree: tree, Owner: s.review.Owner, Resource: wire.ReviewName(s.review.ID)}
	if base != "" {
		of.Bases = []string{base}
	}
	if snapshot, err = s.p.Snapshots.Take(ctx, of); err != nil {
		return "", err
	}
	source.Snapshot = snapshot
	return snapshot, s.start(ctx, step+"/"+snapshot+"/"+source.BaseIndex, func(ctx context.Context, requestID string) (err error) {
		source.RequestID = requestID
		*index, *indexJob, err = s.p.Index.Build(ctx, *source)
		return err
	})
}
