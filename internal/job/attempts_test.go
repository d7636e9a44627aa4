package job_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
)

func retry(t *testing.T, s *system, id job.ID) job.Job {
	t.Helper()
	j, err := s.Retry(t.Context(), job.Retrial{ID: id, Owner: owner})
	require.NoError(t, err)
	return j
}

// attempts reads a log and requires that it is dense and that each attempt ends once; it returns the keys.
func attempts(t *testing.T, s *system, j job.Job) []string {
	t.Helper()
	events, err := s.Events(t.Context(), j.ID, 0, 1000)
	require.NoError(t, err)
	require.Len(t, events, int(j.LastSeq))
	var keys []string
	finals := int32(0)
	for i, e := range events {
		require.Equal(t, int64(i+1), e.Seq)
		require.Equal(t, i == len(events)-1 || events[i+1].Key == job.KeyRetry(e.Attempt+1), e.Final, e.Key)
		keys = append(keys, e.Key)
		if e.Final {
			finals++
		}
	}
	require.Equal(t, j.Attempt, finals)
	return keys
}

func TestG08_ARetriedJobRunsItsStepsAnewInTheSameLog(t *testing.T) {
	t.Parallel()
	var ran atomic.Int32
	s := started(t, func(r *job.Run) error {
		_, _, err := job.Step(r, "step", engine.Policy{}, func(ctx context.Context) (int32, *engine.Failure, error) {
			return ran.Add(1), nil, r.Append(ctx, job.NewEvent{Key: "step/done/0", Type: "council.planned"})
		})
		if err != nil {
			return err
		}
		if r.Attempt() < 3 {
			return finish(r, job.StateFailed)
		}
		return finish(r, job.StateSucceeded)
	})
	j := await(t, s, create(t, s).ID)
	for n := int32(2); n <= 3; n++ {
		require.Equal(t, job.StateFailed, j.State)
		queued := retry(t, s, j.ID)
		require.Equal(t, []any{n, j.LastSeq + 1}, []any{queued.Attempt, queued.LastSeq})
		j = await(t, s, j.ID)
	}
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, int32(3), ran.Load(), "the engine starts each attempt clean")
	require.Equal(t, int64(3), j.Epoch)
	require.Zero(t, j.Ledger.Recoveries)
	require.Equal(t, []string{
		"create/0", "begin/1", "1/step/done/0", "1/end", "retry/2", "begin/2", "2/step/done/0", "2/end", "retry/3", "begin/3", "3/step/done/0", "3/end",
	}, attempts(t, s, j))
	_, err := s.Retry(t.Context(), job.Retrial{ID: j.ID})
	require.ErrorIs(t, err, job.ErrNotRetryable)
}

func TestG08_ARetrySurvivesARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "witan.db")
	first, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	begun := make(chan struct{})
	first.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		if r.Attempt() == 1 {
			return finish(r, job.StateFailed)
		}
		close(begun)
		<-r.Context().Done()
		return context.Cause(r.Context())
	})
	require.NoError(t, first.Start(t.Context()))
	id := create(t, first).ID
	await(t, first, id)
	retry(t, first, id)
	receive(t, begun)
	first.end(t)

	second, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	t.Cleanup(func() { second.end(t) })
	second.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		if r.Attempt() != 2 {
			return fmt.Errorf("attempt %d", r.Attempt())
		}
		return finish(r, job.StateSucceeded)
	})
	require.NoError(t, second.Start(t.Context()))
	j := await(t, second, id)
	require.Equal(t, job.StateSucceeded, j.State)
	require.Equal(t, int64(1), j.Ledger.Recoveries)
	require.Equal(t, []string{"create/0", "begin/1", "1/end", "retry/2", "begin/2", "begin/3", "2/end"}, attempts(t, second, j))
}

func TestARetryIsRefusedByTheCheckOfItsKind(t *testing.T) {
	t.Parallel()
	refusal := errors.New("not now")
	s := setup(t)
	s.OnRetry(job.KindCouncil, func(_ context.Context, _ job.Tx, j job.Job) error {
		if j.Attempt == 2 {
			return refusal
		}
		return nil
	})
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error { return finish(r, job.StateFailed) })
	require.NoError(t, s.Start(t.Context()))
	j := await(t, s, create(t, s).ID)
	_, err := s.Retry(t.Context(), job.Retrial{ID: j.ID})
	require.ErrorIs(t, err, refusal)
	require.Equal(t, j, mustGet(t, s, j.ID))
}

func TestADeadLetterIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error { return finish(r, job.StateSucceeded) })
	c := creation()
	_, _, err := s.store.Create(t.Context(), c, func(context.Context, job.Tx) error { return nil }) // never enqueued
	require.NoError(t, err)
	j := await(t, s, c.ID)
	require.Equal(t, []any{job.StateFailed, job.ReasonRecoveryAttempts}, []any{j.State, j.StateReason})
	n, err := s.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	listed, _, err := s.List(t.Context(), job.ListQuery{States: []job.State{job.StateFailed}})
	require.NoError(t, err)
	require.Len(t, listed, 1)
	retry(t, s, c.ID)
	require.Equal(t, job.StateSucceeded, await(t, s, c.ID).State)
	n, err = s.DeadLetters(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

// TestG01_AJobThatNobodyTakesExpires: no worker ever looks at its queue.
func TestG01_AJobThatNobodyTakesExpires(t *testing.T) {
	t.Parallel()
	s := setup(t)
	require.NoError(t, s.Start(t.Context()))
	for what, c := range map[string]func(c *job.Creation){
		job.ReasonQueueExpired: func(c *job.Creation) { c.QueueTimeout = 50 * time.Millisecond },
		job.ReasonDeadline:     func(c *job.Creation) { c.Timeout = 50 * time.Millisecond },
	} {
		asked := creation()
		c(&asked)
		_, _, err := s.Create(t.Context(), asked)
		require.NoError(t, err)
		j := await(t, s, asked.ID)
		require.Equal(t, []any{job.StateExpired, what, what}, []any{j.State, j.StateReason, j.Error.Reason})
		require.Equal(t, int64(1), j.Epoch)
		require.Equal(t, []string{"create/0", "1/end"}, attempts(t, s, j))
		again := retry(t, s, j.ID)
		require.True(t, again.DeadlineAt.After(j.DeadlineAt) || again.QueueExpireAt.After(j.QueueExpireAt), "the time begins anew")
		require.Equal(t, job.StateExpired, await(t, s, j.ID).State)
	}
}

// TestG12_ACancelledJobOfADeadWorkerEnds: the next worker finds the wish and ends the job.
func TestG12_ACancelledJobOfADeadWorkerEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "witan.db")
	first, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	begun := make(chan struct{}, 1)
	first.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		begun <- struct{}{}
		<-r.Context().Done()
		return context.Cause(r.Context())
	})
	require.NoError(t, first.Start(t.Context()))
	id := create(t, first).ID
	receive(t, begun)
	first.end(t)

	second, err := open(t.Context(), path, slog.New(slog.DiscardHandler), fast())
	require.NoError(t, err)
	t.Cleanup(func() { second.end(t) })
	j, err := second.Cancel(t.Context(), id, owner)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelling, j.State, "nobody has taken it over yet")
	second.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		if !errors.Is(context.Cause(r.Context()), job.ErrCancelAsked) {
			return errors.New("the body does not know of the cancellation")
		}
		return finish(r, job.StateCancelled)
	})
	require.NoError(t, second.Start(t.Context()))
	j = await(t, second, id)
	require.Equal(t, job.StateCancelled, j.State)
	require.Equal(t, []string{"create/0", "begin/1", "1/cancel", "begin/2", "1/end"}, attempts(t, second, j))
}

// gated lets a test hold executions between the engine's claim and their beginning.
type gated struct {
	job.Store

	claimed, begin chan struct{}
}

func (g gated) Begin(ctx context.Context, a job.Attempt, maxStalled int) (job.Job, job.Written, error) {
	g.claimed <- struct{}{}
	<-g.begin
	return g.Store.Begin(ctx, a, maxStalled)
}

