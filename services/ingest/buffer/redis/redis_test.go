package redis_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"witan.dev/internal/secret"
	"witan.dev/internal/testserver"
	"witan.dev/services/ingest"
	"witan.dev/services/ingest/buffer/buffertest"
	"witan.dev/services/ingest/buffer/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, cfg redis.Config) *redis.Buffer {
	t.Helper()
	b, err := redis.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

// TestConformance waits in earnest for leases to end: they run by Redis' clock.
func TestConformance(t *testing.T) {
	t.Parallel()
	url := testserver.Redis(t)
	const lease = 400 * time.Millisecond
	buffertest.Run(t, func(t *testing.T) buffertest.Fixture {
		t.Helper()
		cfg := redis.Config{URL: secret.New(url), Prefix: rand.Text() + ":", Lease: lease, Wait: 20 * time.Millisecond}
		b := open(t, cfg)
		return buffertest.Fixture{Buffer: b, Queue: b, Other: open(t, cfg), Expire: func() { <-time.After(lease + lease/4) }}
	})
}

func TestWhatASenderCannotRelyOnIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []string
		gaps     []string
	}{
		"nothing is kept":   {nil, []string{"appendonly is off"}},
		"every second":      {[]string{"--appendonly", "yes", "--appendfsync", "everysec"}, []string{"appendfsync is everysec"}},
		"now and then":      {[]string{"--appendonly", "yes", "--appendfsync", "no"}, []string{"appendfsync is no"}},
		"may be thrown out": {[]string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"}, []string{"maxmemory-policy is allkeys-lru"}},
		"all is well":       {[]string{"--appendonly", "yes", "--appendfsync", "always", "--maxmemory", "64mb", "--maxmemory-policy", "noeviction"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, redis.Config{URL: secret.New(testserver.StartRedis(t, c.settings...).URL)})
			gaps, err := b.Gaps(t.Context())
			require.NoError(t, err)
			require.Len(t, gaps, len(c.gaps))
			for i, gap := range c.gaps {
				require.Contains(t, gaps[i], gap)
			}
		})
	}
}

func TestAURLThatIsNoneIsNotRepeated(t *testing.T) {
	t.Parallel()
	_, err := redis.New(redis.Config{URL: secret.New("redis://ada:hidden@[::1")})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}

// TestWhatWasPutBeforeThereWasAnIntakeWaits also covers a Redis that has lost everything, its groups as well.
func TestWhatWasPutBeforeThereWasAnIntakeWaits(t *testing.T) {
	t.Parallel()
	server := testserver.StartRedis(t)
	b := open(t, redis.Config{URL: secret.New(server.URL), Wait: 20 * time.Millisecond})
	for range 2 {
		e := ingest.Entry{Delivery: ingest.Delivery{ID: "a", Event: "push", ReceivedAt: time.Unix(1, 0)}, Body: []byte("{}")}
		require.NoError(t, b.Put(t.Context(), e))
		entries, err := b.Take(t.Context(), 10)
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.NoError(t, server.Kill())
		_, err = b.Take(t.Context(), 10)
		require.Error(t, err)
		require.NoError(t, server.Start(t.Context()))
	}
}
