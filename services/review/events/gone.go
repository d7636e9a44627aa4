package events

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/apierr"
	"witan.dev/internal/auth"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
	"witan.dev/services/review/patience"
	"witan.dev/services/review/wire"
)

const (
	// firstLook and longestLook bound the time between two looks at what has to end before the code of a repository is gone,
	// goneFor how long it is looked for in all: for that long jobs wait in their queues as well (own choices).
	firstLook   = time.Second
	longestLook = 10 * time.Minute
	goneFor     = 7 * 24 * time.Hour
	// clocks is by how much the clocks of two machines may differ.
	clocks = time.Minute
	// ours is the forge of events that name none.
	ours = "github.com"
)

// installed forgets what was read where we may not look any more.
func (s *session) installed(e *reviewv1.InstallationChanged) (*engine.Failure, error) {
	if e.GetChange() != reviewv1.InstallationChanged_REMOVED {
		return nil, nil //nolint:nilnil // tokens are asked for when they are needed
	}
	if len(e.GetRepositories()) == 0 {
		host := s.p.Host
		if host == "" {
			host = ours
		}
		return s.gone(nil, review.SubjectQuery{Host: host, Installation: e.GetInstallationId()})
	}
	var (
		rows    []string
		queries []review.SubjectQuery
	)
	for _, r := range e.GetRepositories() {
		rows = append(rows, Repo(r).Row())
		queries = append(queries, review.SubjectQuery{Host: r.GetHost(), Repository: r.GetId()})
	}
	return s.gone(rows, queries...)
}

// gone stops the jobs of subjects, waits for their ends, and forgets the code of their repositories and of those named. That
// happens at once: the code of others is not ours to keep, and an index is made again by the next review.
func (s *session) gone(rows []string, queries ...review.SubjectQuery) (*engine.Failure, error) {
	s.patience = &patience.Patience{Run: s.run, Limit: goneFor, MaxPause: longestLook, Clock: s.p.Clock}
	repositories, left := map[string]bool{}, []job.ID(nil)
	for _, row := range rows {
		repositories[row] = row != ""
	}
	for i, q := range queries {
		f, err := s.stopAll(fmt.Sprintf("stop/%d", i), q, func(p stoppedPage) {
			left = append(left, p.Stopped...)
			for _, row := range p.Repositories {
				repositories[row] = true
			}
		})
		if f != nil || err != nil {
			return f, err
		}
	}
	if s.p.Indexes == nil {
		return nil, nil //nolint:nilnil // there are none
	}
	if f, err := s.ended("ended", left); f != nil || err != nil {
		return f, err
	}
	for i, row := range slices.Sorted(maps.Keys(repositories)) {
		if row == "" {
			continue
		}
		if f, err := s.forget(fmt.Sprintf("forget/%d", i), row); f != nil || err != nil {
			return f, err
		}
	}
	return nil, nil //nolint:nilnil // no failure
}

// stoppedPage is what was stopped of a page of subjects.
type stoppedPage struct {
	Last         string   `json:"last,omitempty"` // empty: there is no further page
	Stopped      []job.ID `json:"stopped,omitempty"`
	Repositories []string `json:"repositories,omitempty"`
}

// stopAll stops the jobs of the subjects of a query, a step for each page, and hands on what each of them says.
func (s *session) stopAll(name string, q review.SubjectQuery, each func(stoppedPage)) (*engine.Failure, error) {
	q.Limit = subjectsPage
	for n := 1; ; n++ {
		var p stoppedPage
		f, err := step(s, fmt.Sprintf("%s/%d", name, n), &p, func(ctx context.Context) (stoppedPage, error) {
			return s.stopPage(ctx, q)
		})
		if f != nil || err != nil {
			return f, err
		}
		each(p)
		if q.After = p.Last; p.Last == "" {
			return nil, nil //nolint:nilnil // no failure
		}
	}
}

func (s *session) stopPage(ctx context.Context, q review.SubjectQuery) (stoppedPage, error) {
	var out stoppedPage
	page, err := s.p.Subjects.ListSubjects(ctx, q)
	if err != nil {
		return out, err
	}
	for i := range page {
		subject := &page[i]
		ids := Unended(subject)
		if subject.Tip.Job != "" {
			ids = append(ids, subject.Tip.Job)
		}
		stopped, err := s.stop(ctx, ids...)
		if err != nil {
			return out, err
		}
		out.Stopped = append(out.Stopped, stopped...)
		if row := subject.Pull.Row(); row != "" && !slices.Contains(out.Repositories, row) {
			out.Repositories = append(out.Repositories, row)
		}
	}
	if len(page) == q.Limit {
		out.Last = page[len(page)-1].Name
	}
	return out, nil
}

