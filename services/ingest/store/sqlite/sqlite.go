// Package sqlite keeps deliveries in the embedded database. There the table is the buffer too: a delivery is accepted by the
// commit of its row, and waits as long as its state says so.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"witan.dev/internal/database/sqlite"
	"witan.dev/services/ingest"
)

// Options change the times of a Store. The zero value means the defaults named here.
type Options struct {
	// Lease is how long an entry stays with whoever took it; default ingest.Lease.
	Lease time.Duration
	// Wait is how long Take waits for an entry; default 500 ms.
	Wait time.Duration
	// Now is the clock of the leases; default time.Now.
	Now func() time.Time
}

// Store is an ingest.Store, ingest.Buffer and ingest.Queue on SQLite. Who has an entry in hand is known in memory: when
// the process ends, all entries are free. Safe for concurrent use.
type Store struct {
	db  *sqlite.DB
	opt Options
	// putting counts deliveries that are being accepted.
	putting atomic.Int64
	// arrived has a value when something was put since Take looked last.
	arrived chan struct{}

	mu    sync.Mutex
	held  map[string]time.Time // until when
	taken time.Time            // the last Take
}

var (
	_ ingest.Store  = (*Store)(nil)
	_ ingest.Buffer = (*Store)(nil)
	_ ingest.Queue  = (*Store)(nil)
)

// New returns a store on the database, whose schema is up to date since it is open.
func New(db *sqlite.DB, opt Options) *Store {
	opt.Lease, opt.Wait = cmp.Or(opt.Lease, ingest.Lease), cmp.Or(opt.Wait, 500*time.Millisecond)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	return &Store{db: db, opt: opt, arrived: make(chan struct{}, 1), held: map[string]time.Time{}}
}

const columns = `id, event, action, sha256, receive_time, state, reason, resource`

// insert makes a row. An earlier one wins; one that ended unread or dead waits again.
const insert = `INSERT INTO deliveries (id, origin, run, event, action, sha256, receive_time, state, reason, resource, takes, body)
	VALUES (?1, ?2, ?11, ?3, ?4, ?5, ?6, ?7, '', '', 0, ?8)
	ON CONFLICT (id) DO UPDATE SET state = ?7, reason = '', takes = 0 WHERE state IN (?9, ?10)`

// Put implements ingest.Buffer.
func (s *Store) Put(ctx context.Context, e ingest.Entry) error {
	s.putting.Add(1)
	defer s.putting.Add(-1)
	done := make(chan error, 1)
	go func() { done <- s.insert(ctx, e) }() // the writer brings to an end what it has begun
	select {
	case err := <-done:
		if err == nil {
			s.wake()
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Store) insert(ctx context.Context, e ingest.Entry) error {
	digest := e.Digest()
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, insert, e.ID, e.Origin(), e.Event, e.Action, digest, e.ReceivedAt.UnixMicro(), int(ingest.Stored),
			nonNil(e.Body), int(ingest.Dead), int(ingest.Unparsed), e.Run())
		return err
	})
	if err != nil {
		return fmt.Errorf("store delivery %s: %w", e.ID, err)
	}
	return nil
}

func nonNil(body []byte) []byte {
	if body == nil {
		return []byte{}
	}
	return body
}

func (s *Store) wake() {
	select {
	case s.arrived <- struct{}{}:
	default: // the earlier signal has not been looked at and covers this one
	}
}

// Keep implements ingest.Store.
func (s *Store) Keep(ctx context.Context, e ingest.Entry) (ingest.Delivery, error) {
	kept, err := s.Get(ctx, e.ID)
	if err == nil && kept.State != ingest.Dead && kept.State != ingest.Unparsed {
		return kept, nil
	}
	if err != nil && !errors.Is(err, ingest.ErrNotFound) {
		return ingest.Delivery{}, err
	}
	if err := s.insert(ctx, e); err != nil {
		return ingest.Delivery{}, err
	}
	return s.Get(ctx, e.ID)
}

// Settle implements ingest.Store.
func (s *Store) Settle(ctx context.Context, id string, o ingest.Outcome) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = ?2, reason = ?3, resource = ?4 WHERE id = ?1 AND state NOT IN (?5, ?6)`,
			id, int(o.State), o.Reason, o.Resource, int(ingest.Handled), int(ingest.Ignored))
		return err
	})
	if err != nil {
		return fmt.Errorf("settle delivery %s: %w", id, err)
	}
	return nil
}

// Get implements ingest.Store.
func (s *Store) Get(ctx context.Context, id string) (ingest.Delivery, error) {
	d, err := scan(s.db.Reader().QueryRowContext(ctx, `SELECT `+columns+` FROM deliveries WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ingest.ErrNotFound
	}
	if err != nil {
		return ingest.Delivery{}, fmt.Errorf("get delivery %s: %w", id, err)
	}
	return d, nil
}

// List implements ingest.Store.
func (s *Store) List(ctx context.Context, q ingest.ListQuery) ([]ingest.Delivery, error) {
	before := int64(0)
	if !q.Before.IsZero() {
		before = q.Before.UnixMicro()
	}
	return s.query(ctx, `SELECT `+columns+` FROM deliveries
		WHERE (?1 = 0 OR state = ?1) AND (?2 = 0 OR (receive_time, id) < (?2, ?3)) ORDER BY receive_time DESC, id DESC LIMIT ?4`,
		int(q.State), before, q.BeforeID, q.Limit)
}

