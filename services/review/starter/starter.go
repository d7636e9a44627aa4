// Package starter starts reviews of pull requests: whoever asks, they meet at the subject's row, in the transaction that
// makes their job.
package starter

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// Jobs creates the jobs that compute reviews.
type Jobs interface {
	Create(ctx context.Context, c job.Creation) (j job.Job, reused bool, err error)
	StatesTx(ctx context.Context, tx job.Tx, ids ...job.ID) (map[job.ID]job.State, error)
	Cancel(ctx context.Context, id job.ID, owner string) (job.Job, error)
}

// Params are what a starter needs.
type Params struct {
	Jobs     Jobs
	Store    review.Store
	Subjects review.Subjects
	Logger   *slog.Logger
	Clock    func() time.Time
}

// Starter starts reviews. Safe for concurrent use.
type Starter struct{ p Params }

// New returns a starter.
func New(p Params) *Starter { return &Starter{p: p} }

// Request is what makes a start idempotent: the same owner, method, ID and body get the same review for ever, also when it
// is one that had been waiting.
type Request struct {
	Method, ID string
	Body       [sha256.Size]byte
	// Also joins the transaction that makes a new review, or in which the request joins one that waits: id is the one that
	// answers it. nil does nothing.
	Also func(ctx context.Context, tx job.Tx, id job.ID) error
}

// Start makes the review with its job, or returns the one that answers the request: an earlier one of the same request, or
// one of the same pull request that waits. Nothing is asked of the forge.
func (s *Starter) Start(ctx context.Context, rev review.Review, r Request) (review.Review, error) {
	spec, err := json.Marshal(rev)
	if err != nil {
		return rev, fmt.Errorf("encode the spec of review %s: %w", rev.ID, err)
	}
	creation := job.Creation{
		ID: rev.ID, Kind: job.KindReview, Owner: rev.Owner, Method: r.Method, RequestID: r.ID, BodySHA256: r.Body,
		Resource: wire.ReviewName(rev.ID), Labels: rev.Labels, Spec: spec,
		Write: func(ctx context.Context, tx job.Tx) error {
			if rev.Supersedes != "" {
				if err := s.p.Subjects.Supersede(ctx, tx, rev.Supersedes, rev.ID); err != nil {
					return err
				}
			}
			if err := s.p.Store.Create(ctx, tx, rev); err != nil || r.Also == nil {
				return err
			}
			return r.Also(ctx, tx, rev.ID)
		},
	}
	if rev.Publish && rev.Pinned.Subject != "" {
		creation.Admit = func(ctx context.Context, tx job.Tx, c *job.Creation) error { return s.admit(ctx, tx, &rev, c, r.Also) }
	}
	j, reused, err := s.p.Jobs.Create(ctx, creation)
	if err != nil {
		return rev, err
	}
	if reused {
		return s.p.Store.Get(ctx, j.ID, rev.Owner)
	}
	s.stop(ctx, rev.Supersedes)
	return rev, nil
}

// admit takes the request in at its subject. Reviews that nothing is published of concern nobody else.
func (s *Starter) admit(
	ctx context.Context, tx job.Tx, rev *review.Review, c *job.Creation, also func(ctx context.Context, tx job.Tx, id job.ID) error,
) error {
	subject, err := s.p.Subjects.Lock(ctx, tx, rev.Pinned.Subject, rev.Owner)
	if err != nil {
		return err
	}
	states, err := s.p.Jobs.StatesTx(ctx, tx, subject.Current, subject.Running)
	if err != nil {
		return err
	}
	a := subject.Admit(rev, s.p.Clock().UTC(), subject.Unfinished(states))
	if err := s.p.Subjects.Put(ctx, tx, subject); err != nil {
		return err
	}
	c.Existing, rev.Supersedes = a.Join, a.Supersedes
	if a.Join != "" {
		if also == nil {
			return nil
		}
		return also(ctx, tx, a.Join)
	}
	if c.Spec, err = json.Marshal(rev); err != nil {
		return fmt.Errorf("encode the spec of review %s: %w", rev.ID, err)
	}
	return nil
}

// stopTime bounds the attempt to stop a superseded review at once (own choice).
const stopTime = 5 * time.Second

// stop cancels the review whose place a new one took. Should it be missed, the new one does it, and the old one finds out
// before it publishes.
func (s *Starter) stop(ctx context.Context, id job.ID) {
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	if _, err := s.p.Jobs.Cancel(ctx, id, ""); err != nil {
		s.p.Logger.WarnContext(ctx, "a superseded review was not stopped yet", "review", string(id), "error", err)
	}
}
