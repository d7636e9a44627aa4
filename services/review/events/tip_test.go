package events_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	reviewv1 "witan.dev/gen/witan/review/v1"
	"witan.dev/internal/auth"
	"witan.dev/internal/blob"
	"witan.dev/internal/job"
	"witan.dev/services/review"
	"witan.dev/services/review/events"
)

// clock goes with the world's, some time ahead, or stands still.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	still time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.still.IsZero() {
		return c.still
	}
	return time.Now().Add(c.ahead)
}

func (c *clock) set(change func(*clock)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (h *hub) Tip(_ context.Context, _ review.Repo, branch string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lookedTip++
	if branch != "main" || h.tip == "" {
		return "", review.ErrRevisionUnknown
	}
	return h.tip, nil
}

func (h *hub) move(tip string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tip = tip
}

// indexes keep trees and indexes, each of which is made by a job of the manager.
type indexes struct {
	manager *job.Manager
	blobs   blob.Store

	mu    sync.Mutex
	made  map[string]*index
	built int           // how many there ever were
	taken int           // trees
	spec  string        // of the jobs: "", "fail", "stuck"
	away  int           // calls that nobody answers
	freed chan struct{} // closed: what is stuck goes on
}

type index struct {
	review.IndexSource

	owner string
	at    time.Time
}

func (x *indexes) body(r *job.Run) error {
	o := job.Outcome{State: job.StateSucceeded}
	switch string(r.Job().Spec) {
	case "fail":
		o = job.Outcome{State: job.StateFailed, Reason: "SNAPSHOT_INVALID", Error: &job.Error{Code: 9, Reason: "SNAPSHOT_INVALID"}}
	case "stuck":
		select {
		case <-r.Context().Done():
		case <-x.freed:
			return r.Finish(context.WithoutCancel(r.Context()), o)
		}
		if context.Cause(r.Context()) != job.ErrCancelAsked { //nolint:errorlint // the very cause
			return context.Cause(r.Context())
		}
		o = job.Outcome{State: job.StateCancelled, Reason: job.ReasonCancelled}
	}
	return r.Finish(context.WithoutCancel(r.Context()), o)
}

func (x *indexes) Take(ctx context.Context, of review.TreeOf) (string, error) {
	x.mu.Lock()
	x.taken++
	x.mu.Unlock()
	ref, err := x.blobs.Put(ctx, of.Owner, of.Resource, strings.NewReader("the tree of "+of.Tree))
	return ref.SHA256.String(), err
}

func (x *indexes) Build(ctx context.Context, s review.IndexSource) (string, string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.away > 0 {
		x.away--
		return "", "", review.ErrUnavailable
	}
	for name, i := range x.made {
		if i.Snapshot == s.Snapshot && i.Repository == s.Repository && i.owner == auth.Owner(ctx) {
			return name, "jobs/" + strings.TrimPrefix(name, "indexes/"), nil
		}
	}
	id := job.NewID()
	name := "indexes/" + string(id)
	sum, err := blob.ParseSHA256(s.Snapshot)
	if err != nil {
		return "", "", err
	}
	_, _, err = x.manager.Create(ctx, job.Creation{
		ID: id, Kind: job.KindIndex, Owner: auth.Owner(ctx), Resource: name, Method: "CreateIndex", RequestID: s.RequestID, Spec: []byte(x.spec),
		Write: func(ctx context.Context, tx job.Tx) error {
			return x.blobs.ReferTx(ctx, tx, auth.Owner(ctx), name, sum)
		},
	})
	if err != nil {
		return "", "", err
	}
	x.built++
	x.made[name] = &index{s, auth.Owner(ctx), time.Now()}
	return name, "jobs/" + string(id), nil
}

func (x *indexes) Discard(ctx context.Context, names ...string) ([]string, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var unfinished []string
	for _, name := range names {
		if i := x.made[name]; i == nil || !i.Tip || i.owner != auth.Owner(ctx) {
			continue
		}
		stays, err := x.delete(ctx, name)
		if err != nil {
			return nil, err
		}
		unfinished = append(unfinished, stays...)
	}
	return unfinished, nil
}

func (x *indexes) Remove(ctx context.Context, repository string, before time.Time) ([]string, bool, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var unfinished []string
	for name, i := range x.made {
		if i.Repository == repository && i.owner == auth.Owner(ctx) && i.at.Before(before) {
			stays, err := x.delete(ctx, name)
			return append(unfinished, stays...), true, err // one at a time
		}
	}
	return nil, false, nil
}

func (x *indexes) delete(ctx context.Context, name string) ([]string, error) {
	id := job.ID(strings.TrimPrefix(name, "indexes/"))
	j, err := x.manager.Get(ctx, id, "")
	if err != nil {
		return nil, err
	}
	if !j.State.Terminal() {
		return []string{"jobs/" + string(id)}, nil
	}
	delete(x.made, name)
	return nil, x.manager.Delete(ctx, job.Deletion{IDs: []job.ID{id}})
}

// names are the snapshots' trees of all indexes of a repository.
func (x *indexes) names(repository string) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := []string{}
	for name, i := range x.made {
		if i.Repository == repository {
			out = append(out, name)
		}
	}
	return out
}

