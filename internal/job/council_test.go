package job_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	jobsqlite "witan.dev/internal/job/sqlite"
)

// A council-shaped job: a plan, five answers, five ballots, a chairman's text; eleven journaled calls in four steps.
var stages = []struct { //nolint:gochecknoglobals // a table
	name  string
	calls int
}{{"answer", 5}, {"rank", 5}, {"synthesise", 1}}

// councilBody runs it; call is what a model would do.
func councilBody(call func(ctx context.Context, key job.CallKey, attempt int32) (string, error)) job.Body {
	return func(r *job.Run) error {
		ctx := r.Context()
		if _, _, err := job.Step(r, "plan", engine.Policy{}, func(ctx context.Context) (string, *engine.Failure, error) {
			return "planned", nil, r.Append(ctx, job.NewEvent{Key: "plan/planned/0", Type: "council.planned", Payload: []byte("plan")})
		}); err != nil {
			return err
		}
		for _, stage := range stages {
			if _, _, err := job.Step(r, stage.name, engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
				return stage.calls, nil, runStage(ctx, r, stage.name, stage.calls, call)
			}); err != nil {
				return err
			}
		}
		return r.Finish(ctx, job.Outcome{State: job.StateSucceeded, Result: []byte("result")})
	}
}

func runStage(ctx context.Context, r *job.Run, stage string, calls int,
	call func(ctx context.Context, key job.CallKey, attempt int32) (string, error),
) error {
	intents := make([]job.CallIntent, calls)
	for i := range intents {
		key := job.CallKey{Stage: stage, Subject: fmt.Sprintf("m%d", i+1)}
		intents[i] = job.CallIntent{
			Key: key, PromptSHA256: sha256.Sum256([]byte(stage + key.Subject)), MaxAttempts: 3, ReservedTokens: 100,
			EventsFor: func(attempt int32) []job.NewEvent {
				return []job.NewEvent{{Key: fmt.Sprintf("%s/started/%s/%d", stage, key.Subject, attempt), Type: "council.member_started"}}
			},
		}
	}
	grants, err := r.OpenCalls(ctx, intents)
	if err != nil {
		return err
	}
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i, g := range grants {
		if g.Reused != nil || g.Exhausted {
			continue
		}
		wg.Go(func() { errs[i] = oneCall(ctx, r, intents[i].Key, g.Attempt, call) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return r.Commit(ctx, job.Update{
		Stage:  stage,
		Events: []job.NewEvent{{Key: stage + "/completed/0", Type: "council.stage_completed", Payload: []byte(stage)}},
	})
}

func oneCall(ctx context.Context, r *job.Run, key job.CallKey, attempt int32,
	call func(ctx context.Context, key job.CallKey, attempt int32) (string, error),
) error {
	text, err := call(ctx, key, attempt)
	if err != nil {
		return err
	}
	return r.CloseCall(ctx, job.CallDone{
		Key: key, Attempt: attempt, State: job.CallResult, Result: []byte(text),
		Usage: job.Usage{InputTokens: 10, OutputTokens: 20},
		Events: []job.NewEvent{
			{Key: fmt.Sprintf("%s/delta/%s/%d/0", key.Stage, key.Subject, attempt), Type: "council.member_delta", Payload: []byte(text)},
			{Key: fmt.Sprintf("%s/answered/%s/0", key.Stage, key.Subject), Type: "council.member_answered", Payload: []byte(text)},
		},
	})
}

func atOnce(_ context.Context, key job.CallKey, _ int32) (string, error) {
	return fmt.Sprintf("%-400s", "text of "+key.Subject), nil
}

func TestACouncilShapedJobRunsToItsEnd(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.Handle(job.KindCouncil, 0, councilBody(atOnce))
	require.NoError(t, s.Start(t.Context()))
	j := await(t, s, create(t, s).ID)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, []byte("result"), j.Result)
	require.Equal(t, job.Ledger{CallsStarted: 11, CallsCompleted: 11}, j.Ledger)
	require.Equal(t, job.Usage{InputTokens: 110, OutputTokens: 220}, j.Usage)
	require.Equal(t, "synthesise", j.Stage)
	events := dense(t, s, j)
	// create, begin, plan, three stages with their progress, started, delta and answered of each call, end
	require.Len(t, events, 2+1+3*2+11*3+1)
}

// BenchmarkCouncilShapedJobs measures whole jobs: creation, queue, four steps, eleven journaled calls that answer at once,
// 42 events, the end. 32 run at once; every commit is on the disk.
func BenchmarkCouncilShapedJobs(b *testing.B) {
	s, err := open(b.Context(), filepath.Join(b.TempDir(), "witan.db"), slog.New(slog.DiscardHandler), job.Config{})
	require.NoError(b, err)
	defer s.end(b)
	s.Handle(job.KindCouncil, 32, councilBody(atOnce))
	require.NoError(b, s.Start(b.Context()))
	b.ResetTimer()
	ids := make([]job.ID, 0, b.N)
	for range b.N {
		ids = append(ids, create(b, s).ID)
	}
	for _, id := range ids {
		require.Equal(b, job.StateSucceeded, await(b, s, id).State)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

// BenchmarkEvents measures events of 600 bytes through one log each, from 32 writers that wait for their commit.
func BenchmarkEvents(b *testing.B) {
	store := jobsqlite.New(sqlitetest.Open(b), nil)
	const writers = 32
	var wg sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		wg.Go(func() { writeEvents(b, store, b.N/writers+1, w) })
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func writeEvents(b *testing.B, store *jobsqlite.Store, n, writer int) {
	b.Helper()
	c := creation()
	_, _, err := store.Create(b.Context(), c, func(context.Context, job.Tx) error { return nil })
	if err != nil {
		b.Error(err)
		return
	}
	j, _, err := store.Begin(b.Context(), job.Attempt{ID: c.ID, Number: 1}, 1)
	if err != nil {
		b.Error(err)
		return
	}
	f := job.Fence{ID: j.ID, Epoch: j.Epoch, Attempt: j.Attempt}
	payload := make([]byte, 600)
	for i := range n {
		e := job.NewEvent{Key: fmt.Sprintf("1/answer/delta/m%d/1/%d", writer, i), Type: "council.member_delta", Payload: payload}
		if _, err := store.Apply(b.Context(), f, job.Change{Update: job.Update{Events: []job.NewEvent{e}}}); err != nil {
			b.Error(err)
			return
		}
	}
}
