package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"witan.dev/internal/database/sqlite"
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
	var files []retrieval.File
	leftOut := map[string]int64{}
	err = each(ctx, s.db.Reader(), func(row scanner) error {
		var (
			f            retrieval.File
			blob, reason string
		)
		if err := row.Scan(&f.ID, &f.Parse, &f.Path, &f.Language, &f.Bytes, &f.Chunks, &blob, &reason); err != nil {
			return err
		}
		if reason != "" {
			leftOut[reason]++
			return nil
		}
		f.Key = retrieval.KeyOfFile(blob, version, f.Path)
		files = append(files, f)
		return nil
	}, `SELECT f.id, p.id, e.path, p.language, p.bytes, p.chunks, p.blob, p.left_out FROM index_entries e
		JOIN code_parses p ON p.blob = e.blob AND p.hint = e.hint AND p.version = ?
		JOIN code_files f ON f.parse = p.id AND f.path = e.path WHERE e.index_number = ?`, version, number)
	slices.SortFunc(files, byPath)
	return files, leftOut, err
}

func byPath(a, b retrieval.File) int { return cmp.Compare(a.Path, b.Path) }

// CountChunks returns the chunks of the build's files, and those of them in files that were new.
func (s *Store) CountChunks(ctx context.Context, id retrieval.ID, version string) (all, fresh int64, err error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	err = s.db.Reader().QueryRowContext(ctx, `SELECT coalesce(sum(p.chunks), 0), coalesce(sum(iif(e.batch IS NULL, 0, p.chunks)), 0)
		FROM index_entries e JOIN code_parses p ON p.blob = e.blob AND p.hint = e.hint AND p.version = ? AND p.left_out = ''
		WHERE e.index_number = ?`, version, number).Scan(&all, &fresh)
	return all, fresh, err
}

// PutEdges stores the edges of files and replaces those that were stored before.
func (s *Store) PutEdges(ctx context.Context, fence retrieval.Fence, id retrieval.ID, edges map[int64]retrieval.FileEdges) error {
	number, err := s.number(ctx, id)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(slices.Sorted(maps.Keys(edges)), rowsPerWrite) {
		err := fence(ctx, joined(func(ctx context.Context, tx *sql.Tx) error {
			for _, file := range group {
				_, err := tx.ExecContext(ctx, `INSERT INTO index_edges (index_number, file, outgoing, incoming) VALUES (?,?,?,?)
					ON CONFLICT DO UPDATE SET outgoing = excluded.outgoing, incoming = excluded.incoming`,
					number, file, pack.Edges(edges[file].Outgoing), pack.Edges(edges[file].Incoming))
				if err != nil {
					return err
				}
			}
			return nil
		}))
		if err != nil {
			return fmt.Errorf("store edges: %w", err)
		}
	}
	return nil
}

// PutRarity stores how rare each gram is in the view.
func (s *Store) PutRarity(ctx context.Context, fence retrieval.Fence, id retrieval.ID, rarity retrieval.Rarity) error {
	return fence(ctx, joined(exec(`UPDATE indexes SET rarity = ? WHERE id = ?`, []byte(rarity), string(id))))
}

// Activate makes the view visible in the transaction that ends the job, and clears the stage.
func (s *Store) Activate(ctx context.Context, tx job.Tx, a retrieval.Activation) error {
	counts, err := json.Marshal(a.Counts)
	if err != nil {
		return err
	}
	t := sqlite.Unwrap(tx)
	var number int64
	err = t.QueryRowContext(ctx, `UPDATE indexes SET state = ?, counts = ?, partial = ?, activated_at = ? WHERE id = ? RETURNING number`,
		string(retrieval.Ready), string(counts), a.Partial, micros(a.At), string(a.Index)).Scan(&number)
	if err != nil {
		return fmt.Errorf("activate index %s: %w", a.Index, err)
	}
	_, err = t.ExecContext(ctx, `INSERT INTO index_files (index_number, file) SELECT e.index_number, f.id FROM index_entries e
		JOIN code_parses p ON p.blob = e.blob AND p.hint = e.hint AND p.version = ? AND p.left_out = ''
		JOIN code_files f ON f.parse = p.id AND f.path = e.path WHERE e.index_number = ?`, a.Version, number)
	if err != nil {
		return fmt.Errorf("fill the view of %s: %w", a.Index, err)
	}
	if _, err := t.ExecContext(ctx, `DELETE FROM index_entries WHERE index_number = ?`, number); err != nil {
		return fmt.Errorf("clear the stage of %s: %w", a.Index, err)
	}
	return nil
}
