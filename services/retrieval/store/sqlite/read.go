package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

// Definitions of a content.
func (s *Store) Definitions(ctx context.Context, parse int64) ([]retrieval.Definition, error) {
	return unpack(ctx, s, pack.ReadDefinitions, `SELECT packed_definitions FROM code_parses WHERE id = ?`, parse)
}

// References of a content.
func (s *Store) References(ctx context.Context, parse int64) ([]retrieval.Reference, error) {
	return unpack(ctx, s, pack.ReadReferences, `SELECT packed_refs FROM code_parses WHERE id = ?`, parse)
}

// Imports of a content.
func (s *Store) Imports(ctx context.Context, parse int64) ([]retrieval.Import, error) {
	return unpack(ctx, s, pack.ReadImports, `SELECT packed_imports FROM code_parses WHERE id = ?`, parse)
}

func unpack[T any](ctx context.Context, s *Store, read func([]byte) ([]T, error), query string, args ...any) ([]T, error) {
	var packed []byte
	if err := s.db.Reader().QueryRowContext(ctx, query, args...).Scan(&packed); err != nil {
		return nil, fmt.Errorf("read parse result: %w", err)
	}
	return read(packed)
}

// Chunks of a content with their texts.
func (s *Store) Chunks(ctx context.Context, parse int64) ([]retrieval.Chunk, error) {
	return readChunks(ctx, s.db.Reader(), parse)
}

func readChunks(ctx context.Context, q querier, parse int64) ([]retrieval.Chunk, error) {
	scan := func(row scanner) (retrieval.Chunk, error) {
		var c retrieval.Chunk
		err := row.Scan(&c.Lines.Start, &c.Lines.End, &c.Definition, &c.Heading, &c.Text)
		return c, err
	}
	return collect(ctx, q, scan, `SELECT start_line, end_line, definition, heading, text FROM code_chunks WHERE parse = ? ORDER BY ordinal`, parse)
}

// Vectors calls each with the vectors of the chunks of every content, in the order of parses.
func (s *Store) Vectors(ctx context.Context, parses []int64, each func(parse int64, vectors []retrieval.Quantised) error) (err error) {
	query, err := s.db.Reader().PrepareContext(ctx, `SELECT vectors FROM code_parses WHERE id = ?`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, query.Close()) }()
	for _, parse := range parses {
		var encoded []byte
		if err := query.QueryRowContext(ctx, parse).Scan(&encoded); err != nil {
			return fmt.Errorf("read vectors: %w", err)
		}
		vectors, err := retrieval.ReadQuantised(encoded)
		if err != nil {
			return err
		}
		if err := each(parse, vectors); err != nil {
			return err
		}
	}
	return nil
}

// Named returns the definitions of a name in all contents.
func (s *Store) Named(ctx context.Context, name string) ([]retrieval.DefinitionAt, error) {
	scan := func(row scanner) (retrieval.DefinitionAt, error) {
		var d retrieval.DefinitionAt
		err := row.Scan(&d.Parse, &d.Ordinal)
		return d, err
	}
	return collect(ctx, s.db.Reader(), scan, `SELECT parse, ordinal FROM code_names WHERE name = ?`, name)
}

// Files of a view, ordered by path.
func (s *Store) Files(ctx context.Context, id retrieval.ID) ([]retrieval.File, error) {
	files, err := collect(ctx, s.db.Reader(), scanFile, `SELECT f.id, p.id, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes i
		JOIN index_files v ON v.index_number = i.number JOIN code_files f ON f.id = v.file JOIN code_parses p ON p.id = f.parse
		WHERE i.id = ? AND i.state = 'READY'`, string(id))
	slices.SortFunc(files, byPath)
	return files, err
}

// ScopeFiles are the files that any view or build of a repository names, each once.
func (s *Store) ScopeFiles(ctx context.Context, scope retrieval.Scope) ([]retrieval.File, error) {
	return collect(ctx, s.db.Reader(), scanFile, `SELECT f.id, p.id, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes i
		JOIN index_files v ON v.index_number = i.number JOIN code_files f ON f.id = v.file JOIN code_parses p ON p.id = f.parse
		WHERE i.owner = ?1 AND i.repository = ?2
		UNION SELECT f.id, p.id, f.path, p.language, p.bytes, p.chunks, p.blob, p.version FROM indexes i
		JOIN index_entries e ON e.index_number = i.number JOIN code_parses p ON p.blob = e.blob AND p.hint = e.hint
		JOIN code_files f ON f.parse = p.id AND f.path = e.path WHERE i.owner = ?1 AND i.repository = ?2`, scope.Owner, scope.Repository)
}

func scanFile(row scanner) (retrieval.File, error) {
	var (
		f             retrieval.File
		blob, version string
	)
	err := row.Scan(&f.ID, &f.Parse, &f.Path, &f.Language, &f.Bytes, &f.Chunks, &blob, &version)
	f.Key = retrieval.KeyOfFile(blob, version, f.Path)
	return f, err
}

// Edges of a file; none is no error.
func (s *Store) Edges(ctx context.Context, id retrieval.ID, file int64) (retrieval.FileEdges, error) {
	var outgoing, incoming []byte
	err := s.db.Reader().QueryRowContext(ctx, `SELECT e.outgoing, e.incoming FROM indexes i JOIN index_edges e ON e.index_number = i.number
		WHERE i.id = ? AND e.file = ?`, string(id), file).Scan(&outgoing, &incoming)
	if errors.Is(err, sql.ErrNoRows) {
		return retrieval.FileEdges{}, nil
	}
	if err != nil {
		return retrieval.FileEdges{}, fmt.Errorf("read edges: %w", err)
	}
	var edges retrieval.FileEdges
	edges.Outgoing, err = pack.ReadEdges(outgoing)
	if err != nil {
		return retrieval.FileEdges{}, err
	}
	edges.Incoming, err = pack.ReadEdges(incoming)
	return edges, err
}

// Rarity of grams in the view.
func (s *Store) Rarity(ctx context.Context, id retrieval.ID) (retrieval.Rarity, error) {
	var rarity []byte
	if err := s.db.Reader().QueryRowContext(ctx, `SELECT rarity FROM indexes WHERE id = ?`, string(id)).Scan(&rarity); err != nil {
		return nil, fmt.Errorf("read rarity: %w", err)
	}
	return rarity, nil
}

// Lexical calls fn with the chunks of all files that hold any of the terms, best first, until it returns false.
func (s *Store) Lexical(ctx context.Context, terms []string, fn func(retrieval.ChunkRef) bool) error {
	if len(terms) == 0 {
		return nil
	}
	quoted := make([]string, len(terms))
	for i, t := range terms {
		quoted[i] = `"` + strings.NewReplacer(`"`, `""`, "\x00", " ").Replace(t) + `"`
	}
	err := each(ctx, s.db.Reader(), func(row scanner) error {
		var id int64
		if err := row.Scan(&id); err != nil {
			return err
		}
		if !fn(retrieval.ChunkRef{File: id / chunksPerFile, Ordinal: int(id % chunksPerFile)}) {
			return errStop
		}
		return nil
	}, `SELECT rowid FROM chunk_fts WHERE chunk_fts MATCH ? AND rank MATCH 'bm25(3.0, 3.0, 1.0)' ORDER BY rank`, strings.Join(quoted, " OR "))
	if err != nil {
		return fmt.Errorf("search words: %w", err)
	}
	return nil
}
