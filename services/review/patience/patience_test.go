package patience

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/job/engine"
	"witan.dev/services/review"
)

// A pause ends when its record says, whoever reads it and how much later.
func TestAPauseEndsWhenItsRecordSays(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_123)
	for name, c := range map[string]struct {
		f      *engine.Failure
		n      int
		length time.Duration
		begun  time.Time
	}{
		"a limit":             {f: Pause(&review.LimitError{Until: now.Add(time.Minute)}, now), n: 1, length: time.Minute + slack, begun: now},
		"a limit that is up":  {f: Pause(&review.LimitError{Until: now.Add(-time.Minute)}, now), n: 3, length: slack, begun: now},
		"away":                {f: Pause(review.ErrUnavailable, now), n: 1, length: 2 * time.Second, begun: now},
		"away again":          {f: Pause(review.ErrUnavailable, now), n: 3, length: 8 * time.Second, begun: now},
		"away for long":       {f: Pause(review.ErrUnavailable, now), n: 30, length: time.Minute, begun: now},
		"an older build's":    {f: &engine.Failure{Class: ClassPause, Message: "1500"}, n: 1, length: 1500 * time.Millisecond},
		"an older build away": {f: &engine.Failure{Class: ClassPause}, n: 2, length: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, begun, err := lengthOf(c.f, c.n, maxPause)
			require.NoError(t, err)
			require.Equal(t, c.length, d)
			require.True(t, c.begun.Equal(begun), "%s", begun)
		})
	}
	for _, message := range []string{"x", "x@1", "1@", "1@x"} {
		_, _, err := lengthOf(&engine.Failure{Class: ClassPause, Message: message}, 1, maxPause)
		require.Error(t, err, message)
	}
	require.Nil(t, Pause(errors.New("another"), now))
}

// What a pause was for a past execution is spent by the next one as well, which does not wait for it again.
func TestAPauseThatIsOverIsSpentAndNotWaitedFor(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_700_000_000_123)
	p := &Patience{Limit: time.Minute, Clock: func() time.Time { return now }}
	f := Pause(&review.LimitError{Until: now.Add(29 * time.Second)}, now)
	until, over, err := p.spend(f, 1)
	require.NoError(t, err)
	require.Nil(t, over)
	require.Equal(t, 30*time.Second, p.left(until))
	now = now.Add(time.Hour)
	require.Zero(t, p.left(until))
	_, over, err = p.spend(f, 2)
	require.NoError(t, err)
	require.Nil(t, over, "two pauses of thirty seconds are a minute")
	_, over, err = p.spend(f, 3)
	require.NoError(t, err)
	require.Equal(t, ClassUnavailable, over.Class)
}
