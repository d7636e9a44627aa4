package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/retrievalsql"
	"witan.dev/internal/job"
	"witan.dev/services/retrieval"
)

// collectParses bounds one transaction of Collect: a content has some tens of chunks.
const collectParses = 50

// Delete removes an index with its view, in the transaction that deletes its job, and notes its contents for Collect.
func (s *Store) Delete(ctx context.Context, tx job.Tx, id retrieval.ID) error {
	q := in(tx)
	number, err := q.DeleteIndex(ctx, string(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete index %s: %w", id, err)
	}
	for _, remove := range []func(context.Context, int64) error{q.NoteGarbage, q.DeleteEdges, q.DeleteView, q.ClearStage, q.DeleteAttempts} {
		if err := remove(ctx, number); err != nil {
			return fmt.Errorf("delete index %s: %w", id, err)
		}
	}
	return nil
}

// Collect removes at most n contents that a removed index named and nothing else names, and returns how many it looked
// at. What a build has staged is named by its stage. Several processes may do it at once: each takes what no other has.
func (s *Store) Collect(ctx context.Context, n int) (int, error) {
	looked := 0
	for looked < n {
		some := 0
		err := s.write(ctx, func(ctx context.Context, q *retrievalsql.Queries) (err error) {
			some, err = collectSome(ctx, q, min(collectParses, n-looked))
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

// collectSome holds the notes before it looks, so that a removal which would note the same content waits, and notes it
// again. It holds the contents before it looks, so that whoever is about to stage or place one has done so, or waits and
// finds it gone. Each statement sees what was committed before it began.
func collectSome(ctx context.Context, q *retrievalsql.Queries, n int) (int, error) {
	parses, err := q.TakeGarbage(ctx, small(n))
	if err != nil || len(parses) == 0 {
		return 0, err
	}
	for _, step := range []func(context.Context, []int64) error{q.LockContents, q.ForgetGarbage, q.DeleteUnnamedFiles} {
		if err := step(ctx, parses); err != nil {
			return 0, err
		}
	}
	gone, err := q.DeleteUnnamedContents(ctx, parses)
	if err != nil {
		return 0, err
	}
	if len(gone) > 0 {
		err = errors.Join(q.DeleteChunks(ctx, gone), q.DeleteNames(ctx, gone))
	}
	return len(parses), err
}
