package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
)

// Get implements job.Reader.
func (s *Store) Get(ctx context.Context, id job.ID) (job.Job, error) {
	return get(ctx, s.db.Reader(), id)
}

// States implements job.Reader.
func (s *Store) States(ctx context.Context, ids []job.ID) (map[job.ID]job.State, error) {
	return statesOf(ctx, s.db.Reader(), ids)
}

// StatesTx implements job.Reader.
func (s *Store) StatesTx(ctx context.Context, tx job.Tx, ids []job.ID) (map[job.ID]job.State, error) {
	return statesOf(ctx, sqlite.Unwrap(tx), ids)
}

func statesOf(ctx context.Context, q querier, ids []job.ID) (map[job.ID]job.State, error) {
	states := make(map[job.ID]job.State, len(ids))
	err := each(ctx, q, `SELECT id, state FROM jobs WHERE id IN (`, ids, `)`, func(row scanner) error {
		var (
			id    job.ID
			state job.State
		)
		err := row.Scan(&id, &state)
		states[id] = state
		return err
	})
	return states, err
}

// LastSeqs implements job.Reader.
func (s *Store) LastSeqs(ctx context.Context, ids []job.ID) (map[job.ID]int64, error) {
	seqs := make(map[job.ID]int64, len(ids))
	err := s.each(ctx, `SELECT id, last_seq FROM jobs WHERE id IN (`, ids, `)`, func(row scanner) error {
		var (
			id  job.ID
			seq int64
		)
		err := row.Scan(&id, &seq)
		seqs[id] = seq
		return err
	})
	return seqs, err
}

// CancelAsked implements job.Reader.
func (s *Store) CancelAsked(ctx context.Context, ids []job.ID) ([]job.ID, error) {
	var asked []job.ID
	err := s.each(ctx, `SELECT id FROM jobs WHERE cancel_time IS NOT NULL AND id IN (`, ids, `)`, func(row scanner) error {
		var id job.ID
		err := row.Scan(&id)
		asked = append(asked, id)
		return err
	})
	return asked, err
}

// parameters is how many IDs one statement takes; SQLite allows 32,766.
const parameters = 1000

func (s *Store) each(ctx context.Context, head string, ids []job.ID, tail string, row func(scanner) error) error {
	return each(ctx, s.db.Reader(), head, ids, tail, row)
}

