// Package events holds the body of jobs of kind delivery: what follows from something that happened at a forge and is no
// review, where it takes time or has to ask the forge. What such an event changes at once was changed in the transaction
// that made its job.
package events

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/commands"
	"witan.dev/services/review/lifecycle"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/publish"
	"witan.dev/services/review/reviewers/secrets"
	"witan.dev/services/review/starter"
	"witan.dev/services/review/wire"
)

// Spec is what a job of kind delivery is told.
type Spec struct {
	// Event is a ForgeEvent, encoded.
	Event []byte `json:"event"`
	// Cancel are the reviews that it ends, as they were when it was taken in.
	Cancel []job.ID `json:"cancel,omitempty"`
	// Commands are those of a comment.
	Commands []commands.Command `json:"commands,omitempty"`
	// Late is a check run that is left to end; then there is no event.
	Late *LateCheck `json:"late,omitempty"`
	// Reshow is the subject of which people said something that is to be shown; then there is no event either.
	Reshow string `json:"reshow,omitempty"`
}

// Configuration reads what a repository says of its own reviews.
type Configuration interface {
	Read(ctx context.Context, read func(ctx context.Context, path string) ([]byte, error)) (review.Settings, []string, error)
}

// Params are what a worker needs.
type Params struct {
	Jobs       review.Jobs
	Store      review.Store
	Subjects   review.Subjects
	Ledger     review.Ledger
	Repository review.Repository
	Starter    *starter.Starter
	// Kept are all jobs.
	Kept    JobStore
	Advisor review.Advisor
	// Forge reads; nil where there are no credentials for one. Publisher writes; nil: nothing is answered.
	Forge     review.Forge
	Publisher publish.Forge
	Keys      publish.Keys
	// Host is the forge's; empty: github.com.
	Host string
	// Configuration reads what repositories say.
	Configuration Configuration
	Secrets       *secrets.Reviewer
	// Budgets are the server's; answers count in those of a day and a month.
	Budgets review.Budgets
	// Indexes keep the code of default branches, made of what Snapshots store in Blobs; nil: nothing is indexed here.
	Indexes   review.Indexes
	Snapshots review.Snapshots
	Blobs     Blobs
	// Calm is how long a default branch must not have moved before it is indexed, CalmMax after how long it is all the same,
	// IndexTime how long that may take; 0: 20 seconds, 2 minutes, an hour.
	Calm, CalmMax, IndexTime time.Duration
	Logger                   *slog.Logger
	// Patience bounds how long a job waits in all for the forge; 0: 2 hours.
	Patience time.Duration
	// JobURL is where people look at a job; nil: nowhere.
	JobURL func(id job.ID) string
	// Wait pauses between two looks for what was written; nil: on the clock.
	Wait func(ctx context.Context, d time.Duration) error
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Blobs keeps what snapshots are made of.
type Blobs interface {
	ReleaseTx(ctx context.Context, tx job.Tx, resource string) error
}

// Worker does what events ask for. Safe for concurrent use.
type Worker struct {
	p Params
	// indexing has one place: who stores a tree holds much of it in memory, and nobody waits for it.
	indexing chan struct{}
}

// New returns a worker.
func New(p Params) *Worker {
	if p.Patience == 0 {
		p.Patience = 2 * time.Hour
	}
	if p.Wait == nil {
		p.Wait = pause
	}
	if p.Clock == nil {
		p.Clock = time.Now
	}
	p.Calm, p.CalmMax, p.IndexTime = cmp.Or(p.Calm, calm), cmp.Or(p.CalmMax, calmMax), cmp.Or(p.IndexTime, indexTime)
	return &Worker{p: p, indexing: make(chan struct{}, 1)}
}

// session is one execution.
type session struct {
	*Worker

	run      *job.Run
	spec     Spec
	event    *reviewv1.ForgeEvent
	patience *patience.Patience
}

// Body is the job.Body of kind delivery.
func (w *Worker) Body(r *job.Run) error {
	s := &session{Worker: w, run: r, event: &reviewv1.ForgeEvent{}, patience: &patience.Patience{Run: r, Limit: w.p.Patience, Clock: w.p.Clock}}
	if err := json.Unmarshal(r.Job().Spec, &s.spec); err != nil {
		return fmt.Errorf("decode the spec of job %s: %w", r.Job().ID, err)
	}
	if err := proto.Unmarshal(s.spec.Event, s.event); err != nil {
		return fmt.Errorf("decode the event of job %s: %w", r.Job().ID, err)
	}
	f, err := s.handle()
	if err != nil {
		return err
	}
	end := outcome(f)
	if s.event.GetPushed() != nil && w.p.Blobs != nil { // what it stored, the index keeps or nobody
		end.Write = func(ctx context.Context, tx job.Tx) error {
			return w.p.Blobs.ReleaseTx(ctx, tx, wire.JobName(r.Job().ID))
		}
	}
	return r.Finish(context.WithoutCancel(r.Context()), end)
}

func outcome(f *engine.Failure) job.Outcome {
	switch {
	case f == nil:
		return job.Outcome{State: job.StateSucceeded}
	case f.Class == engine.ClassCancelled:
		return job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled}
	}
	code := job.CodeInternal
	if f.Class == patience.ClassUnavailable {
		code = codeUnavailable
	}
	return job.Outcome{State: job.StateFailed, Reason: f.Reason, Error: &job.Error{Code: code, Reason: f.Reason, Message: f.Message}}
}

