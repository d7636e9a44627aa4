package github

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	for status, limit := range map[int]int64{http.StatusOK: maxAnswer, http.StatusForbidden: maxErrorAnswer} {
		next := roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(endless{})}, nil
		})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/y", nil)
		require.NoError(t, err)
		res, err := guard{next: next, base: &url.URL{Scheme: "https", Host: "x"}}.RoundTrip(req)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, res.Body)
		require.ErrorIs(t, err, errAnswerTooLarge)
		require.Equal(t, limit, n)
		require.NoError(t, res.Body.Close())
	}
}

func TestTheCacheHoldsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	c := newCache()
	body := []byte(strings.Repeat("a", maxCachedAnswer))
	for i := range 40 {
		c.put(string(rune('a'+i)), cached{tag: "t", body: body})
		_, ok := c.get("a")
		require.True(t, ok)
	}
	require.LessOrEqual(t, c.bytes, maxCached)
	_, ok := c.get("b")
	require.False(t, ok)
	for range 3 {
		c.put("a", cached{tag: "u"})
	}
	got, _ := c.get("a")
	require.Equal(t, "u", got.tag)
	require.Len(t, c.byKey, c.order.Len())
}
