package worker

import (
	"context"
	"errors"
	"fmt"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/retrieval"
)

// vectors counts the chunks of the view (their hashed vectors were stored with them, since they depend on the content
// alone), measures on a sample of files how rare each gram is, and makes all chunks findable.
func (b *build) vectors(l listing) func(ctx context.Context) (int64, *engine.Failure, error) {
	return func(ctx context.Context) (int64, *engine.Failure, error) {
		files, _, err := b.store.StagedView(ctx, b.index.ID, l.Version)
		if err != nil {
			return 0, nil, fmt.Errorf("read the view: %w", err)
		}
		if err := b.run.Commit(ctx, job.Update{Stage: "vectors"}); err != nil {
			return 0, nil, err
		}
		rarity, err := b.rarity(ctx, files)
		if err != nil {
			return 0, nil, err
		}
		if err := b.store.PutRarity(ctx, b.fence, b.index.ID, rarity); err != nil {
			return 0, nil, fmt.Errorf("store the rarity of grams: %w", err)
		}
		if _, err := b.rankings.Put(ctx, retrieval.Scope{Owner: b.index.Owner, Repository: b.index.Repository}, files); err != nil {
			if errors.Is(err, retrieval.ErrRankingsAway) && ctx.Err() == nil {
				b.logger.WarnContext(ctx, "an index waits for the search index", "job_id", b.run.Job().ID, "error", err)
				return 0, &engine.Failure{Class: classUnavailable, Reason: "SEARCH_INDEX_UNAVAILABLE", Message: err.Error()}, nil
			}
			return 0, nil, fmt.Errorf("fill the search index: %w", err)
		}
		all, fresh, err := b.store.CountChunks(ctx, b.index.ID, l.Version)
		if err != nil {
			return 0, nil, fmt.Errorf("count chunks: %w", err)
		}
		payload, err := encode(vectorsStored(all, fresh))
		if err != nil {
			return 0, nil, err
		}
		return all, nil, b.run.Append(ctx, job.NewEvent{Key: "vectors/vectors_stored/0", Type: typeVectorsStored, Payload: payload})
	}
}

// rarity reads chunks of evenly chosen files.
func (b *build) rarity(ctx context.Context, files []retrieval.File) (retrieval.Rarity, error) {
	var counter retrieval.RarityCounter
	seen := 0
	chosen := retrieval.Sample(len(files), retrieval.RaritySample)
	for n, i := range chosen {
		chunks, err := b.store.Chunks(ctx, files[i].Parse)
		if err != nil {
			return nil, fmt.Errorf("chunks of %s: %w", files[i].Path, err)
		}
		// As many of each file as are left for it, so that large files do not crowd out the later ones.
		share := max(1, (retrieval.RaritySample-seen)/(len(chosen)-n))
		for _, k := range retrieval.Sample(len(chunks), share) {
			counter.Add(retrieval.GramsOf(chunks[k].Text))
			seen++
		}
	}
	return counter.Rarity(), nil
}
