package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/job"
)

func get(ctx context.Context, q *jobsql.Queries, id job.ID) (job.Job, error) {
	row, err := q.GetJob(ctx, string(id))
	if errors.Is(err, pgx.ErrNoRows) {
		return job.Job{}, job.ErrNotFound
	}
	if err != nil {
		return job.Job{}, err
	}
	return decode(row)
}

func decode(r jobsql.Job) (job.Job, error) {
	j := job.Job{
		ID: job.ID(r.ID), Kind: job.Kind(r.Kind), Owner: r.Owner, Parent: job.ID(r.ParentJob), Resource: r.Resource,
		State: job.State(r.State), StateReason: r.StateReason, Stage: r.Stage,
		Progress: job.Progress{Done: r.ProgressDone, Total: r.ProgressTotal, Unit: r.ProgressUnit},
		Epoch:    r.Epoch, Attempt: r.Attempt, LastSeq: r.LastSeq, FirstAvailableSeq: r.FirstAvailableSeq, Revision: r.Revision,
		Spec: r.Spec, Result: r.Result, Stalled: int(r.Stalled), Reserved: r.Reserved,
		Ledger: job.Ledger{
			CallsStarted: r.CallsStarted, CallsCompleted: r.CallsCompleted, CallsReused: r.CallsReused,
			CallsRepaid: r.CallsRepaid, Recoveries: r.Recoveries,
		},
		Priority: uint(max(r.Priority, 0)),
		Timeout:  microseconds(r.Timeout), QueueTimeout: microseconds(r.QueueTimeout), HistoryKept: microseconds(r.HistoryKept),
		CreatedAt: r.CreateTime.UTC(), StartedAt: utc(r.StartTime), EndedAt: utc(r.EndTime), CancelAskedAt: utc(r.CancelTime),
		DeadlineAt: utc(r.DeadlineTime), QueueExpireAt: utc(r.QueueExpireTime),
		ExpireAt: utc(r.ExpireTime), HistoryExpireAt: utc(r.HistoryExpireTime),
	}
	if r.Error != nil {
		j.Error = &job.Error{}
		if err := json.Unmarshal([]byte(*r.Error), j.Error); err != nil {
			return job.Job{}, fmt.Errorf("read the error of job %s: %w", j.ID, err)
		}
	}
	if err := json.Unmarshal([]byte(r.Labels), &j.Labels); err != nil {
		return job.Job{}, fmt.Errorf("read the labels of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal([]byte(r.Usage), &j.Usage); err != nil {
		return job.Job{}, fmt.Errorf("read the usage of job %s: %w", j.ID, err)
	}
	return j, nil
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// null is NULL for a time that has not come.
func null(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// after is the end of a duration that begins now, NULL where there is none.
func after(now time.Time, d time.Duration) *time.Time {
	if d <= 0 {
		return nil
	}
	end := now.Add(d)
	return &end
}

func encodeUsage(u job.Usage) (string, error) {
	raw, err := json.Marshal(u)
	if err != nil {
		return "", fmt.Errorf("encode usage: %w", err)
	}
	return string(raw), nil
}

func encodeError(e *job.Error) (*string, error) {
	if e == nil {
		return nil, nil //nolint:nilnil // no error is NULL
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode error: %w", err)
	}
	text := string(raw)
	return &text, nil
}

func texts[T ~string](values []T) []string {
	out := make([]string, len(values)) // never nil, which would be NULL
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

func idsOf(values []string) []job.ID {
	out := make([]job.ID, len(values))
	for i, v := range values {
		out[i] = job.ID(v)
	}
	return out
}