func (x *indexes) set(change func(*indexes)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(x)
}

// gone says whether nobody holds the tree of a commit.
func (x *indexes) gone(t *testing.T, tree string) bool {
	t.Helper()
	ref, err := x.blobs.Upload(t.Context(), "local", strings.NewReader("the tree of "+tree), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	_, err = x.blobs.Collect(t.Context(), time.Now(), 100)
	require.NoError(t, err)
	_, err = x.blobs.Stat(t.Context(), "local", ref.SHA256)
	if err == nil {
		return false
	}
	require.ErrorIs(t, err, blob.ErrNotFound)
	return true
}

const row = "github:github.com/7"

// indexed is a repository that a review had indexed for an owner, by an index of its own.
func (s *system) indexed(t *testing.T, repo review.Repo, owner string) string {
	t.Helper()
	ctx := auth.With(t.Context(), auth.Principal{Owner: owner})
	of := review.TreeOf{Tree: "base of " + repo.Row(), Owner: owner, Resource: "reviews/x"}
	snapshot, err := s.indexes.Take(ctx, of)
	require.NoError(t, err)
	name, id, err := s.indexes.Build(ctx, review.IndexSource{Snapshot: snapshot, Repository: repo.Row(), RequestID: uuid.NewString()})
	require.NoError(t, err)
	if s.indexes.spec != "stuck" {
		_, err = jobs{manager: s.jobs}.Wait(ctx, id)
		require.NoError(t, err)
	}
	s.onRow(t, repo.Row(), func(row *review.Subject) {
		row.Snapshot, row.Index = snapshot, name
		row.IndexedFor(owner, repo)
	})
	return name
}

// onRow changes the row of a repository.
func (s *system) onRow(t *testing.T, name string, change func(*review.Subject)) {
	t.Helper()
	require.NoError(t, s.store.Write(t.Context(), func(ctx context.Context, tx job.Tx) error {
		row, err := s.store.Lock(ctx, tx, name, "local")
		if err != nil {
			return err
		}
		change(&row)
		return s.store.Put(ctx, tx, row)
	}))
}

func (s *system) row(t *testing.T, name string) review.Subject {
	t.Helper()
	row, err := s.store.Subject(t.Context(), name)
	require.NoError(t, err)
	return row
}

func pushed(n int) func(*reviewv1.ForgeEvent) {
	return func(e *reviewv1.ForgeEvent) {
		e.Event = &reviewv1.ForgeEvent_Pushed{Pushed: &reviewv1.BranchPushed{Branch: "main", After: fmt.Sprintf("%040d", n)}}
	}
}

func shop() review.Repo {
	return review.Repo{Host: "github.com", Owner: "o", Name: "r", ID: 7, Installation: 5}
}

// TestManyPushesBecomeOneIndexOfTheTip has pushes in no order: what is indexed is what the forge calls the tip in the end.
func TestManyPushesBecomeOneIndexOfTheTip(t *testing.T) {
	t.Parallel()
	s := start(t)
	require.Equal(t, "NO_REVIEWS_HERE", s.tell(t, "early", "wil", pushed(1)).GetIgnoredReason())
	s.onRow(t, row, func(row *review.Subject) { row.IndexedFor("another", shop()) })
	require.Equal(t, "NO_REVIEWS_HERE", s.tell(t, "another's", "wil", pushed(1)).GetIgnoredReason())
	first := s.indexed(t, shop(), "local")

	s.move("new")
	s.clock.set(func(c *clock) { c.still = time.Now() })
	answer := s.hand(t, "0", "wil", pushed(9))
	for n := range 9 {
		require.Equal(t, answer.GetResource(), s.hand(t, fmt.Sprint("push ", n), "wil", pushed(n)).GetResource())
	}
	require.Zero(t, s.lookedTip, "it is not asked before it is calm")
	s.indexes.set(func(x *indexes) { x.away = 1 })
	s.clock.set(func(c *clock) { c.still = time.Time{} })
	s.ended(t, answer)
	require.Equal(t, 2, s.indexes.built)
	got := s.row(t, row)
	require.Equal(t, "new", got.Tip.Commit)
	require.Equal(t, got.Tip.Index, got.Index)
	require.NotEqual(t, first, got.Index)
	require.Equal(t, first, s.indexes.made[got.Index].BaseIndex)
	require.Contains(t, s.indexes.made, first, "a review's own index stays")
	require.False(t, s.indexes.gone(t, "new"), "the index holds its tree")

	again := s.tell(t, "redelivered", "wil", pushed(3))
	require.NotEqual(t, answer.GetResource(), again.GetResource())
	require.Equal(t, 3, s.indexes.taken, "the tip is indexed already")
	s.move("")
	s.tell(t, "late", "wil", pushed(3))
	require.Equal(t, 3, s.indexes.taken, "there is no such branch any more")

	s.move("newer")
	s.tell(t, "next", "wil", pushed(10))
	s.clock.set(func(c *clock) { c.ahead = 25 * time.Hour })
	require.Contains(t, s.indexes.made, got.Index, "a review may use it")
	s.move("newest")
	s.tell(t, "the day after", "wil", pushed(11))
	require.NotContains(t, s.indexes.made, got.Index)
	require.True(t, s.indexes.gone(t, "new"))
	last := s.row(t, row)
	require.Equal(t, []string{last.Tip.Earlier[0].Index, last.Index}, last.Tip.Indexes())
	require.Len(t, s.indexes.made, 3)
}

// TestAnIndexOfATipThatFailsLeavesNothing also has one that takes too long, and a job that is cancelled meanwhile.
func TestAnIndexOfATipThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spec   string
		cancel bool
		want   job.State
	}{
		"failed": {"fail", false, job.StateSucceeded}, "too slow": {"stuck", false, job.StateSucceeded}, "cancelled": {"stuck", true, job.StateCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(p *events.Params) {
				if p.IndexTime = time.Hour; c.spec == "stuck" && !c.cancel {
					p.IndexTime = 20 * time.Millisecond
				}
			})
			first := s.indexed(t, shop(), "local")
			before := s.row(t, row)
			s.indexes.set(func(x *indexes) { x.spec = c.spec })
			s.move("new")
			answer := s.hand(t, "1", "wil", pushed(1))
			if c.cancel {
				require.Eventually(t, func() bool { return len(s.indexes.names(row)) == 2 }, 60*time.Second, 5*time.Millisecond)
				require.NoError(t, jobs{manager: s.jobs}.Cancel(t.Context(), answer.GetResource()))
			}
			state, err := jobs{manager: s.jobs}.Wait(t.Context(), answer.GetResource())
			require.NoError(t, err)
			require.Equal(t, string(c.want), state.State)
			require.Equal(t, []string{first}, s.indexes.names(row))
			require.True(t, s.indexes.gone(t, "new"), "nobody holds its tree")
			after := s.row(t, row)
			require.Equal(t, before.Index, after.Index)
			require.Equal(t, before.Snapshot, after.Snapshot)
			require.Empty(t, after.Tip.Indexes())
		})
	}
}

