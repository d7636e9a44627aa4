// Package postgres keeps deliveries in the cluster's database. It is no buffer: webhooks are accepted without it.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"witan.dev/gen/sql/ingestsql"
	"witan.dev/internal/database/postgres"
	"witan.dev/services/ingest"
)

// Store is an ingest.Store on Postgres. Safe for concurrent use by any number of processes.
type Store struct{ db *postgres.DB }

var _ ingest.Store = (*Store)(nil)

// New returns a store on the database, whose schema is up to date since it is open.
func New(db *postgres.DB) *Store { return &Store{db: db} }

func (s *Store) queries() *ingestsql.Queries { return ingestsql.New(s.db.Pool()) }

// Keep implements ingest.Store.
func (s *Store) Keep(ctx context.Context, e ingest.Entry) (ingest.Delivery, error) {
	body := e.Body
	if body == nil {
		body = []byte{}
	}
	err := s.db.WriteAlone(ctx, func(ctx context.Context, pool *pgxpool.Pool) error {
		return ingestsql.New(pool).KeepDelivery(ctx, ingestsql.KeepDeliveryParams{
			ID: e.ID, Origin: e.Origin(), Run: int64(e.Run()), Event: e.Event, Action: e.Action, Sha256: e.Digest(), ReceiveTime: e.ReceivedAt,
			Stored: int64(ingest.Stored), Body: body, Again: []int64{int64(ingest.Dead), int64(ingest.Unparsed)},
		})
	})
	if err != nil {
		return ingest.Delivery{}, fmt.Errorf("keep delivery %s: %w", e.ID, err)
	}
	return s.Get(ctx, e.ID)
}

// Settle implements ingest.Store.
func (s *Store) Settle(ctx context.Context, id string, o ingest.Outcome) error {
	err := s.db.WriteAlone(ctx, func(ctx context.Context, pool *pgxpool.Pool) error {
		return ingestsql.New(pool).SettleDelivery(ctx, ingestsql.SettleDeliveryParams{
			ID: id, State: int64(o.State), Reason: o.Reason, Resource: o.Resource,
			Settled: []int64{int64(ingest.Handled), int64(ingest.Ignored)},
		})
	})
	if err != nil {
		return fmt.Errorf("settle delivery %s: %w", id, err)
	}
	return nil
}

// Get implements ingest.Store.
func (s *Store) Get(ctx context.Context, id string) (ingest.Delivery, error) {
	row, err := s.queries().GetDelivery(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ingest.ErrNotFound
	}
	if err != nil {
		return ingest.Delivery{}, fmt.Errorf("get delivery %s: %w", id, postgres.Error(err))
	}
	return delivery(row), nil
}

func delivery(row ingestsql.GetDeliveryRow) ingest.Delivery {
	return ingest.Delivery{
		ID: row.ID, Event: row.Event, Action: row.Action, SHA256: row.Sha256, ReceivedAt: row.ReceiveTime.UTC(),
		State: ingest.State(row.State), Reason: row.Reason, Resource: row.Resource,
	}
}

// List implements ingest.Store.
func (s *Store) List(ctx context.Context, q ingest.ListQuery) ([]ingest.Delivery, error) {
	before, id, n := q.Before, q.BeforeID, int32(min(max(q.Limit, 0), math.MaxInt32))
	if before.IsZero() {
		before, id = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC), "" // later than any delivery
	}
	var out []ingest.Delivery
	if q.State == 0 {
		rows, err := s.queries().ListDeliveries(ctx, ingestsql.ListDeliveriesParams{BeforeTime: before, BeforeID: id, N: n})
		for _, row := range rows {
			out = append(out, delivery(ingestsql.GetDeliveryRow(row)))
		}
		return out, listError(err)
	}
	rows, err := s.queries().ListDeliveriesIn(ctx, ingestsql.ListDeliveriesInParams{State: int64(q.State), BeforeTime: before, BeforeID: id, N: n})
	for _, row := range rows {
		out = append(out, delivery(ingestsql.GetDeliveryRow(row)))
	}
	return out, listError(err)
}

