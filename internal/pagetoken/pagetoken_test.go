package pagetoken_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"witan.dev/internal/pagetoken"
)

type place struct {
	At time.Time
	ID string
}

func TestATokenIsAPlaceInItsOwnListOnly(t *testing.T) {
	t.Parallel()
	want := place{time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), "x"}
	text, err := pagetoken.Write("jobs of me", want)
	require.NoError(t, err)
	var got place
	require.NoError(t, pagetoken.Read(text, "jobs of me", &got))
	require.Equal(t, want, got)
	require.ErrorIs(t, pagetoken.Read(text, "jobs of you", &got), pagetoken.ErrInvalid)

	var beginning place
	require.NoError(t, pagetoken.Read("", "jobs of me", &beginning))
	require.Zero(t, beginning)
	for _, bad := range []string{"x", "e30", strings.Repeat("A", 4000), text + "A", "bm90IGpzb24"} {
		require.ErrorIs(t, pagetoken.Read(bad, "jobs of me", &got), pagetoken.ErrInvalid, bad)
	}
}

func FuzzRead(f *testing.F) {
	text, err := pagetoken.Write("list", place{ID: "a"})
	require.NoError(f, err)
	f.Add(text)
	f.Add("eyJmIjpudWxsfQ")
	f.Fuzz(func(t *testing.T, text string) {
		var p place
		if err := pagetoken.Read(text, "list", &p); err != nil {
			require.ErrorIs(t, err, pagetoken.ErrInvalid)
		}
	})
}
