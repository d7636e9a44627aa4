package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/llm"
	"witan.dev/services/council"
)

// queue is an engine that takes jobs and runs none: the tests say what becomes of them.
type queue struct{ engine.Engine }

func (queue) EnqueueTx(context.Context, engine.Tx, engine.Request) error { return nil }
func (queue) Forget(context.Context, []engine.ID) error                  { return nil }
func (queue) Remove(context.Context, []engine.ID) error                  { return nil }

type noModels struct{}

func (noModels) Model(string) (llm.Model, bool) { return nil, false }
func (noModels) Models() []llm.Model            { return nil }

// house is a council with its jobs, and a clock that the test holds.
type house struct {
	*council.Manager

	jobs  *job.Manager
	store job.Store
	mu    sync.Mutex
	clock time.Time
}

func newHouse(t *testing.T, s council.Store, jobs job.Store, wrap func(council.Jobs) council.Jobs) *house {
	t.Helper()
	h := &house{
		jobs:  job.NewManager(jobs, queue{}, inprocess.New(), slog.New(slog.DiscardHandler), job.Config{}),
		store: jobs, clock: time.Now(),
	}
	var err error
	h.Manager, err = council.NewManager(council.Params{Store: s, Jobs: wrap(h.jobs), Models: noModels{}, Now: h.now})
	require.NoError(t, err)
	h.jobs.OnDelete(job.KindCouncil, job.Remover{Tx: h.Remove})
	h.jobs.OnRetry(job.KindCouncil, h.CheckRetry)
	return h
}

func itself(j council.Jobs) council.Jobs { return j }

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.clock
}

func (h *house) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock = h.clock.Add(d)
}

func (h *house) conversation(t *testing.T, n council.NewConversation) council.Conversation {
	t.Helper()
	n.Owner = owner
	c, err := h.CreateConversation(t.Context(), n)
	require.NoError(t, err)
	return c
}

func (h *house) ask(ctx context.Context, conversation string) (council.Deliberation, error) {
	return h.CreateDeliberation(ctx, council.NewDeliberation{
		Owner: owner, Conversation: conversation, Task: council.Task{CodeReview: &council.CodeReview{}},
	})
}

// failed asks and lets the job fail.
func (h *house) failed(t *testing.T, conversation string) job.ID {
	t.Helper()
	d, err := h.ask(t.Context(), conversation)
	require.NoError(t, err)
	_, ended, err := h.store.End(t.Context(), job.Attempt{ID: d.ID, Number: 1}, job.Outcome{State: job.StateFailed, Reason: "TEST"})
	require.NoError(t, err)
	require.True(t, ended)
	return d.ID
}

// Together runs what the council does in transactions of the job layer. open returns both stores of one database, which may
// have a single connection.
func Together(t *testing.T, open func(t *testing.T) (council.Store, job.Store)) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s council.Store, jobs job.Store){
		"many at once start one deliberation":                  oneOfMany,
		"the oldest of many is retried alone":                  oldestAlone,
		"what is over answers nothing":                         overAnswersNothing,
		"what cannot be removed does not hold back the others": stuckOnesAreLeft,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, jobs := open(t)
			test(t, s, jobs)
		})
	}
}

func oneOfMany(t *testing.T, s council.Store, jobs job.Store) {
	h := newHouse(t, s, jobs, itself)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := h.conversation(t, council.NewConversation{})
	once := func(what string, start func(n int) error) {
		errs := make(chan error, callers)
		for n := range callers {
			go func() { errs <- start(n) }()
		}
		started := 0
		for range callers {
			err := <-errs
			if err == nil {
				started++
				continue
			}
			require.ErrorIs(t, err, council.ErrConversationActive, what)
		}
		require.Equal(t, 1, started, what)
	}
	once("created", func(int) error {
		_, err := h.ask(ctx, c.ID)
		return err
	})
	other := h.conversation(t, council.NewConversation{})
	var ids []job.ID
	for range callers {
		ids = append(ids, h.failed(t, other.ID))
	}
	once("retried", func(n int) error {
		_, err := h.jobs.Retry(ctx, job.Retrial{ID: ids[n], Owner: owner})
		return err
	})
}

