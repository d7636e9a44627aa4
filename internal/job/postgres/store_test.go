package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/database"
	pg "witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	"witan.dev/internal/job/jobtest"
	"witan.dev/internal/job/postgres"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	jobtest.Run(t, func(t *testing.T) job.Store { return postgres.New(postgrestest.Open(t), nil, nil) })
}

func TestRaces(t *testing.T) {
	t.Parallel()
	jobtest.Races(t, func(t *testing.T) job.Store { return postgres.New(postgrestest.Open(t), nil, nil) }, jobtest.Rounds)
}

func create(t *testing.T, s *postgres.Store) job.ID {
	t.Helper()
	j, _, err := s.Create(t.Context(), job.Creation{ID: job.NewID(), Kind: job.KindCouncil, Owner: "somebody"},
		func(context.Context, job.Tx) error { return nil })
	require.NoError(t, err)
	return j.ID
}

func exec(t *testing.T, db *pg.DB, statement string) {
	t.Helper()
	_, err := db.Pool().Exec(t.Context(), statement)
	require.NoError(t, err)
}

func TestOnlyALivingProcessBegins(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	identity := "unknown"
	s := postgres.New(db, nil, func() string { return identity })
	id := create(t, s)
	refused := func() {
		t.Helper()
		before, err := s.Get(t.Context(), id)
		require.NoError(t, err)
		_, w, err := s.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 3)
		require.ErrorIs(t, err, job.ErrFenced)
		require.Zero(t, w)
		after, err := s.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	refused()
	exec(t, db, `INSERT INTO executors (id, host, pid, queues) VALUES ('a', 'h', 1, ''), ('b', 'h', 2, '')`)
	identity = "a"
	_, _, err := s.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 3)
	require.NoError(t, err)
	exec(t, db, `UPDATE executors SET dead_time = now() WHERE id = 'a'`)
	refused()
	identity = "b"
	_, _, err = s.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 3)
	require.NoError(t, err)
}

// A beginning that meets the declaration of its process's death waits for it and is refused.
func TestBeginAndTheDeathOfItsProcessAreOrdered(t *testing.T) {
	t.Parallel()
	db := postgrestest.Open(t)
	s := postgres.New(db, nil, func() string { return "a" })
	id := create(t, s)
	exec(t, db, `INSERT INTO executors (id, host, pid, queues) VALUES ('a', 'h', 1, '')`)
	sweep, err := db.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = sweep.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = sweep.Exec(t.Context(), `UPDATE executors SET dead_time = now() WHERE id = 'a'`)
	require.NoError(t, err)
	begun := make(chan error, 1)
	go func() {
		_, _, err := s.Begin(t.Context(), job.Attempt{ID: id, Number: 1}, 3)
		begun <- err
	}()
	require.Eventually(t, func() bool {
		var waiting int
		err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == 1
	}, time.Minute, time.Millisecond)
	require.NoError(t, sweep.Commit(t.Context()))
	require.ErrorIs(t, <-begun, job.ErrFenced)
	j, err := s.Get(t.Context(), id)
	require.NoError(t, err)
	require.Zero(t, j.Epoch)
}

func TestADatabaseThatIsAwayIsSaidByAllThatAsk(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t)
	_, err := pg.Migrate(t.Context(), secret.New(server.URL))
	require.NoError(t, err)
	s := postgres.New(postgrestest.Connect(t, server.URL), nil, nil)
	id := create(t, s)
	require.NoError(t, server.Kill())
	ids, f := []job.ID{id}, job.Fence{ID: id, Epoch: 1, Attempt: 1}
	for what, ask := range map[string]func(ctx context.Context) error{
		"get":     func(ctx context.Context) error { _, err := s.Get(ctx, id); return err },
		"states":  func(ctx context.Context) error { _, err := s.States(ctx, ids); return err },
		"list":    func(ctx context.Context) error { _, err := s.List(ctx, job.ListQuery{Limit: 1}); return err },
		"events":  func(ctx context.Context) error { _, err := s.Events(ctx, id, 0, 1); return err },
		"lengths": func(ctx context.Context) error { _, err := s.LastSeqs(ctx, ids); return err },
		"asked":   func(ctx context.Context) error { _, err := s.CancelAsked(ctx, ids); return err },
		"open":    func(ctx context.Context) error { _, err := s.Unfinished(ctx, "", 1); return err },
		"expired": func(ctx context.Context) error { _, err := s.Expired(ctx, time.Now(), job.Expiry{}, 1); return err },
		"dead":    func(ctx context.Context) error { _, err := s.DeadLetters(ctx); return err },
		"begin": func(ctx context.Context) error {
			_, _, err := s.Begin(ctx, job.Attempt{ID: id, Number: 1}, 3)
			return err
		},
		"apply":  func(ctx context.Context) error { _, err := s.Apply(ctx, f, job.Change{}); return err },
		"cancel": func(ctx context.Context) error { _, err := s.Cancel(ctx, id); return err },
	} {
		require.ErrorIs(t, ask(t.Context()), database.ErrAway, what)
	}
}
