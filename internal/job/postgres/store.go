// Package postgres keeps jobs, their event logs and their call journals in the cluster's database. Every method that
// writes is one transaction (read committed) that locks the job's row first: whoever holds it numbers the job's events.
// Jobs are locked before what services keep, a job before those that it started.
package postgres

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"witan.dev/gen/sql/jobsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
)

// Store is the job store of one database. Safe for concurrent use by any number of processes.
type Store struct {
	db       *postgres.DB
	now      func() time.Time
	identity func() string
}

var _ job.Store = (*Store)(nil)

// New returns the store in db. now gives the time of events and rows; nil means time.Now. identity names the life of this
// process in the table of executors: Begin answers job.ErrFenced when that one was declared dead. A process that begins
// no executions passes nil, or a function that returns "".
func New(db *postgres.DB, now func() time.Time, identity func() string) *Store {
	if now == nil {
		now = time.Now
	}
	if identity == nil {
		identity = func() string { return "" }
	}
	return &Store{db: db, now: now, identity: identity}
}

// clock is the time as the database keeps it.
func (s *Store) clock() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// transaction is what the parts of one method share.
type transaction struct {
	*jobsql.Queries

	// joined is for what services write in the same transaction.
	joined postgres.Tx
}

// write runs fn in a transaction; see postgres.DB.Write for when it runs again.
func (s *Store) write(ctx context.Context, fn func(ctx context.Context, tx transaction) error) error {
	return s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return fn(ctx, transaction{jobsql.New(tx), postgres.Wrap(tx)})
	})
}

// read is for queries of their own.
func (s *Store) read() *jobsql.Queries { return jobsql.New(s.db.Pool()) }

func (tx transaction) run(ctx context.Context, write func(ctx context.Context, tx job.Tx) error) error {
	if write == nil {
		return nil
	}
	return write(ctx, tx.joined)
}

// Create implements job.Creator. One transaction: the request, the resource, the job, its first event, the enqueue.
func (s *Store) Create(ctx context.Context, c job.Creation, enqueue func(ctx context.Context, tx job.Tx) error) (job.Job, bool, error) {
	var (
		created job.Job
		reused  bool
	)
	err := s.write(ctx, func(ctx context.Context, tx transaction) error {
		created, reused = job.Job{}, false
		first, err := earlier(ctx, tx, requestOf(c))
		if err != nil {
			return err
		}
		if first != "" {
			reused = true
			created, err = get(ctx, tx.Queries, first)
			return err
		}
		c := c
		if err := tx.admit(ctx, &c); err != nil {
			return err
		}
		if c.Existing != "" {
			reused = true
			created, err = s.answer(ctx, tx, c)
			return err
		}
		created, reused, err = s.create(ctx, tx, c, enqueue)
		return err
	})
	if err != nil {
		return job.Job{}, false, err
	}
	return created, reused, nil
}

// admit lets the creation say what is to be created.
func (tx transaction) admit(ctx context.Context, c *job.Creation) error {
	if c.Admit == nil {
		return nil
	}
	return c.Admit(ctx, tx.joined, c)
}

// request is what makes a call idempotent.
type request struct {
	owner, method, id string
	body              [32]byte
}

func requestOf(c job.Creation) request { return request{c.Owner, c.Method, c.RequestID, c.BodySHA256} }

// earlier finds the job that answered the same request before, or "".
func earlier(ctx context.Context, tx transaction, r request) (job.ID, error) {
	if r.id == "" {
		return "", nil
	}
	found, err := tx.GetRequest(ctx, jobsql.GetRequestParams{Owner: r.owner, Method: r.method, RequestID: r.id})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look for request %s: %w", r.id, err)
	case subtle.ConstantTimeCompare(found.BodySha256, r.body[:]) != 1:
		return "", job.ErrRequestIDReused
	case found.JobID == "":
		return "", job.ErrDeleted
	}
	return job.ID(found.JobID), nil
}

// answer notes that a job which is there answers the request.
func (s *Store) answer(ctx context.Context, tx transaction, c job.Creation) (job.Job, error) {
	// What Admit names is unfinished, and so is not deleted; and it holds rows that the job's own transactions lock after it.
	if c.Admit == nil {
		if _, err := tx.ShareJobs(ctx, []string{string(c.Existing)}); err != nil {
			return job.Job{}, fmt.Errorf("answer with job %s: %w", c.Existing, err)
		}
	}
	existing, err := get(ctx, tx.Queries, c.Existing)
	if err != nil {
		return job.Job{}, fmt.Errorf("answer with job %s: %w", c.Existing, err)
	}
	return existing, s.note(ctx, tx, requestOf(c), existing.ID, existing.Resource)
}

