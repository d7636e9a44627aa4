package postgres

import (
	"context"
	"fmt"
	"slices"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/services/retrieval"
)

// rowsPerWrite bounds one transaction: others may wait for the rows that it holds.
const rowsPerWrite = 1000

// Stage replaces what the index is made of. A file is new where its content is not known at its path; new files get
// their batches in the order of git.
func (s *Store) Stage(ctx context.Context, fence retrieval.Fence, id retrieval.ID, version string, files []retrieval.Entry) (retrieval.Staging, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return retrieval.Staging{}, err
	}
	if err := fence(ctx, joined(func(ctx context.Context, q *retrievalsql.Queries) error { return q.ClearStage(ctx, number) })); err != nil {
		return retrieval.Staging{}, fmt.Errorf("clear the stage: %w", err)
	}
	staging := retrieval.Staging{Files: len(files)}
	first := 0
	for chunk := range slices.Chunk(files, rowsPerWrite) {
		rows, before := entriesOf(number, first, chunk), staging.New
		write := func(ctx context.Context, q *retrievalsql.Queries) error {
			fresh, err := insertEntries(ctx, q, version, rows, before)
			staging.New = before + fresh
			return err
		}
		if err := fence(ctx, joined(write)); err != nil {
			return retrieval.Staging{}, fmt.Errorf("stage files: %w", err)
		}
		first += len(chunk)
	}
	staging.Batches = (staging.New + retrieval.BatchFiles - 1) / retrieval.BatchFiles
	return staging, nil
}

func entriesOf(number int64, first int, files []retrieval.Entry) []retrievalsql.InsertEntriesParams {
	rows := make([]retrievalsql.InsertEntriesParams, len(files))
	for i, e := range files {
		rows[i] = retrievalsql.InsertEntriesParams{
			IndexNumber: number, Ordinal: small(first + i), Path: e.Path, Place: digest(e.Path),
			Blob: e.Blob, Hint: retrieval.HintOf(e.Path), Size: e.Size,
		}
	}
	return rows
}

// insertEntries looks what is known and stages it in one transaction that holds the contents meanwhile, so that nothing is
// collected between the look and the stage that names it. It returns how many files are new.
func insertEntries(ctx context.Context, q *retrievalsql.Queries, version string, rows []retrievalsql.InsertEntriesParams, before int) (int, error) {
	known, err := knownFiles(ctx, q, version, rows)
	if err != nil {
		return 0, err
	}
	fresh := 0
	for i := range rows {
		rows[i].Batch = nil
		if !known[i] {
			batch := small((before + fresh) / retrieval.BatchFiles)
			rows[i].Batch = &batch
			fresh++
		}
	}
	_, err = q.InsertEntries(ctx, rows)
	return fresh, err
}

// file is a content at a path.
type file struct {
	parse int64
	place [digestSize]byte
}

func knownFiles(ctx context.Context, q *retrievalsql.Queries, version string, rows []retrievalsql.InsertEntriesParams) ([]bool, error) {
	keys := make([][]byte, len(rows))
	for i, r := range rows {
		keys[i] = keyOf(retrieval.BlobKey{Blob: r.Blob, Hint: r.Hint}, version)
	}
	held, err := q.ShareContents(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("look up contents: %w", err)
	}
	parses := make(map[string]int64, len(held))
	for _, h := range held {
		parses[string(h.Key)] = h.ID
	}
	var asked retrievalsql.KnownFilesParams
	for i, r := range rows {
		if parse, ok := parses[string(keys[i])]; ok {
			asked.Parses, asked.Places = append(asked.Parses, parse), append(asked.Places, r.Place)
		}
	}
	if len(asked.Parses) == 0 {
		return make([]bool, len(rows)), nil
	}
	there, err := q.KnownFiles(ctx, asked)
	if err != nil {
		return nil, fmt.Errorf("look up files: %w", err)
	}
	files := make(map[file]bool, len(there))
	for _, t := range there {
		files[file{t.Parse, [digestSize]byte(t.Place)}] = true
	}
	known := make([]bool, len(rows))
	for i, r := range rows {
		known[i] = files[file{parses[string(keys[i])], [digestSize]byte(r.Place)}]
	}
	return known, nil
}

// Batch returns the files of a batch that are not known at their path, in the order of git.
func (s *Store) Batch(ctx context.Context, id retrieval.ID, version string, batch int) ([]retrieval.Staged, error) {
	number, err := s.number(ctx, id)
	if err != nil {
		return nil, err
	}
	rows, err := s.read().Batch(ctx, retrievalsql.BatchParams{Version: version, IndexNumber: number, Batch: small(batch)})
	if err != nil {
		return nil, postgres.Error(fmt.Errorf("read batch %d: %w", batch, err))
	}
	return each(rows, func(r retrievalsql.BatchRow) (retrieval.Staged, error) {
		return retrieval.Staged{BlobKey: retrieval.BlobKey{Blob: r.Blob, Hint: r.Hint}, Path: r.Path, Size: r.Size, Parsed: r.Parsed}, nil
	})
}