func oldestAlone(t *testing.T, s council.Store, jobs job.Store) {
	h := newHouse(t, s, jobs, itself)
	c := h.conversation(t, council.NewConversation{Temporary: true})
	oldest := h.failed(t, c.ID)
	for range 51 {
		h.failed(t, c.ID)
	}
	_, err := h.jobs.Retry(t.Context(), job.Retrial{ID: oldest, Owner: owner})
	require.NoError(t, err)
	_, err = h.ask(t.Context(), c.ID)
	require.ErrorIs(t, err, council.ErrConversationActive)
	h.pass(48 * time.Hour)
	require.NoError(t, h.RemoveExpired(t.Context(), h.now()))
	j, err := jobs.Get(t.Context(), oldest)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, j.State, "what runs in a conversation whose time is over ends")
	require.NoError(t, h.RemoveExpired(t.Context(), h.now()))
	_, err = jobs.Get(t.Context(), oldest)
	require.ErrorIs(t, err, job.ErrNotFound)
}

func overAnswersNothing(t *testing.T, s council.Store, jobs job.Store) {
	h := newHouse(t, s, jobs, itself)
	ctx := t.Context()
	stays := h.conversation(t, council.NewConversation{})
	kept := h.failed(t, stays.ID)
	h.pass(time.Second)
	c := h.conversation(t, council.NewConversation{Temporary: true})
	gone := h.failed(t, c.ID)
	answers := func() (conversations []string, deliberations []job.ID) {
		list, _, err := h.Conversations(ctx, owner, council.Position{}, 1)
		require.NoError(t, err)
		for _, c := range list {
			conversations = append(conversations, c.ID)
		}
		all, err := h.Deliberations(ctx, owner, "", council.Position{}, 1)
		require.NoError(t, err)
		for i := range all {
			deliberations = append(deliberations, all[i].ID)
		}
		return conversations, deliberations
	}
	conversations, deliberations := answers()
	require.Equal(t, []string{c.ID}, conversations)
	require.Equal(t, []job.ID{gone}, deliberations)
	_, err := h.Messages(ctx, c.ID, owner, 0, 10)
	require.NoError(t, err)
	h.pass(48 * time.Hour)
	_, err = h.Messages(ctx, c.ID, owner, 0, 10)
	require.ErrorIs(t, err, council.ErrConversationNotFound)
	_, err = h.Deliberation(ctx, gone, owner, council.ViewBasic)
	require.ErrorIs(t, err, council.ErrDeliberationNotFound)
	conversations, deliberations = answers()
	require.Equal(t, []string{stays.ID}, conversations, "the page is filled with what is behind")
	require.Equal(t, []job.ID{kept}, deliberations)
	of, err := h.Deliberations(ctx, owner, c.ID, council.Position{}, 10)
	require.NoError(t, err)
	require.Empty(t, of)
}

var errStuck = errors.New("cannot be removed")

// stuck cannot delete what is an owner's.
type stuck struct{ council.Jobs }

func (s stuck) Delete(ctx context.Context, d job.Deletion) error {
	if d.Owner == owner {
		return errStuck
	}
	return s.Jobs.Delete(ctx, d)
}

func stuckOnesAreLeft(t *testing.T, s council.Store, jobs job.Store) {
	h := newHouse(t, s, jobs, func(j council.Jobs) council.Jobs { return stuck{j} })
	now := h.now()
	for n := range 101 {
		c := aConversation(n)
		c.Temporary, c.ExpireAt = true, now.Add(-time.Hour)
		if n == 100 {
			c.Owner, c.ExpireAt = "someone", now.Add(-time.Minute)
		}
		_, err := s.CreateConversation(t.Context(), c, council.Request{})
		require.NoError(t, err)
	}
	require.ErrorIs(t, h.RemoveExpired(t.Context(), now), errStuck)
	_, err := s.Conversation(t.Context(), "c100", "someone")
	require.ErrorIs(t, err, council.ErrConversationNotFound)
	for n := range 100 {
		_, err := s.Conversation(t.Context(), fmt.Sprintf("c%d", n), owner)
		require.NoError(t, err)
	}
}
