package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
)

// limit is how many rows a statement is asked for.
func limit(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }

// Get implements job.Reader.
func (s *Store) Get(ctx context.Context, id job.ID) (job.Job, error) {
	j, err := get(ctx, s.read(), id)
	return j, postgres.Error(err)
}

// States implements job.Reader.
func (s *Store) States(ctx context.Context, ids []job.ID) (map[job.ID]job.State, error) {
	states, err := statesOf(ctx, s.read(), ids)
	return states, postgres.Error(err)
}

// StatesTx implements job.Reader.
func (s *Store) StatesTx(ctx context.Context, tx job.Tx, ids []job.ID) (map[job.ID]job.State, error) {
	return statesOf(ctx, jobsql.New(postgres.Unwrap(tx)), ids)
}

func statesOf(ctx context.Context, q *jobsql.Queries, ids []job.ID) (map[job.ID]job.State, error) {
	rows, err := q.States(ctx, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("read the states of jobs: %w", err)
	}
	states := make(map[job.ID]job.State, len(rows))
	for _, r := range rows {
		states[job.ID(r.ID)] = job.State(r.State)
	}
	return states, nil
}

// LastSeqs implements job.Reader.
func (s *Store) LastSeqs(ctx context.Context, ids []job.ID) (map[job.ID]int64, error) {
	rows, err := s.read().LastSeqs(ctx, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("read the lengths of logs: %w", postgres.Error(err))
	}
	seqs := make(map[job.ID]int64, len(rows))
	for _, r := range rows {
		seqs[job.ID(r.ID)] = r.LastSeq
	}
	return seqs, nil
}

// CancelAsked implements job.Reader.
func (s *Store) CancelAsked(ctx context.Context, ids []job.ID) ([]job.ID, error) {
	asked, err := s.read().CancelAsked(ctx, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("look for cancellations: %w", postgres.Error(err))
	}
	return idsOf(asked), nil
}

// List implements job.Reader.
func (s *Store) List(ctx context.Context, q job.ListQuery) ([]job.Job, error) {
	rows, err := s.list(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", postgres.Error(err))
	}
	jobs := make([]job.Job, len(rows))
	for i, row := range rows {
		if jobs[i], err = decode(row); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// farAhead is later than any job.
func farAhead() time.Time { return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC) }

func (s *Store) list(ctx context.Context, q job.ListQuery) ([]jobsql.Job, error) {
	before, id := q.After.CreatedAt, string(q.After.ID)
	if before.IsZero() {
		before, id = farAhead(), ""
	}
	kinds, states, n := texts(q.Kinds), texts(q.States), limit(q.Limit)
	switch {
	case q.Parent != "":
		rows, err := s.read().ListJobsOfParent(ctx, jobsql.ListJobsOfParentParams{
			Parent: string(q.Parent), Owner: q.Owner, BeforeTime: before, BeforeID: id, Kinds: kinds, States: states, N: n,
		})
		return asJobs(rows, func(r jobsql.ListJobsOfParentRow) jobsql.Job { return jobsql.Job(r) }), err
	case q.Owner != "":
		rows, err := s.read().ListJobsOfOwner(ctx, jobsql.ListJobsOfOwnerParams{
			Owner: q.Owner, BeforeTime: before, BeforeID: id, Kinds: kinds, States: states, N: n,
		})
		return asJobs(rows, func(r jobsql.ListJobsOfOwnerRow) jobsql.Job { return jobsql.Job(r) }), err
	default:
		rows, err := s.read().ListJobs(ctx, jobsql.ListJobsParams{BeforeTime: before, BeforeID: id, Kinds: kinds, States: states, N: n})
		return asJobs(rows, func(r jobsql.ListJobsRow) jobsql.Job { return jobsql.Job(r) }), err
	}
}

func asJobs[R any](rows []R, as func(R) jobsql.Job) []jobsql.Job {
	jobs := make([]jobsql.Job, len(rows))
	for i, r := range rows {
		jobs[i] = as(r)
	}
	return jobs
}

// Events implements job.Reader.
func (s *Store) Events(ctx context.Context, id job.ID, after int64, most int) ([]job.Event, error) {
	rows, err := s.read().Events(ctx, jobsql.EventsParams{JobID: string(id), After: after, N: limit(most), Bytes: job.EventsBytes})
	if err != nil {
		return nil, fmt.Errorf("read events of job %s: %w", id, postgres.Error(err))
	}
	events := make([]job.Event, len(rows))
	for i, r := range rows {
		events[i] = job.Event{
			JobID: id, Seq: r.Seq, Key: r.Key, Epoch: r.Epoch, Attempt: r.Attempt, Type: r.Type, Time: r.Time.UTC(),
			Final: r.Final, Payload: r.Payload,
		}
	}
	return events, nil
}

// Unfinished implements job.Reader.
func (s *Store) Unfinished(ctx context.Context, after job.ID, most int) ([]job.Attempt, error) {
	rows, err := s.read().Unfinished(ctx, jobsql.UnfinishedParams{After: string(after), N: limit(most)})
	if err != nil {
		return nil, fmt.Errorf("list unfinished jobs: %w", postgres.Error(err))
	}
	attempts := make([]job.Attempt, len(rows))
	for i, r := range rows {
		attempts[i] = job.Attempt{ID: job.ID(r.ID), Number: r.Attempt}
	}
	return attempts, nil
}

// Expired implements job.Reader.
func (s *Store) Expired(ctx context.Context, now time.Time, behind job.Expiry, most int) ([]job.Expiry, error) {
	rows, err := s.read().Expired(ctx, jobsql.ExpiredParams{
		Now: &now, AfterTime: behind.At, AfterID: string(behind.ID), N: limit(most),
	})
	if err != nil {
		return nil, fmt.Errorf("list expired jobs: %w", postgres.Error(err))
	}
	expired := make([]job.Expiry, len(rows))
	for i, r := range rows {
		expired[i] = job.Expiry{At: utc(r.ExpireTime), ID: job.ID(r.ID)}
	}
	return expired, nil
}

// DeadLetters implements job.Reader.
func (s *Store) DeadLetters(ctx context.Context) (int64, error) {
	n, err := s.read().CountGivenUp(ctx)
	if err != nil {
		return 0, fmt.Errorf("count jobs that were given up: %w", postgres.Error(err))
	}
	return n, nil
}
