package dbos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyAWorkerWithoutAGapOfItsOwnJudgesOthers(t *testing.T) {
	t.Parallel()
	const beat, gap, ttl = time.Second, 2 * time.Second, 6 * time.Second
	now := time.Unix(1_000_000, 0)
	p := newPulse(Liveness{Beat: beat, TTL: ttl}, now, true)
	require.False(t, p.steady(now.Add(beat-1)), "the others need time for their signs, should all have been cut off")
	require.True(t, p.steady(now.Add(beat)), "a new process missed nothing")
	require.True(t, p.steady(now.Add(gap)))
	require.False(t, p.steady(now.Add(gap+1)), "silent itself")
	now = now.Add(time.Minute) // an outage that all shared, or it was frozen
	for range 6 {
		p.took(now)
		require.False(t, p.steady(now), "too soon after a gap")
		now = now.Add(beat)
	}
	p.took(now)
	require.True(t, p.steady(now))
	require.False(t, p.steady(now.Add(gap+1)))
}

func TestALifeAfterOneThatWasTakenForDeadWaitsAsAfterAGap(t *testing.T) {
	t.Parallel()
	const beat, ttl = time.Second, 6 * time.Second
	now := time.Unix(1_000_000, 0)
	p := newPulse(Liveness{Beat: beat, TTL: ttl}, now, false)
	for range 6 {
		require.False(t, p.steady(now))
		now = now.Add(beat)
		p.took(now)
	}
	require.True(t, p.steady(now))
}

func TestPeriodsLeaveRoomForThreeBeats(t *testing.T) {
	t.Parallel()
	require.Equal(t, Liveness{Beat: 2 * time.Second, TTL: 6 * time.Second, Sweep: 2 * time.Second}, Liveness{}.withDefaults())
	require.Equal(t, 30*time.Second, Liveness{Beat: 10 * time.Second, TTL: time.Second}.withDefaults().TTL)
}
