package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/crashpoint"
	"witan.dev/internal/database"
)

const (
	sweepPage  = 500
	purgeEvery = time.Hour
	purgeMost  = 1000
	// purgeEngine is more than the jobs of an hour that one process works off.
	purgeEngine = 10_000
)

// watchCancellations covers hints that were lost: it asks the store about the jobs that run here.
func (m *Manager) watchCancellations(ctx context.Context) {
	tick := time.NewTicker(m.cfg.CancelPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := m.pollCancellations(ctx); err != nil && ctx.Err() == nil {
				m.logger.WarnContext(ctx, "cancellations could not be looked up", "error", err)
			}
		}
	}
}

func (m *Manager) pollCancellations(ctx context.Context) error {
	m.mu.Lock()
	ids := make([]ID, 0, len(m.running))
	cancels := make(map[ID][]context.CancelCauseFunc, len(m.running))
	for r, cancel := range m.running {
		ids = append(ids, r.job.ID)
		cancels[r.job.ID] = append(cancels[r.job.ID], cancel)
	}
	m.mu.Unlock()
	if len(ids) == 0 {
		return nil
	}
	asked, err := m.store.CancelAsked(ctx, ids)
	for _, id := range asked {
		for _, cancel := range cancels[id] {
			cancel(ErrCancelAsked)
		}
	}
	return err
}

// sweepRegularly ends jobs that the engine will never run again, and removes what is kept no longer.
func (m *Manager) sweepRegularly(ctx context.Context) {
	sweep, purge := time.NewTicker(m.cfg.Sweep), time.NewTicker(purgeEvery)
	defer sweep.Stop()
	defer purge.Stop()
	m.housekeep(ctx)
	m.report(ctx, "what has expired could not be removed", m.purge(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			m.housekeep(ctx)
		case <-purge.C:
			m.report(ctx, "what has expired could not be removed", m.purge(ctx))
		}
	}
}

func (m *Manager) housekeep(ctx context.Context) {
	m.report(ctx, "jobs that were given up could not be looked for", m.sweep(ctx))
	m.report(ctx, "jobs that waited too long could not be ended", m.expireQueued(ctx))
	m.report(ctx, "temporary jobs could not be removed", m.removeExpired(ctx))
	for _, chore := range m.chores {
		m.report(ctx, "a service's housekeeping failed", chore(ctx, time.Now()))
	}
}

func (m *Manager) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		m.logger.WarnContext(ctx, "housekeeping failed", "what", what, "error", err)
	}
}

// sweep makes dead letters: unfinished jobs that the engine has given up. One that cannot be ended keeps no other from it.
func (m *Manager) sweep(ctx context.Context) error {
	var (
		failed error
		after  ID
	)
	for {
		attempts, err := m.store.Unfinished(ctx, after, sweepPage)
		if err != nil || len(attempts) == 0 {
			return errors.Join(failed, err)
		}
		after = attempts[len(attempts)-1].ID
		lost, err := m.engine.Lost(ctx, executions(attempts))
		if err != nil {
			return err
		}
		for _, id := range lost {
			a, err := attemptOf(id)
			if err != nil {
				return err
			}
			err = m.bury(ctx, a)
			if ctx.Err() != nil || errors.Is(err, database.ErrAway) {
				return err
			}
			if err != nil && failed == nil {
				failed = err // one tells enough
			}
		}
	}
}

func (m *Manager) bury(ctx context.Context, a Attempt) error {
	j, err := m.store.Get(ctx, a.ID)
	if err != nil {
		return fmt.Errorf("look at lost job %s: %w", a.ID, err)
	}
	if err := m.follow(ctx, a); err != nil { // before the end, behind which nobody looks again
		return err
	}
	crashpoint.Hit(crashpoint.BeforeEnd)
	w, ended, err := m.store.End(ctx, a, GivenUp(j, "the job engine has given this job up"))
	if err != nil {
		return fmt.Errorf("end lost job %s: %w", a.ID, err)
	}
	crashpoint.Hit(crashpoint.AfterEnd)
	if ended {
		m.logger.ErrorContext(ctx, "gave up a job that the engine has lost", "job_id", a.ID, "attempt", a.Number)
		m.announceEnd(ctx, w)
		m.abandon(ctx, a)
	}
	return nil
}

// expireQueued ends jobs that waited too long, whether or not a worker ever looks at their queue.
func (m *Manager) expireQueued(ctx context.Context) error {
	for {
		crashpoint.Hit(crashpoint.BeforeExpire)
		endings, err := m.store.ExpireQueued(ctx, time.Now(), sweepPage)
		if err != nil {
			return fmt.Errorf("end jobs that waited too long: %w", err)
		}
		if len(endings) > 0 {
			crashpoint.Hit(crashpoint.AfterExpire)
		}
		m.ended(ctx, endings)
		for _, e := range endings {
			m.abandon(ctx, Attempt{ID: e.ID, Number: e.Attempt})
		}
		if len(endings) < sweepPage {
			return nil
		}
	}
}

// removeExpired deletes temporary jobs whose time is over. One that is not finished is cancelled, and removed by a later
// sweep.
func (m *Manager) removeExpired(ctx context.Context) error {
	var (
		failed error
		last   Expiry
	)
	for now := time.Now(); ; {
		page, err := m.store.Expired(ctx, now, last, sweepPage)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, last = range page {
			if err := m.removeOne(ctx, last.ID); err != nil && failed == nil {
				failed = err // one tells enough
			}
		}
		if len(page) < sweepPage || ctx.Err() != nil {
			return failed
		}
	}
}

func (m *Manager) removeOne(ctx context.Context, id ID) error {
	err := m.Delete(ctx, Deletion{IDs: []ID{id}})
	if errors.Is(err, ErrNotFinished) {
		_, err = m.Cancel(ctx, id, "")
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("remove job %s, whose time is over: %w", id, err)
	}
	return nil
}

func (m *Manager) purge(ctx context.Context) error {
	now := time.Now()
	return errors.Join(m.forget(ctx, now), m.engine.Purge(ctx, now.Add(-m.cfg.EngineKeep), purgeEngine))
}

// forget removes all histories whose time is over, some in each transaction.
func (m *Manager) forget(ctx context.Context, now time.Time) error {
	for {
		crashpoint.Hit(crashpoint.BeforeForget)
		n, err := m.store.ExpireHistory(ctx, now, purgeMost)
		crashpoint.Hit(crashpoint.AfterForget)
		if err != nil || n < purgeMost || ctx.Err() != nil {
			return err
		}
	}
}
