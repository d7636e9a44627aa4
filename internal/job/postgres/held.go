package postgres

import (
	"context"
	"fmt"
	"time"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/job"
)

// held is a job whose row a transaction has locked, without its spec and result. What is changed here is written by save.
type held struct {
	job.Job

	// fence is the epoch that the row has in the database.
	fence    int64
	reserved int64
	// result replaces the job's unless it is nil.
	result []byte
	now    time.Time

	keys     []string
	types    []string
	finals   []bool
	payloads [][]byte
	logged   map[string]bool
}

// hold locks a job, or returns job.ErrNotFound.
func (s *Store) hold(ctx context.Context, tx transaction, id job.ID) (*held, error) {
	found, err := s.holdAll(ctx, tx, []job.ID{id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, job.ErrNotFound
	}
	return found[0], nil
}

// holdAll locks those of the jobs that are there, in the order of their IDs.
func (s *Store) holdAll(ctx context.Context, tx transaction, ids []job.ID) ([]*held, error) {
	rows, err := tx.LockJobs(ctx, texts(ids))
	if err != nil {
		return nil, fmt.Errorf("lock jobs: %w", err)
	}
	all := make([]*held, len(rows))
	for i, row := range rows {
		j, err := decode(jobsql.Job(row))
		if err != nil {
			return nil, err
		}
		all[i] = &held{Job: j, fence: j.Epoch, reserved: row.Reserved, now: s.clock(), logged: make(map[string]bool)}
	}
	return all, nil
}

// log appends an event, unless its key is there already.
func (h *held) log(events ...job.NewEvent) {
	for _, e := range events {
		h.append(e, false)
	}
}

func (h *held) append(e job.NewEvent, final bool) {
	if h.logged[e.Key] {
		return
	}
	h.logged[e.Key] = true
	payload := e.Payload
	if payload == nil {
		payload = []byte{}
	}
	h.keys, h.types = append(h.keys, e.Key), append(h.types, e.Type)
	h.finals, h.payloads = append(h.finals, final), append(h.payloads, payload)
}

// end puts the job into its final state with the final event. Nothing may be logged afterwards.
func (h *held) end(o job.Outcome) {
	change := job.StateChange{From: h.State, To: o.State, Reason: o.Reason, Stage: h.Stage, Error: o.Error}
	h.append(job.NewEvent{Key: fmt.Sprintf("%d/end", h.Attempt), Type: job.TypeStateChanged, Payload: change.Encode()}, true)
	h.State, h.StateReason, h.Error, h.result = o.State, o.Reason, o.Error, o.Result
	h.EndedAt, h.HistoryExpireAt = h.now, h.now.Add(h.HistoryKept)
}

// endOutside ends a job from outside of its execution and raises the epoch, so that an execution writes nothing after it.
func (h *held) endOutside(ctx context.Context, tx transaction, o job.Outcome) (job.Written, error) {
	h.Epoch++
	h.log(o.Events...)
	if err := tx.run(ctx, o.Write); err != nil {
		return job.Written{}, err
	}
	h.end(o)
	return h.save(ctx, tx)
}

// save writes the job and its events. ErrFenced: the row is not of the epoch that was read.
func (h *held) save(ctx context.Context, tx transaction) (job.Written, error) {
	failure, err := encodeError(h.Error)
	if err != nil {
		return job.Written{}, err
	}
	usage, err := encodeUsage(h.Usage)
	if err != nil {
		return job.Written{}, err
	}
	last, err := tx.SaveJob(ctx, jobsql.SaveJobParams{
		ID: string(h.ID), Fence: h.fence, State: string(h.State), StateReason: h.StateReason, Stage: h.Stage,
		ProgressDone: h.Progress.Done, ProgressTotal: h.Progress.Total, ProgressUnit: h.Progress.Unit,
		Epoch: h.Epoch, Attempt: h.Attempt, Stalled: int32(h.Stalled), //nolint:gosec // a small number of our own
		LastSeq: h.LastSeq, Result: h.result, Error: failure,
		CallsStarted: h.Ledger.CallsStarted, CallsCompleted: h.Ledger.CallsCompleted, CallsReused: h.Ledger.CallsReused,
		CallsRepaid: h.Ledger.CallsRepaid, Recoveries: h.Ledger.Recoveries, Usage: usage, Reserved: h.reserved,
		StartTime: null(h.StartedAt), EndTime: null(h.EndedAt), CancelTime: null(h.CancelAskedAt), DeadlineTime: null(h.DeadlineAt),
		QueueExpireTime: null(h.QueueExpireAt), HistoryExpireTime: null(h.HistoryExpireAt),
		Now: h.now, Keys: h.keys, Types: h.types, Finals: h.finals, Payloads: h.payloads,
	})
	switch {
	case err != nil:
		return job.Written{}, fmt.Errorf("write to job %s: %w", h.ID, err)
	case len(last) == 0:
		return job.Written{}, job.ErrFenced
	}
	h.LastSeq, h.fence, h.result = last[0], h.Epoch, nil
	h.keys, h.types, h.finals, h.payloads = nil, nil, nil, nil
	return job.Written{ID: h.ID, LastSeq: h.LastSeq}, nil
}
