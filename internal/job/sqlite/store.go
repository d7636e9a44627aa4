// Package sqlite keeps jobs, their event logs and their call journals in the embedded database.
package sqlite

import (
	"cmp"
	"context"
	"crypto/subtle"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
)

// Store is the job store of one database. Safe for concurrent use.
type Store struct {
	db  *sqlite.DB
	now func() time.Time
}

var _ job.Store = (*Store)(nil)

// New returns the store in db. now gives the time of events and rows; nil means time.Now.
func New(db *sqlite.DB, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{db: db, now: now}
}

// micros is how times lie in the database.
func micros(t time.Time) int64 { return t.UnixMicro() }

func nullMicros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

// after is the end of a duration that begins now, NULL where there is none.
func after(now time.Time, d time.Duration) sql.NullInt64 {
	return sql.NullInt64{Int64: now.Add(d).UnixMicro(), Valid: d > 0}
}

func fromMicros(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

// Create implements job.Creator. One transaction: the request, the resource, the job, its first event, the enqueue.
func (s *Store) Create(ctx context.Context, c job.Creation, enqueue func(ctx context.Context, tx job.Tx) error) (job.Job, bool, error) {
	var (
		created job.Job
		reused  bool
	)
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		created, reused = job.Job{}, false
		first, err := earlier(ctx, tx, requestOf(c))
		if err != nil {
			return err
		}
		if first != "" {
			reused = true
			created, err = get(ctx, tx, first)
			return err
		}
		c := c
		if c.Admit != nil {
			if err := c.Admit(ctx, sqlite.Wrap(tx), &c); err != nil {
				return err
			}
		}
		if c.Existing != "" {
			reused = true
			created, err = s.answer(ctx, tx, c)
			return err
		}
		created, reused, err = s.create(ctx, tx, c, enqueue)
		return err
	})
	return created, reused, err
}

// request is what makes a call idempotent.
type request struct {
	owner, method, id string
	body              [32]byte
}

func requestOf(c job.Creation) request { return request{c.Owner, c.Method, c.RequestID, c.BodySHA256} }

// earlier finds the job that answered the same request before, or "".
func earlier(ctx context.Context, tx *sql.Tx, r request) (job.ID, error) {
	if r.id == "" {
		return "", nil
	}
	var (
		first job.ID
		body  []byte
	)
	err := tx.QueryRowContext(ctx, `SELECT job_id, body_sha256 FROM requests WHERE owner = ? AND method = ? AND request_id = ?`,
		r.owner, r.method, r.id).Scan(&first, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("look for request %s: %w", r.id, err)
	case subtle.ConstantTimeCompare(body, r.body[:]) != 1:
		return "", job.ErrRequestIDReused
	case first == "":
		return "", job.ErrDeleted
	}
	return first, nil
}

// answer notes that a job which is there answers the request.
func (s *Store) answer(ctx context.Context, tx *sql.Tx, c job.Creation) (job.Job, error) {
	existing, err := get(ctx, tx, c.Existing)
	if err != nil {
		return job.Job{}, fmt.Errorf("answer with job %s: %w", c.Existing, err)
	}
	return existing, note(ctx, tx, requestOf(c), existing.ID, existing.Resource, s.now())
}

