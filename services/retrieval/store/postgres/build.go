package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

// StagedView returns the files of the build that belong into the view, ordered by path, and how many were left out for
// what they contain, by reason.
func (s *Store) StagedView(ctx context.Context, id retrieval.ID, version string) ([]retrieval.File, map[string]int64, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	rows, err := s.read().StagedView(ctx, retrievalsql.StagedViewParams{Version: version, IndexNumber: number})
	if err != nil {
		return nil, nil, postgres.Error(fmt.Errorf("read what is staged for index %s: %w", id, err))
	}
	var files []retrieval.File
	leftOut := map[string]int64{}
	for _, r := range rows {
		if r.LeftOut != "" {
			leftOut[r.LeftOut]++
			continue
		}
		files = append(files, retrieval.File{
			ID: r.ID, Parse: r.Parse, Path: r.Path, Language: r.Language, Bytes: r.Bytes, Chunks: int(r.Chunks),
			Key: retrieval.KeyOfFile(r.Blob, version, r.Path),
		})
	}
	return files, leftOut, nil
}

// CountChunks returns the chunks of the build's files, and those of them in files that were new.
func (s *Store) CountChunks(ctx context.Context, id retrieval.ID, version string) (all, fresh int64, err error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	row, err := s.read().CountChunks(ctx, retrievalsql.CountChunksParams{Version: version, IndexNumber: number})
	return row.Chunks, row.Fresh, postgres.Error(err)
}

// PutEdges stores the edges of files and replaces those that were stored before.
func (s *Store) PutEdges(ctx context.Context, fence retrieval.Fence, id retrieval.ID, edges map[int64]retrieval.FileEdges) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(slices.Sorted(maps.Keys(edges)), rowsPerWrite) {
		p := retrievalsql.PutEdgesParams{IndexNumber: number, Files: group}
		for _, file := range group {
			p.Outgoing, p.Incoming = append(p.Outgoing, pack.Edges(edges[file].Outgoing)), append(p.Incoming, pack.Edges(edges[file].Incoming))
		}
		if err := fence(ctx, joined(func(ctx context.Context, q *retrievalsql.Queries) error { return q.PutEdges(ctx, p) })); err != nil {
			return fmt.Errorf("store edges: %w", err)
		}
	}
	return nil
}

// PutRarity stores how rare each gram is in the view.
func (s *Store) PutRarity(ctx context.Context, fence retrieval.Fence, id retrieval.ID, rarity retrieval.Rarity) error {
	return fence(ctx, joined(func(ctx context.Context, q *retrievalsql.Queries) error {
		return q.PutRarity(ctx, retrievalsql.PutRarityParams{Rarity: rarity, ID: string(id)})
	}))
}

// Activate makes the view visible in the transaction that ends the job, and clears the stage.
func (s *Store) Activate(ctx context.Context, tx job.Tx, a retrieval.Activation) error {
	counts, err := json.Marshal(a.Counts)
	if err != nil {
		return err
	}
	q := in(tx)
	number, err := q.ActivateIndex(ctx, retrievalsql.ActivateIndexParams{
		State: string(retrieval.Ready), Counts: string(counts), Partial: a.Partial, ActivateTime: null(a.At), ID: string(a.Index),
	})
	if err != nil {
		return fmt.Errorf("activate index %s: %w", a.Index, err)
	}
	if err := q.FillView(ctx, retrievalsql.FillViewParams{Version: a.Version, IndexNumber: number}); err != nil {
		return fmt.Errorf("fill the view of %s: %w", a.Index, err)
	}
	if err := q.ClearStage(ctx, number); err != nil {
		return fmt.Errorf("clear the stage of %s: %w", a.Index, err)
	}
	return nil
}
