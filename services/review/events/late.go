package events

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

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
	// Check without a Head is for that which the pull request has when the forge answers again.
	Check publish.Check `json:"check"`
	// Refused says that the forge refused us, which may end within the day as well.
	Refused bool `json:"refused,omitempty"`
	// Open says that the check run is to be ended only where it is there and still open, when its review has ended.
	Open bool `json:"open,omitempty"`
	// Base is the commit at which the repository says how a check run without a result ends; empty: as Check says.
	Base string `json:"base,omitempty"`
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

// EndGivenUp has the check run of a review ended whose job was given up, or is about to be, outside of its body: it would
// stay open for ever. It is the job.Manager's OnGivenUp of reviews, and does nothing where no check run was begun.
func EndGivenUp(ctx context.Context, jobs JobStore, store GivenUpStore, keys publish.Keys, j job.Job) error {
	if j.State == job.StateSucceeded || j.State == job.StatePartiallySucceeded {
		return nil
	}
	r, err := store.Get(ctx, j.ID, "")
	if errors.Is(err, review.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !r.Publish || r.Pinned.Source.Kind != review.SourcePull || r.Pinned.Subject == "" || r.Pinned.Head == "" {
		return nil
	}
	key := publish.CheckKey(keys, r.Pinned.Subject, string(r.ID))
	written, err := store.Publications(ctx, r.Pinned.Subject)
	if err != nil || !slices.ContainsFunc(written, func(p review.Publication) bool { return publish.SameCheck(p.Key, key) }) {
		return err
	}
	request := uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s~%d/check/given-up", j.ID, j.Attempt)).String()
	return EndLater(ctx, jobs, r.Owner, request, LateCheck{
		Review: r.ID, Attempt: j.Attempt, Pull: r.Pinned.Source.Pull, Open: true, Base: r.Pinned.Base,
		Check: publish.Check{
			ExternalID: key, Head: r.Pinned.Head, Status: publish.CheckCompleted, Conclusion: publish.Neutral,
			Title: "Not reviewed: internal error", Summary: "The server met an error and gave the review up.",
		},
	})
}

// GivenUpStore is what EndGivenUp reads.
type GivenUpStore interface {
	Get(ctx context.Context, id job.ID, owner string) (review.Review, error)
	Publications(ctx context.Context, subject string) ([]review.Publication, error)
}

// errNotThere: there is no check run to end.
var errNotThere = errors.New("the check run was never made")

// endLate ends the check run, unless its review was tried again meanwhile. What the forge refuses for good is left as it is.
func (s *session) endLate(late *LateCheck) (*engine.Failure, error) {
	if s.p.Publisher == nil {
		return nil, nil //nolint:nilnil // nobody writes
	}
	s.patience = &patience.Patience{Run: s.run, Limit: lateFor, MaxPause: latePause, Clock: s.p.Clock}
	var placed publish.Placed
	return step(s, "check", &placed, func(ctx context.Context) (publish.Placed, error) {
		placed, err := s.endOne(ctx, *late)
		if late.Refused && (errors.Is(err, review.ErrForgeRefused) || err == nil && placed.Reason == publish.ReasonNoCheckRun) {
			return placed, fmt.Errorf("the check run of review %s: %w", late.Review, review.ErrUnavailable)
		}
		return placed, err
	})
}

// endOne tries it once.
func (s *session) endOne(ctx context.Context, late LateCheck) (publish.Placed, error) {
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
	if late.Open {
		if err == nil && !j.State.Terminal() { // it is about to end
			return publish.Placed{}, fmt.Errorf("review %s has not ended: %w", late.Review, review.ErrUnavailable)
		}
		return s.endOpen(ctx, desk, &late)
	}
	if late.Check.Head == "" {
		if waited, err := s.lookUp(ctx, &late); err != nil || !waited {
			return publish.Placed{}, err
		}
	}
	return desk.Unread(ctx, late.Check)
}

// lookUp completes a check run whose review ended before it knew its pull request, and says whether somebody waits for it.
func (s *session) lookUp(ctx context.Context, late *LateCheck) (bool, error) {
	if s.p.Forge == nil {
		return false, nil
	}
	r, err := s.p.Store.Get(ctx, late.Review, "")
	if errors.Is(err, review.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	pull, err := s.p.Forge.PullRequest(ctx, late.Pull)
	if errors.Is(err, review.ErrPullRequestNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	subject, err := s.p.Subjects.Subject(ctx, pull.Subject())
	if err != nil && !errors.Is(err, review.ErrNotFound) {
		return false, err
	}
	set, _, err := s.settings(ctx, &pull)
	if err != nil {
		return false, err
	}
	_, silent := set.Decline(&pull, &r, &subject)
	if pull.State != review.PullOpen || !set.Check || silent {
		return false, nil
	}
	there, err := s.p.Publisher.Checks(ctx, pull.Repo, pull.Head)
	if err != nil && (waits(err) || ctx.Err() != nil) {
		return false, err
	}
	if len(there) > 0 { // a later review says more
		return false, nil
	}
	late.Check.Head, late.Check.Conclusion = pull.Head, publish.Missing(&set)
	return true, nil
}

// endOpen ends a check run that is there and open, and makes none.
func (s *session) endOpen(ctx context.Context, desk *publish.Desk, late *LateCheck) (publish.Placed, error) {
	there, err := s.p.Publisher.Checks(ctx, late.Pull.Repo, late.Check.Head)
	if err != nil {
		return publish.Placed{}, err
	}
	if slices.ContainsFunc(there, func(c publish.Check) bool {
		return publish.SameCheck(c.ExternalID, late.Check.ExternalID) && c.Status == publish.CheckCompleted
	}) {
		return publish.Placed{}, nil
	}
	check := late.Check
	if check.Conclusion, err = s.missing(ctx, late); err != nil {
		return publish.Placed{}, err
	}
	desk.Begin = func(context.Context, []string) error { return errNotThere }
	placed, err := desk.Unread(ctx, check)
	if errors.Is(err, errNotThere) {
		return publish.Placed{}, nil
	}
	return placed, err
}

// missing is what the check run of a review without a result says, as its repository has it.
func (s *session) missing(ctx context.Context, late *LateCheck) (publish.Conclusion, error) {
	if late.Base == "" || s.p.Forge == nil {
		return late.Check.Conclusion, nil
	}
	set, _, err := s.settings(ctx, &review.PullRequest{PullRef: late.Pull, BaseTip: late.Base})
	if err == nil {
		return publish.Missing(&set), nil
	}
	if waits(err) || ctx.Err() != nil {
		return "", err
	}
	s.p.Logger.WarnContext(ctx, "what the repository says of its checks cannot be read", "review", string(late.Review), "error", err)
	return late.Check.Conclusion, nil
}