// TestP11_WhatWasForgottenWhileItWasIndexedStaysSo: the job that indexes is not always the one that is stopped.
func TestP11_WhatWasForgottenWhileItWasIndexedStaysSo(t *testing.T) {
	t.Parallel()
	s := start(t, func(p *events.Params) { p.IndexTime = time.Hour })
	first := s.indexed(t, shop(), "local")
	s.indexes.set(func(x *indexes) { x.spec, x.freed = "stuck", make(chan struct{}) })
	s.move("new")
	answer := s.hand(t, "1", "wil", pushed(1))
	require.Eventually(t, func() bool { return len(s.indexes.names(row)) == 2 }, 60*time.Second, 5*time.Millisecond)
	s.onRow(t, row, func(row *review.Subject) { row.ForgetCode() })
	close(s.indexes.freed)
	state, err := jobs{manager: s.jobs}.Wait(t.Context(), answer.GetResource())
	require.NoError(t, err)
	require.Equal(t, string(job.StateSucceeded), state.State)
	require.Equal(t, []string{first}, s.indexes.names(row), "its own is removed")
	after := s.row(t, row)
	require.Empty(t, after.Index)
	require.Empty(t, after.Tip.Indexes())
	require.Empty(t, after.Indexers)
}

// TestAPushIsGoneOnWithByTheNextProcess ends one while the branch is not calm, and another while the index is made.
func TestAPushIsGoneOnWithByTheNextProcess(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.indexed(t, shop(), "local")
	s.move("new")
	s.indexes.spec, s.indexes.freed = "stuck", make(chan struct{})
	s.clock.set(func(c *clock) { c.still = time.Now() })
	answer := s.hand(t, "1", "wil", pushed(1))
	s.halt()
	s.boot()
	s.clock.set(func(c *clock) { c.still = time.Time{} })
	require.Eventually(t, func() bool { return len(s.indexes.names(row)) == 2 }, 60*time.Second, 5*time.Millisecond)
	s.halt()
	s.boot()
	close(s.indexes.freed)
	s.ended(t, answer)
	require.Equal(t, 2, s.indexes.built)
	require.Equal(t, "new", s.row(t, row).Tip.Commit)
	require.False(t, s.indexes.gone(t, "new"))
}