func TestG12_ACancellationBetweenClaimAndBeginningEndsTheJob(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), logger)
	require.NoError(t, err)
	eng, err := dbos.NewSQLite(t.Context(), db, logger)
	require.NoError(t, err)
	store := gated{Store: jobsqlite.New(db, nil), claimed: make(chan struct{}), begin: make(chan struct{})}
	s := &system{Manager: job.NewManager(store, eng, inprocess.New(), logger, fast()), db: db}
	t.Cleanup(func() { s.end(t) })
	s.Handle(job.KindCouncil, 0, func(*job.Run) error { return errors.New("the body ran") })
	require.NoError(t, s.Start(t.Context()))
	id := create(t, s).ID
	receive(t, store.claimed)
	j, err := s.Cancel(t.Context(), id, owner)
	require.NoError(t, err)
	require.Equal(t, job.StateCancelled, j.State)
	close(store.begin)
	lost := func() []engine.ID {
		ids, err := eng.Lost(t.Context(), []engine.ID{id})
		require.NoError(t, err)
		return ids
	}
	require.Eventually(t, func() bool { return len(lost()) == 1 }, time.Minute, time.Millisecond, "the engine has done with it")
	require.Equal(t, []string{"create/0", "1/end"}, attempts(t, s, mustGet(t, s, id)))
}