// codeUnavailable is google.rpc.Code UNAVAILABLE.
const codeUnavailable uint32 = 14

// handle does what the event asks for.
func (s *session) handle() (*engine.Failure, error) {
	if s.spec.Late != nil {
		return s.endLate(s.spec.Late)
	}
	if s.spec.Reshow != "" {
		return s.reshow(s.spec.Reshow)
	}
	switch e := s.event.GetEvent().(type) {
	case *reviewv1.ForgeEvent_Closed:
		return s.closed(e.Closed)
	case *reviewv1.ForgeEvent_Drafted:
		return s.drafted(e.Drafted)
	case *reviewv1.ForgeEvent_Comment:
		return s.commented(e.Comment)
	case *reviewv1.ForgeEvent_Thread:
		return s.thread(e.Thread)
	case *reviewv1.ForgeEvent_Pushed:
		return s.pushed()
	case *reviewv1.ForgeEvent_BranchDeleted:
		return s.branchDeleted(e.BranchDeleted)
	case *reviewv1.ForgeEvent_Installation:
		return s.installed(e.Installation)
	case *reviewv1.ForgeEvent_RepositoryChanged:
		return s.repositoryChanged(e.RepositoryChanged)
	case *reviewv1.ForgeEvent_CheckAction:
		return s.checkAction(e.CheckAction)
	default:
		return s.cancel("cancel", s.spec.Cancel)
	}
}

// classRefused marks what the forge or the council refuses for good.
const classRefused engine.Class = "REFUSED"

// step runs a named step, and waits where the forge wants that.
func step[T any](s *session, name string, into *T, fn func(ctx context.Context) (T, error)) (*engine.Failure, error) {
	return s.patience.Again(name, func(name string) (*engine.Failure, error) {
		value, f, err := job.Step(s.run, name, engine.Policy{}, func(ctx context.Context) (T, *engine.Failure, error) {
			value, err := fn(publish.Confirming(ctx, s.run.Held))
			if err == nil || ctx.Err() != nil || engine.Interrupted(err) || errors.Is(err, job.ErrFenced) {
				return value, nil, err
			}
			if pause := patience.Pause(err, s.p.Clock()); pause != nil {
				s.p.Logger.WarnContext(ctx, "the forge keeps a delivery waiting", "job_id", string(s.run.Job().ID), "error", err)
				return value, pause, nil
			}
			if e, ok := errors.AsType[*apierr.Error](err); ok && e.Kind() != apierr.KindInternal {
				return value, &engine.Failure{Class: classRefused, Reason: string(e.Reason()), Message: e.Message()}, nil
			}
			return value, nil, err
		})
		*into = value
		return f, err
	})
}

