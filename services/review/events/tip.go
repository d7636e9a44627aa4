package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/snapshot"
	"witan.dev/services/review"
	"witan.dev/services/review/wire"
)

const (
	// calm and calmMax are those of reviews.
	calm    = 20 * time.Second
	calmMax = 2 * time.Minute
	// indexTime is how long an index of a tip may take, with its time in the queue, buildTime how long it takes to ask for it,
	// and stopTime to stop one (own choices).
	indexTime = time.Hour
	buildTime = 30 * time.Second
	stopTime  = time.Minute
)

// pushed indexes the default branch as it is when no push came for a while, so that the next review finds what it needs
// known. All that a crash may repeat gives the same index.
func (s *session) pushed() (*engine.Failure, error) {
	if s.p.Forge == nil || s.p.Indexes == nil {
		return nil, nil //nolint:nilnil // nobody indexes anything
	}
	calm, f, err := s.calm()
	if f != nil || err != nil || calm.Branch == "" {
		return f, err
	}
	var commit string
	f, err = step(s, "tip", &commit, func(ctx context.Context) (string, error) {
		tip, err := s.p.Forge.Tip(ctx, s.repo(), calm.Branch)
		if errors.Is(err, review.ErrRevisionUnknown) { // it was deleted, or has another name now
			return "", nil
		}
		return tip, err
	})
	if f != nil || err != nil || commit == "" {
		return f, err
	}
	var made madeTip
	f, err = step(s, "index", &made, func(ctx context.Context) (madeTip, error) { return s.indexTip(ctx, commit) })
	if f != nil || err != nil || made.Index == "" {
		return f, err
	}
	return s.keep(commit, calm.Turn, made)
}

// calmed is one look at the row of a repository. Without a branch there is nothing to do.
type calmed struct {
	Branch string        `json:"branch,omitempty"`
	Turn   int           `json:"turn,omitempty"`
	Wait   time.Duration `json:"wait,omitempty"`
}

// calm waits, durably, until nobody pushed for a while, and returns the last look; one without a branch when a newer job looks
// after the tip.
func (s *session) calm() (last calmed, f *engine.Failure, err error) {
	for n := 1; ; n++ {
		var l calmed
		name := fmt.Sprintf("calm/%d", n)
		f, err := step(s, name, &l, func(ctx context.Context) (l calmed, err error) {
			err = s.change(ctx, s.repo().Row(), func(row *review.Subject) {
				wait, ok := row.Tip.Begin(s.run.Job().ID, s.p.Clock(), s.p.Calm, s.p.CalmMax)
				if l = (calmed{Wait: wait}); ok {
					l.Branch, l.Turn = row.Tip.Branch, row.Tip.Turn
				}
			})
			return l, err
		})
		if f != nil || err != nil || l.Wait == 0 {
			return l, f, err
		}
		if err := s.run.Sleep(name+"/sleep", l.Wait); err != nil {
			return calmed{}, nil, err
		}
	}
}

// madeTip is an index that is being made of a tip. It is empty where there is nothing to make.
type madeTip struct {
	Snapshot string `json:"snapshot,omitempty"`
	Index    string `json:"index,omitempty"`
	Job      string `json:"job,omitempty"`
}

