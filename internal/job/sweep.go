package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	sweepPage  = 500
	purgeEvery = time.Hour
	purgeMost  = 1000
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
	m.report(ctx, "jobs that were given up could not be looked for", m.sweep(ctx))
	m.report(ctx, "what has expired could not be removed", m.purge(ctx))
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			m.report(ctx, "jobs that were given up could not be looked for", m.sweep(ctx))
		case <-purge.C:
			m.report(ctx, "what has expired could not be removed", m.purge(ctx))
		}
	}
}

func (m *Manager) report(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		m.logger.WarnContext(ctx, "housekeeping failed", "what", what, "error", err)
	}
}

// sweep makes dead letters: unfinished jobs that the engine has given up.
func (m *Manager) sweep(ctx context.Context) error {
	var after ID
	for {
		ids, err := m.store.Unfinished(ctx, after, sweepPage)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		lost, err := m.engine.Lost(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range lost {
			if err := m.bury(ctx, id); err != nil {
				return err
			}
		}
	}
}

func (m *Manager) bury(ctx context.Context, id ID) error {
	w, ended, err := m.store.End(ctx, id, Outcome{
		State: StateFailed, Reason: ReasonRecoveryAttempts,
		Error: &Error{Code: CodeInternal, Reason: ReasonRecoveryAttempts, Message: "the job engine has given this job up"},
	})
	if err != nil {
		return fmt.Errorf("end lost job %s: %w", id, err)
	}
	if ended {
		m.logger.ErrorContext(ctx, "gave up a job that the engine has lost", "job_id", id)
		m.announce(ctx, w)
		m.abandon(ctx, id)
	}
	return nil
}

func (m *Manager) purge(ctx context.Context) error {
	now := time.Now()
	_, err := m.store.ExpireHistory(ctx, now, purgeMost)
	return errors.Join(err, m.engine.Purge(ctx, now.Add(-m.cfg.EngineKeep), purgeMost))
}
