package github

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

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

func TestPausesOfAnAnswerAreShortened(t *testing.T) {
	t.Parallel()
	base := &url.URL{Scheme: "http", Host: "forge"}
	for sent, want := range map[string][2]string{ // from now, in seconds
		"in the past":  {"-600", "-600"},
		"soon":         {"600", "600"},
		"in ages":      {"999999999", "3600"},
		"for ever":     {"9000000000000000000", "3600"},
		"out of range": {"99999999999999999999", "3600"},
	} {
		t.Run(sent, func(t *testing.T) {
			t.Parallel()
			at := want[0]
			if seconds, err := strconv.ParseInt(want[0], 10, 64); err == nil {
				at = strconv.FormatInt(time.Now().Unix()+seconds, 10)
			}
			g := guard{base: base, next: roundTrip(func(*http.Request) (*http.Response, error) {
				h := http.Header{}
				h.Set("X-RateLimit-Reset", at)
				h.Set("Retry-After", want[0])
				return &http.Response{StatusCode: http.StatusForbidden, Header: h, Body: http.NoBody}, nil
			})}
			res, err := g.RoundTrip(&http.Request{URL: base})
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, want[1], res.Header.Get("Retry-After"))
			if sent == "out of range" {
				require.Empty(t, res.Header.Get("X-RateLimit-Reset"))
				return
			}
			seconds, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
			require.NoError(t, err)
			wanted, err := strconv.ParseInt(want[1], 10, 64)
			require.NoError(t, err)
			require.InDelta(t, time.Now().Unix()+wanted, seconds, 10)
		})
	}
}

func TestTheCacheHoldsWhatWasUsedLast(t *testing.T) {
	t.Parallel()
	c := newCache()
	body := make([]byte, maxCachedAnswer) // which cannot be packed
	_, _ = rand.NewChaCha8([32]byte{}).Read(body)
	for i := range 40 {
		c.put(string(rune('a'+i)), cached{tag: "t", body: body})
		got, ok := c.get("a")
		require.True(t, ok)
		require.Equal(t, body, got.body)
	}
	require.LessOrEqual(t, c.bytes, maxCached)
	_, ok := c.get("b")
	require.False(t, ok)
	for range 3 {
		c.put("a", cached{tag: "u"})
	}
	got, _ := c.get("a")
	require.Equal(t, "u", got.tag)
	require.Empty(t, got.body)
	require.Len(t, c.byKey, c.order.Len())
}

// TestTheCacheHoldsAnswersPacked keeps workers small that see pull request after pull request.
func TestTheCacheHoldsAnswersPacked(t *testing.T) {
	t.Parallel()
	c := newCache()
	body := []byte(strings.Repeat(`{"login":"octocat","url":"https://api.github.com/users/octocat"},`, 500))
	c.put("a", cached{body: body})
	got, ok := c.get("a")
	require.True(t, ok)
	require.Equal(t, body, got.body)
	require.Less(t, c.bytes, len(body)/5)
	require.LessOrEqual(t, cap(c.byKey["a"].Value.(*cacheEntry).value.body), len(body)/5) //nolint:errcheck // the list holds nothing else
}
