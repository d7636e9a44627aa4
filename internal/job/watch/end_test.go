package watch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus"
	"witan.dev/internal/job"
)

// awaiting waits for the end of the bench's job and returns when its state was looked at once.
func awaiting(t *testing.T, f *bench, over <-chan time.Time) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f.hub.AwaitEnd(t.Context(), f.job.ID, over) }()
	f.look(t)
	return done
}

// look waits until the job's state was looked at.
func (f *bench) look(t *testing.T) {
	t.Helper()
	select {
	case <-f.looked:
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nobody looks")
	}
}

func heard(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		require.FailNow(t, "still waiting")
		return nil
	}
}

func waits(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		require.FailNow(t, "does not wait any more", "%v", err)
	default:
	}
}

func TestG16_WhoAwaitsTheEndIsToldAtOnceAndReadsNoLog(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil) // nobody turns the clock of the poll
	done := awaiting(t, f, nil)
	f.add(5)
	f.hint(t) // of events, which mean nothing here
	f.bus.Publish(t.Context(), job.EndTopic(f.job.ID), 7)
	f.look(t) // a hint of an end before the end
	waits(t, done)
	f.finish()
	f.bus.Publish(t.Context(), job.EndTopic(f.job.ID), 8)
	require.NoError(t, heard(t, done))
	require.Zero(t, f.reads)
}

func TestG16_ALostHintOfTheEndCostsOnePoll(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	done := awaiting(t, f, nil)
	f.poll()
	waits(t, done)
	f.set(func() { f.away = true })
	f.finish()
	f.poll()
	waits(t, done)
	f.set(func() { f.away = false })
	f.poll()
	require.NoError(t, heard(t, done))
}

func TestAwaitingTheEndOfAJobThatIsRemoved(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	done := awaiting(t, f, nil)
	f.set(func() { f.gone = true })
	f.poll()
	require.NoError(t, heard(t, done))
}

func TestAwaitingTheEndHasAnEndOfItsOwn(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), nil)
	over := make(chan time.Time)
	done := awaiting(t, f, over)
	over <- time.Time{}
	require.NoError(t, heard(t, done))

	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the caller has gone")
	cancel(gone)
	require.ErrorIs(t, f.hub.AwaitEnd(ctx, f.job.ID, nil), gone)

	done = awaiting(t, f, nil)
	require.NoError(t, f.hub.Stop(t.Context()))
	require.NoError(t, heard(t, done))
}

// mute is a bus that nobody can listen to.
type mute struct{ bus.Bus }

func (mute) Subscribe(context.Context, string) (bus.Subscription, error) {
	return nil, errors.New("the bus is away")
}

func (mute) Publish(context.Context, string, int64) {}

func TestAwaitingTheEndWithoutABus(t *testing.T) {
	t.Parallel()
	f := place(t, newMemory(), mute{})
	done := awaiting(t, f, nil)
	f.finish()
	f.poll()
	require.NoError(t, heard(t, done))
}
