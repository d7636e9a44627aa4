package job_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/bus"
	"witan.dev/internal/bus/inprocess"
	"witan.dev/internal/database/sqlite"
	"witan.dev/internal/job"
	"witan.dev/internal/job/engine/dbos"
	jobsqlite "witan.dev/internal/job/sqlite"
)

// early is a bus that notes hints of events that cannot be read yet.
type early struct {
	bus.Bus

	store job.Store
	mu    sync.Mutex
	hints int
	found []string
}

func (e *early) Publish(ctx context.Context, topic string, value int64) {
	id, isSeq := strings.CutSuffix(strings.TrimPrefix(topic, "job/"), "/seq")
	if isSeq {
		j, err := e.store.Get(ctx, job.ID(id))
		e.mu.Lock()
		e.hints++
		if err != nil || j.LastSeq < value {
			e.found = append(e.found, topic)
		}
		e.mu.Unlock()
	}
	e.Bus.Publish(ctx, topic, value)
}

// A hint comes after the commit that it is about: whoever looks because of it finds the event, and need not wait for the poll.
func TestG02_AHintComesAfterItsCommit(t *testing.T) {
	t.Parallel()
	logger := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "witan.db"), logger)
	require.NoError(t, err)
	eng, err := dbos.NewSQLite(t.Context(), db, logger)
	require.NoError(t, err)
	store := jobsqlite.New(db, nil)
	hints := &early{Bus: inprocess.New(), store: store}
	s := &system{Manager: job.NewManager(store, eng, hints, logger, fast()), store: store, db: db}
	t.Cleanup(func() { s.end(t) })
	s.Handle(job.KindCouncil, 0, func(r *job.Run) error {
		for _, key := range []string{"a", "b", "c"} {
			if err := r.Append(r.Context(), job.NewEvent{Key: key, Type: "council.planned"}); err != nil {
				return err
			}
		}
		return finish(r, job.StateSucceeded)
	})
	require.NoError(t, s.Start(t.Context()))
	require.Equal(t, job.StateSucceeded, await(t, s, create(t, s).ID).State)
	hints.mu.Lock()
	defer hints.mu.Unlock()
	require.GreaterOrEqual(t, hints.hints, 4)
	require.Empty(t, hints.found)
}
