package job_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
)

// keeper is what a body keeps of its step.
type keeper struct {
	kept atomic.Bool
	ran  atomic.Int32
}

func (k *keeper) look(context.Context) (bool, error) { return k.kept.Load(), nil }

// fill logs and keeps the step.
func (k *keeper) fill(r *job.Run) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		k.ran.Add(1)
		err := r.Append(ctx, job.NewEvent{Key: "step/done/0", Type: "council.planned"})
		k.kept.Store(err == nil)
		return err
	}
}

func TestG10_AStepThatIsKeptDoesNotRunAgain(t *testing.T) {
	t.Parallel()
	var k keeper
	var executions atomic.Int32
	s := started(t, func(r *job.Run) error {
		failure, err := job.KeptStep(r, k.look, k.fill(r))
		if err != nil || failure != nil {
			return errors.Join(err, errors.New("it has no other end"))
		}
		if executions.Add(1) == 1 {
			return errors.New("again")
		}
		return finish(r, job.StateSucceeded)
	})
	j := await(t, s, create(t, s).ID)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, []int32{1, 2}, []int32{k.ran.Load(), executions.Load()})
	var keys []string
	for _, e := range dense(t, s, j) {
		keys = append(keys, e.Key)
	}
	require.Equal(t, []string{"create/0", "begin/1", "1/step/done/0", "begin/2", "1/end"}, keys)
}

// A job gets on by what is new, not by finding again what it has kept.
func TestFindingAStepKeptIsNoProgress(t *testing.T) {
	t.Parallel()
	var k keeper
	var executions atomic.Int32
	s := started(t, func(r *job.Run) error {
		executions.Add(1)
		if _, err := job.KeptStep(r, k.look, k.fill(r)); err != nil {
			return err
		}
		return errors.New("no further")
	})
	j := await(t, s, create(t, s).ID)
	require.Equal(t, job.StateFailed, j.State)
	require.Equal(t, int32(1), k.ran.Load())
	require.Equal(t, fast().ErrorRetries+1, int(executions.Load()))
}

func TestACancellationEndsAKeptStepUnlessItIsKept(t *testing.T) {
	t.Parallel()
	var first, second keeper
	inside := make(chan struct{})
	type end struct {
		failure *engine.Failure
		err     error
	}
	ends := make(chan end, 3)
	s := started(t, func(r *job.Run) error {
		note := func(failure *engine.Failure, err error) { ends <- end{failure, err} }
		note(job.KeptStep(r, first.look, func(ctx context.Context) error {
			if err := first.fill(r)(ctx); err != nil {
				return err
			}
			close(inside)
			<-ctx.Done()
			return context.Cause(ctx)
		}))
		note(job.KeptStep(r, first.look, first.fill(r)))
		note(job.KeptStep(r, second.look, second.fill(r)))
		return finish(r, job.StateCancelled)
	})
	id := create(t, s).ID
	receive(t, inside)
	_, err := s.Cancel(t.Context(), id, owner)
	require.NoError(t, err)
	cut, found, begun := receive(t, ends), receive(t, ends), receive(t, ends)
	for _, e := range []end{cut, begun} {
		require.NoError(t, e.err)
		require.Equal(t, engine.ClassCancelled, e.failure.Class)
	}
	require.Equal(t, end{}, found, "what was kept is there, whatever came after it")
	require.Equal(t, job.StateCancelled, await(t, s, id).State)
	require.Equal(t, []int32{1, 0}, []int32{first.ran.Load(), second.ran.Load()})
}

func TestAKeptStepEndsWithItsProcessAndIsDoneByTheNext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "witan.db")
	var k keeper
	inside := make(chan struct{})
	ended := make(chan error, 1)
	run := func(fn func(r *job.Run) func(ctx context.Context) error) *system {
		s, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
		require.NoError(t, err)
		s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
			_, err := job.KeptStep(r, k.look, fn(r))
			ended <- err
			if err != nil {
				return err
			}
			return finish(r, job.StateSucceeded)
		})
		require.NoError(t, s.Start(t.Context()))
		return s
	}
	s := run(func(*job.Run) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			close(inside)
			<-ctx.Done()
			return nil // what the end of the process made of it is not its result
		}
	})
	id := create(t, s).ID
	receive(t, inside)
	s.end(t)
	require.ErrorIs(t, receive(t, ended), engine.ErrStopping)
	s = run(k.fill)
	defer s.end(t)
	require.NoError(t, receive(t, ended))
	require.Equal(t, job.StateSucceeded, await(t, s, id).State)
	require.Equal(t, int32(1), k.ran.Load())
}