func listError(err error) error {
	if err != nil {
		return fmt.Errorf("list deliveries: %w", postgres.Error(err))
	}
	return nil
}

// Redeliver implements ingest.Store. Row and number are made in one transaction, under the lock of the delivery's row.
func (s *Store) Redeliver(ctx context.Context, id, requestID string, at time.Time) (ingest.Entry, error) {
	var e ingest.Entry
	err := s.db.Write(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		e, err = redeliver(ctx, ingestsql.New(tx), id, requestID, at)
		return err
	})
	if err != nil {
		return ingest.Entry{}, fmt.Errorf("redeliver %s: %w", id, postgres.Error(err))
	}
	return e, nil
}

func redeliver(ctx context.Context, q *ingestsql.Queries, id, requestID string, at time.Time) (ingest.Entry, error) {
	row, err := q.LockDelivery(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ingest.ErrNotFound
	}
	if err != nil {
		return ingest.Entry{}, err
	}
	e := ingest.Entry{Delivery: ingest.Delivery{
		ID: id, Event: row.Event, Action: row.Action, SHA256: row.Sha256, ReceivedAt: at.UTC().Truncate(time.Microsecond), State: ingest.Stored,
	}, Body: row.Body}
	origin := e.Origin()
	var request *string
	if requestID != "" {
		request = &requestID
		earlier, err := q.FindRedelivery(ctx, ingestsql.FindRedeliveryParams{Origin: origin, RequestID: request})
		if err == nil {
			e.Delivery = delivery(ingestsql.GetDeliveryRow(earlier))
			return e, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return ingest.Entry{}, err
		}
	}
	last, err := q.LastRun(ctx, origin)
	if err != nil {
		return ingest.Entry{}, err
	}
	if e.ID, err = ingest.Redelivered(origin, int(last)+1); err != nil {
		return ingest.Entry{}, err
	}
	err = q.InsertRedelivery(ctx, ingestsql.InsertRedeliveryParams{
		ID: e.ID, Origin: origin, Run: last + 1, RequestID: request, Event: e.Event, Action: e.Action, Sha256: e.SHA256,
		ReceiveTime: e.ReceivedAt, State: int64(ingest.Stored), Body: e.Body,
	})
	if postgres.IsUnique(err) {
		err = postgres.Again(err) // another run of the same origin was made meanwhile
	}
	return e, err
}

// Expire implements ingest.Store.
func (s *Store) Expire(ctx context.Context, before time.Time, n int) (int, error) {
	var removed int64
	err := s.db.WriteAlone(ctx, func(ctx context.Context, pool *pgxpool.Pool) (err error) {
		removed, err = ingestsql.New(pool).ExpireDeliveries(ctx, ingestsql.ExpireDeliveriesParams{
			Before: before, Stored: int64(ingest.Stored), N: int32(min(max(n, 0), math.MaxInt32)),
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("remove old deliveries: %w", err)
	}
	return int(removed), nil
}

// History implements ingest.Store.
func (s *Store) History(ctx context.Context) (ingest.History, error) {
	q := s.queries()
	rows, err := q.CountDeliveries(ctx)
	if err != nil {
		return ingest.History{}, fmt.Errorf("count deliveries: %w", postgres.Error(err))
	}
	h := ingest.History{States: map[ingest.State]int64{}}
	for _, row := range rows {
		h.States[ingest.State(row.State)] = row.N
	}
	if h.HookDeletedAt, err = newest(q.NewestHookDeleted(ctx)); err != nil {
		return ingest.History{}, err
	}
	h.LastReceivedAt, err = newest(q.NewestDelivery(ctx))
	return h, err
}

func newest(at time.Time, err error) (time.Time, error) {
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("find the newest delivery: %w", postgres.Error(err))
	}
	return at.UTC(), nil
}
