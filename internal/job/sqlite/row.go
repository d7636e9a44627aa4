package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/job"
)

// columns are a whole job, listed those of lists, which show neither spec nor result.
const (
	columns = before + `, spec, result, ` + behind
	listed  = before + `, NULL, NULL, ` + behind
	before  = `id, kind, owner, parent_job, resource, labels, state, state_reason, stage, progress_done, progress_total, progress_unit,
	epoch, attempt, stalled, last_seq, first_available_seq, revision`
	behind = `error,
	calls_started, calls_completed, calls_reused, calls_repaid, recoveries, usage, reserved,
	priority, timeout, queue_timeout, history_kept,
	create_time, start_time, end_time, cancel_time, deadline_time, queue_expire_time, expire_time, history_expire_time`
)

// querier is what *sql.DB and *sql.Tx have in common here.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

type scanner interface{ Scan(dest ...any) error }

func get(ctx context.Context, q querier, id job.ID) (job.Job, error) {
	j, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM jobs WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return job.Job{}, job.ErrNotFound
	}
	return j, err
}

func scan(row scanner) (job.Job, error) {
	var (
		j             job.Job
		labels, usage string
		failure       sql.NullString
		create        sql.NullInt64

		timeout, queueTimeout, kept int64

		start, end, cancel, deadline, queue, expire, history sql.NullInt64
	)
	if err := row.Scan(&j.ID, &j.Kind, &j.Owner, &j.Parent, &j.Resource, &labels, &j.State, &j.StateReason, &j.Stage,
		&j.Progress.Done, &j.Progress.Total, &j.Progress.Unit,
		&j.Epoch, &j.Attempt, &j.Stalled, &j.LastSeq, &j.FirstAvailableSeq, &j.Revision, &j.Spec, &j.Result, &failure,
		&j.Ledger.CallsStarted, &j.Ledger.CallsCompleted, &j.Ledger.CallsReused, &j.Ledger.CallsRepaid, &j.Ledger.Recoveries, &usage, &j.Reserved,
		&j.Priority, &timeout, &queueTimeout, &kept,
		&create, &start, &end, &cancel, &deadline, &queue, &expire, &history); err != nil {
		return job.Job{}, err
	}
	j.CreatedAt, j.StartedAt, j.EndedAt = fromMicros(create), fromMicros(start), fromMicros(end)
	j.CancelAskedAt, j.DeadlineAt, j.QueueExpireAt = fromMicros(cancel), fromMicros(deadline), fromMicros(queue)
	j.Timeout, j.QueueTimeout = time.Duration(timeout)*time.Microsecond, time.Duration(queueTimeout)*time.Microsecond
	j.HistoryKept = time.Duration(kept) * time.Microsecond
	j.ExpireAt, j.HistoryExpireAt = fromMicros(expire), fromMicros(history)
	if failure.Valid {
		j.Error = &job.Error{}
		if err := json.Unmarshal([]byte(failure.String), j.Error); err != nil {
			return job.Job{}, fmt.Errorf("read the error of job %s: %w", j.ID, err)
		}
	}
	if err := json.Unmarshal([]byte(labels), &j.Labels); err != nil {
		return job.Job{}, fmt.Errorf("read the labels of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal([]byte(usage), &j.Usage); err != nil {
		return job.Job{}, fmt.Errorf("read the usage of job %s: %w", j.ID, err)
	}
	return j, nil
}

func encodeUsage(u job.Usage) (string, error) {
	raw, err := json.Marshal(u)
	if err != nil {
		return "", fmt.Errorf("encode usage: %w", err)
	}
	return string(raw), nil
}

func encodeError(e *job.Error) (sql.NullString, error) {
	if e == nil {
		return sql.NullString{}, nil
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return sql.NullString{}, fmt.Errorf("encode error: %w", err)
	}
	return sql.NullString{String: string(raw), Valid: true}, nil
}

// ignore drops one error.
func ignore(err, ignored error) error {
	if errors.Is(err, ignored) {
		return nil
	}
	return err
}
