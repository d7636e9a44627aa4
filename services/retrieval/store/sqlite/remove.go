package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// collectParses bounds one transaction of Collect: a content has some tens of chunks.
const collectParses = 50

// Delete removes an index with its view, in the transaction that deletes its job, and notes its contents for Collect.
func (s *Store) Delete(ctx context.Context, tx job.Tx, id retrieval.ID) error {
	t := sqlite.Unwrap(tx)
	var number int64
	err := t.QueryRowContext(ctx, `DELETE FROM indexes WHERE id = ? RETURNING number`, string(id)).Scan(&number)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete index %s: %w", id, err)
	}
	for _, statement := range []string{
		`INSERT INTO code_garbage (parse) SELECT DISTINCT f.parse FROM index_files AS v JOIN code_files AS f ON f.id = v.file
			WHERE v.index_number = ? ON CONFLICT DO NOTHING`,
		`INSERT INTO code_garbage (parse) SELECT DISTINCT p.id FROM index_entries AS e JOIN code_parses AS p ON p.blob = e.blob AND p.hint = e.hint
			WHERE e.index_number = ? ON CONFLICT DO NOTHING`,
		`DELETE FROM index_edges WHERE index_number = ?`,
		`DELETE FROM index_files WHERE index_number = ?`,
		`DELETE FROM index_entries WHERE index_number = ?`,
		`DELETE FROM code_attempts WHERE index_number = ?`,
	} {
		if _, err := t.ExecContext(ctx, statement, number); err != nil {
			return fmt.Errorf("delete index %s: %w", id, err)
		}
	}
	return nil
}

// Collect removes at most n contents that a removed index named and nothing else names, and returns how many it looked
// at. What a build has staged is named by its stage.
func (s *Store) Collect(ctx context.Context, n int) (int, error) {
	looked := 0
	for looked < n {
		some := 0
		err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			some, err = collectSome(ctx, tx, min(collectParses, n-looked))
			return err
		})
		if err != nil {
			return looked, fmt.Errorf("remove contents that no index names: %w", err)
		}
		if some == 0 {
			break
		}
		looked += some
	}
	return looked, nil
}

func collectSome(ctx context.Context, tx *sql.Tx, n int) (int, error) {
	parses, err := collect(ctx, tx, func(row scanner) (int64, error) {
		var id int64
		err := row.Scan(&id)
		return id, err
	}, `SELECT parse FROM code_garbage LIMIT ?`, n)
	if err != nil {
		return 0, err
	}
	for _, parse := range parses {
		if err := collectOne(ctx, tx, parse); err != nil {
			return 0, err
		}
	}
	return len(parses), nil
}

// collectOne removes the files of a content that no view and no stage names, and the content when none of either is left.
func collectOne(ctx context.Context, tx *sql.Tx, parse int64) error {
	files, err := collect(ctx, tx, func(row scanner) (int64, error) {
		var id int64
		err := row.Scan(&id)
		return id, err
	}, `SELECT f.id FROM code_files AS f JOIN code_parses AS p ON p.id = f.parse WHERE f.parse = ?
		AND NOT EXISTS (SELECT 1 FROM index_files AS v WHERE v.file = f.id)
		AND NOT EXISTS (SELECT 1 FROM index_entries AS e WHERE e.blob = p.blob AND e.hint = p.hint AND e.path = f.path)`, parse)
	if err != nil {
		return err
	}
	for _, file := range files {
		if _, err := tx.ExecContext(ctx, `DELETE FROM chunk_fts WHERE rowid >= ? AND rowid < ?`, file*chunksPerFile, (file+1)*chunksPerFile); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM code_files WHERE id = ?`, file); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE code_floor SET file = max(file, ?)`, file); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM code_garbage WHERE parse = ?`, parse); err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `DELETE FROM code_parses AS p WHERE p.id = ?
		AND NOT EXISTS (SELECT 1 FROM code_files AS f WHERE f.parse = p.id)
		AND NOT EXISTS (SELECT 1 FROM index_entries AS e WHERE e.blob = p.blob AND e.hint = p.hint)`, parse)
	if err != nil {
		return err
	}
	if gone, err := res.RowsAffected(); err != nil || gone == 0 {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM code_chunks WHERE parse = ?`, `DELETE FROM code_names WHERE parse = ?`, `UPDATE code_floor SET parse = max(parse, ?)`,
	} {
		if _, err := tx.ExecContext(ctx, statement, parse); err != nil {
			return err
		}
	}
	return nil
}
