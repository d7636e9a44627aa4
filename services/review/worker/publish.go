package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/finding"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

// usage is what the models took, as it is stored with a step.
type usage = job.Usage

// publish gives the findings their life, shows the review at the forge where that is asked for, and stores the result,
// which ends the job. A cancellation that comes now is too late: what was begun is carried out.
func (s *session) publish(got *progress) error {
	ctx := context.WithoutCancel(s.run.Context())
	in, f, err := s.reload()
	if err != nil {
		return err
	}
	if f != nil {
		return s.end(f)
	}
	var stored []finding.Finding
	if err := s.get(ctx, got.located.Findings, &stored); err != nil {
		return err
	}
	findings := review.OriginalFindings(stored)
	result := s.result(got, in)
	d, f, err := s.decide(in, findings, &result)
	if err != nil {
		return err
	}
	if f != nil {
		return s.end(f)
	}
	failure, err := s.show(d, &result)
	if err != nil {
		return err
	}
	return s.conclude(ctx, got, in, d.findings, &result, failure)
}

// reload reads the change where this execution has not read it. The forge may be away just then.
func (s *session) reload() (in *review.Inspection, f *engine.Failure, err error) {
	f, err = s.patience.Within(stepPublish+"/reload", func(ctx context.Context) (*engine.Failure, error) {
		in, err = s.load(ctx)
		if f := s.failureOf(ctx, err); f != nil {
			return f, nil
		}
		return nil, err
	})
	return in, f, err
}

// conclude stores the result and ends the job. A failure of showing it is the job's: its findings are kept all the same.
func (s *session) conclude(
	ctx context.Context, got *progress, in *review.Inspection, findings []finding.Finding, result *review.Result, failure *engine.Failure,
) error {
	result.PublishedAt = s.p.Clock().UTC()
	frozen, err := s.frozenResult(*result, findings)
	if err != nil {
		return err
	}
	for i := range findings {
		if finding.Current(&findings[i]) {
			s.found++
		}
	}
	o := job.Outcome{Result: frozen}
	o.State, o.Reason = result.Outcome()
	if failure != nil {
		o.State, o.Reason = job.StateFailed, failure.Reason
		o.Error = &job.Error{Code: codes[failure.Class], Reason: failure.Reason, Message: failure.Message}
	} else {
		event := &reviewv1.Published{Comments: s.commented(findings), Url: result.Publication.URL}
		published, err := newEvent(stepPublish+"/published/0", &reviewv1.ReviewEvent{Event: &reviewv1.ReviewEvent_Published{Published: event}})
		if err != nil {
			return err
		}
		o.Events = append(o.Events, published)
	}
	done := stageProgress(stepPublish)
	if failure == nil {
		done.Done = done.Total
	}
	if err := s.run.Commit(ctx, job.Update{Stage: stepPublish, Progress: done}); err != nil {
		return err
	}
	o.Write = func(ctx context.Context, tx job.Tx) error {
		if failure == nil {
			if err := s.settle(ctx, tx, got, in, result.Coverage); err != nil {
				return err
			}
		}
		if err := s.settleBudget(ctx, tx, got); err != nil {
			return err
		}
		return s.write(ctx, tx, o.State, *result, findings)
	}
	if err := s.finish(ctx, o); err != nil {
		return err
	}
	if o.State == job.StateSucceeded {
		s.release(ctx)
	}
	return nil
}

// commented counts the findings that this review has comments for.
func (s *session) commented(findings []finding.Finding) int32 {
	n := 0
	for i := range findings {
		if finding.Current(&findings[i]) && findings[i].Publication.URL != "" {
			n++
		}
	}
	return wire.Number(n)
}

// write stores the result. What the steps kept is not needed any more when nothing can be retried.
func (s *session) write(ctx context.Context, tx job.Tx, state job.State, result review.Result, findings []finding.Finding) error {
	if err := s.p.Store.Publish(ctx, tx, s.review.ID, result, findings); err != nil {
		return err
	}
	if state != job.StateSucceeded {
		return nil
	}
	return s.p.Blobs.ReleaseTx(ctx, tx, wire.ReviewName(s.review.ID))
}

func (s *session) result(got *progress, in *review.Inspection) review.Result {
	council := got.located.Council
	r := review.Result{
		Disposition: review.DispositionReviewed, Council: council.Coverage, Summary: got.located.Verdict.Summary,
		Deliberation: got.deliberated.Name, Index: got.fetched.Index, BaseIndex: got.fetched.BaseIndex, Usage: got.located.Verdict.Usage,
		Notes: slices.Concat(got.fetched.Notes, got.planned.Notes, got.inspected.Notes), PublishedAt: s.p.Clock().UTC(),
	}
	notes := make([]*string, len(r.Notes))
	for i := range r.Notes {
		notes[i] = &r.Notes[i]
	}
	s.p.Secrets.Clean(context.WithoutCancel(s.run.Context()), notes...)
	if got.inspected.Unscanned != "" {
		r.Notes = append(r.Notes, "the findings could not be scanned for secrets: they quote no code, and none was sent to a model")
	}
	if !s.resolution.Pinned.HasTree() {
		r.Notes = append(r.Notes, "there is no repository beside the diff: structure could not look")
	}
	r.Coverage = review.Cover(in.Change, s.resolution.Pinned.HasTree(), got.inspected.Outcomes, council)
	r.Reason = review.FirstReason(r.Coverage, council.Coverage)
	r.Summary = cmp.Or(r.Summary, review.Summarise(council.Coverage.Models, len(in.Change.Files), got.deliberated.absence()))
	for i := range got.inspected.Outcomes {
		r.Reviewers = append(r.Reviewers, got.inspected.Outcomes[i].Summary(in.Change))
	}
	return r
}

// frozenResult is the review as the job keeps it: without files and findings, which have no bound.
func (s *session) frozenResult(result review.Result, findings []finding.Finding) ([]byte, error) {
	r := s.review
	r.Result = result
	counts := make(map[review.Bucket]int)
	for i := range findings {
		counts[review.Bucket{Outcome: findings[i].Outcome, Severity: findings[i].Severity}]++
	}
	frozen, err := proto.MarshalOptions{Deterministic: true}.Marshal(wire.Review(&r, counts))
	if err != nil {
		return nil, fmt.Errorf("encode the result of review %s: %w", r.ID, err)
	}
	return frozen, nil
}
