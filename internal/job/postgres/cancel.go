package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/job"
)

// Cancel implements job.Ender. One transaction for the job and all that it started.
func (s *Store) Cancel(ctx context.Context, id job.ID) ([]job.Ending, error) {
	return s.cancelSome(ctx, id, func(family []*held) ([]*held, error) {
		if len(family) == 0 {
			return nil, job.ErrNotFound
		}
		return family, nil
	})
}

// CancelStarted implements job.Ender.
func (s *Store) CancelStarted(ctx context.Context, a job.Attempt) ([]job.Ending, error) {
	return s.cancelSome(ctx, a.ID, func(family []*held) ([]*held, error) {
		if len(family) == 0 || !family[0].State.Terminal() || family[0].Attempt != a.Number {
			return nil, nil
		}
		return family[1:], nil
	})
}

// cancelSome cancels those of a job and all that it started that which chooses.
func (s *Store) cancelSome(ctx context.Context, id job.ID, which func(family []*held) ([]*held, error)) ([]job.Ending, error) {
	var endings []job.Ending
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		endings = nil
		family, err := s.families(ctx, tx, []job.ID{id})
		if err != nil {
			return err
		}
		some, err := which(family)
		if err != nil {
			return err
		}
		for _, h := range some {
			e, err := h.cancel(ctx, tx)
			if err != nil {
				return err
			}
			if e != nil {
				endings = append(endings, *e)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return endings, nil
}

// families locks jobs and all that they started but those of some kinds, generation by generation and each in the order of
// IDs: two calls over the same family never wait for each other crosswise. A job that is being created meanwhile is found,
// because its creation holds the row of the one that starts it.
func (s *Store) families(ctx context.Context, tx transaction, ids []job.ID, without ...job.Kind) ([]*held, error) {
	var (
		all  []*held
		seen = make(map[job.ID]bool)
	)
	for len(ids) > 0 {
		generation, err := s.holdAll(ctx, tx, ids)
		if err != nil {
			return nil, err
		}
		for _, h := range generation {
			seen[h.ID] = true
		}
		all = append(all, generation...)
		children, err := tx.ChildrenOf(ctx, jobsql.ChildrenOfParams{Parents: texts(ids), Without: texts(without)})
		if err != nil {
			return nil, fmt.Errorf("find what jobs started: %w", err)
		}
		ids = slices.DeleteFunc(idsOf(children), func(id job.ID) bool { return seen[id] })
	}
	return all, nil
}

// cancel ends a queued job and tells a running one; nil means that there was nothing to do.
func (h *held) cancel(ctx context.Context, tx transaction) (*job.Ending, error) {
	if h.State.Terminal() || !h.CancelAskedAt.IsZero() {
		return nil, nil //nolint:nilnil // nothing to do is no ending
	}
	h.CancelAskedAt = h.now
	if h.State == job.StateQueued {
		w, err := h.endOutside(ctx, tx, job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled})
		return &job.Ending{Written: w, State: job.StateCancelled, Attempt: h.Attempt}, err
	}
	change := job.StateChange{From: h.State, To: job.StateCancelling, Reason: job.ReasonCancelled, Stage: h.Stage}
	h.State = job.StateCancelling
	h.log(job.NewEvent{Key: fmt.Sprintf("%d/cancel", h.Attempt), Type: job.TypeStateChanged, Payload: change.Encode()})
	w, err := h.save(ctx, tx)
	return &job.Ending{Written: w, State: job.StateCancelling, Attempt: h.Attempt}, err
}

// ExpireQueued implements job.Ender. Several processes may do it at once: each takes what no other has.
func (s *Store) ExpireQueued(ctx context.Context, now time.Time, n int) ([]job.Ending, error) {
	var endings []job.Ending
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		endings = nil
		ids, err := tx.LockOverdue(ctx, jobsql.LockOverdueParams{Now: now, N: limit(n)})
		if err != nil {
			return fmt.Errorf("find jobs that waited too long: %w", err)
		}
		overdue, err := s.holdAll(ctx, tx, idsOf(ids))
		if err != nil {
			return err
		}
		for _, h := range overdue {
			o, over := job.QueueOver(h.Job, now)
			if !over {
				continue
			}
			w, err := h.endOutside(ctx, tx, o)
			if err != nil {
				return err
			}
			endings = append(endings, job.Ending{Written: w, State: o.State, Attempt: h.Attempt})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return endings, nil
}

// ExpireHistory implements job.Ender. Several processes may do it at once: each takes what no other has.
func (s *Store) ExpireHistory(ctx context.Context, now time.Time, n int) (int, error) {
	expired := 0
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		ids, err := tx.LockExpiredHistories(ctx, jobsql.LockExpiredHistoriesParams{Now: &now, N: limit(n)})
		if err != nil {
			return fmt.Errorf("find expired history: %w", err)
		}
		expired = len(ids)
		if expired == 0 {
			return nil
		}
		if err := tx.DeleteEvents(ctx, ids); err != nil {
			return fmt.Errorf("remove expired history: %w", err)
		}
		if err := tx.ForgetHistories(ctx, ids); err != nil {
			return fmt.Errorf("remove expired history: %w", err)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return expired, nil
}