// indexTip stores the tree of a tip and starts its index. Its blobs are held by the job until it ends, since the index holds
// them from its beginning.
func (s *session) indexTip(ctx context.Context, commit string) (madeTip, error) {
	row, err := s.p.Subjects.Subject(ctx, s.repo().Row())
	if err != nil || row.Tip.Commit == commit {
		return madeTip{}, err
	}
	select {
	case s.indexing <- struct{}{}:
		defer func() { <-s.indexing }()
	case <-ctx.Done():
		return madeTip{}, context.Cause(ctx)
	}
	of := review.TreeOf{
		Pinned: review.Pinned{Source: review.Source{Kind: review.SourcePull, Pull: s.pull(0)}, OldTree: commit, NewTree: commit},
		Tree:   commit, Owner: s.run.Job().Owner, Resource: wire.JobName(s.run.Job().ID),
	}
	if row.Snapshot != "" {
		of.Bases = []string{row.Snapshot}
	}
	made := madeTip{}
	made.Snapshot, err = s.p.Snapshots.Take(ctx, of)
	switch {
	case errors.Is(err, review.ErrHeadGone): // it was pushed over meanwhile, for which there is another job
		return madeTip{}, nil
	case errors.Is(err, snapshot.ErrTooLarge):
		return madeTip{}, review.ErrMaterialTooLarge.Wrap(err)
	case err != nil:
		return madeTip{}, err
	}
	// What was asked for is noted also where the job is cancelled meanwhile: then it is removed.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildTime)
	defer cancel()
	made.Index, made.Job, err = s.p.Indexes.Build(ctx, review.IndexSource{
		Snapshot: made.Snapshot, Repository: row.Name, BaseIndex: row.Index, Tip: true,
		RequestID: uuid.NewSHA1(uuid.NameSpaceURL, []byte(string(s.run.Job().ID)+"/index/"+made.Snapshot+"/"+row.Index)).String(),
	})
	return made, err
}

// kept is what keeping an index leaves to be removed: those of earlier tips, or itself.
type kept struct {
	Over      []string `json:"over,omitempty"`
	Forgotten bool     `json:"forgotten,omitempty"`
}

// keep waits for the index and makes it what the next one of the repository begins with, unless a newer one is that already.
// One that did not come to be is removed, and so are those of tips of long ago, and one of a repository whose code was
// forgotten meanwhile.
func (s *session) keep(commit string, turn int, made madeTip) (*engine.Failure, error) {
	var done bool
	f, err := step(s, "indexed", &done, func(ctx context.Context) (bool, error) { return s.await(ctx, made.Job, s.p.IndexTime) })
	if err != nil {
		return nil, err
	}
	if f != nil || !done {
		dropped, err := s.drop(made.Index)
		if f == nil {
			f = dropped
		}
		return f, err
	}
	var after kept
	f, err = step(s, "keep", &after, func(ctx context.Context) (after kept, err error) {
		err = s.change(ctx, s.repo().Row(), func(row *review.Subject) {
			if after = (kept{Forgotten: !slices.Contains(row.Indexers, s.run.Job().Owner)}); after.Forgotten {
				return
			}
			newest := row.Tip.Indexed(commit, made.Index, turn, s.p.Clock().UTC())
			if newest && row.Index != made.Index { // else a review stored it, whose snapshot is kept
				row.Snapshot, row.Index = made.Snapshot, made.Index
			}
			row.IndexedFor(s.run.Job().Owner, s.repo())
			after.Over = row.Tip.Over(s.p.Clock())
		})
		return after, err
	})
	switch {
	case f != nil || err != nil:
		return f, err
	case after.Forgotten:
		return s.drop(made.Index)
	case len(after.Over) == 0:
		return nil, nil //nolint:nilnil // no failure
	}
	return s.forgetTips("over", after.Over)
}

// await watches the job of an index while there is time, and says whether it came to be.
func (s *session) await(ctx context.Context, name string, limit time.Duration) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	watched, stop := s.run.UntilDraining(limited)
	defer stop()
	state, err := s.p.Jobs.Wait(watched, name)
	switch cause := context.Cause(watched); {
	case err == nil:
		return state.Done(), nil
	case errors.Is(cause, engine.ErrDraining):
		return false, cause
	case ctx.Err() == nil && limited.Err() != nil:
		return false, nil
	case errors.Is(err, job.ErrNotFound): // somebody removed it
		return false, nil
	}
	return false, err
}