// note stores which job answers a request, so that its repetition gets the same.
func note(ctx context.Context, tx *sql.Tx, r request, id job.ID, resource string, now time.Time) error {
	if r.id == "" {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO requests (owner, method, request_id, body_sha256, job_id, resource, create_time)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, r.owner, r.method, r.id, r.body[:], id, resource, micros(now)); err != nil {
		return fmt.Errorf("note request %s: %w", r.id, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, tx *sql.Tx, c job.Creation, enqueue func(ctx context.Context, tx job.Tx) error) (job.Job, bool, error) {
	now := s.now()
	if err := note(ctx, tx, requestOf(c), c.ID, c.Resource, now); err != nil {
		return job.Job{}, false, err
	}
	if fresh, err := insert(ctx, tx, c, now); err != nil || !fresh {
		return repeated(ctx, tx, c, err)
	}
	orphan, err := orphaned(ctx, tx, c)
	if err != nil {
		return job.Job{}, false, err
	}
	if c.Write != nil {
		if err := c.Write(ctx, sqlite.Wrap(tx)); err != nil {
			return job.Job{}, false, err
		}
	}
	l := &log{tx: tx, id: c.ID, attempt: 1, now: now}
	l.add(ctx, job.NewEvent{Key: "create/0", Type: job.TypeStateChanged, Payload: job.StateChange{To: job.StateQueued}.Encode()}, false)
	if err := l.close(ctx); err != nil {
		return job.Job{}, false, err
	}
	created, err := s.queue(ctx, tx, c, orphan, enqueue)
	return created, false, err
}

// insert is not fresh when the job is there.
func insert(ctx context.Context, tx *sql.Tx, c job.Creation, now time.Time) (fresh bool, err error) {
	labels, err := json.Marshal(c.Labels)
	if err != nil {
		return false, fmt.Errorf("encode labels: %w", err)
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO jobs (id, kind, owner, parent_job, resource, labels, state, spec,
		priority, timeout, queue_timeout, history_kept, create_time, deadline_time, queue_expire_time, expire_time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
		c.ID, c.Kind, c.Owner, c.Parent, c.Resource, string(labels), job.StateQueued, c.Spec,
		cmp.Or(c.Priority, job.DefaultPriority), c.Timeout.Microseconds(), c.QueueTimeout.Microseconds(),
		cmp.Or(c.HistoryKept, job.DefaultHistoryKept).Microseconds(), micros(now),
		after(now, c.Timeout), after(now, c.QueueTimeout), nullMicros(c.ExpireAt))
	if err != nil {
		return false, fmt.Errorf("store job %s: %w", c.ID, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// repeated returns the job that an earlier run of the same creation stored, whose commit the caller did not hear of.
func repeated(ctx context.Context, tx *sql.Tx, c job.Creation, err error) (job.Job, bool, error) {
	if err != nil {
		return job.Job{}, false, err
	}
	existing, err := get(ctx, tx, c.ID)
	if err != nil {
		return job.Job{}, false, err
	}
	if !job.SameCreation(existing, c) {
		return job.Job{}, false, fmt.Errorf("store job %s: the ID is another job's", c.ID)
	}
	return existing, true, nil
}

// queue hands the new job to the engine, or ends it where the job that starts it is being cancelled.
func (s *Store) queue(ctx context.Context, tx *sql.Tx, c job.Creation, orphan bool, enqueue func(ctx context.Context, tx job.Tx) error) (job.Job, error) {
	if orphan {
		if _, err := s.cancelOne(ctx, tx, c.ID); err != nil {
			return job.Job{}, err
		}
	} else if err := enqueue(ctx, sqlite.Wrap(tx)); err != nil {
		return job.Job{}, fmt.Errorf("enqueue job %s: %w", c.ID, err)
	}
	return get(ctx, tx, c.ID)
}

// orphaned reports whether the job's parent was asked to end. One that is not there or not the owner's is
// job.ErrNotFound.
func orphaned(ctx context.Context, tx *sql.Tx, c job.Creation) (bool, error) {
	if c.Parent == "" {
		return false, nil
	}
	var asked bool
	err := tx.QueryRowContext(ctx, `SELECT cancel_time IS NOT NULL FROM jobs WHERE id = ? AND (owner = ? OR ? = '')`,
		c.Parent, c.Owner, c.Owner).Scan(&asked)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, fmt.Errorf("the job that starts it, %s: %w", c.Parent, job.ErrNotFound)
	case err != nil:
		return false, fmt.Errorf("look at job %s: %w", c.Parent, err)
	}
	return asked, nil
}
