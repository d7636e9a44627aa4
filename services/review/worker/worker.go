// Package worker holds the body of jobs of kind review: the steps resolve, fetch, context, inspect, deliberate, locate
// and publish. Each step's result is stored before the next one begins; what is large lies in the blob store, with its
// secrets replaced. What a step needs of the change itself is read again from git by object IDs, so that no source code
// is copied.
package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/wire"
)

// Params are what a worker needs.
type Params struct {
	Repository review.Repository
	Parser     review.Parser
	Index      review.Index
	Council    review.Council
	Jobs       review.Jobs
	Store      review.Store
	Blobs      blob.Store
	// Forge reads pull requests; nil where there are no credentials for one.
	Forge review.Forge
	// Publisher writes at that forge, with the only token that may; nil where nothing is published. PublishKeys are by what it
	// knows its own writes again, JobURL is where people look at a job; nil: nowhere.
	Publisher   publish.Forge
	PublishKeys publish.Keys
	JobURL      func(id job.ID) string
	// EndLater makes the job that ends a check run when the forge answers again; nil: nobody does.
	EndLater func(ctx context.Context, owner, requestID string, late events.LateCheck) error
	// Ledger keeps the life of findings; nil: they have none beyond their review.
	Ledger review.Ledger
	// Version is the program's, as it is shown.
	Version string
	// Wait pauses between two looks for what was written; nil means to wait on the clock.
	Wait func(ctx context.Context, d time.Duration) error
	// Snapshots stores the trees of pull requests, of which indexes are made; nil: those have none.
	Snapshots review.Snapshots
	// Subjects remember what was reviewed of a pull request.
	Subjects review.Subjects
	// States says in a transaction how jobs stand.
	States func(ctx context.Context, tx job.Tx, ids ...job.ID) (map[job.ID]job.State, error)
	// Configuration reads what a repository says of its own reviews.
	Configuration Configuration
	// Secrets finds what must not leave; it is one of the reviewers as well.
	Secrets *secrets.Reviewer
	// Reviewers are all static reviewers, in the order in which they are reported.
	Reviewers []review.Reviewer
	Logger    *slog.Logger
	// Clock tells the time; nil means time.Now.
	Clock func() time.Time
	Limits
}

// Limits bound the parts of a review. Zero values take their defaults.
type Limits struct {
	// Reviewer bounds one static reviewer; 10 minutes.
	Reviewer time.Duration
	// Index bounds the wait for both indexes; 15 minutes.
	Index time.Duration
	// Retry is the first pause before a service that cannot be reached is asked again; 500 ms. It doubles.
	Retry time.Duration
	// Tries is how often it is asked; 5.
	Tries int
	// ContextTokens is the budget for the code around a part; material.ContextTokens. Negative: none.
	ContextTokens int
	// ContextSources are asked for that code; empty: all of review.ContextSources.
	ContextSources []string
	// CouncilPauses are those before the council of a pull request, which did not answer, is asked again; nil: 1, 5 and 15
	// minutes.
	CouncilPauses []time.Duration
	// Budgets cap what councils take. A repository may set that of one review lower.
	Budgets review.Budgets
	// Debounce is how long a review waits after a push for another one, DebounceMax how long after the first; 20 s and 2 min.
	Debounce, DebounceMax time.Duration
	// Patience bounds how long a review waits in all for a forge that does not answer or wants a pause; 2 hours.
	Patience time.Duration
	// AtOnce bounds the reviews of this worker that are beyond resolve: those before it wait for pushes and do nothing. 0: no
	// bound.
	AtOnce int
}

// Worker computes reviews. Safe for concurrent use.
type Worker struct {
	p Params
	// busy holds a place for each review beyond resolve; nil: no bound.
	busy chan struct{}
}

// New returns a worker.
func New(p Params) *Worker {
	p.Limits = p.withDefaults()
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Wait == nil {
		p.Wait = wait
	}
	w := &Worker{p: p}
	if p.AtOnce > 0 {
		w.busy = make(chan struct{}, p.AtOnce)
	}
	return w
}

// dismissTime bounds the attempt to stop the council of a review that has failed (own choice).
const dismissTime = 15 * time.Second

// The steps, in their order. Their names are stored: they never change.
const (
	stepResolve    = "resolve"
	stepFetch      = "fetch"
	stepContext    = "context"
	stepInspect    = "inspect"
	stepDeliberate = "deliberate"
	stepLocate     = "locate"
	stepPublish    = "publish"
)

// Body is the job.Body of kind review.
func (w *Worker) Body(r *job.Run) error {
	var rev review.Review
	if err := json.Unmarshal(r.Job().Spec, &rev); err != nil {
		return fmt.Errorf("decode the spec of review %s: %w", r.Job().ID, err)
	}
	s := &session{
		Worker: w, run: r, review: rev, resolution: local(rev),
		patience: &patience.Patience{Run: r, Limit: w.p.Patience, Clock: w.p.Clock},
	}
	s.patience.Tell = s.waits
	f, err := s.steps()
	if err != nil || f == nil {
		return err
	}
	return s.end(f)
}

// steps runs the review. A failure ends the job with it; nil means that it was published.
func (s *session) steps() (*engine.Failure, error) {
	got := &s.got
	if f, err := s.resolve(got); f != nil || err != nil {
		return f, err
	}
	if over, err := s.over(); over || err != nil {
		return nil, err
	}
	if f, err := s.openCheck(); f != nil || err != nil {
		return f, err
	}
	var err error
	if s.free, err = s.place(); err != nil {
		return nil, err
	}
	defer func() { s.free() }()
	s.began = s.p.Clock()
	s.p.Logger.InfoContext(s.run.Context(), "a review begins", s.about()...)
	for _, step := range []func(*progress) (*engine.Failure, error){
		s.fetch, s.context, s.inspect, s.deliberate, s.insist, s.locate,
	} {
		if f, err := step(got); f != nil || err != nil {
			return f, err
		}
	}
	if f, err := s.enterPublish(); f != nil || err != nil {
		return f, err
	}
	if s.superseded != "" {
		return nil, s.endSuperseded()
	}
	return nil, s.publish(got)
}