// everything is all that a database holds, by table.
func everything(t *testing.T, db *sqlite.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	tables := dump(t, db.Reader(), `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	for table := range strings.FieldsSeq(tables) {
		out[table] = dump(t, db.Reader(), fmt.Sprintf(`SELECT * FROM %q`, table))
	}
	return out
}

func dump(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var text strings.Builder
	for rows.Next() {
		values := make([]sql.RawBytes, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		for _, v := range values {
			text.Write(v)
			text.WriteByte('\n')
		}
	}
	require.NoError(t, rows.Err())
	return text.String()
}

func TestG15_ADeletedJobLeavesNothingInAnyTable(t *testing.T) {
	t.Parallel()
	const secret = "the-text-of-the-job"
	removed := make(chan job.ID, 4)
	s := setup(t)
	s.OnDelete(job.KindCouncil, job.Remover{
		Tx:    func(context.Context, job.Tx, job.Job) error { return nil },
		After: func(_ context.Context, j job.Job) error { removed <- j.ID; return nil },
	})
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		_, _, err := job.Step(r, "call", engine.Policy{}, func(ctx context.Context) (string, *engine.Failure, error) {
			in := job.CallIntent{Key: job.CallKey{Stage: "answer", Subject: secret}, PromptSHA256: [32]byte{1}}
			if _, err := r.OpenCalls(ctx, []job.CallIntent{in}); err != nil {
				return "", nil, err
			}
			return secret, nil, nil
		})
		if err != nil {
			return err
		}
		return r.Finish(r.Context(), job.Outcome{
			State: job.StateFailed, Result: []byte(secret), Events: []job.NewEvent{{Key: "x", Type: "council.planned", Payload: []byte(secret)}},
		})
	})
	require.NoError(t, s.Start(t.Context()))
	c := creation()
	c.RequestID, c.Method, c.Labels, c.Spec = "r", "M", map[string]string{"k": secret}, []byte(secret)
	_, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	await(t, s, c.ID)
	retry(t, s, c.ID)
	j := await(t, s, c.ID)
	require.Equal(t, int32(2), j.Attempt)
	db, embedded := s.db.(*sqlite.DB)
	require.True(t, embedded)
	holds := func(what string) []string {
		var in []string
		for table, content := range everything(t, db) {
			if strings.Contains(content, what) {
				in = append(in, table)
			}
		}
		return in
	}
	require.Subset(t, holds(string(c.ID)), []string{"jobs", "job_events", "calls", "requests", "workflow_status", "operation_outputs"})
	require.Subset(t, holds(secret), []string{"jobs", "job_events", "calls"})
	done := func() bool { return strings.Count(everything(t, db)["workflow_status"], "SUCCESS") == 2 }
	require.Eventually(t, done, time.Minute, time.Millisecond, "the engine has done with both attempts")
	require.NoError(t, s.Delete(t.Context(), job.Deletion{IDs: []job.ID{c.ID}, Owner: owner}))
	require.Equal(t, c.ID, receive(t, removed))
	require.Empty(t, holds(string(c.ID)))
	require.Empty(t, holds(secret))
	_, _, err = s.Create(t.Context(), c)
	require.ErrorIs(t, err, job.ErrNotFound)
	require.ErrorContains(t, err, "deleted", "the request is known, and what it made is gone")
}

func TestG15_TemporaryJobsGoWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	s := started(t, func(r *job.Run) error {
		if r.Job().Labels["waits"] != "" {
			<-r.Context().Done()
			return finish(r, job.StateCancelled)
		}
		return finish(r, job.StateSucceeded)
	})
	kept := create(t, s).ID
	var ids []job.ID
	for _, labels := range []map[string]string{nil, {"waits": "y"}} {
		c := creation()
		c.ExpireAt, c.Labels = time.Now().Add(100*time.Millisecond), labels
		_, _, err := s.Create(t.Context(), c)
		require.NoError(t, err)
		ids = append(ids, c.ID)
	}
	require.Eventually(t, func() bool {
		states, err := s.States(t.Context(), ids...)
		require.NoError(t, err)
		return len(states) == 0
	}, time.Minute, 2*time.Millisecond, "one had ended, the other was cancelled first")
	require.Equal(t, job.StateSucceeded, await(t, s, kept).State)
}

func TestTemporaryJobsThatCannotGoDoNotHoldBackTheOthers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.OnDelete(job.KindCouncil, job.Remover{Tx: func(context.Context, job.Tx, job.Job) error { return errors.New("something is in the way") }})
	over := time.Now().Add(-time.Hour)
	end := func(kind job.Kind, at time.Time) job.ID {
		c := creation()
		c.Kind, c.ExpireAt = kind, at
		_, _, err := s.Create(t.Context(), c)
		require.NoError(t, err)
		_, _, err = s.store.End(t.Context(), job.Attempt{ID: c.ID, Number: 1}, job.Outcome{State: job.StateSucceeded})
		require.NoError(t, err)
		return c.ID
	}
	for range 500 { // a page of them
		end(job.KindCouncil, over)
	}
	last := end(job.KindIndex, over.Add(time.Minute))
	require.NoError(t, s.Start(t.Context()))
	require.Eventually(t, func() bool {
		_, err := s.store.Get(t.Context(), last)
		return errors.Is(err, job.ErrNotFound)
	}, time.Minute, 2*time.Millisecond)
}

func TestChoresAreDoneRegularlyAndFailAlone(t *testing.T) {
	t.Parallel()
	s := setup(t)
	rounds := make(chan struct{}, 100)
	s.OnHousekeeping(func(context.Context, time.Time) error { return errors.New("the first one fails") })
	s.OnHousekeeping(func(context.Context, time.Time) error {
		select {
		case rounds <- struct{}{}:
		default:
		}
		return nil
	})
	require.NoError(t, s.Start(t.Context()))
	for range 3 {
		receive(t, rounds)
	}
}

func TestTheLogStaysAsLongAsTheKindIsKept(t *testing.T) {
	t.Parallel()
	cfg := fast()
	cfg.HistoryKept = map[job.Kind]time.Duration{job.KindCouncil: 3 * time.Hour}
	s := startedWith(t, cfg, func(r *job.Run) error { return finish(r, job.StateFailed) })
	j := await(t, s, create(t, s).ID)
	require.Equal(t, j.EndedAt.Add(3*time.Hour), j.HistoryExpireAt)
	c := creation()
	c.Kind = job.KindReview
	_, _, err := s.Create(t.Context(), c)
	require.NoError(t, err)
	_, err = s.Cancel(t.Context(), c.ID, owner)
	require.NoError(t, err)
	j = mustGet(t, s, c.ID)
	require.Equal(t, j.EndedAt.Add(job.DefaultHistoryKept), j.HistoryExpireAt)
}

// measured notes what is enqueued.
type measured struct {
	engine.Engine

	requests chan engine.Request
}

func (m measured) EnqueueTx(ctx context.Context, tx engine.Tx, r engine.Request) error {
	m.requests <- r
	return m.Engine.EnqueueTx(ctx, tx, r)
}

// TestTheEngineIsToldIDsOnly: a large spec stays in the job's row.
func TestTheEngineIsToldIDsOnly(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	path := filepath.Join(t.TempDir(), "witan.db")
	content, err := migrated()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	db, err := sqlite.Open(t.Context(), path, logger)
	require.NoError(t, err)
	eng, err := dbos.NewSQLite(t.Context(), db, logger)
	require.NoError(t, err)
	m := measured{Engine: eng, requests: make(chan engine.Request, 8)}
	s := &system{Manager: job.NewManager(jobsqlite.New(db, nil), m, inprocess.New(), logger, fast()), db: db}
	t.Cleanup(func() { s.end(t) })
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error { return finish(r, job.StateFailed) })
	require.NoError(t, s.Start(t.Context()))
	c := creation()
	c.Spec, c.Labels = make([]byte, 1<<20), map[string]string{"k": strings.Repeat("v", 255)}
	_, _, err = s.Create(t.Context(), c)
	require.NoError(t, err)
	await(t, s, c.ID)
	retry(t, s, c.ID)
	await(t, s, c.ID)
	for _, id := range []engine.ID{c.ID, c.ID + "~2"} {
		r := receive(t, m.requests)
		require.Equal(t, id, r.ID)
		size := len(r.ID) + len(r.Kind) + len(r.Queue) + len(r.Args)
		require.Less(t, size, 256)
	}
}

// TestG12_RacesWithTheEngine lets cancellations, ends, retries and deletions of running jobs meet, with bodies that the
// engine runs. A round goes through the engine's queue twice and takes a third of a second, so there are fewer than of the
// store's own races, which run jobtest.Rounds times.
func TestG12_RacesWithTheEngine(t *testing.T) {
	t.Parallel()
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	body := func(r *job.Run) error {
		_, _, err := job.Step(r, "step", engine.Policy{}, func(ctx context.Context) (int, *engine.Failure, error) {
			return 0, nil, r.Append(ctx, job.NewEvent{Key: "step/done/0", Type: "council.planned"})
		})
		switch {
		case err != nil:
			return err
		case errors.Is(context.Cause(r.Context()), job.ErrCancelAsked):
			return finish(r, job.StateCancelled)
		}
		return finish(r, job.StateFailed)
	}
	for name, open := range map[string]func(t *testing.T) *system{
		"sqlite": func(t *testing.T) *system { return setup(t) },
		"postgres": func(t *testing.T) *system {
			s, err := openCluster(t.Context(), clusterURL(t), quick(), slog.New(slog.DiscardHandler), fast())
			require.NoError(t, err)
			t.Cleanup(func() { s.end(t) })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			s.Handle(job.KindCouncil, 0, body)
			require.NoError(t, s.Start(t.Context()))
			for range rounds {
				race(t, s)
			}
		})
	}
}

// race is one round: everything that may happen to a job at once, then its next attempt, cancelled and deleted at once.
func race(t *testing.T, s *system) {
	t.Helper()
	ctx, id := t.Context(), create(t, s).ID
	require.NoError(t, together(
		func() error { _, err := s.Cancel(ctx, id, owner); return err },
		func() error {
			_, _, err := s.store.End(ctx, job.Attempt{ID: id, Number: 1}, job.Outcome{State: job.StateFailed})
			return err
		},
		func() error { return retryMaybe(ctx, s, id, 0) },
		func() error { return retryMaybe(ctx, s, id, 1) },
		func() error { return retryMaybe(ctx, s, id, 0) },
	))
	attempts(t, s, await(t, s, id))
	again := retry(t, s, id)
	require.NoError(t, together(
		func() error {
			if _, err := s.Cancel(ctx, id, owner); !errors.Is(err, job.ErrNotFound) {
				return err
			}
			return nil // deleted before
		},
		func() error {
			for { // until the job has ended
				err := s.Delete(ctx, job.Deletion{IDs: []job.ID{id}})
				if !errors.Is(err, job.ErrNotFinished) {
					return err
				}
			}
		},
	))
	_, err := s.Get(ctx, id, "")
	require.ErrorIs(t, err, job.ErrNotFound, "attempt %d", again.Attempt)
}

// retryMaybe retries a job that may not have ended. n tells requests apart.
func retryMaybe(ctx context.Context, s *system, id job.ID, n int) error {
	_, err := s.Retry(ctx, job.Retrial{ID: id, RequestID: fmt.Sprint(id, n), BodySHA256: [32]byte{1}})
	if errors.Is(err, job.ErrNotFinished) {
		return nil
	}
	return err
}

// together runs all of it at once and joins the errors.
func together(all ...func() error) error {
	var work sync.WaitGroup
	errs := make([]error, len(all))
	for i, fn := range all {
		work.Go(func() { errs[i] = fn() })
	}
	work.Wait()
	return errors.Join(errs...)
}
