package job

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// What every store decides in the same way, each inside its own transactions.

// KeyRetry is the key of the event with which an attempt after the first begins.
func KeyRetry(attempt int32) string { return fmt.Sprintf("retry/%d", attempt) }

// SameCreation reports whether j is what an earlier run of the creation has stored, whose answer was lost.
func SameCreation(j Job, c Creation) bool {
	return j.ID == c.ID && j.Kind == c.Kind && j.Owner == c.Owner && j.Parent == c.Parent && j.Resource == c.Resource
}

// IdempotencyKey is the same whenever the same try of the same call is sent.
func IdempotencyKey(id ID, key CallKey, attempt int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %d", id, key.Stage, key.Subject, key.Part, attempt))
	return "witan-" + hex.EncodeToString(sum[:16])
}

// Unbeginnable says how a job ends that must not run any more: nobody took it in time, or it began more than maxStalled
// times in a row without getting on.
func Unbeginnable(j Job, now time.Time, maxStalled int) (Outcome, bool) {
	if o, over := QueueOver(j, now); over {
		return o, true
	}
	if j.State == StateQueued || j.Stalled+1 <= maxStalled {
		return Outcome{}, false
	}
	return GivenUp(j, "the job began again and again without getting on and was given up"), true
}

// GivenUp is the end of a job that will not run any more, through no doing of its own.
func GivenUp(j Job, message string) Outcome {
	if j.State == StateCancelling { // it ends as it was asked to
		return Outcome{State: StateCancelled, Reason: ReasonCancelled}
	}
	return Outcome{State: StateFailed, Reason: ReasonRecoveryAttempts, Error: &Error{
		Code: CodeInternal, Reason: ReasonRecoveryAttempts, Message: message,
	}}
}

// QueueOver says how a job ends that has waited in its queue for too long.
func QueueOver(j Job, now time.Time) (Outcome, bool) {
	passed := func(t time.Time) bool { return !t.IsZero() && now.After(t) }
	var reason, message string
	switch {
	case j.State != StateQueued:
		return Outcome{}, false
	case passed(j.DeadlineAt):
		reason, message = ReasonDeadline, "the job's deadline passed before a worker took it"
	case passed(j.QueueExpireAt):
		reason, message = ReasonQueueExpired, "no worker took the job in time"
	default:
		return Outcome{}, false
	}
	return Outcome{State: StateExpired, Reason: reason, Error: &Error{Code: codeDeadlineExceeded, Reason: reason, Message: message}}, true
}

// RetryRefused is nil for a job that may be retried: one that ended with less than everything. revision is what the
// caller saw, 0 anything.
func RetryRefused(j Job, revision int64) error {
	switch {
	case revision != 0 && revision != j.Revision:
		return ErrETagMismatch
	case !j.State.Terminal():
		return ErrNotFinished
	case j.State == StateSucceeded:
		return ErrNotRetryable
	}
	return nil
}

// DeleteRefused is nil for a job that may be removed. revision is what the caller saw, 0 anything.
func DeleteRefused(j Job, revision int64) error {
	switch {
	case revision != 0 && revision != j.Revision:
		return ErrETagMismatch
	case !j.State.Terminal():
		return ErrNotFinished
	}
	return nil
}

// ParentsFirst sorts what holds jobs so that each is behind the one that started it, where that one is among them.
func ParentsFirst[T any](all []T, of func(T) Job) {
	parents := make(map[ID]ID, len(all))
	for _, v := range all {
		parents[of(v).ID] = of(v).Parent
	}
	depths := make(map[ID]int, len(all))
	for id := range parents {
		for by, there := parents[id]; there && depths[id] < len(all); by, there = parents[by] {
			depths[id]++
		}
	}
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(depths[of(a).ID], depths[of(b).ID]) })
}