// progress is what the steps have stored so far.
type progress struct {
	fetched     fetched
	planned     planned
	inspected   inspected
	deliberated deliberated
	located     located
}

// step runs one named step with its stage shown, and stores what it returned. Where the forge does not answer or wants a
// pause, it waits durably and runs the step again under the next name, as long as the review has patience.
func step[T any](s *session, name string, into *T, fn func(ctx context.Context) (T, error)) (*engine.Failure, error) {
	return s.patience.Again(name, func(name string) (*engine.Failure, error) {
		value, failure, err := job.Step(s.run, name, engine.Policy{}, func(ctx context.Context) (T, *engine.Failure, error) {
			var none T
			if err := s.run.Commit(ctx, job.Update{Stage: stageOf(name), Progress: stageProgress(stageOf(name))}); err != nil {
				return none, nil, err
			}
			value, err := fn(publish.Confirming(ctx, s.run.Held))
			if f := s.failureOf(ctx, err); f != nil {
				return value, f, nil
			}
			return value, nil, err
		})
		*into = value
		return failure, err
	})
}

// lastStep is a step that is carried out although the job was cancelled or its deadline has passed. Only a pause that the
// forge asks for is not waited for then: it ends as the failure.
func lastStep[T any](s *session, name string, into *T, fn func(ctx context.Context) (T, error)) (*engine.Failure, error) {
	return s.patience.Again(name, func(name string) (*engine.Failure, error) {
		value, failure, err := job.LastStep(s.run, name, engine.Policy{}, func(ctx context.Context) (T, *engine.Failure, error) {
			var none T
			if err := s.run.Commit(ctx, job.Update{Stage: stageOf(name), Progress: stageProgress(stageOf(name))}); err != nil {
				return none, nil, err
			}
			value, err := fn(publish.Confirming(ctx, s.run.Held))
			f := s.failureOf(ctx, err)
			if f == nil {
				return value, nil, err
			}
			if f.Class == patience.ClassPause && s.run.Context().Err() != nil {
				f = patience.Over()
			}
			return value, f, nil
		})
		*into = value
		return failure, err
	})
}

// stageOf is the stage of a step, which its name begins with.
func stageOf(name string) string {
	stage, _, _ := strings.Cut(name, "/")
	return stage
}

func stageProgress(name string) *job.Progress {
	steps := []string{stepResolve, stepFetch, stepContext, stepInspect, stepDeliberate, stepLocate, stepPublish}
	for i, s := range steps {
		if s == name {
			return &job.Progress{Done: int64(i), Total: int64(len(steps)), Unit: "steps"}
		}
	}
	return nil
}

// about says in the log which review it is.
func (s *session) about() []any {
	about := []any{"review", string(s.review.ID)}
	if source := s.review.Pinned.Source; source.Kind == review.SourcePull {
		about = append(about, "pull_request", fmt.Sprintf("%s#%d", source.Pull.FullName(), source.Pull.Number))
	}
	return about
}

// ended tells of the end that was stored.
func (s *session) ended(ctx context.Context, o *job.Outcome) {
	about := append(s.about(), "state", string(o.State), "findings", s.found)
	if o.Reason != "" {
		about = append(about, "reason", o.Reason)
	}
	if !s.began.IsZero() {
		about = append(about, "duration", s.p.Clock().Sub(s.began).Round(time.Millisecond))
	}
	s.p.Logger.InfoContext(ctx, "a review ended", about...)
}

// end finishes a job that has no result. Its council is stopped before that, so that a process that dies in between does
// it again.
func (s *session) end(f *engine.Failure) error {
	o := job.Outcome{State: job.StateFailed, Reason: f.Reason}
	switch f.Class {
	case engine.ClassCancelled:
		o = job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled}
	case engine.ClassDeadline:
		o.Reason = job.ReasonDeadline
		o.Error = &job.Error{Code: codeDeadlineExceeded, Reason: job.ReasonDeadline, Message: f.Message}
	default:
		o.Error = &job.Error{Code: codes[f.Class], Reason: f.Reason, Message: f.Message}
	}
	ctx := context.WithoutCancel(s.run.Context())
	s.dismiss(ctx)
	s.closeCheck(ctx, s.ending(ctx, f))
	o.Write = s.giveBack
	return s.finish(ctx, o)
}

// dismiss stops the council, whose result nobody will read and which would go on spending. It asks for whatever this job
// started: a call whose answer was lost may have convened it too.
func (s *session) dismiss(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, dismissTime)
	defer cancel()
	err := s.patiently(ctx, func(ctx context.Context) error {
		return s.p.Jobs.CancelStarted(ctx, wire.JobName(s.run.Job().ID), job.KindCouncil)
	})
	if err != nil {
		s.p.Logger.WarnContext(ctx, "the council was not stopped", "review", string(s.review.ID), "error", err)
	}
}

// release removes frozen work when nothing can be retried: nobody reads it any more. What stays behind costs space only.
func (s *session) release(ctx context.Context) {
	if err := s.p.Repository.Release(ctx, s.review.ID); err != nil {
		s.p.Logger.WarnContext(ctx, "frozen work was not removed", "review", string(s.review.ID), "error", err)
	}
}