// cancel stops reviews. What has ended stays as it is.
func (s *session) cancel(name string, ids []job.ID) (*engine.Failure, error) {
	if len(ids) == 0 {
		return nil, nil //nolint:nilnil // no failure
	}
	var done bool
	return step(s, name, &done, func(ctx context.Context) (bool, error) {
		_, err := s.stop(ctx, ids...)
		return err == nil, err
	})
}

// repo is the event's repository.
func (s *session) repo() review.Repo { return Repo(s.event.GetRepository()) }

// Repo reads a repository.
func Repo(r *reviewv1.ForgeRepository) review.Repo {
	return review.Repo{Host: r.GetHost(), Owner: r.GetOwner(), Name: r.GetName(), ID: r.GetId(), Installation: r.GetInstallationId()}
}

func (s *session) pull(number int64) review.PullRef {
	return review.PullRef{Repo: s.repo(), Number: number}
}

// closed stops the reviews of a pull request and freezes its findings, unless it was opened again: events need not come in
// the order in which they happened.
func (s *session) closed(e *reviewv1.PullRequestClosed) (*engine.Failure, error) {
	var closed bool
	f, err := step(s, "closed", &closed, func(ctx context.Context) (bool, error) {
		if open, err := s.open(ctx, e.GetNumber()); err != nil || open {
			return false, err
		}
		return true, s.change(ctx, s.pull(e.GetNumber()).Subject(), func(subject *review.Subject) {
			began := func(id job.ID) bool { return !slices.Contains(s.spec.Cancel, id) }
			if !slices.ContainsFunc(Unended(subject), began) { // which finds out by itself
				subject.Closed = true
			}
		})
	})
	if f != nil || err != nil || !closed {
		return f, err
	}
	return s.cancel("cancel", s.spec.Cancel)
}

// thread takes the end of a thread, or its new beginning, for a word on the finding, where the sender may write to the
// repository: the author of a pull request resolves its threads without that.
func (s *session) thread(e *reviewv1.ThreadResolved) (*engine.Failure, error) {
	if s.p.Forge == nil {
		return nil, nil //nolint:nilnil // nobody can be asked who the sender is
	}
	change := lifecycle.Unresolved
	if e.GetResolved() {
		change = lifecycle.Resolved
	}
	var done bool
	f, err := step(s, "thread", &done, func(ctx context.Context) (bool, error) {
		may, err := s.p.Forge.Permission(ctx, s.repo(), s.event.GetSender())
		if err != nil || may < review.PermissionWrite {
			return false, err
		}
		if stands, err := s.stands(ctx, e); err != nil || !stands {
			return false, err
		}
		subject := s.pull(e.GetNumber()).Subject()
		err = s.noted(ctx, subject, func(people *lifecycle.People) error {
			var err error = review.ErrNotFound
			for _, id := range e.GetCommentIds() {
				if _, err = people.ByComment(ctx, subject, id, lifecycle.As(s.event.GetSender(), change)); !errors.Is(err, review.ErrNotFound) {
					break
				}
			}
			return err
		})
		if errors.Is(err, review.ErrNotFound) || errors.Is(err, review.ErrSubjectClosed) {
			return false, nil
		}
		return err == nil, err
	})
	if f != nil || err != nil || !done {
		return f, err
	}
	request := uuid.NewSHA1(uuid.NameSpaceURL, []byte(string(s.run.Job().ID)+"/reshow")).String()
	return s.showAgain("reshow", s.pull(e.GetNumber()).Subject(), request)
}

// noted lets people say something of a finding of a subject, with the error of say. Where it is not found while a review writes,
// the error is review.ErrUnavailable: a comment is seen before the review has noted that it is the finding's.
func (s *session) noted(ctx context.Context, subject string, say func(*lifecycle.People) error) error {
	row, writing := s.p.Subjects.Subject(ctx, subject) // before: what is noted by its end is found
	if writing == nil {
		writing = s.othersWrite(ctx, &row)
	}
	err := say(&lifecycle.People{Ledger: s.p.Ledger, Subjects: s.p.Subjects})
	if errors.Is(err, review.ErrNotFound) && writing != nil {
		return writing
	}
	return err
}