// TestTheIndexOfABranchGoesWithIt unless the branch is there again.
func TestTheIndexOfABranchGoesWithIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	deleted := func(branch string) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_BranchDeleted{BranchDeleted: &reviewv1.BranchDeleted{Branch: branch}}
		}
	}
	require.Equal(t, "RECORDED", s.tell(t, "1", "wil", deleted("main")).GetIgnoredReason())
	own := s.indexed(t, shop(), "local")
	s.move("new")
	s.tell(t, "2", "wil", pushed(1))
	s.move("newer")
	s.tell(t, "3", "wil", pushed(2))
	require.Len(t, s.indexes.names(row), 3)
	require.Equal(t, "RECORDED", s.tell(t, "4", "wil", deleted("feature")).GetIgnoredReason())
	s.tell(t, "5", "wil", deleted("main"))
	require.Len(t, s.indexes.names(row), 3, "it was made again since")

	s.indexes.set(func(x *indexes) { x.spec = "stuck" })
	s.move("newest")
	under := s.hand(t, "6", "wil", pushed(3))
	require.Eventually(t, func() bool { return len(s.indexes.names(row)) == 4 }, 60*time.Second, 5*time.Millisecond)
	s.move("")
	s.tell(t, "7", "wil", deleted("main"))
	_, err := jobs{manager: s.jobs}.Wait(t.Context(), under.GetResource())
	require.NoError(t, err)
	require.Equal(t, []string{own}, s.indexes.names(row), "also the one that was being made; a review's own stays")
	got := s.row(t, row)
	require.Empty(t, got.Tip.Indexes())
	require.Empty(t, got.Index)
	require.Empty(t, got.Snapshot)
	require.True(t, s.indexes.gone(t, "newest"))
	s.indexes.set(func(x *indexes) { x.spec = "" })
	s.move("back")
	s.tell(t, "8", "wil", pushed(4))
	require.Len(t, s.indexes.names(row), 2)
}