// stop asks jobs to stop, each in the name of its owner, and returns those that had not ended.
func (s *session) stop(ctx context.Context, ids ...job.ID) ([]job.ID, error) {
	var out []job.ID
	for _, id := range ids {
		j, err := s.p.Kept.Get(ctx, id, "")
		if errors.Is(err, job.ErrNotFound) || err == nil && j.State.Terminal() {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.p.Jobs.Cancel(auth.With(ctx, auth.Principal{Owner: j.Owner}), wire.JobName(id)); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// ended waits for the ends of jobs that were stopped.
func (s *session) ended(name string, left []job.ID) (*engine.Failure, error) {
	return s.until(name, func(ctx context.Context) (bool, error) {
		var err error
		left, err = s.unended(ctx, left)
		return len(left) == 0, err
	})
}

// unended are those of jobs that have not ended.
func (s *session) unended(ctx context.Context, ids []job.ID) ([]job.ID, error) {
	var out []job.ID
	for _, id := range ids {
		j, err := s.p.Kept.Get(ctx, id, "")
		if errors.Is(err, job.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !j.State.Terminal() {
			out = append(out, id)
		}
	}
	return out, nil
}

// forget removes all that was indexed of a repository until now. Indexes that are being made are stopped first.
func (s *session) forget(name, row string) (*engine.Failure, error) {
	type forgotten struct {
		Owners []string  `json:"owners"`
		Before time.Time `json:"before"`
	}
	var what forgotten
	f, err := step(s, name, &what, func(ctx context.Context) (forgotten, error) {
		out := forgotten{Owners: []string{s.run.Job().Owner}, Before: s.p.Clock().Add(clocks)}
		before, err := s.p.Subjects.Subject(ctx, row)
		if errors.Is(err, review.ErrNotFound) { // an event of a repository leaves no row
			return out, nil
		}
		if err != nil {
			return out, err
		}
		for _, owner := range before.Indexers {
			if !slices.Contains(out.Owners, owner) {
				out.Owners = append(out.Owners, owner)
			}
		}
		return out, nil
	})
	if f != nil || err != nil {
		return f, err
	}
	return s.until(name+"/indexes", func(ctx context.Context) (bool, error) {
		for _, owner := range what.Owners {
			if gone, err := s.removeOf(auth.With(ctx, auth.Principal{Owner: owner}), row, what.Before); err != nil || !gone {
				return false, err
			}
		}
		return true, s.forgetRow(ctx, row)
	})
}

// removeOf removes indexes of a repository, in the name of the context's owner, and says whether all are gone.
func (s *session) removeOf(ctx context.Context, row string, before time.Time) (bool, error) {
	for {
		unfinished, more, err := s.p.Indexes.Remove(ctx, row, before)
		if err != nil {
			return false, err
		}
		for _, name := range unfinished {
			if err := s.p.Jobs.Cancel(ctx, name); err != nil {
				return false, err
			}
		}
		if !more || len(unfinished) > 0 {
			return len(unfinished) == 0, nil
		}
	}
}

func (s *session) forgetRow(ctx context.Context, name string) error {
	if _, err := s.p.Subjects.Subject(ctx, name); err != nil {
		if errors.Is(err, review.ErrNotFound) {
			return nil
		}
		return err
	}
	return s.change(ctx, name, func(row *review.Subject) { row.ForgetCode() })
}

// until runs a step again and again, with durable pauses that get longer, until it says that all is done.
func (s *session) until(name string, fn func(ctx context.Context) (bool, error)) (*engine.Failure, error) {
	pause, waited := firstLook, time.Duration(0)
	for n := 1; ; n++ {
		var done bool
		current := fmt.Sprintf("%s/%d", name, n)
		f, err := step(s, current, &done, fn)
		if f != nil || err != nil || done {
			return f, err
		}
		if waited += pause; waited > goneFor {
			return &engine.Failure{
				Class: patience.ClassUnavailable, Reason: string(apierr.ReasonJobNotFinished),
				Message: "a job that was cancelled did not end, so not all of the code was removed",
			}, nil
		}
		if err := s.run.Sleep(current+"/sleep", pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, longestLook)
	}
}