// stands says whether a thread stands as the event says: events may come in another order than they happened, and the one
// decides that says how it ended. A list may lag behind; where the forge does not tell, the event counts.
func (s *session) stands(ctx context.Context, e *reviewv1.ThreadResolved) (bool, error) {
	if s.p.Publisher == nil {
		return true, nil
	}
	for _, pause := range append(publish.Lags(), 0) {
		threads, err := s.p.Publisher.Threads(ctx, s.pull(e.GetNumber()))
		if err != nil {
			if waits(err) || ctx.Err() != nil {
				return false, err
			}
			s.p.Logger.WarnContext(ctx, "how a thread stands cannot be read", "pull", s.pull(e.GetNumber()).Subject(), "error", err)
			return true, nil
		}
		i := slices.IndexFunc(threads, func(t publish.Thread) bool { return slices.Contains(e.GetCommentIds(), t.Root) })
		if i < 0 || threads[i].Resolved == e.GetResolved() {
			return true, nil
		}
		if pause == 0 {
			break
		}
		if err := s.p.Wait(ctx, pause); err != nil {
			return false, err
		}
	}
	return false, nil
}

// showAgain has the forge show what was said of a finding, in a job of its own: it waits for the forge and for reviews.
func (s *session) showAgain(name, subject, requestID string) (*engine.Failure, error) {
	if s.p.Publisher == nil {
		return nil, nil //nolint:nilnil // nobody writes
	}
	var done bool
	return step(s, name, &done, func(ctx context.Context) (bool, error) {
		return true, Reshow(ctx, s.p.Kept, s.run.Job().Owner, subject, s.event.GetDelivery(), requestID)
	})
}

// open says whether a pull request is open now, as far as the forge tells.
func (s *session) open(ctx context.Context, number int64) (bool, error) {
	if s.p.Forge == nil {
		return false, nil
	}
	pull, err := s.p.Forge.PullRequest(ctx, s.pull(number))
	if errors.Is(err, review.ErrPullRequestNotFound) || errors.Is(err, review.ErrForgeRefused) {
		return false, nil
	}
	return pull.State == review.PullOpen, err
}

// drafted stops the reviews of a pull request that became a draft, where drafts are not reviewed, unless it is ready by now:
// events need not come in the order in which they happened, and nobody starts again what is stopped here.
func (s *session) drafted(e *reviewv1.PullRequestDrafted) (*engine.Failure, error) {
	var goOn bool
	if s.p.Forge == nil {
		return nil, nil //nolint:nilnil // nobody reviews anything
	}
	f, err := step(s, "settings", &goOn, func(ctx context.Context) (bool, error) {
		pull, err := s.p.Forge.PullRequest(ctx, s.pull(e.GetNumber()))
		if err != nil || !pull.Draft {
			return err == nil, err
		}
		set, _, err := s.settings(ctx, &pull)
		return set.Drafts, err
	})
	if f != nil || err != nil || goOn {
		return f, err
	}
	return s.cancel("cancel", s.spec.Cancel)
}

// settings reads the repository's configuration at the tip of the base branch.
func (s *session) settings(ctx context.Context, p *review.PullRequest) (review.Settings, []string, error) {
	if s.p.Configuration == nil {
		return review.DefaultSettings(), nil, nil
	}
	return s.p.Configuration.Read(ctx, func(ctx context.Context, path string) ([]byte, error) {
		return s.p.Forge.File(ctx, p.Repo, path, p.BaseTip)
	})
}

// subjectsPage is how many subjects are looked at in one step.
const subjectsPage = 200

// each calls fn with the subjects of a query, a step for each page.
func (s *session) each(name string, q review.SubjectQuery, fn func(ctx context.Context, subject *review.Subject) error) (*engine.Failure, error) {
	q.Limit = subjectsPage
	for n := 1; ; n++ {
		var last string
		f, err := step(s, fmt.Sprintf("%s/%d", name, n), &last, func(ctx context.Context) (string, error) {
			page, err := s.p.Subjects.ListSubjects(ctx, q)
			if err != nil {
				return "", err
			}
			for i := range page {
				if err := fn(ctx, &page[i]); err != nil {
					return "", err
				}
			}
			if len(page) < subjectsPage {
				return "", nil
			}
			return page[len(page)-1].Name, nil
		})
		if f != nil || err != nil || last == "" {
			return f, err
		}
		q.After = last
	}
}