func each(ctx context.Context, q querier, head string, ids []job.ID, tail string, row func(scanner) error) error {
	for len(ids) > 0 {
		n := min(len(ids), parameters)
		args := make([]any, n)
		for i, id := range ids[:n] {
			args[i] = id
		}
		if err := query1(ctx, q, row, head+marks(n)+tail, args...); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func marks(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

func (s *Store) query(ctx context.Context, row func(scanner) error, query string, args ...any) error {
	return query1(ctx, s.db.Reader(), row, query, args...)
}

func query1(ctx context.Context, q querier, row func(scanner) error, query string, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// List implements job.Reader.
func (s *Store) List(ctx context.Context, q job.ListQuery) ([]job.Job, error) {
	where, args := filter(q)
	var jobs []job.Job
	err := s.query(ctx, func(row scanner) error {
		j, err := scan(row)
		jobs = append(jobs, j)
		return err
	}, `SELECT `+listed+` FROM jobs `+where+` ORDER BY create_time DESC, id DESC LIMIT ?`, append(args, max(q.Limit, 0))...)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	return jobs, nil
}

// filter builds the condition of a list; values are always arguments.
func filter(q job.ListQuery) (string, []any) {
	var (
		conditions []string
		args       []any
	)
	add := func(condition string, values ...any) {
		conditions = append(conditions, condition)
		args = append(args, values...)
	}
	if q.Owner != "" {
		add("owner = ?", q.Owner)
	}
	if q.Parent != "" {
		add("parent_job = ?", q.Parent)
	}
	if len(q.Kinds) > 0 {
		add("kind IN ("+marks(len(q.Kinds))+")", anys(q.Kinds)...)
	}
	if len(q.States) > 0 {
		add("state IN ("+marks(len(q.States))+")", anys(q.States)...)
	}
	if !q.After.CreatedAt.IsZero() {
		add("(create_time, id) < (?, ?)", micros(q.After.CreatedAt), q.After.ID)
	}
	if len(conditions) == 0 {
		return "", nil
	}
	return "WHERE " + strings.Join(conditions, " AND "), args
}

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// errFull ends a read before its last row.
var errFull = errors.New("the page is full")

// Events implements job.Reader.
func (s *Store) Events(ctx context.Context, id job.ID, after int64, limit int) ([]job.Event, error) {
	events, bytes := make([]job.Event, 0, min(max(limit, 0), 64)), 0
	err := s.query(ctx, func(row scanner) error {
		e := job.Event{JobID: id}
		var at int64
		err := row.Scan(&e.Seq, &e.Key, &e.Epoch, &e.Attempt, &e.Type, &at, &e.Final, &e.Payload)
		e.Time = time.UnixMicro(at).UTC()
		if err != nil {
			return err
		}
		events = append(events, e)
		if bytes += len(e.Payload); bytes >= job.EventsBytes {
			return errFull
		}
		return nil
	}, `SELECT seq, key, epoch, attempt, type, time, final, payload FROM job_events WHERE job_id = ? AND seq > ? ORDER BY seq LIMIT ?`,
		id, after, max(limit, 0))
	if err != nil && !errors.Is(err, errFull) {
		return nil, fmt.Errorf("read events of job %s: %w", id, err)
	}
	return events, nil
}

// Unfinished implements job.Reader.
func (s *Store) Unfinished(ctx context.Context, after job.ID, limit int) ([]job.Attempt, error) {
	var attempts []job.Attempt
	err := s.query(ctx, func(row scanner) error {
		var a job.Attempt
		err := row.Scan(&a.ID, &a.Number)
		attempts = append(attempts, a)
		return err
	}, `SELECT id, attempt FROM jobs WHERE state IN ('QUEUED', 'RUNNING', 'CANCELLING') AND id > ? ORDER BY id LIMIT ?`, after, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("list unfinished jobs: %w", err)
	}
	return attempts, nil
}

// Expired implements job.Reader.
func (s *Store) Expired(ctx context.Context, now time.Time, after job.Expiry, limit int) ([]job.Expiry, error) {
	var expired []job.Expiry
	err := s.query(ctx, func(row scanner) error {
		var (
			e  job.Expiry
			at int64
		)
		err := row.Scan(&at, &e.ID)
		e.At = time.UnixMicro(at).UTC()
		expired = append(expired, e)
		return err
	}, `SELECT expire_time, id FROM jobs WHERE expire_time <= ? AND (expire_time, id) > (?, ?) ORDER BY expire_time, id LIMIT ?`,
		micros(now), micros(after.At), after.ID, max(limit, 0))
	if err != nil {
		return nil, fmt.Errorf("list expired jobs: %w", err)
	}
	return expired, nil
}

func idsOf(ctx context.Context, q querier, query string, args ...any) ([]job.ID, error) {
	var ids []job.ID
	err := query1(ctx, q, func(row scanner) error {
		var id job.ID
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, args...)
	return ids, err
}

// DeadLetters implements job.Reader.
func (s *Store) DeadLetters(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.Reader().QueryRowContext(ctx, `SELECT count(*) FROM jobs WHERE state IN ('FAILED', 'PARTIALLY_SUCCEEDED')
		AND state_reason IN ('RECOVERY_ATTEMPTS_EXCEEDED', 'FORGE_UNAVAILABLE', 'COUNCIL_UNAVAILABLE')`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count jobs that were given up: %w", err)
	}
	return n, nil
}

var _ querier = (*sql.DB)(nil)
