package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"witan.dev/internal/job"
)

// Sweep releases the frozen work of reviews whose job has succeeded, was deleted or never came to be: what a process
// leaves that dies before the job is created, or between its end and the release. Any other job may run, or be retried.
// states returns the states of those jobs that exist.
// Call it before reviews are created and run, since what is being pinned has no job yet.
func (r *Repository) Sweep(ctx context.Context, states func(ctx context.Context, ids ...job.ID) (map[job.ID]job.State, error)) error {
	entries, err := os.ReadDir(r.frozen)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for frozen work: %w", err)
	}
	ids := make([]job.ID, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, job.ID(e.Name()))
	}
	known, err := states(ctx, ids...)
	if err != nil {
		return fmt.Errorf("ask for the jobs of frozen work: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if state, ok := known[id]; !ok || state == job.StateSucceeded {
			errs = append(errs, r.Release(ctx, id))
		}
	}
	return errors.Join(errs...)
}