// note stores which job answers a request, so that its repetition gets the same. When the same request is being answered
// at this time, it waits for that, and the transaction runs again and finds it.
func (s *Store) note(ctx context.Context, tx transaction, r request, id job.ID, resource string) error {
	if r.id == "" {
		return nil
	}
	err := tx.InsertRequest(ctx, jobsql.InsertRequestParams{
		Owner: r.owner, Method: r.method, RequestID: r.id, BodySha256: r.body[:],
		JobID: string(id), Resource: resource, CreateTime: s.clock(),
	})
	if err != nil {
		err = fmt.Errorf("note request %s: %w", r.id, err)
	}
	if postgres.IsUnique(err) {
		return postgres.Again(err)
	}
	return err
}

func (s *Store) create(ctx context.Context, tx transaction, c job.Creation, enqueue func(ctx context.Context, tx job.Tx) error) (job.Job, bool, error) {
	if err := s.note(ctx, tx, requestOf(c), c.ID, c.Resource); err != nil {
		return job.Job{}, false, err
	}
	parents, err := share(ctx, tx, c.Parent)
	if err != nil {
		return job.Job{}, false, err
	}
	if fresh, err := s.insert(ctx, tx, c); err != nil || !fresh {
		return s.repeated(ctx, tx, c, err)
	}
	orphan, err := orphaned(c, parents)
	if err != nil {
		return job.Job{}, false, err
	}
	if err := tx.run(ctx, c.Write); err != nil {
		return job.Job{}, false, err
	}
	h, err := s.hold(ctx, tx, c.ID)
	if err != nil {
		return job.Job{}, false, err
	}
	h.log(job.NewEvent{Key: "create/0", Type: job.TypeStateChanged, Payload: job.StateChange{To: job.StateQueued}.Encode()})
	if _, err := h.save(ctx, tx); err != nil {
		return job.Job{}, false, err
	}
	if orphan {
		if _, err := h.cancel(ctx, tx); err != nil {
			return job.Job{}, false, err
		}
	} else if err := enqueue(ctx, tx.joined); err != nil {
		return job.Job{}, false, fmt.Errorf("enqueue job %s: %w", c.ID, err)
	}
	created, err := get(ctx, tx.Queries, c.ID)
	return created, false, err
}

// insert is not fresh when the job is there.
func (s *Store) insert(ctx context.Context, tx transaction, c job.Creation) (fresh bool, err error) {
	labels, err := json.Marshal(c.Labels)
	if err != nil {
		return false, fmt.Errorf("encode labels: %w", err)
	}
	now := s.clock()
	n, err := tx.InsertJob(ctx, jobsql.InsertJobParams{
		ID: string(c.ID), Kind: string(c.Kind), Owner: c.Owner, ParentJob: string(c.Parent), Resource: c.Resource,
		Labels: string(labels), State: string(job.StateQueued), Spec: c.Spec,
		Priority: int64(cmp.Or(c.Priority, job.DefaultPriority)), //nolint:gosec // a small number of our own
		Timeout:  c.Timeout.Microseconds(), QueueTimeout: c.QueueTimeout.Microseconds(),
		HistoryKept: cmp.Or(c.HistoryKept, job.DefaultHistoryKept).Microseconds(),
		CreateTime:  now, DeadlineTime: after(now, c.Timeout), QueueExpireTime: after(now, c.QueueTimeout), ExpireTime: null(c.ExpireAt),
	})
	if err != nil {
		return false, fmt.Errorf("store job %s: %w", c.ID, err)
	}
	return n == 1, nil
}

// repeated returns the job that an earlier run of the same creation stored, whose commit the caller did not hear of.
func (s *Store) repeated(ctx context.Context, tx transaction, c job.Creation, err error) (job.Job, bool, error) {
	if err != nil {
		return job.Job{}, false, err
	}
	existing, err := get(ctx, tx.Queries, c.ID)
	if err != nil {
		return job.Job{}, false, err
	}
	if !job.SameCreation(existing, c) {
		return job.Job{}, false, fmt.Errorf("store job %s: the ID is another job's", c.ID)
	}
	return existing, true, nil
}

// orphaned reports whether the job's parent was asked to end. One that is not there or not the owner's is
// job.ErrNotFound.
func orphaned(c job.Creation, parents []jobsql.ShareJobsRow) (bool, error) {
	switch {
	case c.Parent == "":
		return false, nil
	case len(parents) == 0 || c.Owner != "" && parents[0].Owner != c.Owner:
		return false, fmt.Errorf("the job that starts it, %s: %w", c.Parent, job.ErrNotFound)
	}
	return parents[0].CancelTime != nil, nil
}

// share keeps a job as it is until the transaction ends, so that what it starts now is either found by a cancellation, or
// finds it. An empty ID or an unknown job is none.
func share(ctx context.Context, tx transaction, id job.ID) ([]jobsql.ShareJobsRow, error) {
	if id == "" {
		return nil, nil
	}
	found, err := tx.ShareJobs(ctx, []string{string(id)})
	if err != nil {
		return nil, fmt.Errorf("look at job %s: %w", id, err)
	}
	return found, nil
}
