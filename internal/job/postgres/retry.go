package postgres

import (
	"context"
	"fmt"
	"slices"

	"witan.dev/internal/job"
)

// Retry implements job.Creator.
func (s *Store) Retry(ctx context.Context, r job.Retrial, enqueue func(ctx context.Context, tx job.Tx, j job.Job) error) (job.Job, bool, error) {
	var (
		retried job.Job
		reused  bool
	)
	err := s.write(ctx, func(ctx context.Context, tx transaction) (err error) {
		retried, reused, err = s.retry(ctx, tx, r, enqueue)
		return err
	})
	if err != nil {
		return job.Job{}, false, err
	}
	return retried, reused, nil
}

func (s *Store) retry(ctx context.Context, tx transaction, r job.Retrial, enqueue func(ctx context.Context, tx job.Tx, j job.Job) error) (job.Job, bool, error) {
	h, parent, err := s.holdWithParent(ctx, tx, r)
	if err != nil {
		return job.Job{}, false, err
	}
	req := request{h.Owner, job.RetryMethod, r.RequestID, r.BodySHA256}
	if first, err := earlier(ctx, tx, req); err != nil {
		return job.Job{}, false, err
	} else if first != "" {
		j, err := get(ctx, tx.Queries, r.ID)
		return j, true, err
	}
	if err := job.RetryRefused(h.Job, r.Revision); err != nil {
		return job.Job{}, false, err
	}
	if parent.cancelling {
		return job.Job{}, false, job.ErrNotFinished
	}
	if err := s.note(ctx, tx, req, h.ID, h.Resource); err != nil {
		return job.Job{}, false, err
	}
	h.retry()
	if _, err := h.save(ctx, tx); err != nil {
		return job.Job{}, false, err
	}
	j, err := get(ctx, tx.Queries, h.ID)
	if err != nil {
		return job.Job{}, false, err
	}
	if err := enqueue(ctx, tx.joined, j); err != nil {
		return job.Job{}, false, err
	}
	return j, false, nil
}

// starter is the job that started another one. Its zero value is none, or one that is gone.
type starter struct {
	there, ended, cancelling bool
}

// holdWithParent locks a job behind the one that started it.
func (s *Store) holdWithParent(ctx context.Context, tx transaction, r job.Retrial) (*held, starter, error) {
	parents, err := tx.ParentsOf(ctx, []string{string(r.ID)})
	if err != nil {
		return nil, starter{}, fmt.Errorf("look at job %s: %w", r.ID, err)
	}
	if len(parents) == 0 || r.Owner != "" && r.Owner != parents[0].Owner {
		return nil, starter{}, job.ErrNotFound
	}
	starters, err := s.starters(ctx, tx, []string{parents[0].ParentJob})
	if err != nil {
		return nil, starter{}, err
	}
	h, err := s.hold(ctx, tx, r.ID)
	return h, starters[job.ID(parents[0].ParentJob)], err
}

// starters keeps jobs from changing until the transaction ends and says how they are.
func (s *Store) starters(ctx context.Context, tx transaction, ids []string) (map[job.ID]starter, error) {
	rows, err := tx.ShareJobs(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look at what started jobs: %w", err)
	}
	found := make(map[job.ID]starter, len(rows))
	for _, r := range rows {
		ended := job.State(r.State).Terminal()
		found[job.ID(r.ID)] = starter{there: true, ended: ended, cancelling: !ended && r.CancelTime != nil}
	}
	return found, nil
}

// retry puts the job into its next attempt.
func (h *held) retry() {
	from := h.State
	h.Attempt++
	h.State, h.StateReason, h.Stage, h.Error, h.Stalled, h.Progress = job.StateQueued, "", "", nil, 0, job.Progress{}
	h.DeadlineAt, h.QueueExpireAt = utc(after(h.now, h.Timeout)), utc(after(h.now, h.QueueTimeout))
	h.EndedAt, h.CancelAskedAt, h.HistoryExpireAt = utc(nil), utc(nil), utc(nil)
	h.log(job.NewEvent{
		Key: job.KeyRetry(h.Attempt), Type: job.TypeStateChanged,
		Payload: job.StateChange{From: from, To: job.StateQueued}.Encode(),
	})
}

// Delete implements job.Ender.
func (s *Store) Delete(ctx context.Context, d job.Deletion) ([]job.Job, error) {
	var gone []job.Job
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		gone = nil
		doomed, err := s.doomed(ctx, tx, d)
		if err != nil {
			return err
		}
		for _, h := range slices.Backward(doomed) {
			j, err := remove(ctx, tx, h.ID, d.Remove)
			if err != nil {
				return err
			}
			gone = append(gone, j)
		}
		return tx.run(ctx, d.Write)
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// doomed locks what a deletion removes, each job behind the one that started it, when all of it may go.
func (s *Store) doomed(ctx context.Context, tx transaction, d job.Deletion) ([]*held, error) {
	if len(d.IDs) == 0 {
		return nil, nil
	}
	starters, err := s.startersOf(ctx, tx, d.IDs)
	if err != nil {
		return nil, err
	}
	family, err := s.families(ctx, tx, d.IDs, d.Keep...)
	if err != nil {
		return nil, err
	}
	there := make(map[job.ID]*held, len(family))
	for _, h := range family {
		there[h.ID] = h
	}
	for _, id := range d.IDs {
		if h := there[id]; h == nil || d.Owner != "" && h.Owner != d.Owner {
			return nil, job.ErrNotFound
		}
	}
	for _, h := range family {
		revision := int64(0)
		if h.ID == d.IDs[0] { // the caller has seen the first only
			revision = d.Revision
		}
		if err := job.DeleteRefused(h.Job, revision); err != nil {
			return nil, err
		}
		if by := starters[h.Parent]; by.there && !by.ended && there[h.Parent] == nil {
			return nil, job.ErrNotFinished // the job may still read it
		}
	}
	job.ParentsFirst(family, func(h *held) job.Job { return h.Job })
	return family, nil
}

// startersOf looks at the jobs that started those which a deletion names.
func (s *Store) startersOf(ctx context.Context, tx transaction, ids []job.ID) (map[job.ID]starter, error) {
	rows, err := tx.ParentsOf(ctx, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("look for what started jobs: %w", err)
	}
	var parents []string
	for _, r := range rows {
		if r.ParentJob != "" && !slices.Contains(ids, job.ID(r.ParentJob)) {
			parents = append(parents, r.ParentJob)
		}
	}
	if len(parents) == 0 {
		return map[job.ID]starter{}, nil
	}
	return s.starters(ctx, tx, parents)
}

// remove takes away all rows of a job; its requests keep their hashes, and what it started and what stays forgets it.
func remove(ctx context.Context, tx transaction, id job.ID, also func(ctx context.Context, tx job.Tx, j job.Job) error) (job.Job, error) {
	j, err := get(ctx, tx.Queries, id)
	if err != nil {
		return job.Job{}, err
	}
	if also != nil {
		if err := also(ctx, tx.joined, j); err != nil {
			return job.Job{}, err
		}
	}
	if err := tx.erase(ctx, string(id)); err != nil {
		return job.Job{}, fmt.Errorf("remove job %s: %w", id, err)
	}
	return j, nil
}

func (tx transaction) erase(ctx context.Context, id string) error {
	events := func(ctx context.Context, id string) error { return tx.DeleteEvents(ctx, []string{id}) }
	for _, statement := range []func(context.Context, string) error{tx.DeleteCalls, events, tx.DeleteJob, tx.ForgetRequests, tx.ForgetParent} {
		if err := statement(ctx, id); err != nil {
			return err
		}
	}
	return nil
}
