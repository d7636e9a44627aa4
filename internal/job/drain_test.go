package job_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/postgres"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

// TestG10_ACallThatEndsWhileTheDatabaseIsAwayIsKept has the database go in the middle of a call and come back after it.
func TestG10_ACallThatEndsWhileTheDatabaseIsAwayIsKept(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t)
	_, err := postgres.Migrate(t.Context(), secret.New(server.URL))
	require.NoError(t, err)
	require.NoError(t, dbos.MigratePostgres(t.Context(), secret.New(server.URL)))
	waits := make(chan struct{}, 1)
	logger := slog.New(heard{Handler: slog.DiscardHandler, message: waitsForDatabase, tell: func() {
		select {
		case waits <- struct{}{}:
		default:
		}
	}})
	s, err := openCluster(t.Context(), server.URL, dbos.Liveness{TTL: time.Minute}, logger, fast())
	require.NoError(t, err)
	t.Cleanup(func() { s.end(t) })
	var killed atomic.Bool
	away, sent := make(chan error, 1), atomic.Int32{}
	s.Handle(job.KindCouncil, 0, councilBody(func(ctx context.Context, key job.CallKey, attempt int32) (string, error) {
		sent.Add(1)
		if key.Stage == "rank" && !killed.Swap(true) {
			away <- server.Kill()
		}
		return atOnce(ctx, key, attempt)
	}))
	require.NoError(t, s.Start(t.Context()))
	id := create(t, s).ID
	require.NoError(t, receive(t, away))
	receive(t, waits) // a write has met nobody
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool {
		j, err := s.Get(t.Context(), id, owner)
		return err == nil && j.State.Terminal()
	}, time.Minute, 10*time.Millisecond)
	j := mustGet(t, s, id)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, job.Ledger{CallsStarted: 11, CallsCompleted: 11}, j.Ledger, "no answer was lost, no execution ended")
	require.Equal(t, int32(11), sent.Load())
	dense(t, s, j)
}

func TestAStageOpensNoCallWhileTheProcessIsAboutToStop(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "witan.db")
	s, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	intent := func(subject string) []job.CallIntent {
		return []job.CallIntent{{Key: job.CallKey{Stage: "answer", Subject: subject}, PromptSHA256: sha256.Sum256([]byte(subject))}}
	}
	inCall, refused := make(chan struct{}, 8), make(chan error, 8)
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		_, _, err := job.Step(r, "answer", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
			grants, err := r.OpenCalls(ctx, intent("m1"))
			if err != nil {
				return 0, nil, err
			}
			inCall <- struct{}{}
			<-r.Draining()
			_, err = r.OpenCalls(ctx, intent("m2"))
			refused <- err
			if e := r.CloseCall(ctx, job.CallDone{
				Key: intent("m1")[0].Key, Attempt: grants[0].Attempt, State: job.CallResult, Result: []byte("kept"),
			}); e != nil {
				return 0, nil, e
			}
			return 0, nil, err
		})
		return err
	})
	require.NoError(t, s.Start(t.Context()))
	id := create(t, s).ID
	receive(t, inCall)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
	require.ErrorIs(t, receive(t, refused), engine.ErrDraining)
	require.NoError(t, s.db.Close())
	after, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	defer after.end(t)
	j := mustGet(t, after, id)
	require.Equal(t, job.Ledger{CallsStarted: 1, CallsCompleted: 1}, j.Ledger, "what was in flight is kept, nothing was begun")
	require.Equal(t, job.StateRunning, j.State)
}
