package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// rowsPerWrite bounds one transaction: others wait for the only writer meanwhile.
const rowsPerWrite = 1000

// Stage replaces what the index is made of. A file is new where its content is not known at its path; new files get
// their batches in the order of git.
func (s *Store) Stage(ctx context.Context, fence retrieval.Fence, id retrieval.ID, version string, files []retrieval.Entry) (retrieval.Staging, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return retrieval.Staging{}, err
	}
	if err := fence(ctx, joined(exec(`DELETE FROM index_entries WHERE index_number = ?`, number))); err != nil {
		return retrieval.Staging{}, fmt.Errorf("clear the stage: %w", err)
	}
	staging := retrieval.Staging{Files: len(files)}
	first := 0
	for chunk := range slices.Chunk(files, rowsPerWrite) {
		ordinal, before := first, staging.New
		write := func(ctx context.Context, tx *sql.Tx) error {
			// In the same transaction, so that nothing is collected between the look and the stage that names it.
			known, err := knownFiles(ctx, tx, version, chunk)
			if err != nil {
				return err
			}
			staging.New = before
			return insertEntries(ctx, tx, number, ordinal, chunk, known, &staging.New)
		}
		if err := fence(ctx, joined(write)); err != nil {
			return retrieval.Staging{}, fmt.Errorf("stage files: %w", err)
		}
		first += len(chunk)
	}
	staging.Batches = (staging.New + retrieval.BatchFiles - 1) / retrieval.BatchFiles
	return staging, nil
}

func insertEntries(ctx context.Context, tx *sql.Tx, number int64, first int, chunk []retrieval.Entry, known []bool, fresh *int) error {
	insert, err := tx.PrepareContext(ctx, `INSERT INTO index_entries (index_number, ordinal, path, blob, hint, size, batch) VALUES (?,?,?,?,?,?,?)`)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	for i, e := range chunk {
		var batch sql.NullInt64
		if !known[i] {
			batch = sql.NullInt64{Int64: int64(*fresh / retrieval.BatchFiles), Valid: true}
			*fresh++
		}
		if _, err := insert.ExecContext(ctx, number, first+i, e.Path, e.Blob, retrieval.HintOf(e.Path), e.Size, batch); err != nil {
			return err
		}
	}
	return nil
}

func knownFiles(ctx context.Context, tx *sql.Tx, version string, entries []retrieval.Entry) (known []bool, err error) {
	query, err := tx.PrepareContext(ctx, `SELECT EXISTS (SELECT 1 FROM code_parses p JOIN code_files f ON f.parse = p.id
		WHERE p.blob = ? AND p.hint = ? AND p.version = ? AND f.path = ?)`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = query.Close() }()
	known = make([]bool, len(entries))
	for i, e := range entries {
		if err := query.QueryRowContext(ctx, e.Blob, retrieval.HintOf(e.Path), version, e.Path).Scan(&known[i]); err != nil {
			return nil, fmt.Errorf("look up %s: %w", e.Blob, err)
		}
	}
	return known, nil
}

// Batch returns the files of a batch that are not known at their path, in the order of git.
func (s *Store) Batch(ctx context.Context, id retrieval.ID, version string, batch int) ([]retrieval.Staged, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, err
	}
	scan := func(row scanner) (retrieval.Staged, error) {
		var f retrieval.Staged
		err := row.Scan(&f.Path, &f.Blob, &f.Hint, &f.Size, &f.Parsed)
		return f, err
	}
	return collect(ctx, s.db.Reader(), scan, `SELECT e.path, e.blob, e.hint, e.size, p.id IS NOT NULL FROM index_entries e
		LEFT JOIN code_parses p ON p.blob = e.blob AND p.hint = e.hint AND p.version = ?
		LEFT JOIN code_files f ON f.parse = p.id AND f.path = e.path
		WHERE e.index_number = ? AND e.batch = ? AND f.id IS NULL ORDER BY e.ordinal`, version, number, batch)
}

// exec makes one statement a write.
func exec(query string, args ...any) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
}

// joined makes a write join the transaction of another package.
func joined(write func(context.Context, *sql.Tx) error) func(context.Context, job.Tx) error {
	return func(ctx context.Context, tx job.Tx) error { return write(ctx, sqlite.Unwrap(tx)) }
}