func (s *Store) query(ctx context.Context, query string, args ...any) ([]ingest.Delivery, error) {
	rows, err := s.db.Reader().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	var out []ingest.Delivery
	for rows.Next() {
		d, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
		out = append(out, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return out, nil
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

func scan(row scanner) (ingest.Delivery, error) {
	var d ingest.Delivery
	var received int64
	err := row.Scan(&d.ID, &d.Event, &d.Action, &d.SHA256, &received, &d.State, &d.Reason, &d.Resource)
	d.ReceivedAt = time.UnixMicro(received).UTC()
	return d, err
}

// Redeliver implements ingest.Store. The new row is in the buffer with its commit.
func (s *Store) Redeliver(ctx context.Context, id, requestID string, at time.Time) (ingest.Entry, error) {
	var e ingest.Entry
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		e, err = redeliver(ctx, tx, id, requestID, at)
		return err
	})
	if err != nil {
		return ingest.Entry{}, fmt.Errorf("redeliver %s: %w", id, err)
	}
	s.wake()
	return e, nil
}

func redeliver(ctx context.Context, tx *sql.Tx, id, requestID string, at time.Time) (ingest.Entry, error) {
	e := ingest.Entry{Delivery: ingest.Delivery{ID: id, State: ingest.Stored, ReceivedAt: at.UTC().Truncate(time.Microsecond)}}
	origin := e.Origin()
	err := tx.QueryRowContext(ctx, `SELECT event, action, sha256, body FROM deliveries WHERE id = ?`, id).
		Scan(&e.Event, &e.Action, &e.SHA256, &e.Body)
	if errors.Is(err, sql.ErrNoRows) {
		err = ingest.ErrNotFound
	}
	if err != nil {
		return ingest.Entry{}, err
	}
	var request any
	if requestID != "" {
		request = requestID
		var received int64
		err := tx.QueryRowContext(ctx, `SELECT id, receive_time, state, reason, resource FROM deliveries WHERE origin = ? AND request_id = ?`, origin, requestID).
			Scan(&e.ID, &received, &e.State, &e.Reason, &e.Resource)
		if err == nil {
			e.ReceivedAt = time.UnixMicro(received).UTC()
			return e, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return ingest.Entry{}, err
		}
	}
	var last int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(run), 0) FROM deliveries WHERE origin = ?`, origin).Scan(&last); err != nil {
		return ingest.Entry{}, err
	}
	if e.ID, err = ingest.Redelivered(origin, last+1); err != nil {
		return ingest.Entry{}, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deliveries
		(id, origin, run, request_id, event, action, sha256, receive_time, state, reason, resource, takes, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', 0, ?)`,
		e.ID, origin, last+1, request, e.Event, e.Action, e.SHA256, e.ReceivedAt.UnixMicro(), int(ingest.Stored), e.Body)
	return e, err
}

// Expire implements ingest.Store.
func (s *Store) Expire(ctx context.Context, before time.Time, n int) (int, error) {
	var removed int64
	err := s.db.Write(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM deliveries WHERE id IN (
			SELECT id FROM deliveries WHERE receive_time < ? AND state <> ? ORDER BY receive_time LIMIT ?)`,
			before.UnixMicro(), int(ingest.Stored), n)
		if err != nil {
			return err
		}
		removed, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old deliveries: %w", err)
	}
	return int(removed), nil
}

// Clean implements ingest.Queue: Expire does it.
func (*Store) Clean(context.Context, time.Time) error { return nil }

// counts reads how many deliveries there are in each state.
func (s *Store) counts(ctx context.Context) (map[ingest.State]int64, error) {
	rows, err := s.db.Reader().QueryContext(ctx, `SELECT state, count(*) FROM deliveries GROUP BY state`)
	if err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	counts := map[ingest.State]int64{}
	for rows.Next() {
		var state ingest.State
		var n int64
		if err := rows.Scan(&state, &n); err != nil {
			return nil, fmt.Errorf("count deliveries: %w", err)
		}
		counts[state] = n
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count deliveries: %w", err)
	}
	return counts, nil
}

// History implements ingest.Store.
func (s *Store) History(ctx context.Context) (ingest.History, error) {
	counts, err := s.counts(ctx)
	if err != nil {
		return ingest.History{}, err
	}
	h := ingest.History{States: counts}
	for condition, into := range map[string]*time.Time{
		`event = 'meta' AND action = 'deleted'`:       &h.HookDeletedAt,
		`NOT (event = 'meta' AND action = 'deleted')`: &h.LastReceivedAt,
	} {
		var at int64
		err := s.db.Reader().QueryRowContext(ctx, `SELECT receive_time FROM deliveries WHERE `+condition+
			` ORDER BY receive_time DESC LIMIT 1`).Scan(&at)
		switch {
		case err == nil:
			*into = time.UnixMicro(at).UTC()
		case !errors.Is(err, sql.ErrNoRows):
			return ingest.History{}, fmt.Errorf("find the newest delivery: %w", err)
		}
	}
	return h, nil
}

// placeholders is n question marks.
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?,", n), ",") }
