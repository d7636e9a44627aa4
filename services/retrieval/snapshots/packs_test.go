package snapshots

import (
	"crypto/sha256"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/blob"
)

// TestManyPacksHoldFewFiles: a worker reads packs for as long as it lives, and each one that is unpacked is an open file.
func TestManyPacksHoldFewFiles(t *testing.T) {
	t.Parallel()
	c := newPacks(t.TempDir())
	now := time.Now()
	c.now = func() time.Time { now = now.Add(time.Millisecond); return now }
	defer func() { require.NoError(t, c.close()) }()
	take := func(n int) (p *pack, fresh bool) {
		p, err := c.take(packKey{"me", blob.SHA256(sha256.Sum256([]byte(strconv.Itoa(n))))},
			func() ([]byte, error) { fresh = true; return nil, nil },
			func(p *pack, _ []byte) error { return p.add("id", []byte(strconv.Itoa(n))) })
		require.NoError(t, err)
		return p, fresh
	}
	read := func(p *pack) string {
		content, err := p.read("id", 100)
		require.NoError(t, err)
		return string(content)
	}
	first, _ := take(0)
	for n := range 3 * maxPacks {
		p, _ := take(n + 1)
		require.Equal(t, strconv.Itoa(n+1), read(p))
		c.give(p)
		require.LessOrEqual(t, len(c.unpacked), maxPacks)
	}
	require.Equal(t, "0", read(first), "who reads a pack keeps it")
	c.give(first)
	again, fresh := take(1)
	require.True(t, fresh, "the one that was read longest ago went first")
	require.Equal(t, "1", read(again))
	c.give(again)
	last, fresh := take(3 * maxPacks)
	require.False(t, fresh)
	c.give(last)
	now = now.Add(maxIdle)
	again, fresh = take(1)
	require.False(t, fresh)
	c.give(again)
	require.Len(t, c.unpacked, 1, "what nobody came back to is closed")
	require.ErrorIs(t, last.file.Close(), os.ErrClosed)
}
