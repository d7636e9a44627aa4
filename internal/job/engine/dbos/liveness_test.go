package dbos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyAWorkerWithoutAGapOfItsOwnJudgesOthers(t *testing.T) {
	t.Parallel()
	const beat, gap, ttl = time.Second, 2 * time.Second, 6 * time.Second
	start := time.Unix(1_000_000, 0)
	var p pulse
	require.False(t, p.steady(start, gap, ttl), "before its first sign of life")
	now := start
	for range 6 {
		p.took(now, gap)
		require.False(t, p.steady(now, gap, ttl), "young")
		now = now.Add(beat)
	}
	p.took(now, gap)
	require.True(t, p.steady(now, gap, ttl))
	require.True(t, p.steady(now.Add(gap), gap, ttl))
	require.False(t, p.steady(now.Add(gap+1), gap, ttl), "silent itself")
	now = now.Add(time.Minute) // an outage that all shared
	p.took(now, gap)
	require.False(t, p.steady(now, gap, ttl), "the others need time for their signs too")
	for range 6 {
		now = now.Add(beat)
		p.took(now, gap)
	}
	require.True(t, p.steady(now, gap, ttl))
}

func TestPeriodsLeaveRoomForThreeBeats(t *testing.T) {
	t.Parallel()
	require.Equal(t, Liveness{Beat: 2 * time.Second, TTL: 6 * time.Second, Sweep: 2 * time.Second}, Liveness{}.withDefaults())
	require.Equal(t, 30*time.Second, Liveness{Beat: 10 * time.Second, TTL: time.Second}.withDefaults().TTL)
}
