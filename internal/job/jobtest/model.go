package jobtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

// model is what the log of one job must be, written without any database.
type model struct {
	state job.State
	epoch int64
	keys  []string
	there map[string]bool
}

func (m *model) add(key string) {
	if !m.there[key] {
		m.there[key] = true
		m.keys = append(m.keys, key)
	}
}

// viewer is somebody who reads the log in pieces.
type viewer struct {
	after int64
	seen  []string
}

// script runs random sequences of what can happen to a job and compares the log with the model after each: writes of the
// newest execution and of older ones, take-overs, cancellations, ends, and viewers that are cut and come back.
func script(t *testing.T, s job.Store) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test's script is to be repeatable
		j := create(t, s, creation())
		m := &model{state: job.StateQueued, there: map[string]bool{}}
		m.add("create/0")
		viewers := []*viewer{{seen: []string{}}, {seen: []string{}}}
		for range 60 {
			act(t, s, rng, j.ID, m)
			look(t, s, rng, j.ID, viewers[rng.IntN(len(viewers))])
			for _, v := range viewers {
				require.Equal(t, m.keys[:len(v.seen)], v.seen, "seed %d: what was seen is the log's beginning", seed)
			}
			require.Equal(t, m.keys, keys(dense(t, s, j.ID)), "seed %d", seed)
			require.Equal(t, m.state, get(t, s, j.ID).State, "seed %d", seed)
		}
	}
}

// act does one thing to the job and to the model.
func act(t *testing.T, s job.Store, rng *rand.Rand, id job.ID, m *model) {
	t.Helper()
	old := job.Fence{ID: id, Epoch: max(m.epoch-1, 0), Attempt: 1}
	now := job.Fence{ID: id, Epoch: m.epoch, Attempt: 1}
	writable := m.epoch > 0 && !m.state.Terminal()
	switch n := rng.IntN(100); {
	case n < 45: // a write of the newest execution, often one that was made before
		e := event(fmt.Sprintf("1/step/%d", rng.IntN(30)))
		_, err := s.Apply(t.Context(), now, job.Change{Update: job.Update{Events: []job.NewEvent{e}}, Advanced: true})
		expect(t, writable, err)
		if writable {
			m.add(e.Key)
		}
	case n < 60: // a write of a worker that woke up late
		if m.epoch > 0 {
			_, err := s.Apply(t.Context(), old, job.Change{Update: job.Update{Events: []job.NewEvent{event("late")}}})
			require.ErrorIs(t, err, job.ErrFenced)
		}
	case n < 90: // a take-over after a crash
		_, _, err := s.Begin(t.Context(), attemptOne(id), 1000)
		if m.state.Terminal() {
			require.ErrorIs(t, err, job.ErrEnded)
			return
		}
		require.NoError(t, err)
		m.epoch++
		if m.state == job.StateQueued {
			m.state = job.StateRunning
		}
		m.add(fmt.Sprintf("begin/%d", m.epoch))
	case n < 97:
		cancelModel(t, s, id, m)
	default:
		_, err := s.Finish(t.Context(), now, job.Outcome{State: job.StateSucceeded})
		if m.state.Terminal() && err == nil {
			return // repeated in the same epoch
		}
		expect(t, writable, err)
		if writable {
			m.state = job.StateSucceeded
			m.add("1/end")
		}
	}
}

func cancelModel(t *testing.T, s job.Store, id job.ID, m *model) {
	t.Helper()
	_, err := s.Cancel(t.Context(), id)
	require.NoError(t, err)
	switch {
	case m.state == job.StateQueued:
		m.state = job.StateCancelled
		m.epoch++
		m.add("1/end")
	case !m.state.Terminal():
		m.state = job.StateCancelling
		m.add("1/cancel")
	}
}

func expect(t *testing.T, ok bool, err error) {
	t.Helper()
	if ok {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, job.ErrFenced)
}

// look reads a page from where the viewer is; now and then the page is lost on its way and read again.
func look(t *testing.T, s job.Store, rng *rand.Rand, id job.ID, v *viewer) {
	t.Helper()
	page, err := s.Events(t.Context(), id, v.after, 1+rng.IntN(5))
	require.NoError(t, err)
	if rng.IntN(4) == 0 {
		return
	}
	for _, e := range page {
		require.Equal(t, v.after+1, e.Seq)
		v.after, v.seen = e.Seq, append(v.seen, e.Key)
	}
}
