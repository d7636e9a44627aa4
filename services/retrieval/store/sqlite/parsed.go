package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"witan.dev/services/retrieval"
	"witan.dev/services/retrieval/store/pack"
)

const (
	// bytesPerWrite bounds the source text of one transaction: about 50 ms of the only writer.
	bytesPerWrite = 256 << 10
	// chunksPerFile is how many chunks a file's rowids have room for in the text index; the parser makes 10,000 at most.
	chunksPerFile = 1 << 14
)

// PutParsed stores results and ends their parsing, some files to a transaction.
func (s *Store) PutParsed(ctx context.Context, version string, results []retrieval.Parsed) error {
	size := func(p retrieval.Parsed) int64 { return p.Bytes }
	for group := range portions(results, size) {
		err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			for i := range group {
				if err := putParsed(ctx, tx, version, &group[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("store parse results: %w", err)
		}
	}
	return nil
}

func putParsed(ctx context.Context, tx *sql.Tx, version string, p *retrieval.Parsed) error {
	if len(p.Chunks) > chunksPerFile {
		return fmt.Errorf("%d chunks in one file", len(p.Chunks))
	}
	var vectors []byte
	for _, c := range p.Chunks {
		vectors = c.Vector.AppendBinary(vectors)
	}
	var id int64
	err := tx.QueryRowContext(ctx, `INSERT INTO code_parses (id, blob, hint, version, language, status, left_out, bytes, error_share,
		definitions, refs, chunks, packed_definitions, packed_refs, packed_imports, vectors)
		VALUES ((SELECT max(parse, (SELECT coalesce(max(id), 0) FROM code_parses)) + 1 FROM code_floor),?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT DO NOTHING RETURNING id`,
		p.Blob, p.Hint, version, p.Language, p.Status, p.LeftOut, p.Bytes, p.ErrorShare, len(p.Definitions), len(p.References), len(p.Chunks),
		pack.Definitions(p.Definitions), pack.References(p.References), pack.Imports(p.Imports), notNull(vectors)).Scan(&id)
	switch {
	case err == nil:
		if err = putChunks(ctx, tx, id, p.Chunks); err == nil {
			err = putNames(ctx, tx, id, p.Definitions)
		}
	case errors.Is(err, sql.ErrNoRows):
		err = nil // known already
	}
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM code_attempts WHERE blob = ? AND hint = ? AND version = ?`, p.Blob, p.Hint, version)
	return err
}

func putChunks(ctx context.Context, tx *sql.Tx, parse int64, chunks []retrieval.Chunk) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO code_chunks (parse, ordinal, start_line, end_line, definition, heading, text) VALUES (?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	for i, c := range chunks {
		if _, err := insert.ExecContext(ctx, parse, i, c.Lines.Start, c.Lines.End, c.Definition, c.Heading, c.Text); err != nil {
			return err
		}
	}
	return nil
}

func putNames(ctx context.Context, tx *sql.Tx, parse int64, definitions []retrieval.Definition) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO code_names (name, parse, ordinal) VALUES (?,?,?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	for i, d := range definitions {
		if _, err := insert.ExecContext(ctx, d.Name, parse, i); err != nil {
			return err
		}
	}
	return nil
}

// PutFiles makes known contents known at their paths, with the words of their chunks. A file whose content is no part
// of an index has no words.
func (s *Store) PutFiles(ctx context.Context, version string, files []retrieval.Staged) error {
	size := func(f retrieval.Staged) int64 { return f.Size }
	for group := range portions(files, size) {
		err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
			for _, f := range group {
				if err := putFile(ctx, tx, version, f); err != nil {
					return fmt.Errorf("%s: %w", f.Path, err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("store files: %w", err)
		}
	}
	return nil
}

func putFile(ctx context.Context, tx *sql.Tx, version string, f retrieval.Staged) error {
	var (
		parse   int64
		leftOut string
		packed  []byte
	)
	err := tx.QueryRowContext(ctx, `SELECT id, left_out, packed_definitions FROM code_parses WHERE blob = ? AND hint = ? AND version = ?`,
		f.Blob, f.Hint, version).Scan(&parse, &leftOut, &packed)
	if err != nil {
		return err
	}
	var file int64
	err = tx.QueryRowContext(ctx, `INSERT INTO code_files (id, path, parse)
		VALUES ((SELECT max(file, (SELECT coalesce(max(id), 0) FROM code_files)) + 1 FROM code_floor),?,?) ON CONFLICT DO NOTHING RETURNING id`, f.Path, parse).Scan(&file)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // known already
	}
	if err != nil || leftOut != "" {
		return err
	}
	definitions, err := pack.ReadDefinitions(packed)
	if err != nil {
		return err
	}
	chunks, err := readChunks(ctx, tx, parse)
	if err != nil {
		return err
	}
	return putWords(ctx, tx, file, f.Path, chunks, definitions)
}

func putWords(ctx context.Context, tx *sql.Tx, file int64, path string, chunks []retrieval.Chunk, definitions []retrieval.Definition) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO chunk_fts (rowid, name, path, body) VALUES (?,?,?,?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	pathWords := retrieval.SplitText(path)
	for i, c := range chunks {
		names := retrieval.SplitText(strings.Join(retrieval.ChunkNames(c, definitions), " "))
		body := retrieval.SplitText(c.Heading + " " + c.Text)
		if _, err := insert.ExecContext(ctx, file*chunksPerFile+int64(i), names, pathWords, body); err != nil {
			return err
		}
	}
	return nil
}

// portions yields parts of items of at most bytesPerWrite, and of at least one item.
func portions[T any](items []T, size func(T) int64) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		for start := 0; start < len(items); {
			end, sum := start+1, size(items[start])
			for end < len(items) && sum+size(items[end]) <= bytesPerWrite && end-start < rowsPerWrite {
				sum += size(items[end])
				end++
			}
			if !yield(items[start:end]) {
				return
			}
			start = end
		}
	}
}

// notNull keeps an empty value from becoming NULL.
func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
