package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"witan.dev/services/ingest"
)

const (
	// yield is how long Take lets deliveries go first that are being accepted: their senders wait, those that are taken can.
	yield = 250 * time.Millisecond
	look  = 5 * time.Millisecond
)

// Take implements ingest.Queue. One writer serves both ends, so while deliveries arrive they are accepted first.
func (s *Store) Take(ctx context.Context, n int) ([]ingest.Entry, error) {
	s.letArrive(ctx)
	timer := time.NewTimer(s.opt.Wait)
	defer timer.Stop()
	for {
		entries, err := s.take(ctx, n)
		if err != nil || len(entries) > 0 {
			return entries, err
		}
		select {
		case <-s.arrived:
		case <-timer.C:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (s *Store) letArrive(ctx context.Context) {
	if s.putting.Load() == 0 {
		return
	}
	tick := time.NewTicker(look)
	defer tick.Stop()
	for range yield / look {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.putting.Load() == 0 {
			return
		}
	}
}

func (s *Store) take(ctx context.Context, n int) ([]ingest.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opt.Now()
	s.taken = now
	for id, until := range s.held {
		if !now.Before(until) {
			delete(s.held, id)
		}
	}
	ids, err := s.free(ctx, n)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	entries, err := s.count(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("take deliveries: %w", err)
	}
	for _, e := range entries {
		s.held[e.ID] = now.Add(s.opt.Lease)
	}
	return entries, nil
}

// free lists the oldest deliveries that wait and are in nobody's hand.
func (s *Store) free(ctx context.Context, n int) ([]any, error) {
	waiting, err := s.query(ctx, `SELECT `+columns+` FROM deliveries WHERE state = ? ORDER BY receive_time, id LIMIT ?`,
		int(ingest.Stored), n+len(s.held))
	if err != nil {
		return nil, err
	}
	var ids []any
	for _, d := range waiting {
		if _, held := s.held[d.ID]; !held && len(ids) < n {
			ids = append(ids, d.ID)
		}
	}
	return ids, nil
}

// count notes that deliveries were taken, before anything is done with them that might end the process.
func (s *Store) count(ctx context.Context, ids []any) ([]ingest.Entry, error) {
	var entries []ingest.Entry
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		entries = nil
		if _, err := tx.ExecContext(ctx, `UPDATE deliveries SET takes = takes + 1 WHERE id IN (`+placeholders(len(ids))+`)`, ids...); err != nil { //nolint:gosec // question marks
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT `+columns+`, takes, body FROM deliveries WHERE id IN (`+placeholders(len(ids))+`) ORDER BY receive_time, id`, ids...) //nolint:gosec // question marks
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }() // rows.Err says what went wrong
		for rows.Next() {
			var e ingest.Entry
			var received int64
			if err := rows.Scan(&e.ID, &e.Event, &e.Action, &e.SHA256, &received, &e.State, &e.Reason, &e.Resource, &e.Takes, &e.Body); err != nil {
				return err
			}
			e.ReceivedAt, e.Receipt = time.UnixMicro(received).UTC(), e.ID
			entries = append(entries, e)
		}
		return rows.Err()
	})
	return entries, err
}

// Hold implements ingest.Queue.
func (s *Store) Hold(ctx context.Context, receipts []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.opt.Now().Add(s.opt.Lease)
	var ids []any
	for _, receipt := range receipts {
		if _, held := s.held[receipt]; held {
			s.held[receipt] = until
			ids = append(ids, receipt)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET takes = 0 WHERE takes > 0 AND id IN (`+placeholders(len(ids))+`)`, ids...) //nolint:gosec // question marks
		return err
	})
	if err != nil {
		return fmt.Errorf("hold deliveries: %w", err)
	}
	return nil
}

// Release implements ingest.Queue.
func (s *Store) Release(ctx context.Context, entries []ingest.Entry) error {
	var ids []any
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET takes = max(takes - 1, 0) WHERE id IN (`+placeholders(len(ids))+`)`, ids...) //nolint:gosec // question marks
		return err
	})
	s.drop(entries...)
	s.wake()
	if err != nil {
		return fmt.Errorf("give deliveries back: %w", err)
	}
	return nil
}

// Done implements ingest.Queue: the settled row does not wait any more.
func (s *Store) Done(_ context.Context, receipt string) error {
	s.drop(ingest.Entry{Receipt: receipt})
	return nil
}

// Bury implements ingest.Queue: the row of a dead delivery is the dead letter.
func (s *Store) Bury(_ context.Context, e ingest.Entry, _ string) error {
	s.drop(e)
	return nil
}

func (s *Store) drop(entries ...ingest.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range entries {
		delete(s.held, e.Receipt)
	}
}

// Stats implements ingest.Queue.
func (s *Store) Stats(ctx context.Context) (ingest.QueueStats, error) {
	counts, err := s.counts(ctx)
	if err != nil {
		return ingest.QueueStats{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := ingest.QueueStats{Waiting: counts[ingest.Stored], Dead: counts[ingest.Dead]}
	if !s.taken.IsZero() && s.opt.Now().Sub(s.taken) < s.opt.Lease {
		stats.Takers = 1
	}
	return stats, nil
}
