package watch_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus/redis"
	"witan.dev/internal/database/postgres"
	"witan.dev/internal/database/postgres/postgrestest"
	"witan.dev/internal/job"
	jobpostgres "witan.dev/internal/job/postgres"
	"witan.dev/internal/job/watch"
	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
)

// apart is a job in a Postgres, written by one process and watched by another, with Redis between them.
func apart(t *testing.T, database, hints string) *fixture {
	t.Helper()
	f := &fixture{store: jobpostgres.New(postgrestest.Connect(t, database), nil, nil), bus: process(t, hints), tick: make(ticks)}
	f.hub = watch.NewHub(
		jobpostgres.New(postgrestest.Connect(t, database), nil, nil), process(t, hints), f.tick.after, slog.New(slog.DiscardHandler),
	)
	t.Cleanup(func() { require.NoError(t, f.hub.Stop(context.Background())) })
	f.begin(t)
	return f
}

// process is one process's bus.
func process(t *testing.T, url string) *redis.Bus {
	t.Helper()
	b, err := redis.New(redis.Config{URL: secret.New(url), Prefix: t.Name()}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, b.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, b.Stop(context.WithoutCancel(t.Context()))) })
	return b
}

func TestG03_CutsAtRandomPlacesPutTogetherAreTheLogBetweenProcesses(t *testing.T) {
	t.Parallel()
	cutAtRandom(t, apart(t, postgrestest.URL(t), testserver.Redis(t)))
}

func TestG16_AHintOfAnotherProcessWakesTheViewer(t *testing.T) {
	t.Parallel()
	f := apart(t, postgrestest.URL(t), testserver.Redis(t)) // the safety poll never comes: the hub is not started
	v := f.open(t, 2)
	for want := int64(3); want < 6; want++ {
		f.append(t, 1, 10)
		events := next(t, v)
		require.Len(t, events, 1)
		require.Equal(t, want, events[0].Seq)
	}
}

// A Postgres that is killed takes no viewer with it: all go on where they were when it is back.
func TestViewersOutliveAPostgresThatIsKilled(t *testing.T) {
	t.Parallel()
	server := testserver.StartPostgres(t)
	_, err := postgres.Migrate(t.Context(), secret.New(server.URL))
	require.NoError(t, err)
	f := apart(t, server.URL, testserver.Redis(t))
	require.NoError(t, f.hub.Start(t.Context()))
	f.append(t, 2000, 10) // further than the ring reaches
	live, behind := f.open(t, 2002), f.open(t, 0)
	events, changed, err := live.Poll(t.Context())
	require.NoError(t, err)
	require.Empty(t, events)
	require.NoError(t, server.Kill())
	waiting, polled, err := behind.Poll(t.Context())
	require.NoError(t, err)
	require.Empty(t, waiting)
	f.tick <- time.Time{} // a poll that fails
	f.tick <- time.Time{}
	<-polled
	_, err = f.hub.Open(t.Context(), f.fence.ID, 0)
	require.Error(t, err)
	require.NoError(t, server.Start(t.Context()))
	require.Eventually(t, func() bool { // the writer's connections have died as well
		_, err := f.store.Finish(t.Context(), f.fence, job.Outcome{State: job.StateSucceeded})
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	f.tick <- time.Time{}
	<-changed
	require.ErrorIs(t, until(t, live), io.EOF)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case f.tick <- time.Time{}:
			case <-stop:
				return
			}
		}
	}()
	require.ErrorIs(t, until(t, behind), io.EOF)
	require.Equal(t, int64(2003), behind.After())
}
