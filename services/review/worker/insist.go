package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
)

// How much of the council is worth asking once more, since what kept it may pass by itself.
const (
	askAll  = "ALL"  // nothing came
	askSome = "SOME" // some members or parts are missing
)

// CouncilPauses are the pauses before a council that did not answer is asked again, three times (own choice), by the first of
// them; 0: a minute, so that all fall within the hour. One of which only a part is missing is asked once more, so that its
// findings do not wait long.
func CouncilPauses(first time.Duration) []time.Duration {
	first = cmp.Or(first, time.Minute)
	return []time.Duration{first, 5 * first, 15 * first}
}

// insist asks the council again after durable pauses: that of a pull request as long as what kept it may pass, any other while
// it cannot be reached, and for half a minute only, since there is somebody who waits for it, and who can retry. What is there
// is published when it has ended, so that nothing has to be corrected at the forge.
func (s *session) insist(got *progress) (*engine.Failure, error) {
	pauses := s.p.CouncilPauses
	if s.resolution.Pull == nil {
		pauses = []time.Duration{10 * s.p.Retry, 20 * s.p.Retry, 40 * s.p.Retry} // own choice
	}
	for n, pause := range pauses {
		ask, away := got.deliberated.Again, got.deliberated.Away == string(finding.ReasonCouncilUnavailable)
		if ask == "" || ask == askSome && n > 0 || s.resolution.Pull == nil && !away {
			break
		}
		if err := s.rest(fmt.Sprintf("%s/pause/%d", stepDeliberate, n+1), pause); err != nil {
			return nil, err
		}
		if got.planned.Away == string(finding.ReasonCouncilUnavailable) {
			if f, err := s.plans(got, fmt.Sprintf("%s/round/%d", stepContext, n+1)); f != nil || err != nil {
				return f, err
			}
		}
		if f, err := s.deliberates(got, fmt.Sprintf("%s/round/%d", stepDeliberate, n+1)); f != nil || err != nil {
			return f, err
		}
	}
	return s.leave(got)
}

// leave stops a council that was convened and cannot be reached, when nobody will ask for it any more.
func (s *session) leave(got *progress) (*engine.Failure, error) {
	if got.planned.Away != "" || got.deliberated.Away != string(finding.ReasonCouncilUnavailable) || got.deliberated.Again == "" {
		return nil, nil //nolint:nilnil // no failure
	}
	var done bool
	return step(s, stepDeliberate+"/leave", &done, func(ctx context.Context) (bool, error) {
		s.dismiss(ctx)
		return true, nil
	})
}

// rest sleeps durably and leaves its place to other reviews meanwhile.
func (s *session) rest(name string, d time.Duration) error {
	s.free()
	s.free = func() {}
	if err := s.run.Sleep(name, d); err != nil {
		return err
	}
	free, err := s.place()
	if err == nil {
		s.free = free
	}
	return err
}

// resume retries a council that has ended with less than everything; the answers that its journal holds cost nothing
// again. One that goes on is left to. It is false where there is none.
func (s *session) resume(ctx context.Context, before *deliberated, name string) (bool, error) {
	if before.Job == "" {
		return false, nil
	}
	err := s.patiently(ctx, func(ctx context.Context) error {
		return s.p.Jobs.Retry(ctx, before.Job, s.attemptID(name+"/retry"))
	})
	if errors.Is(err, job.ErrNotFound) { // it was deleted
		return false, nil
	}
	return true, err
}

// passing says whether what members failed at may pass by itself.
func passing(missing []string) bool {
	return slices.ContainsFunc(missing, func(m string) bool {
		_, class, _ := strings.Cut(m, ": ")
		return slices.Contains([]string{"TIMEOUT", "RATE_LIMIT", "PROVIDER", "CIRCUIT_OPEN"}, class)
	})
}

// followed reads how the council ended: its verdict, what it lacks, and whether that is worth another try.
func (s *session) followed(ctx context.Context, d deliberated, state review.JobState) (deliberated, error) {
	d.Away, d.Partial, d.Again, d.Verdict = "", "", "", ""
	var verdict review.Verdict
	err := s.patiently(ctx, func(ctx context.Context) (err error) {
		verdict, err = s.p.Council.Verdict(ctx, d.Name)
		return err
	})
	if !state.Done() {
		if err != nil && fatal(ctx, err) {
			return d, err
		}
		d.Away = cmp.Or(state.Reason, "COUNCIL_"+state.State)
		if err == nil && passing(verdict.Missing) {
			d.Again = askAll
		}
		return d, nil
	}
	if err != nil {
		return d, err
	}
	if state.State != "SUCCEEDED" {
		d.Partial = cmp.Or(state.Reason, state.State)
		if passing(verdict.Missing) {
			d.Again = askSome
		}
	}
	if err := s.cleanVerdict(ctx, &verdict); err != nil {
		return d, err
	}
	d.Verdict, err = s.put(ctx, verdict)
	return d, err
}