// drop stops and removes an index that came to nothing, also when this job was cancelled. Where it is not to be had now the
// next push removes it.
func (s *session) drop(index string) (*engine.Failure, error) {
	_, f, err := job.LastStep(s.run, "drop", engine.Policy{}, func(ctx context.Context) (bool, *engine.Failure, error) {
		gone, err := s.discard(ctx, index)
		if err == nil && gone || ctx.Err() != nil || engine.Interrupted(err) || errors.Is(err, job.ErrFenced) {
			return gone, nil, err
		}
		s.p.Logger.WarnContext(ctx, "an index that came to nothing is left to the next push", "index", index, "error", err)
		return false, nil, s.change(ctx, s.repo().Row(), func(row *review.Subject) { row.Tip.Leave(index) })
	})
	return f, err
}

// discard removes indexes of tips, and stops those that are being made for that. It says whether all are gone.
func (s *session) discard(ctx context.Context, indexes ...string) (bool, error) {
	unfinished, err := s.p.Indexes.Discard(ctx, indexes...)
	if err != nil || len(unfinished) == 0 {
		return err == nil, err
	}
	for _, name := range unfinished {
		if err := s.p.Jobs.Cancel(ctx, name); err != nil {
			return false, err
		}
	}
	for _, name := range unfinished {
		if _, err := s.await(ctx, name, stopTime); err != nil {
			return false, err
		}
	}
	unfinished, err = s.p.Indexes.Discard(ctx, indexes...)
	return err == nil && len(unfinished) == 0, err
}

// branchDeleted removes the indexes of a branch that was the default one, unless there is such a branch: events need not come
// in the order in which they happened.
func (s *session) branchDeleted(e *reviewv1.BranchDeleted) (*engine.Failure, error) {
	if s.p.Indexes == nil {
		return nil, nil //nolint:nilnil // there are none
	}
	var ours deletedBranch
	f, err := step(s, "deleted", &ours, func(ctx context.Context) (deletedBranch, error) { return s.deletedBranch(ctx, e.GetBranch()) })
	if f != nil || err != nil || !ours.Gone {
		return f, err
	}
	if f, err := s.ended("ended", ours.Stopped); f != nil || err != nil {
		return f, err
	}
	var indexes []string
	f, err = step(s, "tips", &indexes, func(ctx context.Context) ([]string, error) {
		row, err := s.p.Subjects.Subject(ctx, s.repo().Row())
		return row.Tip.Indexes(), err
	})
	if f != nil || err != nil || len(indexes) == 0 {
		return f, err
	}
	return s.forgetTips("forget", indexes)
}

// deletedBranch is what became of a branch that is said to be deleted, and what was stopped for that.
type deletedBranch struct {
	Gone    bool     `json:"gone,omitempty"`
	Stopped []job.ID `json:"stopped,omitempty"`
}

func (s *session) deletedBranch(ctx context.Context, branch string) (deletedBranch, error) {
	if s.p.Forge != nil {
		_, err := s.p.Forge.Tip(ctx, s.repo(), branch)
		unseen := errors.Is(err, review.ErrRevisionUnknown) || errors.Is(err, review.ErrPullRequestNotFound) || errors.Is(err, review.ErrForgeRefused)
		if err == nil || !unseen {
			return deletedBranch{}, err
		}
	}
	row, err := s.p.Subjects.Subject(ctx, s.repo().Row())
	if err != nil || row.Tip.Branch != branch {
		return deletedBranch{}, err
	}
	stopped, err := s.stop(ctx, row.Tip.Job)
	return deletedBranch{Gone: true, Stopped: stopped}, err
}

// forgetTips removes indexes of tips and takes them out of the row, which may name newer ones by then.
func (s *session) forgetTips(name string, indexes []string) (*engine.Failure, error) {
	return s.until(name, func(ctx context.Context) (bool, error) {
		gone, err := s.discard(ctx, indexes...)
		if err != nil || !gone {
			return false, err
		}
		return true, s.change(ctx, s.repo().Row(), func(row *review.Subject) { row.ForgetIndexes(indexes...) })
	})
}
