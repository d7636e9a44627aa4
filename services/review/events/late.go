package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/wire"
)

const (
	// lateMethod is by what requests for late check runs are told from others. It is stored: it never changes.
	lateMethod = "review/late-check"
	// lateFor bounds how long the forge is waited for with what is left to say, latePause the time between two tries (own
	// choice).
	lateFor   = 24 * time.Hour
	latePause = 15 * time.Minute
)

// LateCheck is a check run that could not be ended when its review was: the forge did not answer.
type LateCheck struct {
	Review job.ID `json:"review"`
	// Attempt is that of the review's job. A later one says by itself how it ended.
	Attempt int32          `json:"attempt"`
	Pull    review.PullRef `json:"pull"`
	Check   publish.Check  `json:"check"`
}

// JobStore keeps jobs.
type JobStore interface {
	Create(ctx context.Context, c job.Creation) (j job.Job, reused bool, err error)
	Get(ctx context.Context, id job.ID, owner string) (job.Job, error)
}

// EndLater makes the job that ends a check run as soon as the forge answers again, for a day. The same requestID makes one
// job only.
func EndLater(ctx context.Context, jobs JobStore, owner, requestID string, late LateCheck) error {
	spec, err := json.Marshal(Spec{Late: &late})
	if err != nil {
		return fmt.Errorf("encode the check run of review %s: %w", late.Review, err)
	}
	_, _, err = jobs.Create(ctx, job.Creation{
		ID: job.NewID(), Kind: job.KindDelivery, Owner: owner, Method: lateMethod, RequestID: requestID, BodySHA256: sha256.Sum256(spec),
		Resource: wire.ReviewName(late.Review), Spec: spec,
	})
	return err
}

// endLate ends the check run, unless its review was tried again meanwhile. What the forge refuses for good is left as it is.
func (s *session) endLate(late *LateCheck) (*engine.Failure, error) {
	if s.p.Publisher == nil {
		return nil, nil //nolint:nilnil // nobody writes
	}
	s.patience = &patience.Patience{Run: s.run, Limit: lateFor, MaxPause: latePause}
	var placed publish.Placed
	return step(s, "check", &placed, func(ctx context.Context) (publish.Placed, error) {
		j, err := s.p.Kept.Get(ctx, late.Review, "")
		if err != nil && !errors.Is(err, job.ErrNotFound) {
			return publish.Placed{}, err
		}
		if err == nil && j.Attempt != late.Attempt {
			return publish.Placed{}, nil
		}
		desk := &publish.Desk{
			Forge: s.p.Publisher, Ref: late.Pull, Begun: map[string]bool{late.Check.ExternalID: true},
			Begin: func(context.Context, []string) error { return nil }, Wait: s.p.Wait, Logger: s.p.Logger,
		}
		return desk.Check(ctx, late.Check)
	})
}
