package review_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job"
	"witan.dev/services/review"
)

// TestSteadyPushesDoNotKeepATipFromBeingIndexed has a push every ten seconds.
func TestSteadyPushesDoNotKeepATipFromBeingIndexed(t *testing.T) {
	t.Parallel()
	const pause, limit = 20 * time.Second, 2 * time.Minute
	var tip review.Tip
	now := time.Unix(1000, 0)
	begun := map[job.ID]time.Duration{}
	for n := range 60 {
		id := job.ID(fmt.Sprint("j", n))
		by := tip.Pushed("main", id, now, true)
		if _, there := begun[by]; by == id {
			require.False(t, there)
			begun[by] = -time.Duration(n) * 10 * time.Second
		}
		now = now.Add(10 * time.Second)
		if wait, ok := tip.Begin(by, now, pause, limit); ok && wait == 0 {
			begun[by] += time.Duration(n+1) * 10 * time.Second
		}
	}
	require.Len(t, begun, 5)
	for id, took := range begun {
		require.Equal(t, limit, took, "%s", id)
	}
	_, ok := tip.Begin("j0", now, pause, limit)
	require.False(t, ok, "the newest looks after the tip")
	require.Equal(t, job.ID("next"), tip.Pushed("main", "next", now, false), "one that has ended takes nothing in")
	wait, ok := tip.Begin("next", now, pause, limit)
	require.True(t, ok)
	require.Equal(t, pause, wait)
}

func TestIndexesOfEarlierTipsAreFewAndGoAfterADay(t *testing.T) {
	t.Parallel()
	var tip review.Tip
	now := time.Unix(1000, 0)
	for n := range 60 {
		tip.Indexed(fmt.Sprint("c", n), fmt.Sprint("i", n), n, now)
	}
	require.Equal(t, []string{"i0", "i1", "i2", "i3", "i4", "i5", "i6", "i7", "i8"}, tip.Over(now))
	tip.Leave("failed")
	require.Equal(t, "failed", tip.Over(now)[0])
	require.True(t, tip.Indexed("c3", "i3", 60, now))
	require.NotContains(t, tip.Over(now), "i3", "it is the tip again")
	require.Len(t, tip.Over(now.Add(24*time.Hour)), 60)
	tip.Forget(tip.Indexes()...)
	require.Empty(t, tip.Indexes())
	require.Empty(t, tip.Commit)
}

// TestASlowIndexOfAnEarlierTipDoesNotReplaceTheNewerOne has two jobs that index at once, the later one faster.
func TestASlowIndexOfAnEarlierTipDoesNotReplaceTheNewerOne(t *testing.T) {
	t.Parallel()
	var tip review.Tip
	now := time.Unix(1000, 0)
	turn := func(id job.ID) int {
		require.Equal(t, id, tip.Pushed("main", id, now, true))
		wait, ok := tip.Begin(id, now, 0, 0)
		require.True(t, ok)
		require.Zero(t, wait)
		return tip.Turn
	}
	slow, fast := turn("slow"), turn("fast")
	require.True(t, tip.Indexed("new", "index of new", fast, now))
	require.False(t, tip.Indexed("old", "index of old", slow, now))
	require.Equal(t, "new", tip.Commit)
	require.Equal(t, "index of new", tip.Index)
	require.Equal(t, []string{"index of old", "index of new"}, tip.Indexes(), "reviews may have begun with the old one")
	require.Equal(t, []string{"index of old"}, tip.Over(now.Add(24*time.Hour)))

	subject := review.Subject{Tip: tip}
	subject.ForgetCode()
	tip = subject.Tip
	again := turn("again")
	require.True(t, tip.Indexed("newest", "index of newest", again, now))
	require.False(t, tip.Indexed("new", "index of new", fast, now), "a job from before what was forgotten")
}
