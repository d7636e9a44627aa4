package blob_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/blob"
	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
)

func TestCollectorRemovesUploadsWhoseTimeIsOver(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	store := blobsqlite.New(sqlitetest.Open(t), func() time.Time { return start })
	old, err := store.Upload(t.Context(), "me", strings.NewReader("old"), start.Add(time.Hour))
	require.NoError(t, err)
	young, err := store.Upload(t.Context(), "me", strings.NewReader("young"), start.Add(48*time.Hour))
	require.NoError(t, err)

	rounds := make(chan chan time.Time)
	after := func(time.Duration) <-chan time.Time { tick := make(chan time.Time); rounds <- tick; return tick }
	c := blob.NewCollector(store, func() time.Time { return start.Add(24 * time.Hour) }, after, slog.New(slog.DiscardHandler))
	require.NoError(t, c.Start(t.Context()))
	<-rounds // the first round is over when the collector asks for its pause
	_, err = store.Get(t.Context(), "me", old.SHA256)
	require.ErrorIs(t, err, blob.ErrNotFound)
	_, err = store.Get(t.Context(), "me", young.SHA256)
	require.NoError(t, err)
	require.NoError(t, c.Stop(t.Context()))
	require.NoError(t, c.Stop(t.Context()))
}