// TestP11_CodeThatWeMayNotSeeAnyMoreIsForgotten has an installation with two repositories, in one of which a review and indexes
// of two owners are under way, and repositories of others.
func TestP11_CodeThatWeMayNotSeeAnyMoreIsForgotten(t *testing.T) {
	t.Parallel()
	removed := func(named ...*reviewv1.ForgeRepository) func(*reviewv1.ForgeEvent) {
		return func(e *reviewv1.ForgeEvent) {
			e.Repository = nil
			e.Event = &reviewv1.ForgeEvent_Installation{Installation: &reviewv1.InstallationChanged{
				InstallationId: 5, Change: reviewv1.InstallationChanged_REMOVED, Repositories: named,
			}}
		}
	}
	for name, event := range map[string]func(*reviewv1.ForgeEvent){
		"installation": removed(),
		"repositories": removed(
			&reviewv1.ForgeRepository{Host: "github.com", Owner: "o", Name: "r", Id: 7}, &reviewv1.ForgeRepository{Host: "github.com", Owner: "o", Name: "s", Id: 8},
			&reviewv1.ForgeRepository{Host: "github.com", Owner: "o", Name: "never seen", Id: 10}),
		"repository": func(e *reviewv1.ForgeEvent) {
			e.Event = &reviewv1.ForgeEvent_RepositoryChanged{RepositoryChanged: &reviewv1.RepositoryChanged{Change: reviewv1.RepositoryChanged_DELETED}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			other, theirs := shop(), shop()
			other.ID, theirs.ID, theirs.Installation = 8, 9, 6
			for _, repo := range []review.Repo{shop(), other, theirs} {
				s.indexed(t, repo, "local")
			}
			s.tell(t, "1", "wil", comment(1, "/witan review"))
			reviewing := s.reviews(t)[0].ID
			s.onRow(t, subject, func(subject *review.Subject) { subject.Pull.Installation = 5 })
			foreign, _, err := s.jobs.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindReview, Owner: "another", Resource: "reviews/y"})
			require.NoError(t, err)
			s.onRow(t, row+"#4", func(subject *review.Subject) {
				subject.Pull, subject.Running = review.PullRef{Repo: shop(), Number: 4}, foreign.ID
			})
			s.indexes.set(func(x *indexes) { x.spec = "stuck" })
			s.indexed(t, shop(), "another")
			s.move("new")
			s.hand(t, "2", "wil", pushed(1))
			require.Eventually(t, func() bool { return len(s.indexes.names(row)) == 3 }, 60*time.Second, 5*time.Millisecond)

			s.tell(t, "removed", "wil", event)
			require.Empty(t, s.indexes.names(row))
			if name != "repository" {
				require.Empty(t, s.indexes.names(other.Row()))
			}
			require.Len(t, s.indexes.names(theirs.Row()), 1)
			for _, id := range []job.ID{reviewing, foreign.ID} {
				j, err := s.jobs.Get(t.Context(), id, "")
				require.NoError(t, err)
				require.Equal(t, job.StateCancelled, j.State)
			}
			require.True(t, s.indexes.gone(t, "new"))
			got := s.row(t, row)
			require.Equal(t, review.Subject{Name: row, Owner: "local", Pull: review.PullRef{Repo: shop()}, Tip: review.Tip{Turn: got.Tip.Turn}}, got)
			require.NotEmpty(t, s.row(t, theirs.Row()).Index)
			_, err = s.store.Subject(t.Context(), "github:github.com/10")
			require.ErrorIs(t, err, review.ErrNotFound, "what was never seen leaves no row")
			require.Equal(t, "NO_REVIEWS_HERE", s.tell(t, "3", "wil", pushed(2)).GetIgnoredReason())
		})
	}
}