// change changes a subject in a transaction of its own.
func (s *session) change(ctx context.Context, name string, fn func(*review.Subject)) error {
	return s.run.Commit(ctx, job.Update{Write: func(ctx context.Context, tx job.Tx) error {
		subject, err := s.p.Subjects.Lock(ctx, tx, name, s.run.Job().Owner)
		if err != nil {
			return err
		}
		fn(&subject)
		return s.p.Subjects.Put(ctx, tx, subject)
	}})
}

// Unended are the reviews of a subject that may be under way.
func Unended(subject *review.Subject) []job.ID {
	var out []job.ID
	for _, id := range []job.ID{subject.Current, subject.Running} {
		if id != "" && (len(out) == 0 || out[0] != id) {
			out = append(out, id)
		}
	}
	return out
}

// repositoryChanged follows a repository to its new name. What it is known by is its ID.
func (s *session) repositoryChanged(e *reviewv1.RepositoryChanged) (*engine.Failure, error) {
	repo := s.repo()
	q := review.SubjectQuery{Host: repo.Host, Repository: repo.ID}
	switch e.GetChange() {
	case reviewv1.RepositoryChanged_DELETED:
		return s.gone([]string{repo.Row()}, q)
	case reviewv1.RepositoryChanged_RENAMED:
		return s.each("rename", q, func(ctx context.Context, subject *review.Subject) error {
			return s.change(ctx, subject.Name, func(subject *review.Subject) {
				subject.Pull.Owner, subject.Pull.Name = repo.Owner, repo.Name
			})
		})
	default:
		return nil, nil //nolint:nilnil // recorded
	}
}

// checkAction starts the review of the pull requests that a check run stands at. Where the forge names none, as for forks,
// they are those that were reviewed at its commit, or were to be.
func (s *session) checkAction(e *reviewv1.CheckAction) (*engine.Failure, error) {
	repo, scope := s.repo(), review.ScopeDefault
	if e.GetAction() == review.CheckActionWhole {
		scope = review.ScopeWhole
	}
	if len(e.GetNumbers()) > 0 {
		for _, number := range e.GetNumbers() {
			if f, err := s.recheck(review.PullRef{Repo: repo, Number: number}, scope); f != nil || err != nil {
				return f, err
			}
		}
		return nil, nil //nolint:nilnil // no failure
	}
	return s.each("find", review.SubjectQuery{Host: repo.Host, Repository: repo.ID}, func(ctx context.Context, subject *review.Subject) error {
		if subject.Pull.Number == 0 { // the repository's own row
			return nil
		}
		if tried, err := s.triedAt(ctx, subject, e.GetHead()); err != nil || !tried {
			return err
		}
		return s.start(ctx, subject.Pull, review.TriggerCheckRequested, scope, "check")
	})
}

// triedReviews is how many of a subject's newest reviews are looked at (own choice).
const triedReviews = 20

// triedAt says whether a commit was looked at by a review of the subject, however that one ended.
func (s *session) triedAt(ctx context.Context, subject *review.Subject, head string) (bool, error) {
	if head == "" || subject.DoneHead == head {
		return head != "", nil
	}
	newest, err := s.p.Store.List(ctx, review.ListQuery{Owner: subject.Owner, Subject: subject.Name, Limit: triedReviews})
	return slices.ContainsFunc(newest, func(r review.Review) bool { return r.Pinned.Head == head }), err
}

func (s *session) recheck(ref review.PullRef, scope review.Scope) (*engine.Failure, error) {
	var done bool
	return step(s, fmt.Sprintf("start/%d", ref.Number), &done, func(ctx context.Context) (bool, error) {
		return true, s.start(ctx, ref, review.TriggerCheckRequested, scope, "check")
	})
}
