package job_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
)

func TestG06_PositionsWhoseTimeIsOverAreGoneBeforeTheyAreRemoved(t *testing.T) {
	t.Parallel()
	now := time.Now()
	kept := job.Job{State: job.StateSucceeded, LastSeq: 9, FirstAvailableSeq: 1, HistoryExpireAt: now.Add(time.Second)}
	over, again := kept, kept
	over.HistoryExpireAt = now
	again.HistoryExpireAt, again.State = now, job.StateRunning // retried: its log goes on
	removed := kept
	removed.FirstAvailableSeq = 10
	for _, c := range []struct {
		of    job.Job
		after int64
		err   error
	}{
		{kept, 0, nil},
		{kept, 9, nil},
		{kept, 10, job.ErrSequenceAhead},
		{over, 8, job.ErrHistoryExpired},
		{over, 9, nil},
		{again, 0, nil},
		{removed, 8, job.ErrHistoryExpired},
		{removed, 9, nil},
	} {
		require.ErrorIs(t, c.of.Follows(c.after, now), c.err)
	}
}
