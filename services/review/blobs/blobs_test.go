package blobs_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	blobsqlite "witan.dev/internal/blob/sqlite"
	"witan.dev/internal/database/sqlite/sqlitetest"
	"witan.dev/services/review"
	"witan.dev/services/review/blobs"
)

func TestWhatWasPutIsReadByItsOwnerOnlyAndUploadsGoWhenNobodyNamesThem(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	shared := blobsqlite.New(sqlitetest.Open(t), func() time.Time { return start })
	store := blobs.New(shared, func() time.Time { return start })
	kept, err := store.Put(t.Context(), "me", "reviews/r", []byte("kept"))
	require.NoError(t, err)
	uploaded, err := store.Put(t.Context(), "me", "", []byte("uploaded"))
	require.NoError(t, err)

	content, err := store.Patch(t.Context(), "me", uploaded)
	require.NoError(t, err)
	require.Equal(t, "uploaded", string(content))
	for _, missing := range []struct{ owner, id string }{{"you", kept}, {"me", "no hash"}, {"me", ""}} {
		_, err = store.Get(t.Context(), missing.owner, missing.id)
		require.ErrorIs(t, err, review.ErrBlobNotFound)
	}

	_, err = shared.Collect(t.Context(), start.Add(25*time.Hour), 10)
	require.NoError(t, err)
	_, err = store.Get(t.Context(), "me", uploaded)
	require.ErrorIs(t, err, review.ErrBlobNotFound)
	content, err = store.Get(t.Context(), "me", kept)
	require.NoError(t, err)
	require.Equal(t, "kept", string(content))
}
