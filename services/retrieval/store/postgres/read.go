package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

// vectorsPerRead bounds how many contents' vectors are read together.
const vectorsPerRead = 200

// Definitions of a content.
func (s *Store) Definitions(ctx context.Context, parse int64) ([]retrieval.Definition, error) {
	return unpack(ctx, s.read().DefinitionsOf, pack.ReadDefinitions, parse)
}

// References of a content.
func (s *Store) References(ctx context.Context, parse int64) ([]retrieval.Reference, error) {
	return unpack(ctx, s.read().ReferencesOf, pack.ReadReferences, parse)
}

// Imports of a content.
func (s *Store) Imports(ctx context.Context, parse int64) ([]retrieval.Import, error) {
	return unpack(ctx, s.read().ImportsOf, pack.ReadImports, parse)
}

func unpack[T any](ctx context.Context, query func(context.Context, int64) ([]byte, error), read func([]byte) ([]T, error), parse int64) ([]T, error) {
	packed, err := query(ctx, parse)
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("read parse result: %w", err))
	}
	return read(packed)
}

// Chunks of a content with their texts.
func (s *Store) Chunks(ctx context.Context, parse int64) ([]retrieval.Chunk, error) {
	chunks, err := chunksOf(ctx, s.read(), []int64{parse})
	return chunks[parse], postgres.Error(err)
}

func chunksOf(ctx context.Context, q *retrievalsql.Queries, parses []int64) (map[int64][]retrieval.Chunk, error) {
	rows, err := q.ChunksOf(ctx, parses)
	if err != nil {
		return nil, fmt.Errorf("read chunks: %w", err)
	}
	chunks := make(map[int64][]retrieval.Chunk)
	for _, r := range rows {
		chunks[r.Parse] = append(chunks[r.Parse], retrieval.Chunk{
			Lines: retrieval.Lines{Start: int(r.StartLine), End: int(r.EndLine)}, Definition: int(r.Definition),
			Heading: string(r.Heading), Text: string(r.Text),
		})
	}
	return chunks, nil
}

// Vectors calls each with the vectors of the chunks of every content, in the order of parses.
func (s *Store) Vectors(ctx context.Context, parses []int64, each func(parse int64, vectors []retrieval.Quantised) error) error {
	for group := range slices.Chunk(parses, vectorsPerRead) {
		rows, err := s.read().VectorsOf(ctx, group)
		if err != nil {
			return postgres.Error(fmt.Errorf("read vectors: %w", err))
		}
		encoded := make(map[int64][]byte, len(rows))
		for _, r := range rows {
			encoded[r.ID] = r.Vectors
		}
		for _, parse := range group {
			value, known := encoded[parse]
			if !known {
				return fmt.Errorf("read vectors of %d: %w", parse, pgx.ErrNoRows)
			}
			vectors, err := retrieval.ReadQuantised(value)
			if err != nil {
				return err
			}
			if err := each(parse, vectors); err != nil {
				return err
			}
		}
	}
	return nil
}

// Named returns the definitions of a name in all contents.
func (s *Store) Named(ctx context.Context, name string) ([]retrieval.DefinitionAt, error) {
	rows, err := s.read().Named(ctx, digest(name))
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("look up a name: %w", err))
	}
	return each(rows, func(r retrievalsql.NamedRow) (retrieval.DefinitionAt, error) {
		return retrieval.DefinitionAt{Parse: r.Parse, Ordinal: int(r.Ordinal)}, nil
	})
}

// Files of a view, ordered by path.
func (s *Store) Files(ctx context.Context, id retrieval.ID) ([]retrieval.File, error) {
	rows, err := s.read().FilesOf(ctx, string(id))
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("read the view of index %s: %w", id, err))
	}
	return each(rows, fileOf)
}

func fileOf(r retrievalsql.FilesOfRow) (retrieval.File, error) {
	return retrieval.File{
		ID: r.ID, Parse: r.Parse, Path: r.Path, Language: r.Language, Bytes: r.Bytes, Chunks: int(r.Chunks),
		Key: retrieval.KeyOfFile(r.Blob, r.Version, r.Path),
	}, nil
}

// ScopeFiles are the files that any view or build of a repository names, each once.
func (s *Store) ScopeFiles(ctx context.Context, scope retrieval.Scope) ([]retrieval.File, error) {
	rows, err := s.read().ScopeFiles(ctx, retrievalsql.ScopeFilesParams{Owner: scope.Owner, Repository: scope.Repository})
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("list the files of repository %.200q: %w", scope.Repository, err))
	}
	return each(rows, func(r retrievalsql.ScopeFilesRow) (retrieval.File, error) { return fileOf(retrievalsql.FilesOfRow(r)) })
}

// Edges of a file; none is no error.
func (s *Store) Edges(ctx context.Context, id retrieval.ID, file int64) (retrieval.FileEdges, error) {
	row, err := s.read().EdgesOf(ctx, retrievalsql.EdgesOfParams{ID: string(id), File: file})
	if errors.Is(err, pgx.ErrNoRows) {
		return retrieval.FileEdges{}, nil
	}
	if err != nil {
		return retrieval.FileEdges{}, postgres.Error(fmt.Errorf("read edges: %w", err))
	}
	outgoing, err := pack.ReadEdges(row.Outgoing)
	if err != nil {
		return retrieval.FileEdges{}, err
	}
	incoming, err := pack.ReadEdges(row.Incoming)
	return retrieval.FileEdges{Outgoing: outgoing, Incoming: incoming}, err
}

// Rarity of grams in the view.
func (s *Store) Rarity(ctx context.Context, id retrieval.ID) (retrieval.Rarity, error) {
	rarity, err := s.read().RarityOf(ctx, string(id))
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("read rarity: %w", err))
	}
	return rarity, nil
}
